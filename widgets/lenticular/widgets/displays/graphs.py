"""Displays of QuantumGraphs: what would run, of what, into which collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler.display import display, labels, pairs, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsst.pipe.base import QuantumGraph
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

__all__ = ["predicted_graph", "quantum_graph"]

_COLUMNS = ("task", "class", "dimensions", "quanta")


def predicted_graph(shown: PredictedQuantumGraph) -> str:
    """Return the display of a predicted graph, with the tasks in the order of their running.

    Parameters
    ----------
    shown
        The graph. The numbers are those of its header: a part of it that has
        not been read counts, too.
    """
    header = shown.header
    lines = [
        (label, node.task_class_name, labels(node.dimensions.required), header.n_task_quanta.get(label, 0))
        for label, node in shown.pipeline_graph.tasks.items()
    ]
    return display(
        "QuantumGraph",
        _size(header.n_quanta, header.n_datasets),
        pairs(
            [
                ("inputs", labels(header.inputs)),
                ("output", header.output),
                ("output run", header.output_run),
                ("made by", header.user),
                ("made at", header.timestamp),
            ]
        ),
        rows(_COLUMNS, lines),
    )


def quantum_graph(shown: QuantumGraph) -> str:
    """Return the display of a graph of the earlier kind."""
    metadata: Mapping[str, Any] = shown.metadata or {}
    lines = [
        (
            label,
            node.task_class_name,
            labels(node.dimensions.required),
            len(shown.get_task_quanta(label)),
        )
        for label, node in shown.pipeline_graph.tasks.items()
    ]
    inputs = metadata.get("input", ())
    return display(
        "QuantumGraph",
        _size(len(shown), None),
        pairs(
            [
                ("inputs", labels([inputs] if isinstance(inputs, str) else inputs or ())),
                ("output", metadata.get("output")),
                ("output run", metadata.get("output_run")),
                ("made by", metadata.get("user")),
                ("made at", metadata.get("time")),
            ]
        ),
        rows(_COLUMNS, lines),
    )


def _size(quanta: int, datasets: int | None) -> str:
    told = "1 quantum" if quanta == 1 else f"{quanta:,} quanta"
    return told if datasets is None else f"{told}, {datasets:,} datasets"
