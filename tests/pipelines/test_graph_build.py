"""Counting and building graphs on a real repository."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lsst.daf.butler import Butler
from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

from lenticular.butler.errors import ConfigError, EmptyGraphError, GraphError
from lenticular.pipelines.graph import (
    ConfigOverride,
    GraphRequest,
    build_graph,
    mend_zipfile,
    preview_graph,
)
from tests.trivial.repository import SEEDS, make_repository, write_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_pipeline(tmp_path_factory.mktemp("pipelines") / "stages.yaml", ["one", "two"])


@pytest.fixture(scope="module")
def butler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Butler]:
    repository = make_repository(tmp_path_factory.mktemp("repository") / "repo", detectors=5)
    with Butler.from_config(repository, writeable=True) as butler:
        butler.collections.register("taken")
        yield butler


def test_a_preview_counts_quanta_and_datasets(butler: Butler, pipeline: str) -> None:
    preview = preview_graph(butler, GraphRequest(pipeline, (SEEDS,), where="detector > 1"))
    assert [(task.label, task.quanta) for task in preview.tasks] == [("one", 3), ("two", 3)]
    assert [(kind.name, kind.existing, kind.to_make) for kind in preview.dataset_types] == [
        ("seed", 3, 0),
        ("one_out", 0, 3),
        ("two_out", 0, 3),
    ]
    assert [(edge.task, edge.dataset_type, edge.reads) for edge in preview.edges] == [
        ("one", "seed", True),
        ("one", "one_out", False),
        ("two", "one_out", True),
        ("two", "two_out", False),
    ]


def test_a_preview_writes_nothing(butler: Butler, pipeline: str) -> None:
    before = set(butler.collections.query("*"))
    preview_graph(butler, GraphRequest(pipeline, (SEEDS,), "u/ana"))
    assert set(butler.collections.query("*")) == before


def test_a_preview_can_be_sent_and_shown(butler: Butler, pipeline: str) -> None:
    preview = preview_graph(butler, GraphRequest(pipeline, (SEEDS,)))
    assert json.loads(json.dumps(preview.to_json()))["quanta"] == 10
    assert "<caption>10 quanta</caption>" in preview._repr_html_()


def test_progress_is_told_in_words(butler: Butler, pipeline: str) -> None:
    told: list[str] = []
    preview_graph(butler, GraphRequest(pipeline, (SEEDS,)), progress=told.append)
    assert told[0] == "Reading the pipeline"
    assert any("5 quanta for task two" in line for line in told)


def test_a_built_graph_is_read_by_upstream(butler: Butler, pipeline: str, tmp_path: Path) -> None:
    mend_zipfile()
    request = GraphRequest(pipeline, (SEEDS,), "u/ana", config=(ConfigOverride("two", "increment", 5),))
    built = build_graph(butler, request, tmp_path / "graph.qg")
    assert (built.quanta, built.total) == ((("one", 5), ("two", 5)), 10)
    graph = PredictedQuantumGraph.read_execution_quanta(str(built.path))
    assert {label: len(quanta) for label, quanta in graph.quanta_by_task.items()} == dict(built.quanta)
    assert graph.header.output_run == built.output_run
    config: Any = graph.pipeline_graph.tasks["two"].config
    assert config.increment == 5
    some = next(iter(graph.quanta_by_task["two"].values()))
    alone = PredictedQuantumGraph.read_execution_quanta(str(built.path), quantum_ids=[some])
    assert len(alone) == 1


def test_an_empty_graph_says_what_constrains_it(butler: Butler, pipeline: str) -> None:
    with pytest.raises(EmptyGraphError) as caught:
        preview_graph(butler, GraphRequest(pipeline, (SEEDS,), where="detector = 99"))
    assert "detector = 99" in str(caught.value.where)
    assert "loosen where" in str(caught.value.hint)


def test_a_graph_without_inputs_names_the_dataset_type(butler: Butler, pipeline: str) -> None:
    with pytest.raises(EmptyGraphError, match="No datasets of type 'seed' in collection 'taken'"):
        preview_graph(butler, GraphRequest(pipeline, ("taken",)))


def test_an_expression_that_cannot_be_read_says_so(butler: Butler, pipeline: str) -> None:
    with pytest.raises(GraphError, match="Check the names in where"):
        preview_graph(butler, GraphRequest(pipeline, (SEEDS,), where="detectr = 1"))


def test_an_unknown_collection_names_the_nearest(butler: Butler, pipeline: str) -> None:
    with pytest.raises(GraphError, match="Did you mean seeds"):
        preview_graph(butler, GraphRequest(pipeline, ("seedz",)))


def test_no_collection_at_all_says_so(butler: Butler, pipeline: str) -> None:
    with pytest.raises(GraphError, match="no input collection"):
        preview_graph(butler, GraphRequest(pipeline, output="u/new"))


def test_an_output_run_that_exists_is_refused(butler: Butler, pipeline: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="exists already"):
        build_graph(butler, GraphRequest(pipeline, (SEEDS,), output_run="taken"), tmp_path / "graph.qg")
    assert not list(tmp_path.iterdir())


def test_a_wrong_value_is_found_before_the_registry_is_asked(butler: Butler, pipeline: str) -> None:
    request = GraphRequest(pipeline, (SEEDS,), config=(ConfigOverride("one", "gain", -1.0),))
    with pytest.raises(ConfigError, match="gain"):
        preview_graph(butler, request)


def test_a_task_that_cannot_be_imported_is_named(butler: Butler, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("description: d\ntasks:\n  far: not.a.package.Task\n")
    with pytest.raises(GraphError, match=r"not\.a"):
        preview_graph(butler, GraphRequest(str(path), (SEEDS,)))
