"""Objects of the middleware as IPython shows them once the extension is loaded."""

from __future__ import annotations

import atexit
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from lenticular.butler.display import Piece, display, labels, pairs, rows
from lenticular.pipelines.graph import GraphRequest
from lenticular.pipelines.graph.reference import reference_components
from lenticular.widgets.upstream import DEFINED_IN
from tests.trivial.repository import SEEDS, make_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lsst.daf.butler import Butler

ROOT = Path(__file__).parents[2]
STARTUP = ROOT / "widgets" / "ipython" / "50-lenticular.py"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Start an IPython shell of its own, with the extension loaded."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    # A shell takes the main module's place, and leaves an empty one behind.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    make: Any = InteractiveShell  # untyped
    shell = make(config=Config({"HistoryManager": {"enabled": False}}))
    shell.extension_manager.load_extension("lenticular.widgets")
    yield shell
    shell.extension_manager.unload_extension("lenticular.widgets")
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()


@pytest.fixture(scope="module")
def butler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    """Open a repository with two datasets of the type ``seed``."""
    from lsst.daf.butler import Butler

    root = make_repository(tmp_path_factory.mktemp("repository"), detectors=2)
    with Butler.from_config(root, collections=SEEDS) as butler:
        yield butler


def shown(shell: Any, value: object) -> dict[str, Any]:
    """Return what a notebook would be sent for a value."""
    data, _ = shell.display_formatter.format(value)
    return dict(data)


def seed(butler: Butler) -> Any:
    return butler.find_dataset("seed", instrument="Toy", detector=1)


@pytest.mark.parametrize("name", DEFINED_IN)
def test_upstream_defines_each_class_where_we_think(name: str) -> None:
    defined = getattr(importlib.import_module(DEFINED_IN[name]), name)
    assert (defined.__module__, defined.__qualname__) == (DEFINED_IN[name], name)


def test_a_butler_is_shown_with_its_place_and_its_collections(shell: Any, butler: Butler) -> None:
    html = shown(shell, butler)["text/html"]
    assert "read-only" in html
    assert SEEDS in html
    assert "file://" in html
    assert "daf_butler, version" in html


def test_a_reference_is_shown_with_its_data_id_and_its_run(shell: Any, butler: Butler) -> None:
    html = shown(shell, seed(butler))["text/html"]
    assert "<th>detector</th><td>1</td>" in html
    assert f"<th>run</th><td>{SEEDS}</td>" in html
    assert str(seed(butler).id) in html


def test_a_dataset_type_and_its_component_are_shown(shell: Any, butler: Butler) -> None:
    from lsst.daf.butler import DatasetType

    assert "StructuredDataDict" in shown(shell, butler.get_dataset_type("seed"))["text/html"]
    whole = DatasetType("picture", (), "ExposureF", universe=butler.dimensions, isCalibration=True)
    html = shown(shell, whole.makeComponentDatasetType("wcs"))["text/html"]
    assert "<th>component of</th><td>picture</td>" in html
    assert "<th>dimensions</th><td>none</td>" in html
    assert "valid for ranges of dates" in shown(shell, whole)["text/html"]


def test_a_data_id_is_shown_with_what_follows_from_it(shell: Any, butler: Butler) -> None:
    data_id = butler.registry.expandDataId(instrument="Toy", detector=0)
    html = shown(shell, data_id)["text/html"]
    assert html.index("<th>instrument</th><td>Toy</td>") < html.index("<th>detector</th><td>0</td>")
    assert "without dimensions" in shown(shell, type(data_id).make_empty(butler.dimensions))["text/html"]


def test_a_collection_and_its_summary_are_shown(shell: Any, butler: Butler) -> None:
    info = butler.collections.get_info(SEEDS, include_summary=True)
    html = shown(shell, info)["text/html"]
    assert "<th>kind</th><td>RUN</td>" in html
    assert '<span class="lv-chip">seed</span>' in html
    summary = shown(shell, butler.registry.getCollectionSummary(SEEDS))["text/html"]
    assert "1 dataset types" in summary
    assert "Toy" in summary


def test_graphs_of_both_kinds_are_shown_with_their_tasks(shell: Any, butler: Butler, tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path / "stages.yaml", ["one", "two"])
    request = GraphRequest(pipeline=pipeline, inputs=(SEEDS,), output="u/ada")
    graph = reference_components(butler, request, output_run="u/ada/1").assemble()
    html = shown(shell, graph)["text/html"]
    assert "4 quanta" in html
    assert '<td class="lv-n">2</td>' in html
    assert html.index("<td>one</td>") < html.index("<td>two</td>")
    older = shown(shell, graph.to_old_quantum_graph())["text/html"]
    assert "4 quanta" in older
    assert '<td class="lv-n">2</td>' in older


def test_an_arrow_table_is_shown_with_its_rows(shell: Any) -> None:
    import pyarrow as pa

    html = shown(shell, pa.table({"visit": [12], "band": ["r"]}))["text/html"]
    assert "<th>band</th>" in html
    assert "1 row" in html


def test_the_text_stays_as_it_was(shell: Any, butler: Butler) -> None:
    for value in (butler, seed(butler), seed(butler).dataId, butler.get_dataset_type("seed")):
        with_extension = shown(shell, value)["text/plain"]
        assert "lv-display" not in with_extension
        shell.extension_manager.unload_extension("lenticular.widgets")
        assert shown(shell, value) == {"text/plain": with_extension}
        shell.extension_manager.load_extension("lenticular.widgets")


def test_unloading_gives_back_what_was_registered_before(shell: Any, butler: Butler) -> None:
    shell.extension_manager.unload_extension("lenticular.widgets")
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type_by_name(DEFINED_IN["DatasetRef"], "DatasetRef", lambda _: "mine")
    shell.extension_manager.load_extension("lenticular.widgets")
    assert "lv-display" in shown(shell, seed(butler))["text/html"]
    shell.extension_manager.unload_extension("lenticular.widgets")
    assert shown(shell, seed(butler))["text/html"] == "mine"
    shell.extension_manager.load_extension("lenticular.widgets")


def test_what_cannot_be_displayed_is_shown_as_text(
    shell: Any,
    butler: Butler,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from lenticular.widgets.displays import data

    monkeypatch.delattr(data, "dataset_ref")
    assert set(shown(shell, seed(butler))) == {"text/plain"}
    assert "Traceback" not in "".join(capsys.readouterr())


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    html = display(text, text, pairs([(text, text)]), labels([text]), rows([text], [[text]]))
    own = display("", "", pairs([("x", "x")]), labels([""]), rows([""], [[""]]))
    assert html.count("<") - html.count("<th></th><td></td>") <= own.count("<") + 1


def test_credentials_are_masked() -> None:
    secret = "postgresql://ada:hunter2@db/registry"  # noqa: S105  the kind that must not be shown
    html = display(secret, secret, pairs([(secret, secret)]), labels([secret]), rows([secret], [[secret]]))
    assert "hunter2" not in html
    assert "ada:***@db" in html


def test_markup_of_our_own_is_kept() -> None:
    assert "<i>x</i>" in pairs([("a", Piece("<i>x</i>"))])


def test_a_long_list_of_names_is_cut() -> None:
    assert "and 960 more" in labels(f"type{number}" for number in range(1000))


def run_ipython(folder: Path, *lines: str) -> str:
    """Run lines in an IPython whose installation has our start-up file and nothing else."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / STARTUP.name).write_text(STARTUP.read_text())
    result = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", "\n".join(lines)],
        env={**os.environ, "IPYTHONDIR": str(folder)},
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout


def test_the_extension_is_found_by_the_name_of_the_project(tmp_path: Path) -> None:
    out = run_ipython(
        tmp_path,
        "before = set(dir())",
        "%load_ext lenticular",
        "import sys",
        "html = get_ipython().display_formatter.formatters['text/html']",
        "print('LOADED', 'lsst.daf.butler._butler.Butler' in html)",
        "print('HEAVY', sorted({'panel', 'bokeh', 'lsst.daf.butler', 'numpy'} & set(sys.modules)))",
        "%unload_ext lenticular",
        "print('LEFT', 'lsst.daf.butler._butler.Butler' in html)",
        "print('NAMES', [name for name in before if 'entic' in name])",
    )
    assert "LOADED True" in out
    assert "HEAVY []" in out
    assert "LEFT False" in out
    assert "NAMES []" in out
