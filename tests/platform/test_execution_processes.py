"""Runs with real drivers and workers on a real repository, and what can befall them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest
from lsst.daf.butler import Butler

from lenticular.butler.errors import RunError
from lenticular.pipelines.graph import ConfigOverride, GraphRequest, build_graph
from lenticular.platform.execution.driver import Driver
from lenticular.platform.execution.journal import begin_session
from lenticular.platform.runs import Run, RunState, RunStatus, RunStore, launch
from lenticular.platform.runs.lock import RunLock
from tests.trivial.repository import ROOT_VARIABLES, SEEDS, make_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 600.0
"""Seconds after which a test gives up; none of them counts on it."""


@dataclass(frozen=True)
class Site:
    """A repository, a pipeline of two stages, and room for traces."""

    repository: str
    pipeline: str
    folder: Path

    @property
    def store(self) -> RunStore:
        """Return the store of its runs."""
        return RunStore(self.folder / "runs")

    def request(self, **values: object) -> GraphRequest:
        """Return a request; values go to the first stage."""
        scratch = str(self.folder)
        overrides = [ConfigOverride(stage, "scratch", scratch) for stage in ("one", "two")]
        overrides += [ConfigOverride("one", name, value) for name, value in values.items()]
        return GraphRequest(self.pipeline, (SEEDS,), "u/ana", config=tuple(overrides))

    def bodies(self) -> Counter[tuple[str, int]]:
        """Return how often each body has begun."""
        path = self.folder / "bodies"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter((line.split()[0], int(line.split()[1])) for line in lines)

    def held(self, detector: int) -> Path:
        """Make the FIFO at which the first stage waits."""
        fifo = self.folder / f"one-{detector}.fifo"
        os.mkfifo(fifo)
        return fifo

    def files_and_registry(self, run: str) -> tuple[set[str], set[str]]:
        """Return the files of a run, and those the registry knows."""
        with Butler.from_config(self.repository) as butler:
            refs = butler.query_all_datasets(run, limit=None)
            known = {urlparse(str(butler.getURI(ref))).path for ref in refs}
        root = os.path.join(self.repository, run)  # noqa: PTH118  text is compared
        found = {os.path.join(base, name) for base, _, names in os.walk(root) for name in names}  # noqa: PTH118
        return found, known


def make_site(folder: Path, detectors: int) -> Site:
    return Site(
        make_repository(folder / "repo", detectors=detectors),
        write_pipeline(folder / "stages.yaml", ["one", "two"]),
        folder,
    )


def do_here(run: Run) -> RunStatus:
    """Do a session with the driver in this process, which spares its start."""
    with RunLock.acquire(run.record.folder):
        begin_session(run.record.journal_path)
        Driver(run.record).run()
    return run.status()


def recorded(site: Site, request: GraphRequest, workers: int) -> Run:
    record = site.store.create(site.repository, request, workers=workers, engine="processes")
    record.write()
    return Run(record)


def until(run: Run, condition: Callable[[RunStatus], bool]) -> RunStatus:
    """Watch a run until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition(status := run.status()):
        assert not status.is_over, status
        assert time.monotonic() < deadline, status
        run.wait(0.05)
    return status


def running(count: int) -> Callable[[RunStatus], bool]:
    return lambda status: sum(task.running for task in status.tasks) == count


# A run to its end


@dataclass(frozen=True)
class Finished:
    """A run that went well, and what was seen meanwhile."""

    site: Site
    run: Run
    in_the_middle: RunStatus
    seen_elsewhere: str
    changes: list[RunStatus]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    site = make_site(tmp_path_factory.mktemp("finished"), detectors=3)
    fifos = [site.held(detector) for detector in (0, 1)]
    run = launch(
        site.repository,
        site.request(holds_at=[0, 1]),
        workers=2,
        store=site.store,
        environment={**ROOT_VARIABLES, "AWS_SECRET_ACCESS_KEY": "geheim"},
    )
    middle = until(run, running(2))
    look = (
        "import sys; from pathlib import Path; from lenticular.platform.runs import RunStore; "
        "print(RunStore(Path(sys.argv[1])).get(sys.argv[2]).status().state)"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", look, str(site.store.folder), run.record.id],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    for fifo in fifos:
        fifo.write_text("go on")
    changes: list[RunStatus] = []
    run.wait(PATIENCE, on_change=changes.append)
    return Finished(site, run, middle, elsewhere, changes)


def test_a_run_succeeds_and_shows_its_outputs(finished: Finished) -> None:
    status = finished.run.status()
    assert (status.state, status.succeeded, status.fraction) == (RunState.SUCCEEDED, 6, 1.0)
    with Butler.from_config(finished.site.repository) as butler:
        chain = butler.collections.get_info("u/ana").children
        assert chain == (finished.run.record.output_run, SEEDS)
        refs = butler.query_datasets("two_out", "u/ana", order_by=["detector"])
        assert [butler.get(ref)["value"] for ref in refs] == [2, 102, 202]


def test_workers_work_at_the_same_time(finished: Finished) -> None:
    assert sum(task.running for task in finished.in_the_middle.tasks) == 2
    processes = {line.split()[2] for line in (finished.site.folder / "bodies").read_text().splitlines()}
    assert len(processes) == 2


def test_another_process_sees_the_run(finished: Finished) -> None:
    assert finished.seen_elsewhere == "running"


def test_changes_are_told_until_the_end(finished: Finished) -> None:
    assert finished.changes[-1].state is RunState.SUCCEEDED
    assert [status.succeeded for status in finished.changes] == sorted(
        status.succeeded for status in finished.changes
    )


def test_what_a_quantum_cost_is_known(finished: Finished) -> None:
    done = [event.fields for event in finished.run.events() if event.name == "done"]
    assert len(done) == 6
    assert all(fields["cpu"] > 0 and fields["peak_memory"] > 10 * 2**20 for fields in done)


def test_the_registry_knows_exactly_the_files(finished: Finished) -> None:
    files, known = finished.site.files_and_registry(finished.run.record.output_run)
    assert files == known
    assert len(files) == 6 * 3 + 3


def test_the_log_of_a_finished_quantum_can_be_read(finished: Finished) -> None:
    quantum = next(event.fields["quantum"] for event in finished.run.events() if event.name == "done")
    assert "Detector" in finished.run.log(quantum)
    assert not list(finished.run.record.logs_path.glob("*/*.log"))


def test_credentials_and_cached_data_are_not_left_in_the_run(finished: Finished) -> None:
    files = [path for path in finished.run.record.folder.rglob("*") if path.is_file()]
    assert files
    assert not finished.run.record.cache_path.exists()
    assert not [path for path in files if b"geheim" in path.read_bytes()]


def test_a_run_that_succeeded_is_not_restarted(finished: Finished) -> None:
    with pytest.raises(RunError, match="nothing is left"):
        finished.run.restart()


# Failures


@dataclass(frozen=True)
class Troubled:
    """A run with failures, its status, and that after a restart."""

    site: Site
    run: Run
    first: RunStatus
    log: str
    files_first: tuple[set[str], set[str]]
    second: RunStatus
    files_second: tuple[set[str], set[str]]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Troubled:
    site = make_site(tmp_path_factory.mktemp("troubled"), detectors=5)
    run = recorded(site, site.request(fails_at=[1], stumbles_at=[2], dies_at=[3]), workers=2)
    first = do_here(run)
    log = run.log(first.failures[0].quantum)
    files_first = site.files_and_registry(run.record.output_run)
    second = do_here(run)
    return Troubled(
        site, run, first, log, files_first, second, site.files_and_registry(run.record.output_run)
    )


def test_a_failure_blocks_its_descendants_only(troubled: Troubled) -> None:
    one, two = troubled.first.tasks
    assert troubled.first.state is RunState.FAILED
    assert (one.succeeded, one.failed, one.blocked) == (4, 1, 0)
    assert (two.succeeded, two.failed, two.blocked) == (4, 0, 1)


def test_a_failure_is_told_without_credentials(troubled: Troubled) -> None:
    (group,) = troubled.first.failures
    assert (group.task, group.error, group.data_id) == ("one", "RuntimeError", "instrument=Toy, detector=1")
    assert group.message.startswith("Detector 1 is dark")
    assert "Traceback" in troubled.log
    assert "geheim" not in group.message + troubled.log


def test_a_lost_connection_and_a_killed_worker_cost_one_more_attempt_each(troubled: Troubled) -> None:
    bodies = troubled.site.bodies()
    assert (bodies["one", 2], bodies["one", 3], bodies["one", 0]) == (2, 2, 1)
    assert troubled.first.retries == 2


def test_a_restart_tries_again_only_what_failed(troubled: Troubled) -> None:
    bodies = troubled.site.bodies()
    assert bodies["one", 1] == 2
    assert all(bodies["two", detector] == 1 for detector in (0, 2, 3, 4))
    assert (troubled.second.state, troubled.second.session) == (RunState.FAILED, 2)
    assert [task.succeeded for task in troubled.second.tasks] == [4, 4]


def test_the_registry_knows_exactly_the_files_after_failures(troubled: Troubled) -> None:
    for files, known in (troubled.files_first, troubled.files_second):
        assert files == known
        # Three of each success, the log of the failure, three init-outputs.
        assert len(files) == 8 * 3 + 1 + 3


# Death of the driver, cancellation, and going on


@dataclass(frozen=True)
class Interrupted:
    """What became of a run whose driver was killed, and that was cancelled then."""

    site: Site
    run: Run
    lost: RunStatus
    worker_outlived: bool
    cancelled: RunStatus
    files_cancelled: tuple[set[str], set[str]]
    final: RunStatus


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def kill_driver(run: Run) -> bool:
    """Kill a driver in the middle; tell whether its worker outlives it."""
    (driver,) = (event.fields["process"] for event in run.events() if event.name == "driver")
    worker = next(event.fields["worker"] for event in run.events() if event.name == "start")
    os.kill(driver, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while (is_alive(worker) or not run.status().is_over) and time.monotonic() < deadline:
        run.wait(0.05)
    return is_alive(worker)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    site = make_site(tmp_path_factory.mktemp("interrupted"), detectors=4)
    fifo = site.held(2)
    run = launch(
        site.repository,
        site.request(holds_at=[2]),
        workers=1,
        store=site.store,
        environment=ROOT_VARIABLES,
    )
    until(run, lambda status: status.succeeded == 4 and site.bodies()["one", 2] == 1)
    outlived = kill_driver(run)
    lost = run.status()
    forget_a_success(run)
    run = Run(run.record)  # what a reader has seen of a journal is never taken back
    session = threading.Thread(target=do_here, args=(run,))
    session.start()
    until_session(run, 2)
    until(run, lambda _: site.bodies()["one", 2] == 2)
    run.cancel()
    session.join(PATIENCE)
    cancelled = run.status()
    files = site.files_and_registry(run.record.output_run)
    fifo.unlink()
    final = run.restart(environment=ROOT_VARIABLES).wait(PATIENCE)
    return Interrupted(site, run, lost, outlived, cancelled, files, final)


def forget_a_success(run: Run) -> None:
    """Take the last "done" out of the journal, as if the driver had died before it wrote it."""
    path = run.record.journal_path
    lines = path.read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if '"event":"done"' in line)
    path.write_text("".join(lines[:last] + lines[last + 1 :]))


def until_session(run: Run, number: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while run.status().session < number:
        assert time.monotonic() < deadline
        run.wait(0.05)


def test_the_death_of_the_driver_is_seen_and_ends_its_workers(interrupted: Interrupted) -> None:
    assert (interrupted.lost.state, interrupted.lost.succeeded) == (RunState.LOST, 4)
    assert not interrupted.worker_outlived


def test_cancelling_keeps_and_registers_what_succeeded(interrupted: Interrupted) -> None:
    assert interrupted.cancelled.state is RunState.CANCELLED
    assert interrupted.cancelled.succeeded == 4
    assert sum(task.cancelled for task in interrupted.cancelled.tasks) == 4
    files, known = interrupted.files_cancelled
    assert files == known
    assert len(files) == 4 * 3 + 3


def test_a_restart_completes_without_running_a_finished_body_twice(interrupted: Interrupted) -> None:
    assert (interrupted.final.state, interrupted.final.succeeded) == (RunState.SUCCEEDED, 8)
    assert interrupted.final.session == 3
    bodies = interrupted.site.bodies()
    # The one that was held was begun three times and finished once.
    assert bodies.pop(("one", 2)) == 3
    assert set(bodies.values()) == {1}
    assert len(bodies) == 7
    files, known = interrupted.site.files_and_registry(interrupted.run.record.output_run)
    assert files == known


# What keeps a run from starting


def test_a_run_with_nothing_to_do_fails_with_the_reason(tmp_path: Path) -> None:
    site = make_site(tmp_path, detectors=1)
    request = GraphRequest(site.pipeline, (SEEDS,), "u/ana", where="detector = 9")
    status = do_here(recorded(site, request, workers=1))
    assert status.state is RunState.FAILED
    assert status.error is not None
    assert status.error.startswith("EmptyGraphError: There is nothing to run")


def test_a_run_on_no_repository_fails_with_the_reason(tmp_path: Path) -> None:
    site = Site(str(tmp_path / "nowhere"), "p.yaml", tmp_path)
    status = do_here(recorded(site, GraphRequest("p.yaml", (SEEDS,), "u/ana"), workers=1))
    assert status.state is RunState.FAILED
    assert "nowhere" in str(status.error)


def test_a_graph_that_was_brought_settles_the_output_run(tmp_path: Path) -> None:
    site = make_site(tmp_path, detectors=1)
    with Butler.from_config(site.repository) as butler:
        built = build_graph(butler, site.request(), tmp_path / "graph.qg")
    run = launch(
        site.repository,
        GraphRequest(site.pipeline, (SEEDS,), "u/ana"),
        workers=1,
        store=site.store,
        graph=built.path,
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert run.record.output_run == built.output_run
    # The tasks cannot be found: the run fails, and says why.
    status = run.wait(PATIENCE)
    assert status.state is RunState.FAILED
    assert "tests" in str(status.error)
