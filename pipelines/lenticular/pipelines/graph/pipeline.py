"""Reading a pipeline and putting a request's values into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.errors import ConfigError, GraphError
from lenticular.pipelines.graph.configuration import ConfigProbe, nearest

if TYPE_CHECKING:
    from lsst.pipe.base import Pipeline
    from lsst.pipe.base.pipeline_graph import PipelineGraph

    from lenticular.pipelines.graph.request import ConfigOverride, GraphRequest

__all__ = ["load_pipeline", "pipeline_graph"]


def load_pipeline(request: GraphRequest) -> Pipeline:
    """Read a request's pipeline and put its configuration values in.

    Parameters
    ----------
    request
        Only `~GraphRequest.pipeline`, `~GraphRequest.instrument` and
        `~GraphRequest.config` are used.

    Returns
    -------
    lsst.pipe.base.Pipeline
        With only the tasks that the request selects.

    Raises
    ------
    GraphError
        Raised if the pipeline cannot be read, or has no such task or subset.
    ConfigError
        Raised if a value names no task or field, or is not allowed there; the
        hint has the nearest names.
    """
    from lsst.pipe.base import Pipeline

    try:
        pipeline = Pipeline.from_uri(request.pipeline)
    except (OSError, FileNotFoundError) as error:
        raise GraphError(
            "The pipeline could not be read", where=request.pipeline, hint="Check its path or URI."
        ) from error
    except Exception as error:  # a YAML error, an unknown label: upstream raises many kinds
        raise GraphError(
            f"The pipeline could not be used: {_head(error)}",
            where=request.pipeline,
            hint=_labels_hint(request.pipeline),
        ) from error
    if not len(pipeline):
        raise GraphError("The pipeline selects no task", where=request.pipeline)
    if request.instrument is not None:
        pipeline.addInstrument(request.instrument)
    _put_values(pipeline, request.config)
    return pipeline


def pipeline_graph(pipeline: Pipeline, *, where: str) -> PipelineGraph:
    """Return the graph of a pipeline's tasks, with every check upstream makes.

    Parameters
    ----------
    pipeline
        The pipeline.
    where
        Its name, for errors.

    Raises
    ------
    ConfigError
        Raised if a task's configuration is not valid as a whole.
    GraphError
        Raised if a task cannot be imported or the tasks do not fit together.
    """
    from lsst.pex.config import FieldValidationError
    from lsst.pipe.base.pipelineIR import ContractError

    try:
        return pipeline.to_graph()
    except (FieldValidationError, ContractError) as error:
        raise ConfigError(f"The configuration is not valid: {_head(error)}", where=where) from error
    except ImportError as error:
        raise GraphError(
            f"A task of the pipeline cannot be imported: {_head(error)}",
            where=where,
            hint="Install the package that holds it, or leave the task out with #label,label.",
        ) from error
    except Exception as error:  # tasks run their own code when they are configured
        raise GraphError(f"The pipeline cannot be used: {_head(error)}", where=where) from error


def _put_values(pipeline: Pipeline, overrides: tuple[ConfigOverride, ...]) -> None:
    """Check each value on a copy of the configuration, then put it in."""
    probes: dict[str, ConfigProbe] = {}
    for override in overrides:
        if override.task not in pipeline.task_labels:
            raise ConfigError(
                f"The pipeline has no task {override.task!r}",
                where=str(override),
                hint=nearest(override.task, pipeline.task_labels, of="Tasks"),
            )
        if override.task not in probes:
            probes[override.task] = ConfigProbe.of_task(pipeline, override.task)
        probes[override.task].set(override)
        pipeline.addConfigOverride(override.task, override.field, _literal(override.value))


def _literal(value: object) -> object:
    """Quote strings, so that upstream's reader of values gives back just these.

    It would take an unquoted string for an expression and look its names up
    in the module of the configuration class.
    """
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    return value


def _head(error: BaseException) -> str:
    """Return the first line of an exception, which often has many."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _labels_hint(uri: str) -> str | None:
    """Return which tasks and subsets a pipeline has, when labels were selected."""
    from lsst.pipe.base import Pipeline

    name, mark, _ = uri.partition("#")
    if not mark:
        return None
    try:
        whole = Pipeline.from_uri(name)
    except Exception:  # noqa: BLE001  the hint is dispensable; the error is already on its way
        return None
    subsets = ", ".join(sorted(whole.subsets)) or "none"
    return f"Tasks: {', '.join(sorted(whole.task_labels))}. Subsets: {subsets}."
