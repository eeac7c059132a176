"""Where SQLAlchemy lets scopes take part: its connections, statements and errors.

SQLAlchemy is listened to as a whole, upstream's engines included, of which one
is made deep inside of a Butler. Outside of a scope nothing is done, but for
engines that are adopted.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from lenticular.butler.guard.lines import hold, line_of, release
from lenticular.butler.guard.scope import current_scope
from lenticular.butler.guard.writing import commit_begun, commit_ended, commit_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

__all__ = ["LINE_SETTINGS", "adopt", "adopting", "install"]

LINE_SETTINGS: dict[str, Any] = {
    "application_name": "lenticular",
    "connect_timeout": 10,
    # Without these a query over a line that has gone dead waits for hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""What libpq is told about every new connection, unless the address says otherwise."""

_adopting: ContextVar[bool] = ContextVar("lenticular_adopting", default=False)
_adopted: WeakSet[sqlalchemy.Dialect] = WeakSet()

_BROKEN = ("disk i/o error", "disk image is malformed", "file is not a database")
"""What SQLite says where a fresh connection may still find everything in order."""

_BUSY = 0xFF
"""Mask that leaves the primary code of SQLite's errors."""


@cache
def install() -> None:
    """Begin to listen; once for a process."""
    import sqlalchemy

    listen = sqlalchemy.event.listen
    listen(sqlalchemy.pool.Pool, "checkout", _taken)
    listen(sqlalchemy.pool.Pool, "checkin", _returned)
    listen(sqlalchemy.pool.Pool, "close", lambda connection, _record: release(connection))
    listen(sqlalchemy.Engine, "before_cursor_execute", _begun)
    listen(sqlalchemy.Engine, "do_connect", _connect)
    listen(sqlalchemy.Engine, "do_execute", _execute)
    listen(sqlalchemy.Engine, "handle_error", _failed, retval=True)
    listen(sqlalchemy.Engine, "commit", commit_begun)


def adopt(dialect: sqlalchemy.Dialect) -> None:
    """Look after the connections of an engine while they wait to be used.

    Those of PostgreSQL are looked at instead of asked; for those of SQLite, the
    file at their place is.

    Parameters
    ----------
    dialect
        The engine's dialect, which it shares with no other.
    """
    install()
    _adopted.add(dialect)
    if dialect.driver == "psycopg2":
        from lenticular.butler.guard.pool import is_quiet

        vars(dialect)["do_ping"] = is_quiet  # a look instead of a round trip


@contextmanager
def adopting() -> Iterator[None]:
    """Adopt the engine that somebody else makes inside; its connections get our settings."""
    install()
    token = _adopting.set(True)
    try:
        yield
    finally:
        _adopting.reset(token)


def _taken(connection: Any, record: Any, proxy: Any) -> None:
    dialect = proxy._pool._dialect  # noqa: SLF001 - SQLAlchemy tells it nowhere else
    if _adopting.get() and dialect not in _adopted:
        adopt(dialect)  # of an engine with a connector of its own
    if dialect.name == "sqlite" and dialect in _adopted:
        from lenticular.butler.guard.pool import check_file

        check_file(connection, record)
    scope = current_scope()
    if scope is not None:
        hold(scope.chain(), connection, record, (dialect.name, dialect.driver))


def _returned(connection: Any, record: Any) -> None:
    commit_ended()
    if connection is not None and not release(connection):
        record.invalidate()  # a late interruption must not hit the next one's statement


def _begun(connection: sqlalchemy.Connection, *_: object) -> None:
    commit_ended()
    scope = current_scope()
    if scope is None:
        return
    scope.check()
    # It may have been taken before the scope was entered.
    proxy: Any = connection.connection
    if proxy.dbapi_connection is not None:
        kind = connection.dialect.name, connection.dialect.driver
        hold(scope.chain(), proxy.dbapi_connection, proxy._connection_record, kind)  # noqa: SLF001 - as above


def _connect(dialect: Any, record: Any, arguments: list[Any], settings: dict[str, Any]) -> Any:
    if _adopting.get():
        adopt(dialect)
    if dialect.driver != "psycopg2":
        return None
    if dialect in _adopted:
        for name, value in LINE_SETTINGS.items():
            settings.setdefault(name, value)
    scope = current_scope()
    if scope is None:
        return None
    scope.check()
    made = scope.wait(lambda: dialect.connect(*arguments, **settings), lambda late: late.close())
    # From now on: SQLAlchemy's own first questions may be stalled as well.
    hold(scope.chain(), made, record, (dialect.name, dialect.driver))
    return made


def _execute(cursor: Any, statement: str, parameters: Any, _context: object) -> bool | None:
    """Execute a statement on SQLite, whose wait for another's lock no interruption ends."""
    scope = current_scope()
    if scope is None or not isinstance(cursor, sqlite3.Cursor):
        return None
    line: Any = line_of(cursor.connection)
    if line is None:
        return None
    begin = now = time.monotonic()
    while True:
        try:
            cursor.execute(statement, parameters)
        except sqlite3.OperationalError as error:
            waited, now = time.monotonic() - now, time.monotonic()
            busy = getattr(error, "sqlite_errorcode", 0) & _BUSY == sqlite3.SQLITE_BUSY
            # What SQLite refuses at once, since waiting would not help, it refuses again.
            if not busy or now >= begin + line.patience or waited < line.slice / 2:
                raise
            scope.check()
        else:
            return True


def _failed(context: sqlalchemy.ExceptionContext) -> BaseException | None:
    if context.dialect in _adopted and context.dialect.name == "sqlite":
        text = str(context.original_exception).lower()
        context.is_disconnect = context.is_disconnect or any(sign in text for sign in _BROKEN)
    commit_failed(context)
    scope = current_scope()
    return None if scope is None else scope.told()
