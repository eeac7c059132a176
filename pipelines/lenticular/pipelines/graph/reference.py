"""Building with upstream's own builder, with errors that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lenticular.butler.errors import EmptyGraphError, GraphError
from lenticular.pipelines.graph.configuration import nearest
from lenticular.pipelines.graph.messages import builder_messages
from lenticular.pipelines.graph.pipeline import load_pipeline, pipeline_graph

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lsst.daf.butler import Butler
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraphComponents

    from lenticular.pipelines.graph.request import GraphRequest

__all__ = ["Progress", "reference_components"]

type Progress = Callable[[str], None]
"""Called with one line whenever there is something to say."""

_NO_ROWS = "Initial data ID query returned no rows"
_HINT_LINES = 4


def reference_components(
    butler: Butler,
    request: GraphRequest,
    *,
    output_run: str,
    progress: Progress | None = None,
    executable: bool = True,
) -> PredictedQuantumGraphComponents:
    """Build a graph in memory.

    Parameters
    ----------
    butler
        The repository; it is only read.
    request
        What is wanted.
    output_run
        RUN collection of the outputs.
    progress
        Told what is being done.
    executable
        Whether to look up the files of the inputs, which execution needs and
        a preview does not.

    Raises
    ------
    EmptyGraphError
        Raised if there is nothing to run; the hint says what constrains it.
    GraphError
        Raised if the graph cannot be built, or its outputs exist already.
    ConfigError
        Raised if a configuration value cannot be used.
    """
    from lsst.pipe.base.all_dimensions_quantum_graph_builder import AllDimensionsQuantumGraphBuilder
    from lsst.pipe.base.quantum_graph_builder import OutputExistsError

    tell = progress or (lambda _: None)
    tell("Reading the pipeline")
    tasks = pipeline_graph(load_pipeline(request), where=request.pipeline)
    inputs = _search_path(butler, request)
    _check_output_run(butler, output_run, request)
    tell("Asking the registry which data there are")
    with builder_messages(tell) as messages:
        try:
            builder = AllDimensionsQuantumGraphBuilder(
                tasks,
                butler,
                where=request.where,
                input_collections=inputs,
                output_run=output_run,
                skip_existing_in=list(request.skip_existing_in),
            )
            components = builder.finish(
                request.output,
                metadata={"data_query": request.where, "skip_existing_in": list(request.skip_existing_in)},
                attach_datastore_records=executable,
            )
        except OutputExistsError as error:
            raise GraphError(
                "Some of the outputs exist already",
                where=output_run,
                hint="Take another output run, or remove the outputs of the failed quanta from this one.",
            ) from error
        except Exception as error:
            raise _explained(error, request) from error
    if not sum(components.header.n_task_quanta.values()):
        raise _empty(request, inputs, messages)
    return components


def _search_path(butler: Butler, request: GraphRequest) -> list[str]:
    """Return the collections to search, the output's own chain first."""
    names = list(request.inputs)
    if request.output is not None and _exists(butler, request.output):
        names.insert(0, request.output)
    if not names:
        raise GraphError(
            "The request names no input collection",
            where=request.pipeline,
            hint="Set inputs, or set output to a collection that exists.",
        )
    for name in names:
        if not _exists(butler, name):
            known = butler.collections.query("*")
            raise GraphError(f"There is no collection {name!r}", hint=nearest(name, known, of="Collections"))
    return list(dict.fromkeys(names))


def _check_output_run(butler: Butler, output_run: str, request: GraphRequest) -> None:
    if output_run in request.skip_existing_in or not _exists(butler, output_run):
        return
    raise GraphError(
        "The output run exists already",
        where=output_run,
        hint="Take another one, or name it in skip_existing_in to do only what it lacks.",
    )


def _exists(butler: Butler, collection: str) -> bool:
    from lsst.daf.butler import MissingCollectionError

    try:
        butler.collections.get_info(collection)
    except MissingCollectionError:
        return False
    return True


def _empty(request: GraphRequest, inputs: Sequence[str], messages: Sequence[str]) -> EmptyGraphError:
    reasons = [line for message in messages for line in _reasons(message)]
    if request.skip_existing_in and not reasons:
        reasons = [f"Everything may have succeeded in {', '.join(request.skip_existing_in)} already."]
    if not reasons and any(message.startswith(_NO_ROWS) for message in messages):
        reasons = ["No data ID satisfies the input collections and the constraint together; loosen where."]
    if not reasons:
        reasons = ["No quantum has all the inputs that it needs; look at the tasks' prerequisites."]
    constraint = f", where {request.where}" if request.where else ""
    return EmptyGraphError(
        "There is nothing to run",
        where=f"{request.pipeline} on {', '.join(inputs)}{constraint}",
        hint=" ".join(reasons[:_HINT_LINES]),
    )


def _reasons(message: str) -> Iterator[str]:
    """Yield what a reader can use of the builder's message about an empty query."""
    for line in message.splitlines():
        if line.startswith("To reproduce this query"):
            return
        if line.strip() and not line.startswith(_NO_ROWS):
            yield line.strip().rstrip(".") + "."


def _explained(error: Exception, request: GraphRequest) -> Exception:
    """Turn what upstream's builder raises into an error that says what to do."""
    from lsst.daf.butler import ButlerUserError
    from lsst.pipe.base.quantum_graph_builder import QuantumGraphBuilderError

    if isinstance(error, ButlerUserError):
        return GraphError(
            f"The registry cannot answer: {error}",
            where=request.where or None,
            hint="Check the names in where; strings take single quotes, as in instrument = 'HSC'.",
        )
    if isinstance(error, QuantumGraphBuilderError | FileNotFoundError | LookupError | ValueError):
        return GraphError(f"The graph cannot be built: {error}", where=request.pipeline)
    return error
