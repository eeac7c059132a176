"""The command line, as a person types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from lenticular.butler import Repository, create_repository
from lenticular.pipelines.cerro.exposures import simulate_exposure
from lenticular.platform.cli.main import cli
from tests.pipelines.ingest_support import small_plan

if TYPE_CHECKING:
    from click.testing import Result

COMMAND = str(Path(sys.executable).with_name("lenticular"))


def run(*arguments: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def run_really(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own."""
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with two collections."""
    root = tmp_path_factory.mktemp("repository") / "r"
    with create_repository(root) as opened:
        opened.butler.collections.register("u/ana/new")
        opened.butler.collections.register("u/ana/old")
    return root


def test_create_makes_a_repository_with_our_storage_classes(tmp_path: Path) -> None:
    index = tmp_path / "index.yaml"
    result = run("create", tmp_path / "r", "--label", "mine", "--index", index)
    assert result.exit_code == 0, result.output
    assert "RawImage" in (tmp_path / "r" / "butler.yaml").read_text()
    assert "mine:" in index.read_text()


def test_collections_are_printed_in_columns(repository: Path) -> None:
    result = run("show", "collections", repository, "u/ana/*")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["collection", "kind", "holds", "searches"]
    assert lines[1].startswith("u/ana/new   RUN")


def test_json_is_one_object_a_line(repository: Path) -> None:
    result = run("show", "collections", repository, "--json")
    assert [json.loads(line)["collection"] for line in result.stdout.splitlines()] == [
        "u/ana/new",
        "u/ana/old",
    ]


def test_nothing_to_print_is_said_on_standard_error(repository: Path) -> None:
    result = run("show", "collections", repository, "x*")
    assert result.stdout == ""
    assert "No collection matches" in result.stderr


def test_an_error_is_two_lines_and_no_traceback() -> None:
    result = run_really("show", "collections", "no-such-label")
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "lenticular: No repository is called 'no-such-label'",
        "  No label is known, since DAF_BUTLER_REPOSITORY_INDEX is not set; give a path or a URI.",
    ]


def test_verbose_shows_where_an_error_arose() -> None:
    result = run_really("-v", "show", "collections", "no-such-label")
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_a_wrong_option_is_told_with_its_usage() -> None:
    result = run_really("run", "somewhere")
    assert result.returncode == 2
    assert "Usage: lenticular run" in result.stderr
    assert "--input" in result.stderr


def test_a_misspelt_configuration_value_is_told(repository: Path) -> None:
    result = run_really("run", repository, "-i", "u/ana/new", "--preview", "-c", "isr.doFlat=false")
    assert result.returncode == 1
    assert "task:field=value" in result.stderr


def test_a_label_needs_an_index(tmp_path: Path) -> None:
    result = run("create", tmp_path / "r", "--label", "mine")
    assert result.exit_code == 2
    assert not (tmp_path / "r").exists()


def test_files_that_are_not_raws_are_listed_with_the_reason(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE")
    result = run("ingest", repository, tmp_path)
    assert result.exit_code == 1
    assert "0 ingested, 0 skipped, 1 failed" in result.stdout
    assert "broken.fits:" in result.stderr


def test_a_new_repository_takes_raws_from_the_command_line(tmp_path: Path) -> None:
    plan = small_plan()
    exposure = plan.science[0]
    for detector in plan.detector_ids:
        simulate_exposure(plan, exposure, detector, tmp_path / "raws")
    made = run_really("create", tmp_path / "r")
    assert made.returncode == 0, made.stderr
    first = run_really("ingest", tmp_path / "r", tmp_path / "raws")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        "2 ingested, 0 skipped, 0 failed",
        "1 visits defined, 0 extended, 0 skipped, 0 failed",
    ]
    with Repository.open(tmp_path / "r") as opened:
        (instrument,) = opened.butler.query_dimension_records("instrument")
        (visit,) = opened.butler.query_dimension_records("visit", instrument=instrument.name)
        raw = opened.butler.get(
            "raw",
            instrument=instrument.name,
            exposure=exposure.id,
            detector=1,
            collections="CerroCam/raw/all",
        )
    assert (instrument.name, visit.id) == ("CerroCam", exposure.id)
    assert raw.array.any()
    again = run_really("ingest", tmp_path / "r", tmp_path / "raws")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines() == [
        "0 ingested, 2 skipped, 0 failed",
        "0 visits defined, 0 extended, 1 skipped, 0 failed",
    ]


def test_a_folder_without_fits_files_is_an_error(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see")
    result = run_really("ingest", repository, tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(
        f"lenticular: The folder holds no FITS file ({tmp_path})\n  Give raw files"
    )


def test_without_runs_the_list_says_so() -> None:
    result = run("show", "runs")
    assert result.exit_code == 0
    assert "No run is recorded yet" in result.stderr
