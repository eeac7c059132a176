"""Servers that lenticular starts itself: for the demo, workshops and tests.

=====================  =======================================================
`ObjectStoreServer`    S3 in this process (moto on files)
`ObjectStoreProcess`   the same in a child process
`SeaweedServer`        S3 by SeaweedFS, in a child process
`PostgresServer`       PostgreSQL, the system's or that of a wheel
`FaultProxy`           latency, throttling, resets and stalls on purpose
`ChildProcess`         any program that must not outlive us
=====================  =======================================================

Everything is loaded on first use. Moto and the PostgreSQL wheel are optional:
``pip install 'lenticular[demo]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.platform.services._pgbinaries import PostgresBinaries, find_postgresql
    from lenticular.platform.services._s3 import ObjectStore
    from lenticular.platform.services.faults import Counters, FaultProxy, Faults
    from lenticular.platform.services.objectstore import ObjectStoreProcess, ObjectStoreServer
    from lenticular.platform.services.postgresql import PostgresServer
    from lenticular.platform.services.process import ChildProcess, free_port, require_port
    from lenticular.platform.services.seaweedfs import SeaweedServer

__all__ = [
    "ChildProcess",
    "Counters",
    "FaultProxy",
    "Faults",
    "ObjectStore",
    "ObjectStoreProcess",
    "ObjectStoreServer",
    "PostgresBinaries",
    "PostgresServer",
    "SeaweedServer",
    "find_postgresql",
    "free_port",
    "require_port",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    {
        "ChildProcess": "process",
        "Counters": "faults",
        "FaultProxy": "faults",
        "Faults": "faults",
        "ObjectStore": "_s3",
        "ObjectStoreProcess": "objectstore",
        "ObjectStoreServer": "objectstore",
        "PostgresBinaries": "_pgbinaries",
        "PostgresServer": "postgresql",
        "SeaweedServer": "seaweedfs",
        "find_postgresql": "_pgbinaries",
        "free_port": "process",
        "require_port": "process",
    },
)
