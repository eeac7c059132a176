"""Task configurations as plain values: what can be set, and to what."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lsst.pex.config import Config
    from lsst.pipe.base import Pipeline

    from lenticular.pipelines.graph.request import ConfigOverride

__all__ = ["ConfigField", "ConfigProbe", "describe_config", "nearest"]

_SHOWN_NAMES = 12
"""How many names a hint lists when none is near."""


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One field of a task's configuration, as a form would show it."""

    name: str
    """Name; those of nested configurations are joined by points."""

    type: str
    """``bool``, ``int``, ``float``, ``str``, ``choice``, ``choices`` (several
    of them), ``list of float`` and the like, ``dict``, or the name of another
    type of field."""

    doc: str
    """What it means, in the words of the task's author."""

    default: Any
    """Value that the task comes with."""

    value: Any
    """Value in this pipeline."""

    choices: tuple[tuple[str, str], ...] = ()
    """Allowed values, as text, each with its meaning; empty if any will do."""

    minimum: float | None = None
    """Smallest value of a range."""

    maximum: float | None = None
    """Largest value of a range."""

    range: str = ""
    """The range as text, which says whether its ends belong to it."""

    optional: bool = False
    """Whether `None` is allowed."""

    deprecated: str | None = None
    """Why it should no longer be used."""

    editable: bool = True
    """Whether a `ConfigOverride` can set it."""

    @property
    def changed(self) -> bool:
        """Whether this pipeline differs from the task's own default."""
        return bool(self.value != self.default)


def describe_config(pipeline: Pipeline, task: str) -> tuple[ConfigField, ...]:
    """List the fields of a task's configuration.

    Parameters
    ----------
    pipeline
        The pipeline, as `load_pipeline` returns it.
    task
        Label of the task.

    Returns
    -------
    tuple of ConfigField
        In the order in which the task's author wrote them; a nested
        configuration's fields stand where it stands.

    Raises
    ------
    ConfigError
        Raised if the pipeline has no such task.
    """
    config = _config_of(pipeline, task)
    defaults = {field.name: field.value for field in _walk(type(config)(), "")}
    return tuple(replace(field, default=defaults.get(field.name, field.value)) for field in _walk(config, ""))


class ConfigProbe:
    """A copy of a task's configuration on which values are tried.

    Parameters
    ----------
    task
        Label of the task.
    config
        The copy; it is changed.
    """

    def __init__(self, task: str, config: Config) -> None:
        self._task = task
        self._config = config

    @classmethod
    def of_task(cls, pipeline: Pipeline, task: str) -> ConfigProbe:
        """Return a probe for a task of a pipeline."""
        return cls(task, _config_of(pipeline, task).copy())

    def set(self, override: ConfigOverride) -> None:
        """Set one value.

        Raises
        ------
        ConfigError
            Raised if there is no such field, or the value is not allowed.
        """
        known = {field.name: field for field in _walk(self._config, "")}
        field = known.get(override.field)
        if field is None:
            raise ConfigError(
                f"Task {self._task!r} has no configuration field {override.field!r}",
                where=str(override),
                hint=nearest(override.field, known, of="Fields"),
            )
        if not field.editable:
            raise ConfigError(
                f"Field {override.field!r} of task {self._task!r} cannot be set by a single value",
                where=str(override),
                hint="Set it in the pipeline file.",
            )
        if isinstance(override.value, bool) and field.type in ("int", "float"):
            # Python takes True for 1; a person who writes it means something else.
            raise ConfigError(f"Field {override.field!r} wants {_article(field)}", where=str(override))
        parent, _, leaf = override.field.rpartition(".")
        owner = attrgetter(parent)(self._config) if parent else self._config
        try:
            setattr(owner, leaf, override.value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"Field {override.field!r} of task {self._task!r} does not take this value",
                where=str(override),
                hint=f"It wants {_article(field)}.",
            ) from error


def nearest(name: str, known: Iterable[str], *, of: str) -> str:
    """Return a hint with the known names that are nearest to a mistaken one."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, n=3, cutoff=0.5):
        return f"Did you mean {' or '.join(near)}?"
    more = ", ..." if len(names) > _SHOWN_NAMES else ""
    return f"{of}: {', '.join(names[:_SHOWN_NAMES])}{more}."


def _article(field: ConfigField) -> str:
    if field.choices:
        several = "a list of " if field.type == "choices" else ""
        return f"{several}one of {', '.join(name for name, _ in field.choices)}"
    within = f" within {field.range}" if field.range else ""
    return f"a value of type {field.type}{within}"


def _config_of(pipeline: Pipeline, task: str) -> Config:
    from lsst.pipe.base import LabelSpecifier

    from lenticular.pipelines.graph.pipeline import pipeline_graph

    if task not in pipeline.task_labels:
        raise ConfigError(
            f"The pipeline has no task {task!r}", hint=nearest(task, pipeline.task_labels, of="Tasks")
        )
    # The other tasks are left out: they cost their imports, and may be broken.
    alone = pipeline.subsetFromLabels(LabelSpecifier(labels={task}))
    config: Config = pipeline_graph(alone, where=task).tasks[task].config
    return config


def _walk(config: Config, prefix: str) -> Iterator[ConfigField]:
    from lsst.pex.config import ConfigChoiceField, ConfigurableField
    from lsst.pex.config import ConfigField as NestedField

    for name in config:
        field = getattr(type(config), name)
        value = getattr(config, name)
        full_name = prefix + name
        if isinstance(field, NestedField):
            yield from _walk(value, f"{full_name}.")
        elif isinstance(field, ConfigurableField):
            yield from _walk(value.value, f"{full_name}.")
        elif isinstance(field, ConfigChoiceField):
            yield _describe_alternatives(full_name, field, value)
            if not field.multi and value.active is not None:
                yield from _walk(value.active, f"{full_name}.active.")
        else:
            yield _describe_plain(full_name, field, value)


def _describe_alternatives(name: str, field: Any, value: Any) -> ConfigField:
    """Describe a field that selects among configurations by name."""
    chosen = list(value.names or ()) if field.multi else value.name
    choices = tuple((str(key), _first_line(kind.__doc__)) for key, kind in field.typemap.items())
    return ConfigField(
        name=name,
        type="choices" if field.multi else "choice",
        doc=_doc(field),
        default=chosen,
        value=chosen,
        choices=choices,
        optional=bool(field.optional),
        deprecated=field.deprecated,
    )


def _describe_plain(name: str, field: Any, value: Any) -> ConfigField:
    from lsst.pex.config import ChoiceField, ConfigDictField, DictField, ListField, RangeField

    choices: tuple[tuple[str, str], ...] = ()
    kind = field.dtype.__name__
    editable = field.dtype in (bool, int, float, str)
    if isinstance(field, ChoiceField):
        # Upstream puts None among the choices of an optional field.
        allowed = {key: meaning for key, meaning in field.allowed.items() if key is not None}
        choices = tuple((str(key), str(meaning)) for key, meaning in allowed.items())
    elif isinstance(field, ListField):
        kind, editable = f"list of {field.itemtype.__name__}", True
        value = None if value is None else list(value)
    elif isinstance(field, DictField):
        kind, editable = "dict", not isinstance(field, ConfigDictField)
        value = dict(value) if editable and value is not None else None
    elif not editable:
        value = None
    ranged = isinstance(field, RangeField)
    return ConfigField(
        name=name,
        type=kind,
        doc=_doc(field),
        default=value,
        value=value,
        choices=choices,
        minimum=field.min if ranged else None,
        maximum=field.max if ranged else None,
        range=field.rangeString if ranged else "",
        optional=bool(field.optional),
        deprecated=field.deprecated,
        editable=editable,
    )


def _doc(field: Any) -> str:
    return " ".join(str(field.doc).split())


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0].strip() if lines else ""
