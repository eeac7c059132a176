"""What the routes say of runs, and what they do to them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lenticular.pipelines.graph import ConfigOverride, GraphRequest
from lenticular.platform.execution.journal import Journal, begin_session
from lenticular.platform.runs import Run, RunRecord, RunStore
from lenticular.platform.runs.lock import RunLock

if TYPE_CHECKING:
    from tests.server.conftest import Ask, Site

PATIENCE = 300.0
"""Seconds after which a test gives up; none of them counts on it."""

WRITING = pytest.mark.parametrize("lenticular_settings", [{"read_only": False}])
QUANTA = [f"00000000-0000-7000-8000-00000000000{n}" for n in range(4)]


def recorded(folder: Path, site: Site, *, minutes: int = 0, output: str = "u/ana/run") -> RunRecord:
    """Record a run that was never started."""
    request = GraphRequest(
        site.pipeline,
        ("seeds",),
        output,
        where="detector < 4",
        config=(ConfigOverride("one", "increment", 2),),
    )
    record = RunStore(folder).create(str(site.repository), request, workers=2, engine="processes")
    record = replace(record, created=record.created + timedelta(minutes=minutes))
    record.write()
    return record


def in_the_middle(record: RunRecord) -> None:
    """Write a journal of a run of which one quantum is done, one runs and one has failed."""
    begin_session(record.journal_path)
    (record.folder / "one.log").write_text("reading\npassword=geheim\nno light\n")
    with Journal(record.journal_path) as journal:
        journal.write("graph", tasks=[["one", 3], ["two", 1]])
        for quantum in QUANTA[:3]:
            journal.write("start", quantum=quantum, task="one", data_id="detector=1")
        journal.write("done", quantum=QUANTA[0], task="one", wall=2.0, cpu=1.0, peak_memory=1)
        journal.write(
            "fail",
            quantum=QUANTA[1],
            task="one",
            data_id="detector=1",
            final=True,
            error={"class": "RuntimeError", "message": "dark, says postgresql://ana:geheim@db/r"},
            log=str(record.folder / "one.log"),
        )


async def one(ask: Ask, record: RunRecord) -> dict[str, Any]:
    answer = await ask("run", id=record.id)
    assert answer.status == 200, answer.content
    content: dict[str, Any] = answer.content
    return content


async def test_without_runs_there_is_an_empty_list(ask: Ask) -> None:
    assert (await ask("runs")).content == {"runs": [], "total": 0}


async def test_runs_are_listed_page_by_page_the_latest_first(ask: Ask, site: Site, runs_folder: Path) -> None:
    records = [recorded(runs_folder, site, minutes=n, output=f"u/ana/{n}") for n in range(5)]
    first = await ask("runs", limit=2)
    assert [run["id"] for run in first.content["runs"]] == [records[4].id, records[3].id]
    assert first.content["total"] == 5
    rest = await ask("runs", before=records[3].id)
    assert [run["id"] for run in rest.content["runs"]] == [record.id for record in records[2::-1]]
    answer = await ask("runs", before="nonsense")
    assert (answer.status, answer.error["kind"]) == (400, "ParameterError")


@WRITING
async def test_a_run_tells_how_it_stands(ask: Ask, site: Site, runs_folder: Path) -> None:
    record = recorded(runs_folder, site)
    with RunLock.acquire(record.folder):
        assert (await one(ask, record))["state"] == "building"
        in_the_middle(record)
        run = await one(ask, record)
    assert (run["state"], run["label"], run["pipeline"]) == ("running", "toy", "stages")
    assert run["output_run"] == record.output_run
    assert run["inputs"] == ["seeds"]
    assert run["progress"] == pytest.approx(0.5)
    assert run["started"]
    assert run["ended"] is None
    assert run["tasks"][0] == {
        "label": "one",
        "quanta": 3,
        "waiting": 0,
        "running": 1,
        "succeeded": 1,
        "failed": 1,
        "blocked": 0,
        "cancelled": 0,
        "mean_seconds": 2.0,
    }
    assert (run["can_cancel"], run["can_restart"]) == (True, False)


@WRITING
async def test_a_run_whose_driver_died_can_be_restarted(ask: Ask, site: Site, runs_folder: Path) -> None:
    record = recorded(runs_folder, site)
    in_the_middle(record)
    run = await one(ask, record)
    assert (run["state"], run["can_cancel"], run["can_restart"]) == ("lost", False, True)


async def test_a_server_that_only_reads_offers_neither(ask: Ask, site: Site, runs_folder: Path) -> None:
    record = recorded(runs_folder, site)
    in_the_middle(record)
    assert (await one(ask, record))["can_restart"] is False
    with RunLock.acquire(record.folder):
        assert (await one(ask, record))["can_cancel"] is False


@WRITING
async def test_a_run_that_is_being_cancelled_is_not_offered_it_again(
    ask: Ask, site: Site, runs_folder: Path
) -> None:
    record = recorded(runs_folder, site)
    with RunLock.acquire(record.folder):
        in_the_middle(record)
        answer = await ask("run/cancel", body={"id": record.id})
    assert answer.status == 200, answer.content
    assert answer.content["can_cancel"] is False
    assert record.cancel_path.exists()


async def test_failures_and_logs_are_shown_without_credentials(
    ask: Ask, site: Site, runs_folder: Path
) -> None:
    record = recorded(runs_folder, site)
    in_the_middle(record)
    record.driver_log_path.write_text("x" * 9000 + "\nlast postgresql://ana:geheim@db/r\n")
    answer = await ask("run", id=record.id)
    (failure,) = answer.content["failures"]
    assert (failure["task"], failure["error"], failure["count"]) == ("one", "RuntimeError", 1)
    assert "no light" in failure["log_tail"]
    assert answer.content["log_tail"] == "last postgresql://ana:***@db/r\n"
    assert b"geheim" not in answer.response.body


async def test_a_run_of_an_unknown_repository_has_no_label(ask: Ask, site: Site, runs_folder: Path) -> None:
    record = recorded(runs_folder, site)
    replace(record, repository="elsewhere").write()
    assert (await one(ask, record))["label"] is None


@pytest.mark.parametrize("run_id", ["nonsense", "2", "../..", "."])
async def test_an_unknown_run_is_told(ask: Ask, site: Site, runs_folder: Path, run_id: str) -> None:
    record = recorded(runs_folder, site)
    answer = await ask("run", id=run_id)
    assert (answer.status, answer.error["kind"]) == (404, "RunNotFoundError")
    assert record.id in answer.error["hint"]


@WRITING
async def test_what_a_runs_state_does_not_allow_is_a_conflict(
    ask: Ask, site: Site, runs_folder: Path
) -> None:
    record = recorded(runs_folder, site)
    with RunLock.acquire(record.folder):
        begin_session(record.journal_path)
    with Journal(record.journal_path) as journal:
        journal.write("end", state="succeeded")
    for route in ("run/cancel", "run/restart"):
        answer = await ask(route, body={"id": record.id})
        assert (answer.status, answer.error["kind"]) == (409, "RunError")
    assert not record.cancel_path.exists()


@WRITING
@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"output": ""}, 400),
        ({"workers": 0}, 400),
        ({"workers": "2"}, 400),
        ({"label": "other"}, 404),
        ({"pipeline": "file:///etc/passwd"}, 404),
        ({"where": "x = 'postgresql://ana:geheim@db/r'"}, 409),
    ],
)
async def test_a_launch_that_cannot_be_leaves_no_record(
    ask: Ask, runs_folder: Path, change: dict[str, Any], status: int
) -> None:
    launch = {"label": "toy", "pipeline": "stages", "inputs": ["seeds"], "output": "u/ana/new"}
    answer = await ask("runs", body={**launch, **change})
    assert answer.status == status, answer.content
    assert b"geheim" not in answer.response.body
    assert RunStore(runs_folder).list() == ()


@WRITING
async def test_a_dataset_names_the_run_that_made_it(ask: Ask, site: Site, runs_folder: Path) -> None:
    record = recorded(runs_folder, site)
    replace(record, request=replace(record.request, output_run="late")).write()
    listed = await ask("datasets", label="toy", dataset_type="seed", collections="late")
    answer = await ask("dataset", label="toy", id=listed.content["datasets"][0]["id"])
    assert answer.content["provenance"]["run_id"] == record.id
    assert answer.content["provenance"]["pipeline"] == "stages"


@pytest.mark.slow
@WRITING
async def test_a_run_is_launched_cancelled_and_restarted(
    ask: Ask, runs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    fifo = tmp_path / "one-0.fifo"
    os.mkfifo(fifo)
    config = [
        {"task": "one", "field": "scratch", "value": str(tmp_path)},
        {"task": "one", "field": "holds_at", "value": [0]},
    ]
    launched = await ask(
        "runs",
        body={
            "label": "toy",
            "pipeline": "stages",
            "inputs": ["seeds"],
            "where": "instrument = 'Toy' AND detector = 0",
            "output": f"u/{tmp_path.name}",
            "workers": 1,
            "config": config,
        },
    )
    assert launched.status == 200, launched.content
    run = Run(RunStore(runs_folder).get(launched.content["id"]).record)
    with fifo.open("w"):  # opens once the quantum reads, and keeps it waiting
        assert (await one(ask, run.record))["state"] == "running"
        assert (await ask("run/cancel", body={"id": run.record.id})).status == 200
        run.wait(PATIENCE)
    cancelled = await one(ask, run.record)
    assert (cancelled["state"], cancelled["can_restart"]) == ("cancelled", True)
    fifo.unlink()
    restarted = await ask("run/restart", body={"id": run.record.id})
    assert restarted.status == 200, restarted.content
    assert restarted.content["can_restart"] is False
    run.wait(PATIENCE)
    done = await one(ask, run.record)
    assert (done["state"], done["progress"], done["can_restart"]) == ("succeeded", 1.0, False)
    assert done["error"] is None
