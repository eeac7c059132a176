"""Real services for the tests: object stores and PostgreSQL, one of each for a session.

Servers live in child processes, which end with the test run however it ends.
A test gets a bucket or a database of its own.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lenticular.platform.services import (
    ObjectStoreProcess,
    PostgresServer,
    SeaweedServer,
    find_postgresql,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lenticular.platform.services import ObjectStore

__all__ = [
    "POSTGRES_MAJORS",
    "bucket",
    "object_store",
    "open_folder",
    "postgres_database",
    "postgres_server",
    "postgres_servers",
    "postgres_template",
    "s3_bucket",
    "s3_client",
    "s3_environment",
    "s3_server",
    "seaweed_server",
    "unique_name",
]

POSTGRES_MAJORS = sorted({found.major: found for found in find_postgresql()}.values(), key=lambda b: b.major)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """Return a folder that other users may enter: as root, PostgreSQL is another user.

    Those of pytest are closed, and their long paths do not suit Unix sockets.
    """
    folder = Path(tempfile.mkdtemp(prefix="lenticular-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreProcess]:
    """Return the object store of the demo (moto), in a child process."""
    with ObjectStoreProcess(tmp_path_factory.mktemp("objectstore")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """Return a SeaweedFS server."""
    with SeaweedServer(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session", params=["object_store", "seaweed_server"], ids=["moto", "seaweedfs"])
def s3_server(request: pytest.FixtureRequest) -> ObjectStore:
    """Return each S3 server in turn."""
    server: ObjectStore = request.getfixturevalue(request.param)
    return server


def unique_name(word: str) -> str:
    """Return a name for a database that no other has, however often a fixture is made."""
    return f"{word}_{uuid.uuid4().hex[:8]}"


def _name_for(request: pytest.FixtureRequest) -> str:
    readable = re.sub(r"[^a-z0-9]+", "-", str(request.node.name).lower()).strip("-")
    return f"{readable[:40]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bucket(object_store: ObjectStoreProcess, request: pytest.FixtureRequest) -> str:
    """Return the name of a new, empty bucket on ``object_store``."""
    return object_store.make_bucket(_name_for(request)).removeprefix("s3://")


@pytest.fixture
def s3_bucket(s3_server: ObjectStore, request: pytest.FixtureRequest) -> str:
    """Return the name of a new, empty bucket on ``s3_server``."""
    return s3_server.make_bucket(_name_for(request)).removeprefix("s3://")


@pytest.fixture
def s3_client(s3_server: ObjectStore) -> Iterator[Any]:
    """Return a boto3 client of ``s3_server``."""
    client = s3_server.client()
    yield client
    client.close()


@pytest.fixture
def s3_environment(object_store: ObjectStoreProcess, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set the environment variables that lead every client to ``object_store``."""
    variables = object_store.environment()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture(scope="session")
def postgres_servers(open_folder: Path) -> Iterator[Callable[[int], PostgresServer]]:
    """Return a function that gives the server of a major version, started when first asked for."""
    by_major = {binaries.major: binaries for binaries in POSTGRES_MAJORS}
    with ExitStack() as stack:
        started: dict[int, PostgresServer] = {}

        def server(major: int) -> PostgresServer:
            if major not in started:
                new = PostgresServer(open_folder / f"pg{major}", binaries=by_major[major], durable=False)
                started[major] = stack.enter_context(new)
            return started[major]

        yield server


@pytest.fixture(
    scope="session", params=[b.major for b in POSTGRES_MAJORS], ids=[f"pg{b.major}" for b in POSTGRES_MAJORS]
)
def postgres_server(
    request: pytest.FixtureRequest, postgres_servers: Callable[[int], PostgresServer]
) -> PostgresServer:
    """Return a server of each major version of PostgreSQL on this machine in turn."""
    return postgres_servers(request.param)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Return the name of a database with the extensions that a registry needs, to be cloned."""
    name = unique_name("registry_template")
    postgres_server.create_database(name)
    return name


@pytest.fixture
def postgres_database(
    postgres_server: PostgresServer, postgres_template: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """Return the URL of a clone of the template; it is dropped after the test."""
    name = _name_for(request)
    yield postgres_server.create_database(name, template=postgres_template, extensions=())
    postgres_server.drop_database(name)
