"""Writing a QuantumGraph to a ``.qg`` file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lenticular.butler.errors import GraphError
from lenticular.pipelines.graph.reference import reference_components

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

    from lenticular.pipelines.graph.reference import Progress
    from lenticular.pipelines.graph.request import GraphRequest

__all__ = ["BuiltGraph", "build_graph"]


@dataclass(frozen=True, slots=True)
class BuiltGraph:
    """A QuantumGraph that has been written."""

    path: Path
    """The ``.qg`` file."""

    output: str | None
    """CHAINED collection that will show the outputs."""

    output_run: str
    """RUN collection that will hold the outputs."""

    quanta: tuple[tuple[str, int], ...]
    """Task labels in the order of the pipeline, each with its number of quanta."""

    datasets: int
    """Number of datasets that are read or made."""

    @property
    def total(self) -> int:
        """Number of quanta of all tasks."""
        return sum(count for _, count in self.quanta)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(task)}</td><td>{count:,}</td></tr>" for task, count in self.quanta)
        return (
            f"<table><caption>{self.total:,} quanta into {escape(self.output_run)}</caption>"
            f"<tr><th>task</th><th>quanta</th></tr>{rows}</table>"
        )


def build_graph(
    butler: Butler, request: GraphRequest, path: Path | str, *, progress: Progress | None = None
) -> BuiltGraph:
    """Build a QuantumGraph and write it.

    Parameters
    ----------
    butler
        The repository; it is only read.
    request
        What is wanted.
    path
        File to write, ending in ``.qg``. It appears only when it is complete.
    progress
        Told, in one line, what is being done.

    Returns
    -------
    BuiltGraph
        Where it is and how much there is to do.

    Raises
    ------
    EmptyGraphError
        Raised if there is nothing to run; the hint says what constrains it.
    GraphError
        Raised if the graph cannot be built, or its outputs exist already.
    ConfigError
        Raised if a configuration value cannot be used.
    """
    target = Path(path)
    if target.suffix != ".qg":
        raise GraphError("A QuantumGraph file must end in .qg", where=target)
    settled = request.with_output_run(datetime.now(UTC))
    output_run = str(settled.output_run)
    components = reference_components(butler, settled, output_run=output_run, progress=progress)
    if progress is not None:
        progress("Writing the graph")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.stem}.partial.qg")
    try:
        components.write(str(partial))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    header = components.header
    return BuiltGraph(
        path=target,
        output=settled.output,
        output_run=output_run,
        quanta=tuple(
            (label, header.n_task_quanta.get(label, 0)) for label in components.pipeline_graph.tasks
        ),
        datasets=header.n_datasets,
    )
