"""Connections that wait to be used: whether they are still good, and who gets the next one."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy

from lenticular.butler.errors import RepositoryNotFoundError
from lenticular.butler.guard.scope import POLL, current_scope

if TYPE_CHECKING:
    import sqlite3

__all__ = ["PatientPool", "check_file", "is_quiet"]

_FILE = "lenticular_file"
"""Key of a pool's record for the file that a connection has open."""


def is_quiet(connection: Any) -> bool:
    """Tell whether an idle connection of psycopg2 is still good, without asking the server.

    A server that ended a connection has closed it, or said why: either way its
    socket has something to read, where a good one has nothing. That costs a
    system call where a question costs a round trip.

    Parameters
    ----------
    connection
        The driver's connection.
    """
    if connection.closed:
        return False
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN | select.POLLPRI)
        return not poll.poll(0)
    except OSError:
        return False


def check_file(connection: sqlite3.Connection, record: sqlalchemy.pool.ConnectionPoolEntry) -> None:
    """Check that a connection of SQLite has the file open that is at its place.

    SQLite itself would go on reading one that was replaced.

    Parameters
    ----------
    connection
        The driver's connection.
    record
        The pool's record of it, in which the file is noted the first time.

    Raises
    ------
    sqlalchemy.exc.InvalidatePoolError
        Raised if another file is there now: SQLAlchemy then opens that one.
    RepositoryNotFoundError
        Raised if none is.
    """
    path, *known = record.info.get(_FILE) or (_path(connection),)
    if not path:
        return
    try:
        status = os.stat(path)  # noqa: PTH116 - quicker than a Path, and this is asked often
    except OSError as error:
        raise RepositoryNotFoundError(
            "The registry's database file is gone",
            where=path,
            hint="Was the repository moved or deleted, or its file system unmounted?",
        ) from error
    found = (status.st_dev, status.st_ino)
    if known and tuple(known) != found:
        message = "the file was replaced"
        raise sqlalchemy.exc.InvalidatePoolError(message)
    record.info[_FILE] = path, *found


def _path(connection: sqlite3.Connection) -> str:
    """Return the file of a connection; empty for a database in memory."""
    return next((row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"), "")


class PatientPool(sqlalchemy.pool.QueuePool):
    """A pool in which the wait for a connection is bound by the scope of who waits.

    It is made with a ``timeout`` of `SLICE`, since a wait cannot be stopped;
    the `patience` is what that is otherwise.
    """

    SLICE = POLL
    """Seconds to wait at a time."""

    patience: float = 5.0
    """Seconds to wait in all, unless a scope has less."""

    def _do_get(self) -> sqlalchemy.pool.ConnectionPoolEntry:
        end = time.monotonic() + self.patience
        while True:
            try:
                return super()._do_get()
            except sqlalchemy.exc.TimeoutError:
                scope = current_scope()
                if scope is not None:
                    scope.check()
                if time.monotonic() >= end:
                    raise

    def recreate(self) -> PatientPool:
        """Return a new pool of the same kind."""
        new = super().recreate()
        assert isinstance(new, PatientPool)  # noqa: S101 - QueuePool makes one of its own class
        new.patience = self.patience
        return new
