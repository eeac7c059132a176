"""One connection through a `lenticular.platform.services.faults.FaultProxy`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING

from lenticular.platform.services._http import HttpRequests, RawBytes, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lenticular.platform.services.faults import Counters, Faults

__all__ = ["Line", "SpoiledConnection"]

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_BLOCK = 1 << 18
_IN_FLIGHT = 64  # blocks in one direction of one connection
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: closing sends RST


class Line:
    """What all connections of one proxy share.

    Parameters
    ----------
    faults
        What to do to connections.
    counters
        Where to count.
    connect
        Opens a connection to the server.
    http
        Whether requests are to be told apart.
    """

    news: asyncio.Event
    """Set at the next change of the faults."""

    def __init__(
        self, faults: Faults, counters: Counters, connect: Callable[[], Awaitable[Streams]], *, http: bool
    ) -> None:
        self.faults = faults
        self.counters = counters
        self.connect = connect
        self.http = http
        self.news = asyncio.Event()
        self._free_at = 0.0

    def announce(self) -> None:
        """Wake those who wait for a change of the faults."""
        self.news.set()
        self.news = asyncio.Event()

    def reserve(self, size: int, now: float) -> float:
        """Return when the last of some bytes will have passed the common line.

        Parameters
        ----------
        size
            How many bytes are to pass, after all that were announced before.
        now
            The time, in seconds.
        """
        if self.faults.bandwidth is None:
            return now
        self._free_at = max(self._free_at, now) + size / self.faults.bandwidth
        return self._free_at


class SpoiledConnection:
    """A client, a connection to the server on its behalf, and the faults between them.

    Parameters
    ----------
    line
        What it shares with the other connections.
    client
        The client's streams.
    """

    def __init__(self, line: Line, client: Streams) -> None:
        self.line = line
        self.faults = line.faults
        self.counters = line.counters
        self.client = client
        self.loop = asyncio.get_running_loop()
        self.up: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
        self.down: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_IN_FLIGHT)
        self.passed = 0
        self.gone = asyncio.Event()

    async def run(self) -> None:
        """Pass bytes both ways until the connection ends."""
        self.counters.connections += 1
        writers = [self.client[1]]
        steps: list[asyncio.Task[None]] = []
        try:
            if self.faults.rtt:
                await asyncio.sleep(self.faults.rtt)  # the handshake
            reader, server = await self.line.connect()
            writers.append(server)
            for writer in writers:
                with contextlib.suppress(OSError):  # a Unix socket has no such option
                    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            work = (self._hear_client(), self._hear_server(reader), self._tell_server(server))
            steps.extend(asyncio.ensure_future(step) for step in work)
            await self._tell_client(server)
            for writer in writers:
                writer.close()
                await writer.wait_closed()
        except OSError:
            self._reset(self.client[1])  # the server is not there, or somebody hung up
        finally:
            for step in steps:
                step.cancel()
            for writer in writers:
                writer.transport.abort()

    async def _hear_client(self) -> None:
        reader = self.client[0]
        requests = HttpRequests(reader) if self.line.http else RawBytes(reader)
        try:
            async for starts, block in requests:
                if starts and self._refuses():
                    await requests.skip()
                    await self.down.put((self._due(), refusal(with_body=not requests.is_head)))
                    await self.down.put((self._due(), b""))
                    return
                self.counters.bytes_up += len(block)
                await self.up.put((self._due(), block))
        except (OSError, EOFError, ValueError):
            pass  # gone, or not HTTP: the server gets what there was
        self.gone.set()
        await self.up.put((self._due(), b""))

    async def _hear_server(self, reader: asyncio.StreamReader) -> None:
        block = b"more"
        while block:
            try:
                block = await reader.read(_BLOCK)
            except OSError:
                block = b""
            await self.down.put((self._due(), block))

    async def _tell_server(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while block := await self._arrival(self.up):
                writer.write(block)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    async def _tell_client(self, server: asyncio.StreamWriter) -> None:
        writer = self.client[1]
        while block := await self._arrival(self.down):
            free_at = self.line.reserve(len(block), self.loop.time())
            await asyncio.sleep(free_at - self.loop.time())
            while block:
                allowed = await self._allowance(len(block))
                if allowed < 0:
                    self.counters.resets += 1
                    self._reset(writer)
                    self._reset(server)
                    return
                if allowed == 0:
                    return  # the client gave up on a stalled connection
                # Counted first: whoever has received the bytes finds them counted.
                self.counters.bytes_down += allowed
                self.passed += allowed
                writer.write(block[:allowed])
                await writer.drain()
                block = block[allowed:]

    async def _allowance(self, wanted: int) -> int:
        """Return how many bytes may pass now; -1 for a reset, 0 when the client has gone."""
        while True:
            news = self.line.news
            limits = {wanted}
            if self.faults.reset_after is not None:
                limits.add(self.faults.reset_after - self.passed)
            if self.faults.stall_after is not None:
                limits.add(self.faults.stall_after - self.passed)
            allowed = min(limits)
            if allowed > 0:
                return allowed
            if self.faults.reset_after is not None and self.faults.reset_after <= self.passed:
                return -1
            waits = [asyncio.ensure_future(event.wait()) for event in (news, self.gone)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
            if self.gone.is_set() and not news.is_set():
                return 0

    async def _arrival(self, queue: asyncio.Queue[tuple[float, bytes]]) -> bytes:
        due, block = await queue.get()
        if due > self.loop.time():
            await asyncio.sleep(due - self.loop.time())
        return block

    def _due(self) -> float:
        return self.loop.time() + self.faults.rtt / 2

    def _refuses(self) -> bool:
        self.counters.requests += 1
        every = self.faults.slow_down_every
        if every is None or self.counters.requests % every:
            return False
        self.counters.slow_downs += 1
        return True

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        writer.transport.abort()
