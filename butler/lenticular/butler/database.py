"""The registry's database: connecting with a deadline, and telling why not."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import (
    ConfigurationError,
    DatabaseUnreachableError,
    QueryCancelledError,
    QueryTimeoutError,
    ReadOnlyRepositoryError,
    RepositoryError,
    RepositoryNotFoundError,
)
from lenticular.butler.guard.scope import current_scope, guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

__all__ = ["analyze", "answering_within", "explained", "open_engine", "parse_database", "reader"]

_BACKENDS = {"sqlite", "postgresql"}
_READER = "lenticular_reader"
"""Option of an engine: the one on the same connections that makes no transaction."""

_PATIENCE = 30.0
"""Seconds after which a line that was good before counts as dead, at the earliest."""


def parse_database(text: str, *, where: object) -> sqlalchemy.URL:
    """Return the address of a database that upstream can keep a registry in.

    Parameters
    ----------
    text
        SQLAlchemy URL.
    where
        The repository concerned, to be named in the error.

    Raises
    ------
    ConfigurationError
        Raised if it cannot be parsed, or names another kind of database.
    """
    import sqlalchemy

    hint = "Write registry.db as sqlite:///path or postgresql://user@host:port/database."
    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):  # the latter for a port that is no number
        # Without its cause, which may quote an address with a password.
        raise ConfigurationError(
            "The database's address cannot be understood", where=where, hint=hint
        ) from None
    if url.get_backend_name() not in _BACKENDS:
        raise ConfigurationError(
            f"A registry cannot be kept in a database of the kind {url.get_backend_name()!r}",
            where=where,
            hint=hint,
        )
    return url


def open_engine(
    url: sqlalchemy.URL, *, writeable: bool = False, timeout: float = 5.0, queries: int = 8
) -> sqlalchemy.Engine:
    """Return an engine whose sessions only read, unless told otherwise.

    Parameters
    ----------
    url
        Address of the database; nothing is sent to it yet.
    writeable
        Whether its sessions may write.
    timeout
        Seconds to wait for a connection, or for another writer of SQLite.
    queries
        Connections that are kept open for the next query at most; as many
        again are made where these do not suffice.

    Raises
    ------
    RepositoryNotFoundError
        Raised if the file of a SQLite database does not exist: SQLite itself
        would make an empty one.
    ReadOnlyRepositoryError
        Raised if the file of a SQLite database may not be written, and is to be.
    ConfigurationError
        Raised if the address asks for a driver that is not installed.
    """
    from lenticular.butler.guard.hooks import adopt
    from lenticular.butler.guard.pool import PatientPool

    pool = {
        "poolclass": PatientPool,
        "pool_size": queries,
        "max_overflow": queries,
        "pool_timeout": PatientPool.SLICE,
        "hide_parameters": True,
    }
    engine = _engine(url, pool, writeable=writeable, timeout=timeout)
    assert isinstance(engine.pool, PatientPool)  # noqa: S101 - as was asked for above
    engine.pool.patience = timeout
    adopt(engine.dialect)
    return engine


def reader(engine: sqlalchemy.Engine) -> sqlalchemy.Engine:
    """Return an engine on the same connections, for statements that only read.

    On PostgreSQL it makes no transaction, whose begin and end cost a round trip
    each: a read of one statement is one round trip.

    Parameters
    ----------
    engine
        What `open_engine` returned.
    """
    known: sqlalchemy.Engine = engine.get_execution_options().get(_READER, engine)
    return known


def _engine(
    url: sqlalchemy.URL, pool: dict[str, Any], *, writeable: bool, timeout: float
) -> sqlalchemy.Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, pool, writeable=writeable, timeout=timeout)
    # Read-only is set for each transaction rather than for the session: behind
    # a connection pool (pgbouncer) a session's settings are not one's own.
    options: dict[str, Any] = {} if writeable else {"postgresql_readonly": True}
    engine = _postgresql_engine(url, pool, timeout=timeout)
    # Not even "read only" is set for these, since that is another round trip.
    return engine.execution_options(
        **options, **{_READER: engine.execution_options(isolation_level="AUTOCOMMIT")}
    )


def _postgresql_engine(url: sqlalchemy.URL, pool: dict[str, Any], *, timeout: float) -> sqlalchemy.Engine:
    import sqlalchemy

    from lenticular.butler.guard.hooks import LINE_SETTINGS

    arguments = {
        **LINE_SETTINGS,
        "connect_timeout": max(1, round(timeout)),
        "tcp_user_timeout": round(1000 * max(timeout, _PATIENCE)),
    }
    try:
        return sqlalchemy.create_engine(
            url,
            connect_args=arguments,
            pool_use_lifo=True,
            pool_recycle=600,
            pool_pre_ping=True,
            **pool,
        )
    except (ModuleNotFoundError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise ConfigurationError(
            f"The driver {url.get_driver_name()!r} for the database is not installed",
            where=url,
            hint="Write the address as postgresql://user@host/database.",
        ) from error


def _sqlite_engine(
    url: sqlalchemy.URL, pool: dict[str, Any], *, writeable: bool, timeout: float
) -> sqlalchemy.Engine:
    import sqlalchemy

    path = Path(url.database or "")
    if not path.is_file():
        hint = "Was the repository moved without it, or its creation interrupted?"
        raise RepositoryNotFoundError("The registry's database file does not exist", where=path, hint=hint)
    if writeable and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise ReadOnlyRepositoryError(
            "The registry's database file may not be written by you",
            where=path,
            hint="Open it for reading, or ask its owner.",
        )
    query = {"uri": "true"} if writeable else {"uri": "true", "mode": "ro"}
    target = sqlalchemy.URL.create("sqlite", database=path.as_uri(), query=query)
    return sqlalchemy.create_engine(target, connect_args={"timeout": timeout}, **pool)


@contextmanager
def answering_within(engine: sqlalchemy.Engine, timeout: float, *, where: object) -> Iterator[None]:
    """Give a new engine's first questions a deadline.

    The driver's own deadline ends with the login. A server, or a network, that
    stalls after it would be waited for without end.

    Parameters
    ----------
    engine
        An engine that has no connection yet.
    timeout
        Seconds that everything inside the context may take.
    where
        The repository concerned, to be named in the error.

    Raises
    ------
    DatabaseUnreachableError
        Raised if the deadline has passed.
    """
    if engine.dialect.name == "sqlite":
        yield
        return
    try:
        with guarded(timeout, grace=0.0):
            yield
    except QueryTimeoutError as error:
        engine.dispose()
        raise DatabaseUnreachableError(
            f"The database did not answer within {timeout:g} s",
            where=where,
            hint="Is it overloaded, is the network up, and is a firewall in between?",
        ) from error


@contextmanager
def explained(where: object) -> Iterator[None]:
    """Turn a driver's errors into ours.

    Parameters
    ----------
    where
        The repository concerned, to be named in the error.

    Raises
    ------
    DatabaseUnreachableError
        Raised if the database does not answer, does not exist or refuses us.
    ReadOnlyRepositoryError
        Raised if something was to be written through a reading session.
    QueryTimeoutError, QueryCancelledError
        Raised if the database only complains of being interrupted.
    RepositoryError
        Raised for anything else that the database has to complain of.
    """
    import sqlalchemy

    try:
        yield
    except (QueryTimeoutError, QueryCancelledError) as error:
        if error.where is not None or where is None:
            raise
        raise type(error)(error.what, where=where, hint=error.hint) from error.__cause__
    except sqlalchemy.exc.TimeoutError as error:
        raise DatabaseUnreachableError(
            "Every connection to the registry's database is in use",
            where=where,
            hint="Wait for other queries to end.",
        ) from error
    except sqlalchemy.exc.DBAPIError as error:
        scope = current_scope()
        raise (scope and scope.told(where)) or _explain(error, where) from error


_REASONS: tuple[tuple[str, str, str], ...] = (
    ("password authentication failed", "The database refuses this user or password",
     "Check db-auth.yaml, PGPASSFILE or the user in registry.db."),
    ("no password supplied", "The database asks for a password and none is known",
     "Add it to db-auth.yaml or PGPASSFILE, readable by you alone."),
    ("does not exist", "The database has no such database, user or table",
     "Check registry.db and registry.namespace in butler.yaml."),
    ("no such table", "This database is not a Butler registry",
     "Check registry.db in butler.yaml; its creation may have been interrupted."),
    ("could not translate host name", "The database's host is not known",
     "Check the host in registry.db, and the network."),
    ("connection refused", "The database does not accept connections",
     "Is it running, and on this port?"),
    ("no such file or directory", "The database does not accept connections",
     "There is no socket at this place: is it running on this machine?"),
    ("timeout expired", "The database did not answer in time",
     "Is the network up, and is a firewall in between?"),
    ("not a database", "The registry's file is not a SQLite database",
     "Check registry.db in butler.yaml; the file may be damaged."),
    ("unable to open database file", "The registry's file cannot be opened",
     "Was the repository moved or deleted, or its file system unmounted?"),
    ("disk i/o error", "The registry's file cannot be read",
     "Its file system fails: is it mounted and sound, and is there space left on it?"),
    ("disk image is malformed", "The registry's file is damaged",
     "Was it copied while it was written? Restore it from a copy."),
    ("database system is", "The database is just being started or stopped",
     "Try again in some seconds."),
    ("too many clients", "The database has no connection left",
     "Try again later; its operator can raise max_connections."),
    ("remaining connection slots", "The database has no connection left",
     "Try again later; its operator can raise max_connections."),
    ("database is locked", "Another program keeps the database locked",
     "Wait for it to end; many writers at once need PostgreSQL."),
)  # fmt: skip


def _explain(error: sqlalchemy.exc.DBAPIError, where: object) -> RepositoryError:
    text = str(error.orig).lower()
    if "readonly database" in text or "read-only transaction" in text:
        return ReadOnlyRepositoryError(
            "This repository was opened for reading", where=where, hint="Open it with `writeable=True`."
        )
    for sign, what, hint in _REASONS:
        if sign in text:
            return DatabaseUnreachableError(what, where=where, hint=hint)
    if error.connection_invalidated or type(error.orig).__name__ == "OperationalError":
        return DatabaseUnreachableError(
            f"The connection to the registry's database failed: {error.orig}",
            where=where,
            hint="Try again; if it stays so, ask its operator.",
        )
    return RepositoryError(
        f"The registry's database reports an error: {error.orig}", where=where, hint="Its log may say more."
    )


def analyze(engine: sqlalchemy.Engine, *, where: object, namespace: str | None = None) -> None:
    """Bring the database's statistics up to date.

    Both databases plan badly without: on SQLite the query behind a graph of
    a thousand visits takes 30 times as long.

    Parameters
    ----------
    engine
        An engine that may write.
    where
        The repository concerned, to be named in an error.
    namespace
        Schema of the registry's tables (PostgreSQL).
    """
    import sqlalchemy

    with explained(where), engine.connect() as connection:
        autocommit: Any = connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name == "sqlite":
            autocommit.execute(sqlalchemy.text("ANALYZE"))
            return
        names = sqlalchemy.inspect(connection).get_table_names(schema=namespace)
        quote = engine.dialect.identifier_preparer.quote
        for name in sorted(names):
            table = f"{quote(namespace)}.{quote(name)}" if namespace else quote(name)
            autocommit.execute(sqlalchemy.text(f"ANALYZE {table}"))
