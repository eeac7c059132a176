"""JupyterHub with lenticular on every user's server.

In ``jupyterhub_config.py``, where JupyterHub provides ``c``::

    from lenticular.platform.hub import Credentials, HubSettings, configure

    configure(c, HubSettings(
        index="s3://survey/repositories.yaml",
        credentials=Credentials(role="arn:aws:iam::123456789012:role/astronomer",
                                identity_file="/var/run/secrets/token"),
    ))

Whatever else belongs to a hub (authentication, spawner, address) stays the
operator's. Importing this needs no JupyterHub.
"""

from __future__ import annotations

from lenticular.platform.hub.configuration import configure
from lenticular.platform.hub.settings import Credentials, HubSettings

__all__ = ["Credentials", "HubSettings", "configure"]
