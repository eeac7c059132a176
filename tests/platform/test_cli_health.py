"""`lenticular check` and `lenticular compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from lenticular.butler import create_repository
from lenticular.platform.cli.main import cli

if TYPE_CHECKING:
    from click.testing import Result


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with three notes in one run and two in another."""
    from lsst.daf.butler import CollectionType, DatasetType

    root = tmp_path_factory.mktemp("repository") / "r"
    with create_repository(root) as repository:
        butler = repository.butler
        insert = butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 9})
        insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(4)))
        make: dict[str, Any] = {"universe": butler.dimensions, "storageClass": "StructuredDataDict"}
        note = DatasetType("note", ("instrument", "detector"), **make)
        butler.registry.registerDatasetType(note)
        for run_name, numbers in (("a", (0, 1, 2)), ("b", (2, 3))):
            butler.collections.register(run_name)
            for number in numbers:
                butler.put({"n": number}, note, instrument="Cam", detector=number, run=run_name)
        butler.collections.register("chain", CollectionType.CHAINED)
        butler.collections.redefine_chain("chain", ["a", "b"])
    return root


@pytest.fixture
def broken(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of which a file is missing, and in which one is too many."""
    root = tmp_path / "broken"
    shutil.copytree(whole, root)
    files = sorted((root / "datastore").rglob("*.yaml"))
    files[0].rename(files[0].with_name("stray.yaml"))
    return root


def test_a_whole_repository_passes(whole: Path) -> None:
    result = run("check", whole)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split() == ["dataset", "type", "datasets", "files", "size"]
    assert "5 files, " in result.stdout
    assert "Nothing is wrong." in result.stdout


def test_what_is_wrong_is_told_with_what_to_do_and_an_exit_code(broken: Path) -> None:
    result = run("check", broken, "--artifacts", "all")
    assert result.exit_code == 1
    assert "error: 1 file is missing" in result.stdout
    assert "prune-datasets" in result.stdout
    assert "warning: 1 file belongs to no dataset" in result.stdout


def test_addresses_are_listed_one_a_line(broken: Path) -> None:
    result = run("check", broken, "--artifacts", "all", "--list", "orphans")
    (line,) = result.stdout.splitlines()
    assert Path(line).name == "stray.yaml"
    assert Path(line).exists()
    assert result.exit_code == 1


def test_a_check_is_told_as_json(broken: Path) -> None:
    result = run("check", broken, "--artifacts", "none", "--json")
    told = json.loads(result.stdout)
    assert told["healthy"] is True
    assert told["files"] == 5
    assert result.exit_code == 0


def test_collections_that_differ_are_told(whole: Path) -> None:
    result = run("compare", whole, "a", "b")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["note", "2", "1", "1", "0"]
    assert "a and b differ in note." in result.stderr


def test_equal_collections_pass(whole: Path) -> None:
    assert run("compare", whole, "a", "a").exit_code == 0
    assert run("compare", whole, "a", "chain", "-d", "instrument = 'Cam' AND detector < 3").exit_code == 0


def test_datasets_that_differ_are_listed(whole: Path) -> None:
    result = run("compare", whole, "a", "chain", "--list", "only-in-b", "--json")
    (row,) = map(json.loads, result.stdout.splitlines())
    assert (row["dataset_type"], row["detector"], row["run"]) == ("note", 3, "b")
    assert len(row["dataset_id"]) == 36
    few = run("compare", whole, "a", "b", "--list", "only-in-a", "--limit", "1")
    assert len(few.stdout.splitlines()) == 2
    assert "There are more" in few.stderr


def test_two_repositories_are_compared(whole: Path, broken: Path) -> None:
    result = run("compare", whole, "a", "a", "--other", broken, "--json")
    told = json.loads(result.stdout)
    assert told["equal"] is True
    assert told["dataset_types"][0]["same"] == 3
