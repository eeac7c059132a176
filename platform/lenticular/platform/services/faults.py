"""A proxy that spoils connections on purpose: latency, throttling, resets, stalls.

It stands before an object store or a database, in a thread of this process, and
does what networks and clouds do to us, when we say so::

    with FaultProxy(store.endpoint, http=True) as proxy:
        client = connect(proxy.endpoint)
        proxy.faults.rtt = 0.08
        proxy.faults.slow_down_every = 10
        ...
        proxy.counters.slow_downs
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from lenticular.butler.errors import ServiceError
from lenticular.platform.services._spoiled import Line, SpoiledConnection
from lenticular.platform.services.process import bound_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from types import TracebackType

__all__ = ["Counters", "FaultProxy", "Faults"]

_BLOCK = 1 << 18


@dataclass(slots=True)
class Faults:
    """What a `FaultProxy` does to connections; every field may be set at any time.

    Setting a field takes effect, on open connections too, before the assignment
    returns. All are off by default.

    Raises
    ------
    ValueError
        A number is negative, or zero where that has no meaning.
    """

    rtt: float = 0.0
    """Round-trip time to add, in seconds: half on each way, and one more for a new connection.
    Throughput is not reduced, as on a long line."""
    bandwidth: float | None = None
    """Bytes per second towards the clients, which all connections share."""
    slow_down_every: int | None = None
    """Answer every n-th HTTP request with ``503 Slow Down``, as S3 does. Needs ``http=True``."""
    reset_after: int | None = None
    """Reset a connection after it has passed this many bytes to its client."""
    stall_after: int | None = None
    """Pass no more to a client after this many bytes, and keep the connection open.
    Setting None again lets the rest through."""
    refuse: bool = False
    """Refuse new connections, as a machine does on which nobody listens."""
    _changed: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def __setattr__(self, name: str, value: Any) -> None:
        if (
            name in {"rtt", "bandwidth", "slow_down_every", "reset_after", "stall_after"}
            and value is not None
        ):
            least = 0 if name in {"rtt", "reset_after", "stall_after"} else 1
            if not value >= least:
                raise ValueError(f"{name} must be at least {least}, not {value!r}")
        object.__setattr__(self, name, value)
        notify = getattr(self, "_changed", None)
        if name != "_changed" and notify is not None:
            notify()

    def clear(self) -> None:
        """Switch every fault off."""
        for one in fields(self):
            if not one.name.startswith("_"):
                setattr(self, one.name, one.default)


@dataclass(slots=True)
class Counters:
    """What has passed through a `FaultProxy`."""

    connections: int = 0
    """Connections that were accepted."""
    requests: int = 0
    """HTTP requests; with ``http=True`` only."""
    slow_downs: int = 0
    """Requests that were answered with 503."""
    resets: int = 0
    """Connections that were reset on purpose."""
    bytes_up: int = 0
    """Bytes from clients to the server."""
    bytes_down: int = 0
    """Bytes to the clients."""


class FaultProxy:
    """A TCP proxy on a loopback address that can misbehave.

    Parameters
    ----------
    upstream
        The server: its URL, its ``(host, port)``, or the path of its Unix
        socket.
    http
        Whether the clients speak HTTP/1.1, so that requests can be told apart.
    port
        Port to listen on; 0 takes any free one.
    faults
        What to do at first; nothing by default.
    """

    faults: Faults
    """What it does to connections."""

    counters: Counters
    """What has passed through it."""

    def __init__(
        self,
        upstream: str | tuple[str, int] | Path,
        *,
        http: bool = False,
        port: int = 0,
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.counters = Counters()
        self._upstream = _address(upstream)
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: socket.socket | None = None
        self._line = Line(self.faults, self.counters, self._connect, http=http)
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Port on which the proxy listens."""
        if self._thread is None:
            raise ServiceError("the proxy is not running", hint="Call start() first")
        return self._port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the proxy."""
        return "127.0.0.1", self.port

    @property
    def endpoint(self) -> str:
        """URL of the proxy, ``http://host:port``."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Begin to listen.

        Raises
        ------
        PortInUseError
            Another program listens on the port.
        """
        if self._thread is not None:
            return self
        listener = bound_socket("127.0.0.1", self._port)
        self._port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faultproxy", daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._open_door, listener)
        self.faults._changed = lambda: self._call(self._apply())  # noqa: SLF001  # the two are one thing
        self._call(self._apply())
        return self

    def stop(self) -> None:
        """Close all connections and stop listening."""
        if self._thread is None or self._loop is None:
            return
        self.faults._changed = None  # noqa: SLF001  # the two are one thing
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = self._loop = None

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None  # noqa: S101  # private: between start and stop only
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30.0)

    async def _apply(self) -> None:
        """Wake those who wait for a change, and open or close the door."""
        self._line.announce()
        if self.faults.refuse:
            self._close_door()
        elif self._listener is None:
            self._open_door(bound_socket("127.0.0.1", self._port))

    def _open_door(self, listener: socket.socket) -> None:
        listener.setblocking(False)  # noqa: FBT003  # the name of the method says it
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def _close_door(self) -> None:
        if self._listener is not None:
            self._accept()  # those who had connected before
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        # Not asyncio's server: it drops connections that come while it closes.
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody more
                return
            client.setblocking(False)  # noqa: FBT003  # the name of the method says it
            connection = asyncio.ensure_future(self._serve(client))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    async def _serve(self, client: socket.socket) -> None:
        streams = await asyncio.open_connection(sock=client, limit=_BLOCK)
        await SpoiledConnection(self._line, streams).run()

    async def _close(self) -> None:
        self._close_door()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(3):  # the loop closes the sockets of aborted connections in its next turns
            await asyncio.sleep(0)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(str(self._upstream), limit=_BLOCK)
        return await asyncio.open_connection(*self._upstream, limit=_BLOCK)


def _address(upstream: str | tuple[str, int] | Path) -> tuple[str, int] | Path:
    if not isinstance(upstream, str):
        return upstream
    parts = urlsplit(upstream)
    if parts.hostname is None or parts.port is None:
        hint = "Give http://host:port, (host, port), or the Path of a Unix socket"
        raise ServiceError(
            "the address of the server behind the proxy is incomplete", where=upstream, hint=hint
        )
    return parts.hostname, parts.port
