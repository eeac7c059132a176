"""The pool of processes, with workers that are cheap to start."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from lenticular.butler.errors import RunError
from lenticular.platform.execution.messages import Assignment, Death, Result, WorkerSetup
from lenticular.platform.execution.pool import ProcessPool
from tests.trivial import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = WorkerSetup("repo", Path("graph.qg"), Path("logs"))


@pytest.fixture
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(2, SETUP, target=workers.obeys) as pool:
        yield pool


def task(label: str, number: int = 0) -> Assignment:
    return Assignment(UUID(int=number), label)


def outcomes(pool: ProcessPool, count: int = 1) -> list[Result | Death]:
    """Wait until so many quanta have ended."""
    found: list[Result | Death] = []
    while len(found) < count:
        found += pool.wait(10.0)
    return found


def ready(pool: ProcessPool, count: int) -> None:
    """Wait until so many workers can take a quantum."""
    while pool.idle < count:
        pool.want(count)
        pool.wait(10.0)


def test_no_more_workers_are_started_than_wanted_or_allowed(pool: ProcessPool) -> None:
    ready(pool, 1)
    pool.want(7)
    ready(pool, 2)
    pool.wait(0.0)
    assert pool.idle == 2


def test_a_death_names_its_quantum_and_the_others_go_on(pool: ProcessPool) -> None:
    ready(pool, 2)
    pool.submit(task("die", 1))
    pool.submit(task("work", 2))
    found = {outcome.assignment.quantum.int: outcome for outcome in outcomes(pool, 2)}
    assert isinstance(found[2], Result)
    assert isinstance(found[1], Death)
    assert found[1].exit_code == -signal.SIGKILL
    ready(pool, 2)
    pool.submit(task("work", 3))
    assert isinstance(outcomes(pool)[0], Result)


def test_a_death_names_the_log_that_the_worker_left(tmp_path: Path) -> None:
    setup = WorkerSetup("repo", Path("graph.qg"), tmp_path)
    with ProcessPool(1, setup, target=workers.obeys) as pool:
        for number in (1, 2):
            assignment = task("die", number)
            if number == 1:
                setup.log_of(assignment).parent.mkdir()
                setup.log_of(assignment).write_text("The last words\n")
            ready(pool, 1)
            pool.submit(assignment)
            (death,) = outcomes(pool)
            assert isinstance(death, Death)
            assert death.log == (str(setup.log_of(assignment)) if number == 1 else None)


def test_an_idle_worker_that_is_killed_is_replaced_without_a_word(pool: ProcessPool) -> None:
    ready(pool, 1)
    pool.submit(task("work"))
    (result,) = outcomes(pool)
    os.kill(result.worker, signal.SIGKILL)
    while pool.idle:
        assert pool.wait(10.0) == []
    ready(pool, 1)


def test_killing_returns_what_was_interrupted(pool: ProcessPool) -> None:
    ready(pool, 2)
    worker = pool.submit(task("sleep", 5))
    assert [assignment.quantum.int for assignment in pool.kill()] == [5]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_pool_without_idle_worker_refuses(pool: ProcessPool) -> None:
    with pytest.raises(RunError, match="idle"):
        pool.submit(task("work"))


def test_workers_that_cannot_prepare_themselves_end_the_run() -> None:
    with ProcessPool(1, SETUP, target=workers.unusable) as pool:
        pool.want(1)
        with pytest.raises(RunError, match="No module named 'afw'"):
            outcomes(pool)


def test_workers_that_die_as_they_start_end_the_run() -> None:
    with ProcessPool(1, SETUP, target=workers.dies_at_start) as pool, pytest.raises(RunError, match="code 3"):
        ready(pool, 1)
