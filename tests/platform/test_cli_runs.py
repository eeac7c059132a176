"""Runs on the command line: started, watched, stopped and gone on with."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from lenticular.butler.errors import RunError, RunNotFoundError
from lenticular.pipelines.graph import ConfigOverride, GraphRequest
from lenticular.platform.cli.main import cli
from lenticular.platform.cli.run import follow
from lenticular.platform.execution import Journal
from lenticular.platform.progress import Console
from lenticular.platform.runs import Run, RunStore, launch
from lenticular.platform.runs.lock import RunLock
from tests.trivial.repository import ROOT_VARIABLES, SEEDS, make_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result

    from lenticular.platform.runs import RunRecord

COMMAND = str(Path(sys.executable).with_name("lenticular"))


def command(*arguments: str, runs: Path | None = None) -> Result:
    """Run a command in this process."""
    env = {} if runs is None else {"LENTICULAR_RUNS": str(runs)}
    return CliRunner(env=env).invoke(cli, arguments)


# One run to its end, given by relative paths


@dataclass(frozen=True)
class Finished:
    """What `lenticular run` said, and where its record is."""

    process: subprocess.CompletedProcess[str]
    folder: Path

    @property
    def runs(self) -> Path:
        """Return the folder of the records."""
        return self.folder / "runs"

    @property
    def record(self) -> RunRecord:
        """Return the record of the only run."""
        (record,) = RunStore(self.runs).list()
        return record


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    make_repository(folder / "repo", detectors=2)
    write_pipeline(folder / "stages.yaml", ["one", "two"])
    process = subprocess.run(
        [COMMAND, "run", "repo", "-p", "stages.yaml#one", "-i", SEEDS, "-o", "u/ana", "-j", "1"],
        cwd=folder,
        env={**os.environ, **ROOT_VARIABLES, "LENTICULAR_RUNS": "runs"},
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(process, folder)


def test_relative_paths_reach_the_driver(finished: Finished) -> None:
    assert finished.process.returncode == 0, finished.process.stderr
    assert finished.record.repository == str(finished.folder / "repo")
    assert finished.record.pipeline == f"{finished.folder / 'stages.yaml'}#one"
    assert finished.process.stdout.strip() == finished.record.output_run


def test_the_end_of_a_run_is_told_with_its_counts(finished: Finished) -> None:
    assert "succeeded: 2 of 2 quanta succeeded\n" in finished.process.stderr
    assert "restart" not in finished.process.stderr


def test_runs_are_listed_with_their_state(finished: Finished) -> None:
    shown = command("show", "runs", runs=finished.runs)
    assert shown.exit_code == 0, shown.output
    head, line = shown.stdout.splitlines()
    assert head.split() == ["run", "state", "repository", "output", "created"]
    assert line.split()[:2] == [finished.record.id, "succeeded"]


def test_a_run_is_shown_task_by_task(finished: Finished) -> None:
    shown = command("show", "run", finished.record.id, runs=finished.runs)
    head, line = shown.stdout.splitlines()
    assert dict(zip(head.split(), line.split(), strict=True))["succeeded"] == "2"
    assert "succeeded" in shown.stderr


def test_a_run_that_succeeded_is_neither_stopped_nor_restarted(finished: Finished) -> None:
    stopped = command("cancel", finished.record.id, runs=finished.runs)
    assert isinstance(stopped.exception, RunError)
    assert str(stopped.exception) == f"The run is over: succeeded ({finished.record.id})"
    again = command("restart", finished.record.id, runs=finished.runs)
    assert isinstance(again.exception, RunError)
    assert "nothing is left to do" in str(again.exception)


@pytest.mark.parametrize("name", ["cancel", "restart"])
def test_an_unknown_run_is_told(name: str, tmp_path: Path) -> None:
    result = command(name, "nothing", runs=tmp_path)
    assert isinstance(result.exception, RunNotFoundError)


# Other endings, told from journals


REQUEST = GraphRequest("stages.yaml", (SEEDS,), "u/ana", output_run="u/ana/first")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def recorded(store: RunStore, *events: tuple[str, Mapping[str, object]]) -> Run:
    """Record a run of three quanta, one of which succeeded."""
    record = store.create("repo", REQUEST, workers=1, engine="processes")
    record.write()
    with Journal(record.journal_path) as journal:
        journal.write("session", number=1)
        journal.write("graph", tasks=[["one", 2], ["two", 1]])
        journal.write("done", quantum="a0", task="one", wall=1.0, cpu=1.0, peak_memory=1, skipped=False)
        for name, fields in events:
            journal.write(name, **fields)
    return Run(record)


def followed(run: Run) -> tuple[str, int]:
    """Follow a run; return what is said of it, and the exit code."""
    said = io.StringIO()
    with pytest.raises(click.exceptions.Exit) as caught:
        follow(run, Console(said))
    return said.getvalue(), caught.value.exit_code


FAILURE = {
    "quantum": "a1",
    "task": "one",
    "data_id": "detector=1",
    "error": {"class": "WorkerDied", "message": "killed by signal 9"},
    "final": True,
}


def test_a_failed_run_tells_counts_cause_and_log(store: RunStore) -> None:
    run = recorded(
        store,
        ("fail", {**FAILURE, "log": "logs/one/a1.log"}),
        ("blocked", {"by": "a1", "quanta": {"two": ["b1"]}}),
        ("end", {"state": "failed", "error": None}),
    )
    said, code = followed(run)
    assert code == 1
    assert "Executing - not finished" in said
    assert "failed: 1 of 3 quanta succeeded, 1 failed, 1 blocked" in said
    assert "1 x one: WorkerDied: killed by signal 9 (see logs/one/a1.log)" in said
    assert f"lenticular restart {run.record.id}" in said


def test_a_failure_without_log_names_none(store: RunStore) -> None:
    run = recorded(store, ("fail", {**FAILURE, "log": None}), ("end", {"state": "failed", "error": None}))
    said, _ = followed(run)
    assert "killed by signal 9\n" in said
    assert "None" not in said


def test_a_cancelled_run_says_so(store: RunStore) -> None:
    said, code = followed(recorded(store, ("end", {"state": "cancelled", "error": None})))
    assert code == 1
    assert "cancelled: 1 of 3 quanta succeeded, 2 cancelled" in said


def test_a_lost_run_says_so(store: RunStore) -> None:
    said, code = followed(recorded(store))
    assert code == 1
    assert "lost: 1 of 3 quanta succeeded, 2 waiting" in said
    assert "driver.log" in said


def test_a_run_that_could_not_go_on_is_shown_with_the_reason(store: RunStore) -> None:
    error = {"class": "GraphError", "message": "The pipeline could not be read", "where": None, "hint": None}
    run = recorded(store, ("end", {"state": "failed", "error": error}))
    shown = command("show", "run", run.record.id, runs=store.folder)
    assert "GraphError: The pipeline could not be read" in shown.stderr
    assert f"lenticular restart {run.record.id}" in shown.stderr


def test_interrupting_the_command_leaves_the_run_alone(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = recorded(store)

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "wait", interrupted)
    said, code = followed(run)
    assert code == 130
    assert "The run goes on" in said
    assert f"lenticular cancel {run.record.id}" in said
    assert not run.record.cancel_path.exists()


def test_cancelling_waits_for_the_driver_to_stop(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(store)
    with RunLock.acquire(run.record.folder):
        ask = Run.cancel

        def obey(asked: Run) -> None:
            ask(asked)
            assert run.record.cancel_path.exists()
            with Journal(run.record.journal_path) as journal:
                journal.write("end", state="cancelled", error=None)

        monkeypatch.setattr(Run, "cancel", obey)
        result = command("cancel", run.record.id, runs=store.folder)
    assert result.exit_code == 0, result.output
    assert "cancelled: 1 of 3 quanta succeeded, 2 cancelled" in result.stderr


# What must not break a list, or be recorded


def test_a_stray_file_or_a_newer_request_hides_no_other_run(store: RunStore) -> None:
    run, newer = recorded(store), recorded(store)
    (store.folder / "notes.txt").write_text("mine")
    path = newer.record.folder / "record.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "request": {**content["request"], "colour": "red"}}))
    assert store.list() == (run.record,)
    assert store.get(run.record.id).record == run.record


@pytest.mark.parametrize(
    "request_",
    [
        GraphRequest("https://ana:geheim@host/p.yaml", (SEEDS,), "u/ana"),
        GraphRequest("p.yaml", (SEEDS,), "u/ana", where="visit.name = 'http://ana:geheim@host'"),
        GraphRequest(
            "p.yaml", (SEEDS,), "u/ana", config=(ConfigOverride("a", "url", "s3://ana:geheim@host/b"),)
        ),
    ],
)
def test_a_credential_in_the_request_is_not_recorded(store: RunStore, request_: GraphRequest) -> None:
    with pytest.raises(RunError, match="credential") as caught:
        store.create("repo", request_, workers=1, engine="processes")
    assert "geheim" not in str(caught.value)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("repository", "pipeline"),
    [
        ("s3://bucket/repo", "resource://package/p.yaml#one"),
        ("known", "single-visit"),
        ("unknown-here", "$PIPELINES/p.yaml"),
        ("/data/repo", "/data/p.yaml"),
    ],
)
def test_labels_and_addresses_are_recorded_as_they_are(
    store: RunStore, repository: str, pipeline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[launch.__module__], "start_driver", lambda *_: None)
    monkeypatch.setenv("DAF_BUTLER_REPOSITORIES", "known: /data/known")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "known").mkdir()  # a label goes before a folder of its name
    record = launch(repository, GraphRequest(pipeline, (SEEDS,), "u/ana"), workers=1, store=store).record
    assert (record.repository, record.pipeline) == (repository, pipeline)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "records", "r", "visit", "--limit", "0"),
        ("show", "datasets", "r", "raw", "x", "--limit", "-1"),
        ("run", "r", "-i", "x", "-j", "0"),
    ],
)
def test_numbers_below_one_are_refused(arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert result.exit_code == 2
    assert "x>=1" in result.stderr


# Credentials in logs


def test_the_drivers_log_has_no_credential(store: RunStore) -> None:
    record = recorded(store).record
    code = (
        "import logging, sys\n"
        "from lenticular.platform.execution import driver\n"
        "def fail(self):\n"
        "    logging.getLogger('x').error('at postgresql://ana:geheim@db/r')\n"
        "    raise RuntimeError('postgresql://ana:geheim@db/r refuses')\n"
        "driver.Driver._build = fail\n"
        "sys.exit(driver.main(sys.argv[1:]))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(record.folder)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert "Traceback" in process.stderr
    assert process.stderr.count("postgresql://ana:***@db/r") >= 2
    assert "geheim" not in process.stderr


@pytest.mark.parametrize("raised", ["ConfigurationError('It cannot be read')", "RuntimeError('a fault')"])
def test_a_traceback_has_no_credential(raised: str) -> None:
    code = (
        "import sys\n"
        "from lenticular.butler.errors import ConfigurationError\n"
        "from lenticular.platform.cli.main import LazyGroup, main\n"
        "def fail(*_):\n"
        "    try:\n"
        "        raise ValueError('db: postgresql://ana:geheim@db/r')\n"
        "    except ValueError as error:\n"
        f"        raise {raised} from error\n"
        "LazyGroup.get_command = fail\n"
        "main()\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "-v", "show"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert "Traceback" in process.stderr
    assert "ana:***@db" in process.stderr
    assert "geheim" not in process.stderr
