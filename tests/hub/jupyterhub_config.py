"""A hub as an operator would configure one, on the loopback and with local processes.

What differs from test to test comes in variables.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.platform.hub import HubSettings, configure

if TYPE_CHECKING:
    from traitlets.config import Config

    def get_config() -> Config:
        """Stand for the function that JupyterHub provides here."""


c = get_config()
given = json.loads(os.environ["HUB_TEST"])
folder, (port, hub_port, proxy_port) = Path(given["folder"]), given["ports"]

configure(c, HubSettings(index=str(folder / "repositories.yaml"), memory="2G"))

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_ip = "127.0.0.1"
c.JupyterHub.hub_port = hub_port
c.JupyterHub.db_url = f"sqlite:///{folder / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(folder / "cookie-secret")
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = given["password"]
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "homes" / "{username}")
c.Spawner.environment.update({"HUB_TEST_MARK": given["mark"], "AWS_EC2_METADATA_DISABLED": "true"})
c.Spawner.cmd = [str(Path(sys.executable).with_name("jupyterhub-singleuser"))]
c.Spawner.ip = "127.0.0.1"
if os.geteuid() == 0:
    c.Spawner.args.append("--allow-root")
c.ConfigurableHTTPProxy.command = [given["proxy"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.pid_file = str(folder / "proxy.pid")
