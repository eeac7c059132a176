"""The connections that are in use under a scope, and how each is made to stop."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lenticular.butler.guard.scope import Scope

__all__ = ["GRACE", "Line", "PostgresLine", "hold", "line_of", "release"]

GRACE = 1.0
"""Seconds that a server has to stop a statement, before its connection is cut."""

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

_held: dict[int, Line] = {}
_lock = threading.Lock()


class Line:
    """A driver's connection to a database, which another thread can stop.

    Parameters
    ----------
    connection
        The driver's connection, in use by this thread.
    record
        The pool's record of it.
    """

    connection: Any
    """The driver's connection."""

    record: Any
    """The pool's record of it."""

    def __init__(self, connection: Any, record: Any) -> None:
        self.connection = connection
        self.record = record
        self.scopes: list[Scope] = []
        self._began: float | None = None
        self._again = 0.0
        self._pause = _FIRST_PAUSE

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop, and may be told so again late."""
        return self._began is not None

    def stop(self, now: float, grace: float = GRACE) -> float:
        """Make it stop, as far as it is time for that; does not wait.

        A request that comes before the statement, or is lost on its way, has no
        effect: it is repeated, and in the end the connection is cut.

        Parameters
        ----------
        now
            The time, of the monotonic clock [s].
        grace
            Seconds after which it is cut.

        Returns
        -------
        float
            When to ask again, if it is still in use then.
        """
        if self._began is None:
            self._began = self._again = now
        end = self._began + grace
        if now >= end and self.cut():
            return float("inf")
        if now >= self._again:
            self.interrupt()
            self._again = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return self._again if now >= end else min(self._again, end)

    def interrupt(self) -> None:
        """Interrupt the statement that runs, if one does; does not wait."""
        raise NotImplementedError

    def cut(self) -> bool:
        """Cut the connection, if that is possible, and tell whether."""
        return False

    def settle(self) -> None:
        """Wait until no interruption can come any more."""

    def close(self) -> None:
        """Give up what is needed to stop it."""


class _SqliteLine(Line):
    """SQLite's connection. It does not interrupt a wait for a lock, which is kept short instead."""

    slice = 0.1
    """Seconds that SQLite waits for a lock at a time."""

    def __init__(self, connection: Any, record: Any) -> None:
        super().__init__(connection, record)
        self.patience: float = connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000
        self._set_timeout(min(self.patience, self.slice))

    def interrupt(self) -> None:
        with suppress(Exception):  # closed meanwhile
            self.connection.interrupt()

    def close(self) -> None:
        with suppress(Exception):  # closed meanwhile
            self._set_timeout(self.patience)

    def _set_timeout(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")


class PostgresLine(Line):
    """psycopg2's connection.

    Parameters
    ----------
    connection
        The driver's connection, in use by this thread.
    record
        The pool's record of it, where somebody else is to be kept from it.
    """

    def __init__(self, connection: Any, record: Any = None) -> None:
        from lenticular.butler.guard.libpq import Canceller

        super().__init__(connection, record)
        self._canceller = Canceller(connection)
        # A copy of the descriptor: by the time it is shut, its number may be another file's.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))

    def interrupt(self) -> None:
        """See `Line.interrupt`."""
        self._canceller.fire()

    def cut(self) -> bool:
        """See `Line.cut`."""
        with suppress(OSError):  # gone already
            self._socket.shutdown(socket.SHUT_RDWR)
        return True

    def settle(self) -> None:
        """See `Line.settle`."""
        if not self._canceller.settle(GRACE):
            self.cut()

    def close(self) -> None:
        """See `Line.close`."""
        self._canceller.close()
        self._socket.close()


def hold(scopes: Iterable[Scope], connection: Any, record: Any, kind: tuple[str, str]) -> None:
    """Note that a connection is in use under some scopes.

    Parameters
    ----------
    scopes
        The scopes.
    connection
        The driver's connection, in use by this thread.
    record
        The pool's record of it.
    kind
        The dialect's name and driver. Connections of others than those of
        registries are let alone.
    """
    maker = _MAKERS.get(kind)
    if maker is None or getattr(connection, "closed", False):
        return
    with _lock:
        line = _held.get(id(connection))
    if line is None:
        line = maker(connection, record)
        with _lock:
            _held[id(connection)] = line
    for scope in scopes:
        scope.take(line)


def line_of(connection: Any) -> Line | None:
    """Return the line of a connection, if it is in use under a scope."""
    with _lock:
        return _held.get(id(connection))


def release(connection: Any) -> bool:
    """Note that a connection is in use no more.

    Parameters
    ----------
    connection
        The driver's connection.

    Returns
    -------
    bool
        Whether it was never told to stop, and may be used again.
    """
    with _lock:
        line = _held.pop(id(connection), None)
    if line is None:
        return True
    for scope in tuple(line.scopes):
        scope.leave(line)
    line.close()
    return not line.stopped


_MAKERS: dict[tuple[str, str], type[Line]] = {
    ("sqlite", "pysqlite"): _SqliteLine,
    ("postgresql", "psycopg2"): PostgresLine,
}
