"""The served views behind a real Jupyter server: who may see them, and what they show."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import psutil
import pytest
from bokeh.util.token import get_token_payload
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from lenticular.butler import Repository, add_label, create_repository
from tests.trivial.repository import SEEDS, fill_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "/user/ada/"
TOKEN = "a-token-for-this-test"  # noqa: S105  of a server on loopback that ends with the test
PATIENCE = 60.0


@dataclass(frozen=True)
class Hub:
    """A Jupyter server as a hub starts it: below a prefix."""

    process: subprocess.Popen[bytes]
    url: str

    def get(self, path: str, *, token: str | None = TOKEN) -> tuple[int, str]:
        """Ask for a page and return the status and the text, following no redirection."""
        headers = {} if token is None else {"Authorization": f"token {token}"}
        request = urllib.request.Request(urljoin(self.url, path), headers=headers)  # noqa: S310  loopback
        try:
            with urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")

    def texts(self, view: str, *, until: str, **arguments: str) -> str:
        """Open a session as a browser does and return its texts once one of them is found."""
        query = "&".join(f"{name}={value}" for name, value in arguments.items())
        _, page = self.get(f"{view}?{query}")
        found = re.search(r'"token":"([^"]+)"', page)
        assert found is not None
        return asyncio.run(self._listen(f"{view}/ws", found[1], until))

    async def _listen(self, path: str, token: str, until: str) -> str:
        """Ask for the document and for every change to it until a text appears."""
        request = HTTPRequest(
            urljoin(self.url, path).replace("http", "ws", 1), headers={"Authorization": f"token {TOKEN}"}
        )
        async with asyncio.timeout(PATIENCE):
            line = await websocket_connect(request, subprotocols=["bokeh", token])
            try:
                # The server is not ready for questions before it has said hello.
                await self._hear(line, "ACK")
                for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
                    await line.write_message(json.dumps(part))
                return await self._hear(line, until)
            finally:
                line.close()
                while await line.read_message() is not None:
                    pass

    async def _hear(self, line: WebSocketClientConnection, until: str) -> str:
        heard = ""
        while until not in heard:
            message = await line.read_message()
            assert message is not None, heard
            heard += message if isinstance(message, str) else ""
        return heard


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_jupyter(folder: Path, index: Path) -> Hub:
    """Start a Jupyter server below a prefix and wait until it answers."""
    port = free_port()
    (folder / "notebooks").mkdir(parents=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    environment |= {
        "DAF_BUTLER_REPOSITORY_INDEX": str(index),
        "LENTICULAR_RUNS": str(folder / "runs"),
        "JUPYTER_TOKEN": TOKEN,
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-m", "jupyter_server", "--ServerApp.ip=127.0.0.1", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.base_url={BASE}"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}", "--ServerApp.open_browser=False"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    hub = Hub(process, f"http://127.0.0.1:{port}{BASE}lenticular/views/")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            hub.get("../../api")
        except urllib.error.URLError:
            continue
        return hub
    pytest.fail((folder / "log").read_text())


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a repository index with one good repository and one that cannot be opened."""
    folder = tmp_path_factory.mktemp("repositories")
    create_repository(folder / "toy").close()
    with Repository.open(folder / "toy", writeable=True) as repository:
        fill_repository(repository.butler, detectors=2)
    add_label("toy", str(folder / "toy"), folder / "index.yaml")
    add_label("lost", str(folder / "nothing-here"), folder / "index.yaml")
    return folder / "index.yaml"


@pytest.fixture(scope="module")
def hub(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Run a Jupyter server with that index."""
    hub = start_jupyter(tmp_path_factory.mktemp("h"), index)
    yield hub
    hub.process.send_signal(signal.SIGTERM)
    hub.process.wait(timeout=30)


def server_of_views(hub: Hub) -> psutil.Process:
    """Return the process that serves the views."""
    children = psutil.Process(hub.process.pid).children(recursive=True)
    (found,) = (child for child in children if "lenticular.widgets.serve" in child.cmdline())
    return found


@pytest.mark.parametrize(
    "view", ["workbench", "collections", "run", "exposure", "", "static/js/bokeh.min.js"]
)
def test_nobody_sees_a_view_whom_the_jupyter_server_does_not_know(hub: Hub, view: str) -> None:
    assert hub.get(f"{view}?label=toy", token=None)[0] in (302, 403)
    assert hub.get(f"{view}?label=toy", token="wrong")[0] in (302, 403)  # noqa: S106  is refused


@pytest.mark.parametrize("view", ["workbench", "collections", "run", "exposure"])
def test_nobody_opens_a_websocket_whom_the_jupyter_server_does_not_know(hub: Hub, view: str) -> None:
    request = urllib.request.Request(  # noqa: S310  loopback
        urljoin(hub.url, f"{view}/ws"),
        headers={
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=PATIENCE)  # noqa: S310  loopback
    assert refused.value.code == 403
    refused.value.close()


def test_every_resource_of_a_page_comes_from_this_installation(hub: Hub) -> None:
    status, page = hub.get("workbench?label=toy")
    assert status == 200
    resources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(resources) > 3
    for resource in resources:
        assert not re.match(r"/|[a-z]+:", resource), f"{resource} is not relative"
        if "apple-touch" not in resource:
            assert hub.get(resource)[0] == 200, resource
    assert not re.findall(r"https?://(?!www\.w3\.org)", page)


def test_the_page_is_light_or_dark_as_its_address_says(hub: Hub) -> None:
    assert 'dataset.theme = "dark"' in hub.get("run?theme=dark")[1]
    assert 'dataset.theme = "light"' in hub.get("run?theme=%22%3C/script%3E")[1]


def test_neither_token_nor_cookie_is_written_into_the_page(hub: Hub) -> None:
    _, page = hub.get("run?label=toy")
    found = re.search(r'"token":"([^"]+)"', page)
    assert found is not None
    assert TOKEN not in page
    assert TOKEN not in json.dumps(get_token_payload(found[1]), default=str)


def test_a_session_shows_what_the_repository_holds(hub: Hub) -> None:
    assert "CollectionBrowser" in hub.texts("collections", label="toy", until=SEEDS)


def test_a_workbench_opens_at_its_first_step(hub: Hub) -> None:
    texts = hub.texts("workbench", label="toy", until="lenticular-DatasetPicker")
    assert "lenticular-CollectionBrowser" in texts
    assert "lenticular-ExposureViewer" not in texts


@pytest.mark.parametrize(
    ("view", "arguments", "notice"),
    [
        ("collections", {"label": "none"}, "Known labels: lost, toy."),
        ("collections", {"label": "lost"}, "nothing-here"),
        ("workbench", {"label": "file:///etc"}, "No repository has the label"),
        ("exposure", {"label": "toy", "visit": "x"}, "is not a visit"),
        ("run", {"run": "20010101"}, "Nothing was launched yet."),
    ],
)
def test_what_cannot_be_shown_is_told_without_a_traceback(
    hub: Hub, view: str, arguments: dict[str, str], notice: str
) -> None:
    texts = hub.texts(view, until=notice, **arguments)
    assert "lv-error" in texts
    assert "Traceback" not in texts


def test_the_views_listen_on_a_private_socket_and_on_no_port(hub: Hub) -> None:
    hub.get("run")
    process = server_of_views(hub)
    assert [
        connection for connection in process.net_connections("inet") if connection.status == "LISTEN"
    ] == []
    path = Path(process.cmdline()[process.cmdline().index("--unix-socket") + 1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_launcher_has_no_card_for_the_views(hub: Hub) -> None:
    status, text = hub.get("../../server-proxy/servers-info")
    assert status == 200
    entries = {server["name"]: server["launcher_entry"] for server in json.loads(text)["server_processes"]}
    assert entries["lenticular/views"]["enabled"] is False


def test_the_views_end_with_a_parent_that_was_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("k") / "socket"
    command = f"{sys.executable} -P -m lenticular.widgets.serve --unix-socket {path} & echo $!; wait"
    parent = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        views = psutil.Process(int(parent.stdout.readline()))
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < deadline:
        assert views.is_running()
    parent.kill()
    parent.wait(timeout=30)
    views.wait(timeout=30)
    assert not views.is_running()
