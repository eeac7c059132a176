"""The little of a QuantumGraph that a driver needs: who depends on whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

__all__ = ["QuantumNode", "ThinGraph", "read_thin_graph"]


@dataclass(frozen=True, slots=True)
class QuantumNode:
    """One quantum, as the driver knows it."""

    task: str
    """Label of its task."""

    rank: int
    """Place of the task in the pipeline, from 0."""

    data_id: str
    """Data ID, as text."""


@dataclass(frozen=True, slots=True)
class ThinGraph:
    """The quanta of a graph and their dependencies, without datasets."""

    tasks: tuple[tuple[str, int], ...]
    """Task labels in the order of the pipeline, with the numbers of quanta."""

    quanta: dict[UUID, QuantumNode]
    """All quanta."""

    edges: tuple[tuple[UUID, UUID], ...]
    """Pairs of a quantum and one that depends on it."""

    inputs: tuple[str, ...]
    """Collections that were searched for inputs."""

    output: str | None
    """CHAINED collection that shows the outputs."""

    output_run: str
    """RUN collection of the outputs."""

    def without(self, finished: set[str]) -> nx.DiGraph:
        """Return the dependencies among the quanta that are not finished.

        Parameters
        ----------
        finished
            Identifiers of finished quanta, as text.
        """
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(self.quanta)
        graph.add_edges_from(self.edges)
        graph.remove_nodes_from([quantum for quantum in self.quanta if str(quantum) in finished])
        return graph


def read_thin_graph(path: Path) -> ThinGraph:
    """Read the thin part of a ``.qg`` file; no task is imported.

    Parameters
    ----------
    path
        The file.
    """
    from lsst.pipe.base.pipeline_graph import TaskImportMode
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

    from lenticular.pipelines.graph import mend_zipfile

    mend_zipfile()
    with PredictedQuantumGraph.open(str(path), import_mode=TaskImportMode.DO_NOT_IMPORT) as reader:
        reader.read_thin_graph()
        components = reader.components
    header, thin = components.header, components.thin_graph
    quanta: dict[UUID, QuantumNode] = {}
    for rank, (label, task) in enumerate(components.pipeline_graph.tasks.items()):
        names = tuple(task.dimensions.required)
        for quantum in thin.quanta.get(label, ()):
            values = quantum.data_coordinate[: len(names)]
            text = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
            quanta[quantum.quantum_id] = QuantumNode(label, rank, text)
    return ThinGraph(
        tasks=tuple((label, header.n_task_quanta.get(label, 0)) for label in components.pipeline_graph.tasks),
        quanta=quanta,
        edges=tuple((before, after) for before, after in thin.edges),
        inputs=tuple(header.inputs),
        output=header.output or None,
        output_run=header.output_run,
    )
