"""Counting what a QuantumGraph would hold, without writing it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from lenticular.pipelines.graph.reference import reference_components

if TYPE_CHECKING:
    from uuid import UUID

    from lsst.daf.butler import Butler
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraphComponents

    from lenticular.pipelines.graph.reference import Progress
    from lenticular.pipelines.graph.request import GraphRequest

__all__ = ["DatasetTypePreview", "GraphPreview", "PreviewEdge", "TaskPreview", "preview_graph"]


@dataclass(frozen=True, slots=True)
class TaskPreview:
    """How often one task would run."""

    label: str
    """Its label in the pipeline."""

    task_class: str
    """Fully qualified name of its class."""

    dimensions: tuple[str, ...]
    """Dimensions of its data IDs."""

    quanta: int
    """How often it would run."""


@dataclass(frozen=True, slots=True)
class DatasetTypePreview:
    """How many datasets of one type would be read or made."""

    name: str
    """Its name."""

    storage_class: str
    """Its storage class."""

    dimensions: tuple[str, ...]
    """Dimensions of its data IDs."""

    existing: int
    """Datasets that are there and would be read."""

    to_make: int
    """Datasets that would be made."""


@dataclass(frozen=True, slots=True)
class PreviewEdge:
    """That a task reads or writes datasets of one type."""

    task: str
    """Label of the task."""

    dataset_type: str
    """Name of the dataset type."""

    reads: bool
    """Whether the task reads it; else it writes it."""


@dataclass(frozen=True, slots=True)
class GraphPreview:
    """What a QuantumGraph would hold."""

    tasks: tuple[TaskPreview, ...]
    """In the order in which they would run."""

    dataset_types: tuple[DatasetTypePreview, ...]
    """In the order in which the tasks meet them; logs, metadata and
    configurations are left out."""

    edges: tuple[PreviewEdge, ...]
    """Who reads and writes what."""

    where: str
    """Constraint on data IDs."""

    @property
    def quanta(self) -> int:
        """Number of quanta of all tasks."""
        return sum(task.quanta for task in self.tasks)

    def to_json(self) -> dict[str, Any]:
        """Return the preview as a mapping that JSON can hold."""
        return {**asdict(self), "quanta": self.quanta}

    def _repr_html_(self) -> str:
        tasks = "".join(
            f"<tr><td>{escape(task.label)}</td><td>{escape(', '.join(task.dimensions))}</td>"
            f"<td>{task.quanta:,}</td></tr>"
            for task in self.tasks
        )
        types = "".join(
            f"<tr><td>{escape(kind.name)}</td><td>{kind.existing:,}</td><td>{kind.to_make:,}</td></tr>"
            for kind in self.dataset_types
        )
        return (
            f"<table><caption>{self.quanta:,} quanta</caption>"
            f"<tr><th>task</th><th>dimensions</th><th>quanta</th></tr>{tasks}"
            f"<tr><th>dataset type</th><th>existing</th><th>to be made</th></tr>{types}</table>"
        )


def preview_graph(butler: Butler, request: GraphRequest, *, progress: Progress | None = None) -> GraphPreview:
    """Count what a QuantumGraph would hold; nothing is written.

    Parameters
    ----------
    butler
        The repository; it is only read.
    request
        What is wanted. It need not name an output.
    progress
        Told, in one line, what is being done.

    Returns
    -------
    GraphPreview
        Counts of quanta per task and of datasets per type.

    Raises
    ------
    EmptyGraphError
        Raised if there is nothing to run; the hint says what constrains it.
    GraphError
        Raised if the graph cannot be built, or its outputs exist already.
    ConfigError
        Raised if a configuration value cannot be used.
    """
    if request.output is None and request.output_run is None:
        # No repository has it: the double slash keeps it out of the way.
        output_run = "preview//nothing"
    else:
        output_run = str(request.with_output_run(datetime.now(UTC)).output_run)
    components = reference_components(
        butler, request, output_run=output_run, progress=progress, executable=False
    )
    return _count(components, where=request.where)


def _count(components: PredictedQuantumGraphComponents, *, where: str) -> GraphPreview:
    output_run = components.header.output_run
    found: defaultdict[str, set[UUID]] = defaultdict(set)
    made: defaultdict[str, set[UUID]] = defaultdict(set)
    for quantum in components.quantum_datasets.values():
        for connection in (*quantum.inputs.values(), *quantum.outputs.values()):
            for dataset in connection:
                bucket = made if dataset.run == output_run else found
                bucket[dataset.dataset_type_name].add(dataset.dataset_id)
    graph = components.pipeline_graph
    edges = tuple(_edges(components))
    return GraphPreview(
        tasks=tuple(
            TaskPreview(
                label=label,
                task_class=node.task_class_name,
                dimensions=tuple(node.dimensions.names),
                quanta=components.header.n_task_quanta.get(label, 0),
            )
            for label, node in graph.tasks.items()
        ),
        dataset_types=tuple(
            DatasetTypePreview(
                name=name,
                storage_class=graph.dataset_types[name].storage_class_name,
                dimensions=tuple(graph.dataset_types[name].dimensions.names),
                existing=len(found[name]),
                to_make=len(made[name]),
            )
            for name in dict.fromkeys(edge.dataset_type for edge in edges)
        ),
        edges=edges,
        where=where,
    )


def _edges(components: PredictedQuantumGraphComponents) -> list[PreviewEdge]:
    edges = []
    for label, node in components.pipeline_graph.tasks.items():
        reads = (edge.parent_dataset_type_name for edge in node.iter_all_inputs() if not edge.is_init)
        writes = (edge.parent_dataset_type_name for edge in node.outputs.values() if not edge.is_init)
        edges += [PreviewEdge(label, name, reads=True) for name in dict.fromkeys(reads)]
        edges += [PreviewEdge(label, name, reads=False) for name in dict.fromkeys(writes)]
    return edges
