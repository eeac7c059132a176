"""Records, the store, the lock, and the status that a journal tells."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lenticular.butler.errors import GraphError, RunError, RunNotFoundError
from lenticular.pipelines.graph import ConfigOverride, GraphRequest
from lenticular.platform.execution import Journal
from lenticular.platform.runs import Run, RunRecord, RunState, RunStore
from lenticular.platform.runs.lock import RunLock

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = GraphRequest("p.yaml", ("seeds",), "u/ana", where="x = 1", config=(ConfigOverride("a", "b", [1]),))


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def recorded(store: RunStore, request: GraphRequest = REQUEST) -> RunRecord:
    record = store.create("repo", request, workers=2, engine="processes")
    record.write()
    return record


def test_looking_at_runs_needs_none_of_the_stack() -> None:
    code = (
        "import sys, lenticular.platform.runs, lenticular.platform.execution.driver; "
        "print([name for name in sys.modules if name.partition('.')[0] in ('lsst', 'numpy', 'panel')])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"


def test_a_record_survives_its_file(store: RunStore) -> None:
    record = recorded(store)
    assert store.get(record.id).record == record
    assert store.list() == (record,)


def test_runs_are_private_to_their_owner(store: RunStore) -> None:
    record = recorded(store)
    assert stat.S_IMODE(record.folder.stat().st_mode) == stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_the_default_store_is_in_the_state_folder(tmp_path: Path) -> None:
    assert RunStore().folder == tmp_path / "state" / "lenticular" / "runs"


def test_a_beginning_of_an_identifier_will_do(store: RunStore) -> None:
    record = recorded(store)
    assert store.get(record.id[:-2]).record == record


def test_an_unknown_run_names_the_latest(store: RunStore) -> None:
    record = recorded(store)
    with pytest.raises(RunNotFoundError, match=record.id):
        store.get("nothing")


def test_an_ambiguous_beginning_is_refused(store: RunStore) -> None:
    first, second = recorded(store), recorded(store)
    with pytest.raises(RunNotFoundError, match="More than one") as caught:
        store.get("2")
    assert first.id in str(caught.value.hint)
    assert second.id in str(caught.value.hint)


def test_two_launches_within_a_second_do_not_share_an_output_run(store: RunStore) -> None:
    runs = [recorded(store).output_run for _ in range(3)]
    assert len(set(runs)) == 3


def test_a_record_that_cannot_be_read_hides_no_other(store: RunStore) -> None:
    record = recorded(store)
    (store.folder / "broken").mkdir()
    (store.folder / "broken" / "record.json").write_text("{")
    assert store.list() == (record,)


def test_a_record_of_an_unknown_version_says_so(store: RunStore) -> None:
    record = recorded(store)
    path = record.folder / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(RunNotFoundError, match="version 99"):
        RunRecord.read(record.folder)


def test_a_credential_in_the_address_is_refused_and_not_shown(store: RunStore) -> None:
    with pytest.raises(RunError, match="credential") as caught:
        store.create("http://ana:geheim@host/repo", REQUEST, workers=1, engine="processes")
    assert "geheim" not in str(caught.value)
    assert not store.folder.exists()


def test_a_run_without_output_or_worker_is_refused(store: RunStore) -> None:
    with pytest.raises(GraphError, match="output"):
        store.create("repo", GraphRequest("p"), workers=1, engine="processes")
    with pytest.raises(RunError, match="worker"):
        store.create("repo", REQUEST, workers=0, engine="processes")


def test_the_lock_is_seen_and_let_go(tmp_path: Path) -> None:
    assert not RunLock.is_held(tmp_path)
    with RunLock.acquire(tmp_path):
        assert RunLock.is_held(tmp_path)
    assert not RunLock.is_held(tmp_path)


def test_the_lock_outlives_its_parent_in_a_child_and_dies_with_it(tmp_path: Path) -> None:
    lock = RunLock.acquire(tmp_path)
    with lock.handed_over() as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,)
        )
    assert RunLock.is_held(tmp_path)
    child.kill()
    child.wait()
    assert child.stdin is not None
    child.stdin.close()
    assert not RunLock.is_held(tmp_path)


def test_a_run_without_driver_is_lost(store: RunStore) -> None:
    record = recorded(store)
    assert Run(record).status().state is RunState.LOST


def test_a_run_over_cannot_be_cancelled(store: RunStore) -> None:
    with pytest.raises(RunError, match="over"):
        Run(recorded(store)).cancel()


def test_the_identifier_of_a_log_cannot_be_a_path(store: RunStore) -> None:
    with pytest.raises(RunError, match="identifier"):
        Run(recorded(store)).log("../../record")


def write_events(record: RunRecord) -> None:
    """Write the journal of a run in its middle."""
    moments = iter(range(1000, 2000))
    with Journal(record.journal_path, clock=lambda: float(next(moments))) as journal:
        journal.write("session", number=1)
        journal.write("phase", phase="executing")
        journal.write("graph", tasks=[["a", 4], ["b", 4]])
        for number in range(4):
            journal.write("start", quantum=f"a{number}", task="a", data_id=f"n={number}", attempt=1)
        journal.write("done", quantum="a0", task="a", wall=2.0, cpu=1.5, peak_memory=7, skipped=False)
        for number in (1, 2):
            journal.write(
                "fail",
                quantum=f"a{number}",
                task="a",
                data_id=f"n={number}",
                error={"class": "RuntimeError", "message": f"Detector {number} <dark>"},
                log="x.log",
                final=True,
            )
            journal.write("blocked", by=f"a{number}", quanta={"b": [f"b{number}"]})
        journal.write("start", quantum="b0", task="b", data_id="n=0", attempt=1)


def test_a_status_counts_groups_and_estimates(store: RunStore) -> None:
    record = recorded(store)
    write_events(record)
    with RunLock.acquire(record.folder):
        status = Run(record).status()
    a, b = status.tasks
    assert (status.state, status.phase) == (RunState.RUNNING, "executing")
    assert (a.total, a.running, a.succeeded, a.failed, a.waiting) == (4, 1, 1, 2, 0)
    assert (b.total, b.running, b.blocked, b.waiting) == (4, 1, 2, 1)
    (group,) = status.failures
    assert (group.error, group.count, group.data_id, group.quantum) == ("RuntimeError", 2, "n=1", "a1")
    assert status.eta_seconds == pytest.approx((1 * 2.0 + 2 * 2.0) / 2)
    assert status.fraction == pytest.approx(5 / 8)
    assert status.started == datetime.fromtimestamp(1000, UTC)
    assert a.peak_memory == 7


def test_a_status_can_be_sent_and_shown(store: RunStore) -> None:
    record = recorded(store)
    write_events(record)
    status = Run(record).status()
    assert json.loads(json.dumps(status.to_json()))["state"] == "lost"
    assert "&lt;dark&gt;" in status._repr_html_()
    assert "u/ana/" in record._repr_html_()


def test_a_restart_begins_with_what_succeeded_only(store: RunStore) -> None:
    record = recorded(store)
    write_events(record)
    with Journal(record.journal_path) as journal:
        journal.write("end", state="failed", error=None)
    run = Run(record)
    assert run.status().state is RunState.FAILED
    with Journal(record.journal_path) as journal:
        journal.write("session", number=2)
    with RunLock.acquire(record.folder):
        status = run.status()
    assert (status.state, status.failures, status.succeeded) == (RunState.RUNNING, (), 1)
    assert [task.waiting for task in status.tasks] == [3, 4]


def test_events_can_be_read_piece_by_piece(store: RunStore) -> None:
    record = recorded(store)
    write_events(record)
    run = Run(record)
    seen = len(run.events())
    with Journal(record.journal_path) as journal:
        journal.write("phase", phase="registering outputs")
    assert [event.fields["phase"] for event in run.events(since=seen)] == ["registering outputs"]
