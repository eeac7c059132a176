"""Pipelines, and what they would do."""

from __future__ import annotations

import ast
import importlib.util
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.redact import redact
from lenticular.platform.server.models.base import Nothing
from lenticular.platform.server.models.graphs import Pipeline, Pipelines, Preview, PreviewQuestion, Task
from lenticular.platform.server.work import checkpoint

if TYPE_CHECKING:
    from lenticular.pipelines.graph import GraphRequest
    from lenticular.platform.server.access import Access

__all__ = ["graph_request", "list_pipelines", "preview"]


def list_pipelines(access: Access, question: Nothing) -> Pipelines:
    """List the pipelines that can be run, with their tasks; no task is imported."""
    del question
    return Pipelines(
        pipelines=tuple(_describe(name, uri) for name, uri in sorted(access.pipelines().items()))
    )


def preview(access: Access, question: PreviewQuestion) -> Preview:
    """Count what a QuantumGraph would hold; nothing is written."""
    from lenticular.pipelines.graph import preview_graph

    request = graph_request(access, question)
    began = time.monotonic()
    with access.repositories.use(question.label) as repository:
        found = preview_graph(repository.butler, request, progress=lambda _: checkpoint())
    return Preview.model_validate({**found.to_json(), "seconds": round(time.monotonic() - began, 3)})


def graph_request(access: Access, question: PreviewQuestion, *, output: str | None = None) -> GraphRequest:
    """Return a browser's question as the request that the builder of graphs takes."""
    from lenticular.pipelines.graph import ConfigOverride, GraphRequest

    return GraphRequest(
        pipeline=access.pipeline(question.pipeline),
        inputs=question.inputs,
        output=output,
        where=question.where,
        config=tuple(ConfigOverride(value.task, value.field, value.value) for value in question.config),
    )


@lru_cache(maxsize=64)
def _describe(name: str, uri: str) -> Pipeline:
    """Describe a pipeline from its text; it does not change while the server runs."""
    import yaml

    from lenticular.pipelines.graph import GraphRequest, load_pipeline

    content = yaml.safe_load(str(load_pipeline(GraphRequest(pipeline=uri))))
    return Pipeline(
        name=name,
        description=redact(content.get("description") or ""),
        tasks=tuple(
            Task(label=label, task_class=task["class"], documentation=_first_sentence(task["class"]))
            for label, task in content["tasks"].items()
        ),
    )


def _first_sentence(class_name: str) -> str:
    """Return the first paragraph of a class's documentation, from its source.

    Tasks import half of the stack; a list of them must not.
    """
    module, _, name = class_name.rpartition(".")
    try:
        spec = importlib.util.find_spec(module)
        source = Path(spec.origin).read_text() if spec is not None and spec.origin else ""
        tree = ast.parse(source)
    except (ImportError, OSError, ValueError, SyntaxError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
    return ""
