"""What becomes of work for which nobody waits any more."""

from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy

from lenticular.butler import Repository
from lenticular.butler.database import open_engine
from lenticular.butler.errors import RepositoryError
from lenticular.platform.server.answers import repositories
from lenticular.platform.server.repositories import RepositoryPool
from lenticular.platform.server.routes import PREFIX
from lenticular.platform.server.work import AbandonedError, Job, Workers, checkpoint
from tests.fixtures_services import POSTGRES_MAJORS, unique_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from jupyter_server.serverapp import ServerApp

    from lenticular.platform.services import PostgresServer
    from tests.server.conftest import Ask, Site

PATIENCE = 60.0
"""Seconds after which a test gives up; none of them counts on it."""


class Blocked:
    """An answer that comes when it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()
        self.queued = threading.Event()
        self.abandoned = threading.Event()
        self.calls = 0
        original, abandon = repositories.list_repositories, Job.abandon
        submit = Workers.submit

        @functools.wraps(original)
        def answer(access: Any, question: Any) -> Any:
            self.calls += 1
            self.entered.set()
            assert self.free.wait(PATIENCE)
            return original(access, question)

        def told(job: Job[Any]) -> None:
            abandon(job)
            self.abandoned.set()

        def submitted(workers: Workers, call: Callable[[], Any]) -> Job[Any]:
            job = submit(workers, call)
            if self.entered.is_set():
                self.queued.set()
            return job

        monkeypatch.setattr(repositories, "list_repositories", answer)
        monkeypatch.setattr(Job, "abandon", told)
        monkeypatch.setattr(Workers, "submit", submitted)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocked]:
    """Return the blocked answer of the route ``repositories``."""
    made = Blocked(monkeypatch)
    yield made
    made.free.set()


async def happens(event: threading.Event) -> None:
    """Wait for another thread's event while the server goes on."""
    assert await asyncio.get_running_loop().run_in_executor(None, event.wait, PATIENCE)


@pytest.mark.parametrize("lenticular_settings", [{"timeout": 0.05}])
async def test_an_answer_that_takes_too_long_is_given_up(ask: Ask, blocked: Blocked) -> None:
    answer = await ask("repositories")
    assert answer.status == 504
    assert answer.error["kind"] == "TimeLimitError"
    assert "LenticularApp.timeout" in answer.error["hint"]
    assert blocked.abandoned.is_set()


@pytest.mark.parametrize("lenticular_settings", [{"threads": 1}])
async def test_the_work_for_a_client_that_has_gone_is_dropped(
    ask: Ask,
    blocked: Blocked,
    jp_serverapp: ServerApp,
    jp_base_url: str,
    jp_http_port: int,
) -> None:
    first = asyncio.ensure_future(ask("repositories"))
    await happens(blocked.entered)
    request = (
        f"GET {jp_base_url}{PREFIX}/repositories HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: token {jp_serverapp.identity_provider.token}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", jp_http_port)
    writer.write(request.encode())
    await happens(blocked.queued)
    writer.close()
    await writer.wait_closed()
    await happens(blocked.abandoned)
    blocked.free.set()
    assert (await first).status == 200
    assert blocked.calls == 1


async def test_other_questions_are_answered_while_one_takes_long(ask: Ask, blocked: Blocked) -> None:
    slow = asyncio.ensure_future(ask("repositories"))
    await happens(blocked.entered)
    assert (await ask("repository", label="toy")).status == 200
    assert not slow.done()
    blocked.free.set()
    assert (await slow).status == 200


@pytest.mark.parametrize("setting", ["timeout", "threads"])
def test_settings_that_make_no_sense_are_refused(setting: str) -> None:
    from traitlets import TraitError

    from lenticular.platform.server.application import LenticularApp

    with pytest.raises(TraitError, match=f"LenticularApp.{setting} must be more than 0"):
        LenticularApp(**{setting: 0})


# Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Return one thread."""
    made = Workers(1)
    yield made
    made.close()


def test_work_that_waits_is_dropped_when_it_is_given_up(workers: Workers) -> None:
    free = threading.Event()
    running = workers.submit(lambda: free.wait(PATIENCE))
    waiting = workers.submit(lambda: pytest.fail("was done"))
    waiting.abandon()
    free.set()
    assert running.future.result(PATIENCE)
    with pytest.raises(CancelledError):
        waiting.future.result(PATIENCE)


def test_work_that_runs_stops_at_the_next_checkpoint(workers: Workers) -> None:
    entered, told = threading.Event(), threading.Event()

    def work() -> None:
        checkpoint()
        entered.set()
        assert told.wait(PATIENCE)
        checkpoint()
        pytest.fail("went on")

    job = workers.submit(work)
    assert entered.wait(PATIENCE)
    job.abandon()
    told.set()
    with pytest.raises(AbandonedError):
        job.future.result(PATIENCE)


def test_closing_drops_what_waits_and_gives_up_what_runs(workers: Workers) -> None:
    entered, told = threading.Event(), threading.Event()

    def work() -> None:
        entered.set()
        assert told.wait(PATIENCE)
        checkpoint()

    running, waiting = workers.submit(work), workers.submit(lambda: pytest.fail("was done"))
    assert entered.wait(PATIENCE)
    workers.close()
    told.set()
    with pytest.raises(AbandonedError):
        running.future.result(PATIENCE)
    assert waiting.future.cancelled()


def test_outside_of_any_work_a_checkpoint_lets_pass() -> None:
    checkpoint()


ENDLESS = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE seen(x)"
)


def endless(engine: sqlalchemy.Engine, entered: threading.Event) -> None:
    """Run a statement that never ends, and tell when it has begun."""

    def seen(_: int) -> int:
        entered.set()
        return 1

    with engine.connect() as connection:
        cast("sqlite3.Connection", connection.connection.dbapi_connection).create_function("seen", 1, seen)
        connection.execute(sqlalchemy.text(ENDLESS))


def test_a_running_statement_is_interrupted(workers: Workers, site: Site) -> None:
    entered = threading.Event()
    with Repository.open(site.repository) as repository:
        job = workers.submit(lambda: endless(repository.engine, entered))
        assert entered.wait(PATIENCE)
        job.abandon()
        with pytest.raises(AbandonedError):
            job.future.result(PATIENCE)
        assert repository.collections("seeds")


def test_a_running_statement_of_postgresql_is_interrupted(
    workers: Workers, postgres_servers: Callable[[int], PostgresServer]
) -> None:
    url = postgres_servers(POSTGRES_MAJORS[0].major).create_database(unique_name("interrupted"))
    engine = open_engine(sqlalchemy.make_url(url))

    def sleep() -> None:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_sleep(600)"))

    job = workers.submit(sleep)
    # It may not have reached the server yet: then it is told again, by itself.
    while not job.scope.lines:
        assert not job.future.done()
    job.abandon()
    with pytest.raises(AbandonedError):
        job.future.result(PATIENCE)
    engine.dispose()


def test_a_statement_of_upstreams_butler_is_within_reach_too(workers: Workers, site: Site) -> None:
    held: list[int] = []
    with Repository.open(site.repository) as repository:
        butler = repository.butler

        def watched(*_: object) -> None:
            held.append(len(job.scope.lines))

        def work() -> int:
            assert begin.wait(PATIENCE)
            return len(butler.query_datasets("seed", "seeds"))

        begin = threading.Event()
        job = workers.submit(work)
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", watched)
        try:
            begin.set()
            job.future.result(PATIENCE)
        finally:
            sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", watched)
    assert held
    assert all(held)
    assert not job.scope.lines


def test_no_statement_is_begun_for_work_that_is_given_up(workers: Workers, site: Site) -> None:
    entered, told = threading.Event(), threading.Event()
    with Repository.open(site.repository) as repository:

        def work() -> None:
            entered.set()
            assert told.wait(PATIENCE)
            repository.collections()

        job = workers.submit(work)
        assert entered.wait(PATIENCE)
        job.abandon()
        told.set()
        with pytest.raises(AbandonedError):
            job.future.result(PATIENCE)


# Repositories


def opened_by(monkeypatch: pytest.MonkeyPatch, opening: Callable[[], None]) -> list[str]:
    """Note each opening of a repository, and do something meanwhile."""
    seen: list[str] = []
    original = Repository.open

    def noted(target: str, **options: Any) -> Repository:
        seen.append(target)
        opening()
        return original(target, **options)

    monkeypatch.setattr(Repository, "open", noted)
    return seen


def test_of_several_threads_one_opens_a_repository(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    barrier = threading.Barrier(4)
    seen = opened_by(monkeypatch, lambda: None)
    pool = RepositoryPool({"toy": str(site.repository)})
    names: list[str] = []

    def use() -> None:
        barrier.wait(PATIENCE)
        with pool.use("toy") as repository:
            names.append(repository.name)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    pool.close()
    assert names == ["toy"] * 4
    assert seen == [str(site.repository)]


def test_a_repository_that_could_not_be_opened_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    def unlucky() -> None:
        if len(seen) == 1:
            message = "The database does not answer"
            raise RepositoryError(message)

    seen = opened_by(monkeypatch, unlucky)
    pool = RepositoryPool({"toy": str(site.repository)})
    with pytest.raises(RepositoryError), pool.use("toy"):
        pytest.fail("was opened")
    with pool.use("toy") as repository:
        assert repository.collections("seeds")
    pool.close()


def test_each_thread_has_a_butler_of_its_own(site: Site) -> None:
    pool = RepositoryPool({"toy": str(site.repository)})
    with pool.use("toy") as one, pool.use("toy") as other:
        assert one.engine is other.engine
        assert one.butler is not other.butler
    with pool.use("toy") as again:
        assert len(again.butler.query_datasets("seed", "seeds")) > 0
    pool.close()


def test_labels_of_the_index_are_read_anew(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    pool = RepositoryPool()
    assert pool.addresses() == {}
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", f"later: {site.repository}")
    with pool.use("later") as repository:
        assert repository.name == "later"
    assert pool.label_of(str(site.repository)) == "later"
    assert pool.launchable("later") == "later"
    pool.close()
