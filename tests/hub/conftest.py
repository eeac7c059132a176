"""A JupyterHub that really runs, with two users on it."""

from __future__ import annotations

import html
import json
import re
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psutil
import pytest

from lenticular.butler import add_label
from lenticular.pipelines.graph import GraphRequest
from lenticular.platform.runs import RunStore
from lenticular.platform.services import ChildProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
USERS = ("ana", "benoit")
_HUB_SECONDS = 120.0


@dataclass
class Visitor:
    """A browser without its screen: pages, redirections and cookies."""

    address: str
    cookies: CookieJar = field(default_factory=CookieJar)

    def __post_init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the text of a page, after redirections."""
        return self._open(path)

    def log_in(self, name: str, password: str) -> int:
        """Fill in the form of the hub's login page and return the status of what comes then."""
        _, page = self.get("hub/login")
        (token,) = re.findall(r'name="_xsrf"\s+value="([^"]*)"', page)
        form = {"username": name, "password": password, "_xsrf": html.unescape(token)}
        return self._open("hub/login", urlencode(form).encode())[0]

    def _open(self, path: str, data: bytes | None = None) -> tuple[int, str]:
        try:
            with self._opener.open(f"{self.address}/{path}", data, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@dataclass
class RunningHub:
    """A hub, its users' homes, and the process that it is."""

    address: str
    folder: Path
    password: str
    mark: str
    process: ChildProcess

    def runs(self, name: str) -> RunStore:
        """Return the records of a user's runs, where the hub's settings put them."""
        return RunStore(self.folder / "homes" / name / "lenticular" / "runs")

    def servers(self) -> list[int]:
        """Return the processes of users' servers, with all that they have started."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HUB_TEST_MARK") == self.mark:
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    def visitor(self) -> Visitor:
        """Return somebody who has not logged in."""
        return Visitor(self.address)

    def enter(self, *names: str) -> dict[str, Visitor]:
        """Log users in, all at once, and wait until each has a page of their own."""
        entered = {name: self.visitor() for name in names}
        for name, visitor in entered.items():
            visitor.log_in(name, self.password)
        for name, visitor in entered.items():
            self.process.wait_until(partial(_sees_lab, visitor, name), _HUB_SECONDS)
        return entered


def _sees_lab(visitor: Visitor, name: str) -> bool:
    status, page = visitor.get(f"user/{name}/lab")
    return status == 200 and "jupyter-config-data" in page


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """Start a hub in which each of two users has one run on record."""
    subprocess.run([ROOT / ".ci" / "install-hub-proxy"], check=True)
    folder = tmp_path_factory.mktemp("hub")
    port, *others = (free_port() for _ in range(3))
    password, mark = secrets.token_hex(16), secrets.token_hex(8)
    proxy = ROOT / "platform" / "hub" / "node_modules" / ".bin" / "configurable-http-proxy"
    given = {"folder": str(folder), "ports": [port, *others], "password": password, "mark": mark}
    process = ChildProcess(
        [sys.executable, "-m", "jupyterhub", "-f", Path(__file__).with_name("jupyterhub_config.py")],
        name="JupyterHub",
        log=folder / "hub.log",
        environment={"HUB_TEST": json.dumps({**given, "proxy": str(proxy)})},
        cwd=folder,
        grace=30.0,
    )
    running = RunningHub(f"http://127.0.0.1:{port}", folder, password, mark, process)
    add_label("survey", str(folder / "repository"), folder / "repositories.yaml")
    for name in USERS:
        _record_run(running.runs(name), name)
    with process:
        process.wait_until(lambda: _answers(running.visitor()), _HUB_SECONDS)
        yield running


@pytest.fixture(scope="module")
def users(hub: RunningHub) -> dict[str, Visitor]:
    """Return both users, each with a server."""
    return hub.enter(*USERS)


def _answers(visitor: Visitor) -> bool:
    try:
        return visitor.get("hub/health")[0] == 200
    except OSError:
        return False


def _record_run(store: RunStore, name: str) -> None:
    request = GraphRequest(pipeline="single-visit", inputs=("raw",), output=f"u/{name}/first")
    store.create("survey", request, workers=1, engine="local").write()


def page_settings(page: str) -> Any:
    """Return the settings that JupyterLab's page carries."""
    (text,) = re.findall(
        r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', page, re.DOTALL
    )
    return json.loads(text)
