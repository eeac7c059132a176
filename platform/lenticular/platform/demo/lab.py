"""JupyterLab for the demo: one server, one port, one address to open."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.platform.services.process import ChildProcess, require_port

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lenticular.platform.demo.folder import DemoFolder

__all__ = ["DEFAULT_PORT", "Lab", "choose_port", "copy_notebooks"]

DEFAULT_PORT = 8888
_PORTS_TRIED = 20
_START_SECONDS = 90.0


def choose_port(wanted: int | None) -> int:
    """Return the port to listen on.

    Parameters
    ----------
    wanted
        A port asked for by name; `None` for the usual one, or the next that
        is free.

    Raises
    ------
    PortInUseError
        Raised if the port that was asked for is taken, or 20 in a row are.
    """
    if wanted is not None:
        require_port(wanted)
        return wanted
    for port in range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED):
        try:
            require_port(port)
        except PortInUseError:
            continue
        return port
    raise PortInUseError(
        f"Every port from {DEFAULT_PORT} to {DEFAULT_PORT + _PORTS_TRIED - 1} is in use",
        hint="Choose one with `lenticular demo --port`.",
    )


def copy_notebooks(source: Path, target: Path) -> int:
    """Copy tutorials that the visitor does not have yet.

    A copy that exists is the visitor's own and is left alone.

    Returns
    -------
    int
        How many were copied.
    """
    target.mkdir(parents=True, exist_ok=True)
    missing = [path for path in sorted(source.glob("*.ipynb")) if not (target / path.name).exists()]
    for path in missing:
        shutil.copy(path, target / path.name)
    return len(missing)


class Lab:
    """A JupyterLab server of the demo.

    Parameters
    ----------
    folder
        The demo's folder.
    port
        Port on 127.0.0.1 to listen on.
    environment
        Variables by which kernels find the repository and the object store.
    browser
        Whether to open the visitor's browser.
    """

    def __init__(
        self, folder: DemoFolder, port: int, environment: Mapping[str, str], *, browser: bool = False
    ) -> None:
        self._token = secrets.token_urlsafe(24)
        self._port = port
        home = folder.path / "jupyter"
        self._process = ChildProcess(
            [
                Path(sys.executable).with_name("jupyter-lab"),
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={folder.notebooks.absolute()}",
                f"--ServerApp.open_browser={browser}",
                *(["--allow-root"] if os.geteuid() == 0 else []),
            ],
            name="JupyterLab",
            log=folder.logs / "jupyterlab.log",
            environment={
                **environment,
                # In the environment rather than in the arguments, which every
                # user of the machine can list.
                "JUPYTER_TOKEN": self._token,
                "JUPYTER_CONFIG_DIR": str(folder.settings.absolute()),
                "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
                "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            },
        )

    @property
    def url(self) -> str:
        """Address to open, with the token that lets one in."""
        return f"http://127.0.0.1:{self._port}/lab/tree/first-look.ipynb?token={self._token}"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        ServiceError
            Raised with the end of its log if it does not.
        """
        self._process.start()
        try:
            self._process.wait_until(self._answers, _START_SECONDS)
        except BaseException:
            self._process.stop()
            raise

    def wait(self) -> None:
        """Wait until the server ends by itself.

        Raises
        ------
        ServiceError
            Raised if it fails, or is killed for want of memory.
        """
        code = self._process.wait()
        if code:
            raise ServiceError(
                f"JupyterLab ended with code {code}", where=self._process.log, hint="Its log says why."
            )

    def stop(self) -> None:
        """Stop the server and its kernels."""
        self._process.stop()

    def _answers(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/api/status", headers={"Authorization": f"token {self._token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
                return bool(answer.status == 200)  # noqa: PLR2004
        except (urllib.error.URLError, OSError):
            return False
