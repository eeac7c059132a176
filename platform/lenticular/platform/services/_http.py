"""Where one HTTP/1.1 request ends and the next begins, and no more than that."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["HttpRequests", "RawBytes", "refusal"]

_BLOCK = 1 << 18
_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


def refusal(*, with_body: bool) -> bytes:
    """Return the answer that S3 gives to those who ask too often.

    Parameters
    ----------
    with_body
        Whether to explain; an answer to HEAD has no body.
    """
    head = (
        "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(_SLOW_DOWN)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (_SLOW_DOWN if with_body else b"")


class RawBytes:
    """Bytes of a protocol that is not HTTP, in blocks as they come.

    Parameters
    ----------
    reader
        Where they come from.
    """

    is_head = False

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[tuple[bool, bytes]]:
        while block := await self._reader.read(_BLOCK):
            yield False, block

    async def skip(self) -> None:
        """Do nothing: without requests there is no rest of one."""


class HttpRequests:
    """HTTP/1.1 requests, in blocks, each marked whether a request begins with it.

    Parameters
    ----------
    reader
        Where they come from.

    Raises
    ------
    ValueError
        What comes is not HTTP.
    EOFError
        It ends within a request.
    """

    is_head: bool
    """Whether the present request is a HEAD."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._head = b""
        self.is_head = False

    async def __aiter__(self) -> AsyncIterator[tuple[bool, bytes]]:
        while True:
            try:
                self._head = await self._reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    yield False, error.partial
                return
            except asyncio.LimitOverrunError as error:
                raise ValueError("not HTTP") from error
            self.is_head = self._head.startswith(b"HEAD ")
            yield True, self._head
            async for block in self._body():
                yield False, block

    async def skip(self) -> None:
        """Read the rest of the present request, which nobody wants."""
        if self._field(b"expect") is None:  # else the client is waiting for leave to send it
            async for _ in self._body():
                pass

    async def _body(self) -> AsyncIterator[bytes]:
        if (self._field(b"transfer-encoding") or b"").lower().endswith(b"chunked"):
            size = 1
            while size:
                line = await self._reader.readuntil(b"\r\n")
                size = int(line.split(b";")[0], 16)
                yield line
                async for block in self._exactly(size):
                    yield block
                if size:
                    yield await self._reader.readuntil(b"\r\n")
            while line != b"\r\n":  # trailers, and the blank line after them
                line = await self._reader.readuntil(b"\r\n")
                yield line
            return
        async for block in self._exactly(int(self._field(b"content-length") or 0)):
            yield block

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            block = await self._reader.read(min(size, _BLOCK))
            if not block:
                raise EOFError
            size -= len(block)
            yield block

    def _field(self, name: bytes) -> bytes | None:
        found = re.search(rb"(?im)^" + name + rb":[ \t]*(.*?)[ \t]*\r$", self._head)
        return None if found is None else found[1]
