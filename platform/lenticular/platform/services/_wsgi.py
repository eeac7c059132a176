"""The HTTP side of the object store: a threaded server over `_moto`."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer
from werkzeug.wrappers import Response

from lenticular.platform.services import _moto
from lenticular.platform.services._objects import FileBytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["StoreServer", "application"]

_LOG = logging.getLogger(__name__)


def application(backend: _moto.StoredBackend) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """Return the WSGI application that serves a backend.

    Whole objects are sent in blocks; a fault of the file system is answered
    with S3's ``InternalError``.
    """

    def serve(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # Without "populate", which ties request and environment into a cycle: bodies
        # would wait for the garbage collector, and memory grow meanwhile.
        request = _moto.Request(environ, populate_request=False)
        content: Any
        try:
            status, headers, content = _moto.answer(backend, request)
        except OSError as error:
            _LOG.exception("%s %s failed", request.method, request.path)
            message = error.strerror or "failed"
            status, headers = 500, {}
            content = f"<Error><Code>InternalError</Code><Message>{message}</Message></Error>"
        text = {name: str(value) for name, value in headers.items()}
        if isinstance(content, FileBytes):
            text["content-length"] = str(len(content))
            content = content.blocks()
        response = Response(content, status=status, headers=text)
        if request.method == "HEAD" and "content-length" in text:
            response.headers["Content-Length"] = text["content-length"]
        return response(environ, start_response)

    return serve


class _Handler(_moto.MotoRequestHandler):
    """Moto's reading of requests from a connection, quick and quiet."""

    disable_nagle_algorithm = True  # headers and body are two writes; else the second waits for an ACK
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Say nothing about requests that were answered."""


class StoreServer(ThreadedWSGIServer):
    """A server with a thread for each connection, which can hang up on all of them.

    Parameters
    ----------
    backend
        The S3 to serve.
    listener
        A socket that listens already; the server keeps a copy of it.
    """

    def __init__(self, backend: _moto.StoredBackend, listener: socket.socket) -> None:
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, application(backend), handler=_Handler, fd=listener.fileno())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """Hang up on every client that still has a connection."""
        with self._guard:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster
