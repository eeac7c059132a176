"""PostgreSQL restarted, and connections lost, in the middle of everything."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy

from lenticular.butler import Repository, create_repository
from lenticular.butler.columns import DataIdQuery, query_data_ids, stream
from lenticular.butler.database import reader
from lenticular.butler.errors import DatabaseUnreachableError, InterruptedWriteError, ReadOnlyRepositoryError
from lenticular.butler.guard import guarded
from lenticular.platform.services import FaultProxy, PostgresServer
from tests.fixtures_services import POSTGRES_MAJORS, unique_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAIRS = DataIdQuery(dimensions=("visit", "detector"))
ROWS = 6000
VISITS = "SELECT count(*) FROM visit"


@pytest.fixture(scope="module", params=POSTGRES_MAJORS, ids=[f"postgresql{b.major}" for b in POSTGRES_MAJORS])
def server(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[PostgresServer]:
    """Return a server of each major version that may be restarted."""
    folder = open_folder / f"restarted{request.param.major}"
    with PostgresServer(folder, binaries=request.param, durable=False) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(server: PostgresServer) -> Iterator[FaultProxy]:
    """Return a proxy before the server."""
    with FaultProxy(server.socket) as started:
        yield started


@pytest.fixture(scope="module")
def root(server: PostgresServer, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository behind the proxy, with many pairs of a visit and a detector."""
    name = unique_name("restarted")
    server.create_database(name)
    host, port = proxy.address
    folder = tmp_path_factory.mktemp("restarted") / "repository"
    with create_repository(folder, database=server.url(name, host=host, port=port)) as repository:
        insert = repository.butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x.Cam"})
        insert("physical_filter", {"instrument": "Cam", "name": "f", "band": "g"})
        insert("day_obs", {"instrument": "Cam", "id": 1})
        insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(60)))
        visit = {"instrument": "Cam", "day_obs": 1, "physical_filter": "f", "seq_num": 1}
        insert("visit", *({**visit, "id": i, "name": f"v{i}"} for i in range(ROWS // 60)))
    return folder


@pytest.fixture
def repository(root: Path, proxy: FaultProxy) -> Iterator[Repository]:
    """Return the repository, open for reading."""
    proxy.faults.clear()
    with Repository.open(root) as opened:
        yield opened


@pytest.fixture
def writeable(root: Path, proxy: FaultProxy) -> Iterator[Repository]:
    """Return the repository, open for writing."""
    proxy.faults.clear()
    with Repository.open(root, writeable=True) as opened:
        yield opened


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


@contextmanager
def once_before(target: Any, event: str, fault: Any) -> Iterator[list[str]]:
    """Let something happen before the next statement, or commit; note the statements of all."""
    seen: list[str] = []

    def happen(*arguments: Any) -> None:
        seen.append(str(arguments[2]) if len(arguments) > 2 else event)
        if len(seen) == 1:
            fault()

    sqlalchemy.event.listen(target, event, happen)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(target, event, happen)


def upstreams_engine(repository: Repository) -> sqlalchemy.Engine:
    butler: Any = repository.butler
    engine: sqlalchemy.Engine = butler._registry._db._engine
    return engine


# Reads


def test_a_restart_between_two_questions_is_not_seen(server: PostgresServer, repository: Repository) -> None:
    assert repository.butler.query_dimension_records("detector", instrument="Cam")
    assert query_data_ids(repository, "detector").num_rows == 60
    restart(server)
    assert repository.collections() == ()
    assert query_data_ids(repository, "detector").num_rows == 60
    assert repository.butler.query_dimension_records("detector", instrument="Cam")


def test_a_read_during_a_restart_is_repeated_on_a_fresh_connection(
    server: PostgresServer, repository: Repository
) -> None:
    engine = reader(repository.engine)
    with once_before(engine, "before_cursor_execute", lambda: restart(server)) as seen:
        assert repository.read(lambda line: line.execute(sqlalchemy.text(VISITS)).scalar()) == ROWS // 60
    assert seen == [VISITS, VISITS]


def test_columns_during_a_restart_are_read_anew(server: PostgresServer, repository: Repository) -> None:
    engine = upstreams_engine(repository)
    with once_before(engine, "before_cursor_execute", lambda: restart(server)):
        assert query_data_ids(repository, ["visit", "detector"]).num_rows == ROWS


def test_a_stream_begins_anew_if_nothing_was_given_yet(
    server: PostgresServer, repository: Repository
) -> None:
    engine = upstreams_engine(repository)
    with (
        once_before(engine, "before_cursor_execute", lambda: restart(server)),
        stream(repository, PAIRS) as reader,
    ):
        assert reader.read_all().num_rows == ROWS


def test_a_stream_that_has_given_rows_says_that_it_is_broken(
    proxy: FaultProxy, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenticular.butler.columns.cursors._CHUNK", 4096)
    query_data_ids(repository, "detector")  # so that what upstream caches is there
    proxy.faults.bandwidth = 50_000
    with stream(repository, PAIRS, rows=100) as reader:
        assert reader.read_next_batch().num_rows == 100
        proxy.faults.reset_after = 0
        with pytest.raises(DatabaseUnreachableError, match=r"lost after \d+ rows") as raised:
            reader.read_all()
    assert "from its beginning" in (raised.value.hint or "")
    proxy.faults.clear()
    assert query_data_ids(repository, ["visit", "detector"]).num_rows == ROWS


def test_upstreams_answers_are_asked_for_again(server: PostgresServer, repository: Repository) -> None:
    engine = upstreams_engine(repository)
    with once_before(engine, "before_cursor_execute", lambda: restart(server)):
        records = repository.read_butler(
            lambda butler: butler.query_dimension_records("detector", instrument="Cam")
        )
    assert len(records) == 60


def test_a_read_is_repeated_once_and_no_more(repository: Repository) -> None:
    calls: list[int] = []

    def work(line: sqlalchemy.Connection) -> None:
        calls.append(1)
        line.execute(sqlalchemy.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(DatabaseUnreachableError, match="connection"):
        repository.read(work)
    assert len(calls) == 2
    assert repository.collections() == ()


def test_while_the_server_is_away_a_read_says_so(server: PostgresServer, repository: Repository) -> None:
    repository.collections()
    server.stop()
    try:
        with pytest.raises(DatabaseUnreachableError) as raised:
            repository.collections()
    finally:
        server.start()
    assert raised.value.hint
    assert repository.collections() == ()


def test_inside_a_transaction_nothing_is_repeated(server: PostgresServer, writeable: Repository) -> None:
    butler = writeable.butler

    def work() -> None:
        with butler.transaction():
            butler.registry.syncDimensionData("instrument", {"name": "New", "class_name": "x"})
            restart(server)
            query_data_ids(writeable, "instrument")

    with pytest.raises(DatabaseUnreachableError):
        work()
    assert query_data_ids(writeable, "instrument").column("instrument").to_pylist() == ["Cam"]


# Writes


def register(repository: Repository, name: str) -> None:
    with repository.writing("register a collection"):
        repository.butler.collections.register(name)


def names(repository: Repository) -> set[str]:
    return {info.name for info in repository.collections()}


def test_a_write_that_is_cut_short_before_its_commit_was_not_done(
    server: PostgresServer, writeable: Repository
) -> None:
    engine = upstreams_engine(writeable)
    with (
        once_before(engine, "before_cursor_execute", lambda: restart(server)) as seen,
        pytest.raises(InterruptedWriteError, match="register a collection") as raised,
    ):
        register(writeable, "before")
    assert "Nothing of it was done" in (raised.value.hint or "")
    assert len([statement for statement in seen if "INSERT" in statement]) <= 1
    assert "before" not in names(writeable)
    register(writeable, "before")
    assert "before" in names(writeable)


def test_of_a_write_that_is_cut_short_at_its_commit_nobody_knows(
    server: PostgresServer, writeable: Repository
) -> None:
    engine = upstreams_engine(writeable)
    with (
        once_before(engine, "commit", lambda: restart(server)),
        pytest.raises(InterruptedWriteError) as raised,
    ):
        register(writeable, "at")
    assert "may be done or not" in (raised.value.hint or "")


def test_of_several_writes_those_before_are_done(server: PostgresServer, writeable: Repository) -> None:
    engine = upstreams_engine(writeable)

    def both() -> None:
        with writeable.writing("register collections"):
            writeable.butler.collections.register("first")
            with once_before(engine, "before_cursor_execute", lambda: restart(server)):
                writeable.butler.collections.register("second")

    with pytest.raises(InterruptedWriteError) as raised:
        both()
    assert "What came before is done" in (raised.value.hint or "")
    assert {"first"} == names(writeable) & {"first", "second"}


def test_a_write_that_is_given_up_says_whether_it_was_done(writeable: Repository) -> None:
    def change(line: sqlalchemy.Connection) -> None:
        line.execute(sqlalchemy.text("INSERT INTO butler_attributes (name, value) VALUES ('slow', '1')"))
        line.execute(sqlalchemy.text("SELECT pg_sleep(600)"))

    with (
        pytest.raises(InterruptedWriteError, match="time was up") as raised,
        guarded(timeout=0.2),
        writeable.writing("wait"),
        writeable.engine.begin() as line,
    ):
        change(line)
    assert "Nothing of it was done" in (raised.value.hint or "")
    question = sqlalchemy.text("SELECT count(*) FROM butler_attributes WHERE name = 'slow'")
    assert writeable.read(lambda line: line.execute(question).scalar()) == 0


def test_errors_of_a_write_that_is_not_cut_short_stay_what_they_are(writeable: Repository) -> None:
    with pytest.raises(LookupError, match="mine"), writeable.writing("try"):
        raise LookupError("mine")


def test_what_is_open_for_reading_is_not_written(repository: Repository) -> None:
    with pytest.raises(ReadOnlyRepositoryError):
        register(repository, "never")
