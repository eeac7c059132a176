"""The tutorials, run from top to bottom as a visitor would."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbmake.nb_run import NotebookRun

from lenticular.platform.demo.lab import copy_notebooks
from lenticular.platform.demo.tutorials import tutorials_folder

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PATIENCE = 400
"""Seconds for one cell, on a machine that is busy with other tests."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs_from_top_to_bottom_without_a_warning(
    path: Path, demo_variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in demo_variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    copy = Path(shutil.copy(path, tmp_path))

    result = NotebookRun(copy, default_timeout=PATIENCE, kernel="python3").execute()

    assert result.error is None, f"cell {result.error.failing_cell_index}: {result.error.trace}"
    outputs = [output for cell in result.nb.cells for output in cell.get("outputs", ())]
    assert len(outputs) > 5
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_kernels_are_of_this_environment() -> None:
    spec = KernelSpecManager().get_kernel_spec("python3")
    assert Path(spec.resource_dir).is_relative_to(sys.prefix)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_stored_without_outputs(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert not [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"]]


def test_a_demo_gets_a_copy_of_every_tutorial(tmp_path: Path) -> None:
    copy_notebooks(tutorials_folder(), tmp_path)
    assert {path.name for path in NOTEBOOKS} == {path.name for path in tmp_path.glob("*.ipynb")}
    assert {"first-look", "reduce-a-night", "pixels-and-metrics"} <= {path.stem for path in NOTEBOOKS}
