"""A kernel of a Jupyter server, driven from outside as a page drives it."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any, Self

import websocket

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["JupyterServer", "Kernel"]


class JupyterServer:
    """A running Jupyter server.

    Parameters
    ----------
    address
        Its address, without a slash at the end.
    token
        What lets one in.
    """

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.headers = {"Authorization": f"token {token}"}

    def ask(self, path: str, method: str = "GET", body: object = None) -> Any:
        """Return the JSON that the server answers."""
        return json.loads(self.fetch(path, method, body) or "null")

    def fetch(self, path: str, method: str = "GET", body: object = None) -> bytes:
        """Return what the server answers, as it is."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.address}/{path}"
        request = urllib.request.Request(url, data=data, headers=self.headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            found: bytes = answer.read()
            return found

    def wait(self, timeout: float) -> None:
        """Wait until the server answers.

        Raises
        ------
        TimeoutError
            Raised if it does not in so many seconds.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                self.ask("api/status")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"{self.address} did not answer within {timeout:g} s")


class Kernel:
    """A kernel that is started on entry and shut down on exit.

    Parameters
    ----------
    server
        The server that starts it.
    """

    def __init__(self, server: JupyterServer) -> None:
        self._server = server

    def __enter__(self) -> Self:
        self._id = self._server.ask("api/kernels", "POST", {"name": "python3"})["id"]
        address = self._server.address.replace("http", "ws", 1)
        self._socket = websocket.create_connection(
            f"{address}/api/kernels/{self._id}/channels", header=self._server.headers, timeout=900
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._server.ask(f"api/kernels/{self._id}", "DELETE")

    def run(self, code: str) -> str:
        """Run some code to its end and return what it printed or showed as text.

        Raises
        ------
        RuntimeError
            Raised with the traceback if the code failed.
        """
        wanted = uuid.uuid4().hex
        header = {"msg_id": wanted, "msg_type": "execute_request", "username": "", "session": wanted}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._socket.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        text: list[str] = []
        ends = {"execute_reply", "idle"}  # they come on two channels, in either order
        while ends:
            frame = self._socket.recv()
            heard = json.loads(frame) if isinstance(frame, str) else {}
            if heard.get("parent_header", {}).get("msg_id") != wanted:
                continue
            kind, content = heard["msg_type"], heard["content"]
            ends -= {kind, content.get("execution_state", "")}
            if kind == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            text.append(_text_of(kind, content))
        return "".join(text)


def _text_of(kind: str, content: dict[str, Any]) -> str:
    if kind == "stream":
        return str(content["text"])
    if kind in {"execute_result", "display_data"}:
        return str(content["data"].get("text/plain", ""))
    return ""
