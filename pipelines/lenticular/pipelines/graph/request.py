"""What is asked of a QuantumGraph: a value that crosses files, pipes and browsers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Self

from lenticular.butler.errors import ConfigError, GraphError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["ConfigOverride", "GraphRequest"]


@dataclass(frozen=True, slots=True)
class ConfigOverride:
    """One value of one task's configuration.

    Only typed fields are set. The value is never executed as Python.
    """

    task: str
    """Label of the task in the pipeline."""

    field: str
    """Name of the field; the names of nested configurations are joined by points."""

    value: Any
    """A value that JSON can hold: a scalar, a list, a mapping, or `None`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``task:field=value``, the form used on command lines.

        Parameters
        ----------
        text
            The value is read as JSON where it is JSON, else as a string.

        Raises
        ------
        ConfigError
            Raised if the text does not have that form.
        """
        import json

        name, equals, value = text.partition("=")
        task, colon, field = name.partition(":")
        if not (equals and colon and task.strip() and field.strip()):
            raise ConfigError(
                "A configuration value could not be read", where=text, hint="Write it as task:field=value."
            )
        try:
            parsed = json.loads(value)
        except ValueError:
            parsed = value.strip()
        return cls(task.strip(), field.strip(), parsed)

    def __str__(self) -> str:
        return f"{self.task}:{self.field}={self.value!r}"


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """Which tasks are to run on which data, and where the outputs go."""

    pipeline: str
    """Path or URI (file, s3, http, resource) of a pipeline; ``#subset`` or
    ``#label,label`` at its end selects tasks."""

    inputs: tuple[str, ...] = ()
    """Collections to search for inputs, in order. With none, `output` itself
    is searched, which must then exist."""

    output: str | None = None
    """CHAINED collection that will show the outputs before the inputs. If it
    exists it is searched first, so that a pipeline continues from its own
    earlier outputs."""

    output_run: str | None = None
    """RUN collection that will hold the outputs; by default `output`, a slash
    and the time."""

    where: str = ""
    """Constraint on data IDs, in the registry's expression language."""

    config: tuple[ConfigOverride, ...] = ()
    """Values that differ from those of the pipeline; later ones win."""

    skip_existing_in: tuple[str, ...] = ()
    """Collections in which quanta that already succeeded are looked for and left out."""

    instrument: str | None = None
    """Fully qualified name of an instrument class, if the pipeline names none."""

    def __post_init__(self) -> None:
        if not self.pipeline:
            raise GraphError("No pipeline was given", hint="Give the path or URI of a pipeline file.")
        for name in ("inputs", "skip_existing_in", "config"):
            value = getattr(self, name)
            # A lone string is a sequence of letters: the commonest mistake.
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def with_output_run(self, at: datetime) -> GraphRequest:
        """Return the same request with the name of its output run settled.

        Parameters
        ----------
        at
            Time that goes into the name, in UTC.

        Raises
        ------
        GraphError
            Raised if the request names neither an output nor an output run.
        """
        if self.output_run is not None:
            return self
        if self.output is None:
            raise GraphError(
                "The request names no output collection",
                where=self.pipeline,
                hint="Set output, such as u/yourname/first, or output_run.",
            )
        return replace(self, output_run=f"{self.output}/{at:%Y%m%dT%H%M%SZ}")

    def to_json(self) -> dict[str, Any]:
        """Return the request as a mapping that JSON can hold."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> Self:
        """Return the request that `to_json` was given.

        Raises
        ------
        GraphError
            Raised if the mapping has a key that is unknown here, or lacks one.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(mapping) - known):
            raise GraphError(f"A graph request has unknown keys: {', '.join(unknown)}")
        values = dict(mapping)
        try:
            values["config"] = tuple(ConfigOverride(**override) for override in values.get("config", ()))
            return cls(**values)
        except TypeError as error:
            raise GraphError(f"A graph request could not be read: {error}") from error
