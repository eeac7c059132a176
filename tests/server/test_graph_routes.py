"""What the routes say of pipelines and QuantumGraphs."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lenticular.pipelines.definitions import pipeline_names
from tests.server.conftest import DETECTORS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.conftest import Ask, Site

SEEDS = {"label": "toy", "pipeline": "stages", "inputs": ["seeds"]}


async def test_pipelines_are_listed_with_their_tasks(ask: Ask) -> None:
    answer = await ask("pipelines")
    pipelines = {pipeline["name"]: pipeline for pipeline in answer.content["pipelines"]}
    assert pipelines.keys() == {"stages", *pipeline_names()}
    assert pipelines["stages"]["description"] == "Stages"
    assert pipelines["stages"]["tasks"][0] == {
        "label": "one",
        "task_class": "tests.trivial.tasks.StageTask",
        "documentation": "Adds a number, and leaves a trace.",
    }
    assert all(task["documentation"] for task in pipelines["single-visit"]["tasks"])


async def test_listing_pipelines_imports_no_task(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenticular.platform.server.answers import pipelines

    pipelines._describe.cache_clear()
    monkeypatch.delitem(sys.modules, "lenticular.pipelines.tasks.isr", raising=False)
    assert (await ask("pipelines")).status == 200
    assert "lenticular.pipelines.tasks.isr" not in sys.modules


async def test_a_preview_counts_quanta_and_datasets(ask: Ask) -> None:
    answer = await ask("graph-preview", body={**SEEDS, "where": "instrument = 'Toy' AND detector < 3"})
    assert answer.status == 200, answer.content
    assert [(task["label"], task["quanta"]) for task in answer.content["tasks"]] == [("one", 3), ("two", 3)]
    counts = {kind["name"]: (kind["existing"], kind["to_make"]) for kind in answer.content["dataset_types"]}
    assert counts == {"seed": (3, 0), "one_out": (0, 3), "two_out": (0, 3)}
    assert {"task": "one", "dataset_type": "seed", "reads": True} in answer.content["edges"]
    assert answer.content["quanta"] == 6


async def test_a_preview_of_some_tasks(ask: Ask) -> None:
    answer = await ask("graph-preview", body={**SEEDS, "pipeline": "stages#one"})
    assert [task["label"] for task in answer.content["tasks"]] == ["one"]
    assert answer.content["quanta"] == DETECTORS


@pytest.mark.parametrize(
    ("change", "status", "kind", "hint"),
    [
        ({"pipeline": "nonsense"}, 404, "NotFoundError", "stages"),
        ({"pipeline": "/etc/passwd"}, 404, "NotFoundError", "stages"),
        ({"pipeline": "https://example.org/evil.yaml"}, 404, "NotFoundError", "operator"),
        ({"pipeline": "stages#three"}, 422, "GraphError", "one, two"),
        ({"inputs": ["nowhere"]}, 422, "GraphError", ""),
        ({"inputs": []}, 400, "ParameterError", ""),
        ({"where": "instrument = 'Toy' AND detector = 999"}, 422, "EmptyGraphError", ""),
        (
            {"config": [{"task": "one", "field": "incrment", "value": 2}]},
            422,
            "ConfigError",
            "increment",
        ),
        ({"config": [{"task": "one", "field": "gain", "value": 99.0}]}, 422, "ConfigError", ""),
        ({"config": [{"task": "one", "field": "gain", "python": "1"}]}, 400, "ParameterError", ""),
        ({"label": "other"}, 404, "RepositoryNotFoundError", "toy"),
    ],
)
async def test_a_preview_that_cannot_be_made_says_why(
    ask: Ask, change: dict[str, Any], status: int, kind: str, hint: str
) -> None:
    answer = await ask("graph-preview", body={**SEEDS, **change})
    assert (answer.status, answer.error["kind"]) == (status, kind)
    assert hint in answer.error["hint"]


async def test_a_text_in_a_configuration_is_never_executed(ask: Ask, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    value = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    config = [{"task": "one", "field": "label", "value": value}]
    assert (await ask("graph-preview", body={**SEEDS, "config": config})).status == 200
    assert not trace.exists()


@pytest.fixture
def graph(site: Site, jp_root_dir: Path) -> str:
    """Return the path of a graph below the server's root."""
    (jp_root_dir / "graphs").mkdir()
    shutil.copy(site.graph, jp_root_dir / "graphs" / "stages.qg")
    return "graphs/stages.qg"


async def test_a_graph_shows_its_outline(ask: Ask, graph: str) -> None:
    answer = await ask("graph", path=graph)
    assert answer.status == 200, answer.content
    one, two = answer.content["tasks"]
    assert one == {
        "label": "one",
        "task_class": "tests.trivial.tasks.StageTask",
        "dimensions": ["instrument", "detector"],
        "quanta": DETECTORS,
        "inputs": ["seed"],
        "outputs": ["one_out"],
    }
    assert two["inputs"] == ["one_out"]
    kinds = {kind["name"]: kind["count"] for kind in answer.content["dataset_types"]}
    assert kinds == {"seed": None, "one_out": DETECTORS, "two_out": DETECTORS}
    assert answer.content["edges"] == [
        ["seed", "one", None],
        ["one", "one_out", DETECTORS],
        ["one_out", "two", None],
        ["two", "two_out", DETECTORS],
    ]
    assert answer.content["header"]["n_quanta"] == 2 * DETECTORS


async def test_quanta_are_listed_in_the_order_of_their_data_ids(ask: Ask, graph: str) -> None:
    first = await ask("graph/quanta", path=graph, task="two", limit=4)
    rest = await ask("graph/quanta", path=graph, task="two", limit=4, offset=4)
    assert first.content["columns"] == ["instrument", "detector"]
    assert first.content["total"] == DETECTORS
    quanta = first.content["quanta"] + rest.content["quanta"]
    assert [quantum["data_id"]["detector"] for quantum in quanta] == list(range(DETECTORS))
    assert len({quantum["id"] for quantum in quanta}) == DETECTORS


async def test_a_task_that_a_graph_lacks_is_told(ask: Ask, graph: str) -> None:
    answer = await ask("graph/quanta", path=graph, task="three")
    assert answer.status == 404
    assert "one, two" in answer.error["hint"]


async def test_a_graph_that_was_written_anew_is_read_anew(ask: Ask, graph: str, jp_root_dir: Path) -> None:
    assert (await ask("graph", path=graph)).status == 200
    (jp_root_dir / graph).write_bytes(b"no longer a graph")
    answer = await ask("graph", path=graph)
    assert answer.status == 422
    assert answer.error["kind"] == "GraphError"


@pytest.mark.parametrize("keep", [0, 100, -200])
async def test_a_damaged_graph_is_told(ask: Ask, graph: str, jp_root_dir: Path, keep: int) -> None:
    file = jp_root_dir / graph
    file.write_bytes(file.read_bytes()[:keep])
    for route, more in (("graph", {}), ("graph/quanta", {"task": "one"})):
        answer = await ask(route, path=graph, **more)
        assert answer.status == 422
        assert answer.error["where"] == graph
