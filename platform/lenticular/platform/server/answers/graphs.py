"""QuantumGraphs in files: their outline, never the whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from lenticular.butler.errors import GraphError, NotFoundError
from lenticular.butler.redact import redact
from lenticular.platform.server.models.graphs import (
    FileQuestion,
    Graph,
    GraphDatasetType,
    GraphTask,
    Quanta,
    QuantaQuestion,
    Quantum,
)

if TYPE_CHECKING:
    from pathlib import Path

    from lsst.pipe.base.quantum_graph import PredictedQuantumGraphComponents

    from lenticular.platform.server.access import Access

__all__ = ["describe_graph", "list_quanta"]


@dataclass(frozen=True, slots=True)
class _Outline:
    """What is kept of a file between two questions."""

    graph: Graph
    quanta: dict[str, list[tuple[str, tuple[int | str, ...]]]]


def describe_graph(access: Access, question: FileQuestion) -> Graph:
    """Give the outline of a QuantumGraph file: tasks, dataset types, and who reads what."""
    return _outline(access.files.file(question.path), question.path).graph


def list_quanta(access: Access, question: QuantaQuestion) -> Quanta:
    """List the quanta of one task of a QuantumGraph file."""
    outline = _outline(access.files.file(question.path), question.path)
    task = next((task for task in outline.graph.tasks if task.label == question.task), None)
    if task is None:
        raise NotFoundError(
            f"The graph has no task {question.task!r}",
            where=question.path,
            hint=f"Its tasks: {', '.join(task.label for task in outline.graph.tasks)}.",
        )
    found = outline.quanta.get(question.task, [])
    return Quanta(
        columns=task.dimensions,
        quanta=tuple(
            Quantum(id=UUID(quantum), data_id=dict(zip(task.dimensions, values, strict=True)))
            for quantum, values in found[question.offset : question.offset + question.limit]
        ),
        total=len(found),
    )


def _outline(file: Path, shown: str) -> _Outline:
    state = file.stat()
    try:
        return _read(file, state.st_mtime_ns, state.st_size)
    except GraphError as error:
        # The place is told as the browser knows it.
        raise GraphError(error.what, where=shown, hint=error.hint) from error


@lru_cache(maxsize=4)
def _read(file: Path, modified: int, size: int) -> _Outline:
    """Read the thin part of a file; its age and size are part of the key."""
    del modified, size
    components = _components(file)
    quanta: dict[str, list[tuple[str, tuple[int | str, ...]]]] = {}
    for label, task in components.pipeline_graph.tasks.items():
        width = len(task.dimensions.required)
        quanta[label] = sorted(
            (
                (str(quantum.quantum_id), tuple(quantum.data_coordinate[:width]))
                for quantum in components.thin_graph.quanta.get(label, ())
            ),
            key=lambda pair: pair[1],
        )
    return _Outline(_graph(components), quanta)


def _components(file: Path) -> PredictedQuantumGraphComponents:
    from lsst.pipe.base.pipeline_graph import TaskImportMode
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    from lenticular.pipelines.graph import mend_zipfile

    mend_zipfile()
    try:
        with PredictedQuantumGraph.open(str(file), import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
            reader.read_thin_graph()
            return reader.components
    except Exception as error:  # a ZIP that is none, a member that lacks, JSON that is broken
        raise GraphError(
            "The file is not a QuantumGraph that can be read", hint="It must be a whole .qg file."
        ) from error


def _graph(components: PredictedQuantumGraphComponents) -> Graph:
    pipeline, numbers = components.pipeline_graph, components.header.n_task_quanta
    made: dict[str, int | None] = {}
    edges: list[tuple[str, str, int | None]] = []
    tasks = []
    for label, task in pipeline.tasks.items():
        reads = dict.fromkeys(edge.parent_dataset_type_name for edge in task.iter_all_inputs())
        writes = dict.fromkeys(edge.parent_dataset_type_name for edge in task.outputs.values())
        for name in writes:
            # With the same dimensions, one for each quantum.
            same = pipeline.dataset_types[name].dimensions.required == task.dimensions.required
            made[name] = numbers.get(label, 0) if same else None
        edges += [(name, label, None) for name in reads]
        edges += [(label, name, made[name]) for name in writes]
        tasks.append(
            GraphTask(
                label=label,
                task_class=task.task_class_name,
                dimensions=tuple(task.dimensions.required),
                quanta=numbers.get(label, 0),
                inputs=tuple(reads),
                outputs=tuple(writes),
            )
        )
    names = dict.fromkeys(name for task in tasks for name in (*task.inputs, *task.outputs))
    return Graph(
        tasks=tuple(tasks),
        dataset_types=tuple(
            GraphDatasetType(
                name=name,
                storage_class=pipeline.dataset_types[name].storage_class_name,
                dimensions=tuple(pipeline.dataset_types[name].dimensions.required),
                count=made.get(name),
            )
            for name in names
        ),
        edges=tuple(edges),
        header=json.loads(redact(components.header.model_dump_json())),
    )
