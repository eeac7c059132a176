"""Deadlines, cancelling, turns and waits of queries, on every database."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy

from lenticular.butler import Repository
from lenticular.butler.columns import DataIdQuery, query_datasets, read, stream
from lenticular.butler.database import open_engine
from lenticular.butler.errors import (
    DatabaseUnreachableError,
    QueryCancelledError,
    QueryTimeoutError,
    RepositoryBusyError,
    RepositoryError,
    RepositoryNotFoundError,
)
from lenticular.butler.guard import Scope, Slots, current_scope, guarded
from lenticular.butler.guard.lines import _held
from lenticular.platform.services import FaultProxy
from tests.butler.conftest import DATABASES
from tests.fixtures_services import POSTGRES_MAJORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lenticular.platform.services import PostgresServer
    from tests.butler.conftest import Backend

PATIENCE = 60.0
"""Seconds after which a test gives up; none of them counts on it."""

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT count(*) FROM n WHERE seen(x)",
    "postgresql": "SELECT pg_sleep(600)",
}


@pytest.fixture(params=DATABASES)
def asked(request: pytest.FixtureRequest, _filled: Callable[[str], Backend]) -> Iterator[Repository]:
    """Return a repository on each database in turn, open for reading."""
    with Repository.open(_filled(f"{request.param}-folder").root) as opened:
        yield opened
        assert not _held


@pytest.fixture
def sqlite_root(request: pytest.FixtureRequest) -> Path:
    """Return the root of a repository on SQLite, which is not to be changed."""
    backend: Backend = request.getfixturevalue("_filled")("sqlite-folder")
    return backend.root


@pytest.fixture(params=[database for database in DATABASES if database != "sqlite"])
def served(request: pytest.FixtureRequest, _filled: Callable[[str], Backend]) -> Iterator[Repository]:
    """Return a repository on each PostgreSQL in turn, open for reading."""
    with Repository.open(_filled(f"{request.param}-folder").root) as opened:
        yield opened
        assert not _held


@contextmanager
def other_session(repository: Repository) -> Iterator[sqlalchemy.Connection]:
    """Give a connection of somebody else's, without a transaction."""
    engine = sqlalchemy.create_engine(
        repository.engine.url.set(
            query={k: v for k, v in repository.engine.url.query.items() if k != "mode"}
        ),
        poolclass=sqlalchemy.NullPool,
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def happens(other: sqlalchemy.Connection, question: str) -> None:
    """Wait until a question to PostgreSQL is answered by something true."""
    end = time.monotonic() + PATIENCE
    while not other.execute(sqlalchemy.text(question)).scalar():
        assert time.monotonic() < end, f"never: {question}"


SLEEPS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"
SLEEPS_NO_MORE = SLEEPS.replace("count(*)", "count(*) = 0")
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"


class Endless:
    """A statement that never ends, and tells when it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def __call__(self, connection: sqlalchemy.Connection) -> None:
        """Run it."""
        if connection.dialect.name == "sqlite":
            line = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            line.create_function("seen", 1, self._seen)
        connection.execute(sqlalchemy.text(ENDLESS[connection.dialect.name]))

    def _seen(self, _: int) -> int:
        self.begun.set()
        return 1

    def wait(self, repository: Repository) -> None:
        """Wait until it runs in the database."""
        if repository.engine.dialect.name == "sqlite":
            assert self.begun.wait(PATIENCE)
        else:
            with other_session(repository) as other:
                happens(other, SLEEPS)


class Beside:
    """Work on another thread, whose error is kept."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            self.error = error

    def join(self) -> BaseException | None:
        """Wait for its end; return its error."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.error


# Statements that run


def test_at_the_deadline_the_statement_is_stopped_in_the_database(asked: Repository) -> None:
    with pytest.raises(QueryTimeoutError, match=r"longer than 0\.2 s") as raised, guarded(timeout=0.2):
        asked.read(Endless())
    assert raised.value.where == asked.name
    assert "Ask for less" in (raised.value.hint or "")
    assert asked.collections("u/ana")
    if asked.engine.dialect.name == "postgresql":
        with other_session(asked) as other:
            happens(other, SLEEPS_NO_MORE)


def test_an_event_stops_the_statement(asked: Repository) -> None:
    cancel, endless = threading.Event(), Endless()

    def work() -> None:
        with guarded(cancel=cancel):
            asked.read(endless)

    beside = Beside(work)
    endless.wait(asked)
    cancel.set()
    assert isinstance(beside.join(), QueryCancelledError)
    assert asked.collections("u/ana")


def test_a_scope_is_cancelled_from_another_thread(asked: Repository) -> None:
    scope, endless = Scope(), Endless()

    def work() -> None:
        with closing(scope), scope.entered():
            asked.read(endless)

    beside = Beside(work)
    endless.wait(asked)
    scope.cancel()
    assert isinstance(beside.join(), QueryCancelledError)


def test_a_repository_has_a_timeout_of_its_own(sqlite_root: Path) -> None:
    with Repository.open(sqlite_root, query_timeout=0.1) as repository:
        with pytest.raises(QueryTimeoutError):
            repository.read(Endless())
        with pytest.raises(QueryTimeoutError):
            repository.clone().read(Endless())
        assert repository.collections()


def test_the_earliest_deadline_counts(asked: Repository) -> None:
    with (
        pytest.raises(QueryTimeoutError, match=r"longer than 0\.2 s"),
        guarded(timeout=0.2),
        guarded(timeout=PATIENCE),
    ):
        asked.read(Endless())
    with guarded(timeout=PATIENCE):
        with pytest.raises(QueryTimeoutError, match=r"longer than 0\.1 s"), guarded(timeout=0.1):
            asked.read(Endless())
        assert asked.collections()
    assert current_scope() is None


def test_no_statement_is_begun_for_what_is_cancelled(asked: Repository) -> None:
    cancel = threading.Event()
    cancel.set()
    calls: list[int] = []
    with pytest.raises(QueryCancelledError), guarded(cancel=cancel):
        asked.read(
            lambda connection: calls.append(connection.execute(sqlalchemy.text("SELECT 1")).scalar_one())
        )
    assert not calls


def test_what_is_interrupted_is_not_used_again(asked: Repository) -> None:
    def which() -> object:
        with asked.engine.connect() as connection:
            return id(connection.connection.dbapi_connection), connection.connection.dbapi_connection

    before = which()
    assert which()[0] == before[0]  # type: ignore[index]
    with pytest.raises(QueryTimeoutError), guarded(timeout=0.1):
        asked.read(Endless())
    assert which()[0] != before[0]  # type: ignore[index]


def test_a_connection_taken_before_is_bound_and_given_up_afterwards(asked: Repository) -> None:
    with asked.engine.connect() as connection:
        with pytest.raises(QueryTimeoutError), guarded(timeout=0.1):
            Endless()(connection)
        used = connection.connection.dbapi_connection
    with asked.engine.connect() as connection:
        assert connection.connection.dbapi_connection is not used


def test_a_statement_of_upstreams_butler_is_stopped_too(asked: Repository) -> None:
    butler: Any = asked.butler
    database = butler._registry._db

    def work() -> None:
        with database._session() as connection:
            Endless()(connection)

    with pytest.raises(QueryTimeoutError), guarded(timeout=0.2):
        work()
    assert asked.butler.query_datasets("note", "u/ana", find_first=False)


def test_an_error_that_is_not_the_databases_stays_itself() -> None:
    cancel = threading.Event()

    def fail() -> None:
        cancel.set()
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"), guarded(cancel=cancel):
        fail()


def test_a_timeout_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"), guarded(timeout=0):
        pytest.fail("was entered")


# Waits


def test_waiting_for_a_lock_of_postgresql_is_cancelled(served: Repository) -> None:
    cancel = threading.Event()
    _ = served.butler
    query_datasets(served, "note", "u/ana")  # so that what upstream caches is there

    def work() -> None:
        query_datasets(served, "note", "u/ana", columns=["ingest_date"], cancel=cancel)

    with other_session(served) as other:
        other.execute(sqlalchemy.text("BEGIN"))
        other.execute(sqlalchemy.text("LOCK TABLE dataset IN ACCESS EXCLUSIVE MODE"))
        beside = Beside(work)
        happens(other, WAITS)
        cancel.set()
        error = beside.join()
        other.execute(sqlalchemy.text("ROLLBACK"))
    assert isinstance(error, QueryCancelledError)
    assert query_datasets(served, "note", "u/ana").num_rows == 4


def test_waiting_for_a_lock_of_sqlite_ends_at_the_deadline(sqlite_root: Path) -> None:
    with Repository.open(sqlite_root, timeout=PATIENCE) as repository:
        with other_session(repository) as other:
            other.execute(sqlalchemy.text("BEGIN EXCLUSIVE"))
            with pytest.raises(QueryTimeoutError), guarded(timeout=0.2):
                repository.collections()
            other.execute(sqlalchemy.text("ROLLBACK"))
        assert repository.collections()


def test_waiting_for_a_lock_of_sqlite_is_cancelled(sqlite_root: Path) -> None:
    cancel = threading.Event()
    with Repository.open(sqlite_root, timeout=PATIENCE) as repository:

        def work() -> None:
            with guarded(cancel=cancel):
                repository.collections()

        with other_session(repository) as other:
            other.execute(sqlalchemy.text("BEGIN EXCLUSIVE"))
            beside = Beside(work)
            cancel.set()
            assert isinstance(beside.join(), QueryCancelledError)
            other.execute(sqlalchemy.text("ROLLBACK"))


def test_within_a_scope_a_lock_of_sqlite_is_waited_for_as_long_as_without(
    sqlite_root: Path,
) -> None:
    with (
        Repository.open(sqlite_root, timeout=0.15) as repository,
        other_session(repository) as other,
    ):
        other.execute(sqlalchemy.text("BEGIN EXCLUSIVE"))
        with pytest.raises(DatabaseUnreachableError, match="locked"):
            repository.collections()
        with pytest.raises(DatabaseUnreachableError, match="locked"), guarded(timeout=PATIENCE):
            repository.collections()
        other.execute(sqlalchemy.text("ROLLBACK"))
        with guarded(timeout=PATIENCE), repository.engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        with repository.engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("PRAGMA busy_timeout")).scalar() == 150


def test_waiting_for_a_connection_ends_with_the_scope(asked: Repository) -> None:
    engine = open_engine(asked.configuration.database_url, timeout=PATIENCE, queries=1)
    cancel = threading.Event()

    def work() -> None:
        with guarded(cancel=cancel), engine.connect():
            pytest.fail("was connected")

    with engine.connect(), engine.connect():
        with pytest.raises(QueryTimeoutError), guarded(timeout=0.1), engine.connect():
            pytest.fail("was connected")
        beside = Beside(work)
        cancel.set()
        assert isinstance(beside.join(), QueryCancelledError)
    with engine.connect():
        pass
    engine.dispose()


def test_a_server_that_stalls_ends_with_the_scope_at_the_latest(
    served: Repository, postgres_servers: Callable[[int], PostgresServer]
) -> None:
    url = served.engine.url
    server = next(
        server
        for server in (postgres_servers(binaries.major) for binaries in POSTGRES_MAJORS)
        if str(server.socket_folder) == url.query["host"]
    )
    with FaultProxy(server.socket) as proxy:
        host, port = proxy.address
        engine = open_engine(sqlalchemy.make_url(server.url(url.database or "", host=host, port=port)))
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        proxy.faults.stall_after = 0
        question = sqlalchemy.text("SELECT 1")
        with pytest.raises(QueryTimeoutError), guarded(timeout=0.1), engine.connect() as connection:
            connection.execute(question)  # on the connection that is there
        with pytest.raises(QueryTimeoutError), guarded(timeout=0.1), engine.connect() as connection:
            connection.execute(question)  # on a new one
        proxy.faults.clear()
        with engine.connect() as connection:
            assert connection.execute(question).scalar() == 1
        engine.dispose()


# Columns


def test_only_the_wait_for_a_batch_counts_against_the_time_of_a_stream(
    asked: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed)
    monkeypatch.setattr("lenticular.butler.guard.scope.time", clock)
    monkeypatch.setattr("lenticular.butler.guard.watcher.time", clock)
    asked.query_timeout = PATIENCE
    with stream(asked, DataIdQuery(dimensions=("detector",)), rows=1) as reader:
        for _ in range(4):
            reader.read_next_batch()
            passed += 2 * PATIENCE  # while the reader does something else


def test_no_batch_of_a_cancelled_stream_is_waited_for(asked: Repository) -> None:
    cancel = threading.Event()
    with stream(asked, DataIdQuery(dimensions=("detector",)), rows=1, cancel=cancel) as reader:
        reader.read_next_batch()
        cancel.set()
        with pytest.raises(QueryCancelledError):
            reader.read_next_batch()
    assert read(asked, DataIdQuery(dimensions=("detector",))).num_rows == 4


# Turns


def test_who_asks_first_is_answered_first() -> None:
    slots, order, threads = Slots(1), [], []

    def work(number: int) -> None:
        with slots.taken():
            order.append(number)

    with slots.taken():
        for number in range(5):
            threads.append(Beside(lambda number=number: work(number)))  # type: ignore[misc]
            while slots.waiting <= number:
                assert threads[-1].error is None
    for thread in threads:
        assert thread.join() is None
    assert order == list(range(5))


def test_no_more_are_asked_at_once_than_allowed() -> None:
    slots, together = Slots(3), threading.Barrier(3)
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with slots.taken():
            with lock:
                now += 1
                most = max(most, now)
            together.wait(PATIENCE)
            with lock:
                now -= 1

    threads = [Beside(work) for _ in range(9)]
    assert [thread.join() for thread in threads] == [None] * 9
    assert most == 3


def test_who_has_a_turn_needs_no_second() -> None:
    slots = Slots(1)
    with slots.taken(), slots.taken():
        pass
    with slots.taken():
        pass


def test_a_repository_that_is_too_busy_says_so(sqlite_root: Path) -> None:
    with Repository.open(sqlite_root, max_queries=1) as repository:
        repository.slots.patience = 0.05
        entered, free = threading.Event(), threading.Event()

        def hold(_: sqlalchemy.Connection) -> None:
            entered.set()
            assert free.wait(PATIENCE)

        beside = Beside(lambda: repository.clone().read(hold))
        assert entered.wait(PATIENCE)
        with pytest.raises(RepositoryBusyError, match="1 queries are running") as raised:
            repository.read(lambda _: None)
        assert "max_queries" in (raised.value.hint or "")
        with pytest.raises(QueryTimeoutError), guarded(timeout=0.02):
            repository.read(lambda _: None)
        free.set()
        assert beside.join() is None
        repository.read(lambda _: None)
        assert not repository.slots.waiting


def test_a_limit_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        Slots(0)


# Idle connections


def test_idle_connections_are_not_asked_whether_they_live(
    served: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> bool:
        pytest.fail("was asked")

    butler: Any = served.butler
    engines = (served.engine, butler._registry._db._engine)
    kinds = {type(engine.dialect) for engine in engines}
    for kind in kinds:
        monkeypatch.setattr(kind, "do_ping", asked)
    for engine in engines:
        assert engine.pool._pre_ping
        for _ in range(2):
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))


def test_a_used_connection_costs_no_more_bytes_than_one_that_is_never_looked_at(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    url = sqlalchemy.make_url(postgres_database)

    def cost(engine: sqlalchemy.Engine) -> int:
        for _ in range(2):
            before = proxy.counters.bytes_up
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
        spent = proxy.counters.bytes_up - before
        engine.dispose()
        return spent

    with FaultProxy(postgres_server.socket) as proxy:
        host, port = proxy.address
        address = sqlalchemy.make_url(postgres_server.url(url.database or "", host=host, port=port))
        ours = open_engine(address, writeable=True)
        with guarded(timeout=PATIENCE):
            assert cost(ours) == cost(sqlalchemy.create_engine(address))


def test_a_connection_that_the_server_ended_is_replaced_unseen(served: Repository) -> None:
    butler: Any = served.butler
    engines = (served.engine, butler._registry._db._engine)
    question = sqlalchemy.text("SELECT pg_backend_pid()")
    for engine in engines:
        with engine.connect() as connection:
            before = connection.execute(question).scalar()
        with other_session(served) as other:
            assert other.execute(sqlalchemy.text(f"SELECT pg_terminate_backend({before}, 60000)")).scalar()
        with engine.connect() as connection:
            assert connection.execute(question).scalar() != before


def test_connections_of_upstreams_engine_have_our_settings(served: Repository) -> None:
    butler: Any = served.butler
    with butler._registry._db._engine.connect() as connection:
        settings = connection.connection.dbapi_connection.get_dsn_parameters()
    assert settings["application_name"] == "lenticular"
    assert settings["tcp_user_timeout"] == "30000"


# SQLite's file


@pytest.fixture
def own_file(sqlite_root: Path, tmp_path: Path) -> Path:
    """Return a copy of the repository on SQLite that may be spoiled."""
    root = tmp_path / "copy"
    shutil.copytree(sqlite_root, root)
    return root / "gen3.sqlite3"


def replace(file: Path) -> None:
    """Put a copy with one collection less in a file's place."""
    other = file.with_suffix(".new")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(other)) as target:
        source.backup(target)
        target.execute("DELETE FROM collection WHERE name = 'u/tags'")
        target.commit()
    other.replace(file)


def test_a_file_that_was_replaced_is_read_anew(own_file: Path) -> None:
    with Repository.open(own_file.parent) as repository:
        butler = repository.butler
        assert "u/tags" in {info.name for info in repository.collections()}
        assert butler.query_datasets("note", "u/ana")
        replace(own_file)
        assert "u/tags" not in {info.name for info in repository.collections()}
        engine = cast("Any", butler)._registry._db._engine
        with engine.connect() as connection:
            assert not connection.execute(
                sqlalchemy.text("SELECT count(*) FROM collection WHERE name = 'u/tags'")
            ).scalar()


def test_a_file_that_was_deleted_is_a_clear_error_and_not_made_anew(own_file: Path) -> None:
    with Repository.open(own_file.parent, writeable=True) as repository:
        butler = repository.butler
        repository.collections()
        own_file.rename(own_file.with_suffix(".away"))
        for ask in (repository.collections, lambda: butler.collections.register("new")):
            with pytest.raises(RepositoryNotFoundError, match="gone"):
                ask()
        assert not own_file.exists()
        own_file.with_suffix(".away").rename(own_file)
        assert repository.collections()


def test_a_file_system_that_fails_is_told_and_a_passing_failure_is_not_seen(own_file: Path) -> None:
    with Repository.open(own_file.parent) as repository, ExitStack() as stack:
        repository.collections()
        repository.read(lambda _: spoil(own_file, stack))
        assert repository.collections("u/ana")  # by a fresh connection, whose file is sound

        def failing(connection: sqlalchemy.Connection) -> object:
            spoil(own_file, stack)
            connection.execute(sqlalchemy.text("PRAGMA cache_size = 0"))
            return connection.execute(sqlalchemy.text("SELECT count(*) FROM dataset")).scalar()

        with pytest.raises(RepositoryError, match="cannot be read") as raised:
            repository.read(failing)
        assert "file system" in (raised.value.hint or "")
        assert repository.collections("u/ana")


def spoil(file: Path, stack: ExitStack) -> None:
    """Put a folder in the place of each descriptor of a file, which then cannot be read."""
    folder = os.open(file.parent, os.O_RDONLY)
    stack.callback(os.close, folder)
    for descriptor in tuple(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # that of this very listing
            if descriptor.samefile(file):
                os.dup2(folder, int(descriptor.name))


def test_a_damaged_file_is_told(own_file: Path) -> None:
    with Repository.open(own_file.parent) as repository:
        repository.collections()
        text = own_file.read_bytes()
        own_file.write_bytes(text[:4096] + b"\xff" * (len(text) - 4096))
        repository.engine.dispose()
        with pytest.raises(RepositoryError) as raised:
            repository.collections()
        assert "damaged" in str(raised.value)
