"""Choosing a pipeline's tasks and changing their configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import ConfigError, LenticularError
from lenticular.pipelines.graph import ConfigOverride, GraphRequest, describe_config, load_pipeline
from lenticular.pipelines.graph.configuration import ConfigProbe
from lenticular.pipelines.graph.pipeline import pipeline_graph
from lenticular.widgets.config_form import FieldRow
from lenticular.widgets.copying import literal, overrides_source, python
from lenticular.widgets.look import html, show, styled, text_input
from lenticular.widgets.view import View

if TYPE_CHECKING:
    from lsst.pipe.base import Pipeline

    from lenticular.pipelines.graph import ConfigField

__all__ = ["TaskConfigurator"]

_ROWS = 40
"""Fields shown at once; a name typed above narrows them."""


@dataclass(frozen=True, slots=True)
class _Contents:
    """What was read of a pipeline."""

    pipeline: Pipeline
    description: str
    tasks: tuple[str, ...]
    """Labels in the order in which they run."""

    subsets: dict[str, tuple[tuple[str, ...], str]]
    """Labels and description of each subset."""

    fields: dict[str, tuple[ConfigField, ...]]
    """Fields of each task."""


class TaskConfigurator(View):
    """The tasks of a pipeline, to be ticked, and their configuration as a form.

    Parameters
    ----------
    pipeline
        Name of a pipeline of lenticular's, such as ``single-visit``, or path
        or URI of another.
    **params
        `tasks`, `overrides` and `task` to begin with.
    """

    heading: ClassVar[str] = "Tasks and configuration"

    tasks = param.List(default=[], item_type=str, doc="Labels of the tasks to run; none means all.")
    overrides = param.Parameter(
        default=(), doc="Values that differ from the pipeline's: ConfigOverride, a tuple."
    )
    task = param.String(default="", doc="Task whose form is open.")
    config = param.Parameter(
        default=(),
        constant=True,
        doc="Those of `overrides` that concern a task to be run: what a request takes.",
    )
    uri = param.String(default="", constant=True, doc="The pipeline, with the selection of tasks at its end.")

    def __init__(self, pipeline: str = "single-visit", **params: Any) -> None:
        super().__init__(**params)
        from lenticular.pipelines.definitions import pipeline_uri

        self.pipeline = pipeline
        self._base = pipeline_uri(pipeline).partition("#")[0]
        self._contents: _Contents | None = None
        self._rows: dict[str, FieldRow] = {}
        self._make_widgets()
        self._listen(self._ticks, "value", self._tasks_ticked)
        self._listen(self._subset, "value", self._subset_chosen)
        self._listen(self._tabs, "value", lambda: self.param.update(task=self._tabs.value or ""))
        self._listen(self._find, "value_input", self._fill_form)
        self._watch(self._show_tasks, ["tasks"])
        self._watch(self._fill_form, ["task"])
        self._watch(self._overrides_set, ["overrides"])
        self._settle_uri()
        self._work("Reading the pipeline", self, self._read, self._show_contents)

    def set(self, task: str, field: str, value: Any) -> None:
        """Change a value of a task's configuration.

        Parameters
        ----------
        task
            Label of the task.
        field
            Name of the field; those of nested configurations are joined by points.
        value
            The value. That of the pipeline itself takes the change back.

        Raises
        ------
        ConfigError
            Raised if there is no such field, or the value is not allowed.
        """
        self.wait()
        override = ConfigOverride(task, field, value)
        rest = tuple(other for other in self.overrides if (other.task, other.field) != (task, field))
        contents = self._contents
        if contents is None:
            raise self.error or ConfigError("The pipeline has not been read", where=self.uri)
        ConfigProbe.of_task(contents.pipeline, task).set(override)
        known = {known.name: known.value for known in contents.fields.get(task, ())}
        self.overrides = rest if known.get(field) == value else (*rest, override)

    def as_python(self) -> str:
        """Return Python that loads the pipeline with these tasks and values."""
        lines = [
            f"config = {overrides_source(self.config)}",
            f"request = GraphRequest(pipeline={literal(self.uri)}, config=config)",
            "pipeline = load_pipeline(request)",
            "print(pipeline)",
        ]
        names = ["GraphRequest", "load_pipeline", *(["ConfigOverride"] if self.config else [])]
        return python({"lenticular.pipelines.graph": names}, *lines)

    def _make_widgets(self) -> None:
        outline = {"button_type": "default", "button_style": "outline"}
        self._ticks = styled(pn.widgets.CheckBoxGroup, options=[], inline=False)
        self._subset = styled(pn.widgets.Select, name="Subset", options=["all tasks"], width=220)
        self._tabs = styled(pn.widgets.RadioButtonGroup, options=[], **outline)
        self._find = text_input("Find a field", placeholder="part of its name or meaning", width=240)
        self._form = pn.Column(
            sizing_mode="stretch_width",
            styles={"max-height": "430px", "overflow-y": "auto", "display": "block"},
        )
        self._more = html(visible=False)
        self._changes = html(visible=False)
        self._about = html()

    def _body(self) -> list[Any]:
        label = html('<div class="lv-label">Configure</div>', width=120)
        left = pn.Column(
            html('<div class="lv-label">Tasks</div>'),
            self._ticks,
            self._subset,
            self._about,
            styles={"flex": "0 0 230px"},
        )
        right = pn.Column(
            pn.FlexBox(pn.Column(label, self._tabs, margin=0), self._find, align_items="end"),
            self._form,
            self._more,
            self._changes,
            # Below the tasks where the page is narrow.
            styles={"flex": "1 1 470px", "min-width": "0"},
        )
        return [pn.FlexBox(left, right, gap="12px", sizing_mode="stretch_width")]

    def _read(self) -> _Contents:
        pipeline = load_pipeline(GraphRequest(pipeline=self._base))
        graph = pipeline_graph(pipeline, where=self._base)
        labels = tuple(graph.tasks)
        return _Contents(
            pipeline=pipeline,
            description=graph.description,
            tasks=labels,
            subsets={
                name: (tuple(label for label in labels if label in subset), subset.description)
                for name, subset in graph.task_subsets.items()
            },
            fields={label: describe_config(pipeline, label) for label in labels},
        )

    def _show_contents(self, contents: _Contents) -> None:
        self._contents = contents
        self._ticks.options = list(contents.tasks)
        self._subset.options = ["all tasks", *sorted(contents.subsets)]
        self._subtitle.object = f'<span class="lv-sub">{escape(_first_sentence(contents.description))}</span>'
        self._show_tasks()
        self._overrides_set()

    def _chosen(self) -> list[str]:
        known = self._contents.tasks if self._contents else ()
        return [label for label in known if label in self.tasks] or list(known)

    def _tasks_ticked(self) -> None:
        if self._contents is not None:
            ticked = [label for label in self._contents.tasks if label in self._ticks.value]
            # All of them is the pipeline itself.
            self.tasks = [] if len(ticked) in (0, len(self._contents.tasks)) else ticked
            self._show_tasks()

    def _subset_chosen(self) -> None:
        if self._contents is not None:
            labels, description = self._contents.subsets.get(self._subset.value, ((), ""))
            self.tasks = list(labels) if len(labels) < len(self._contents.tasks) else []
            show(self._about, f'<span class="lv-sub">{escape(description)}</span>' if description else "")

    def _show_tasks(self) -> None:
        self._settle_uri()
        if self._contents is None:
            return
        chosen = self._chosen()
        if self._ticks.value != chosen:
            self._ticks.value = chosen
        if list(self._tabs.options) != chosen:
            self._tabs.options = chosen
        if self.task not in chosen:
            self.task = chosen[0] if chosen else ""
        self._fill_form()

    def _settle_uri(self) -> None:
        with param.edit_constant(self):
            self.uri = f"{self._base}#{','.join(self.tasks)}" if self.tasks else self._base
            # A value for a task that does not run would be an error in a request.
            self.config = tuple(o for o in self.overrides if not self.tasks or o.task in self.tasks)

    def _fill_form(self) -> None:
        if self._contents is None:
            return
        if self._tabs.value != self.task:
            self._tabs.value = self.task
        needle = (self._find.value_input or "").strip().lower()
        fields = [
            field
            for field in self._contents.fields.get(self.task, ())
            # What the datasets are called is the pipeline's concern.
            if not field.name.startswith("connections.")
            and (needle in field.name.lower() or needle in field.doc.lower())
        ]
        now = {o.field: o.value for o in self.overrides if o.task == self.task}
        self._rows = {
            field.name: FieldRow(
                field,
                now.get(field.name, field.value),
                partial(self.set, self.task, field.name),
                self._background.post,
            )
            for field in fields[:_ROWS]
        }
        self._form[:] = [row.panel for row in self._rows.values()]
        hidden = len(fields) - len(self._rows)
        show(
            self._more,
            f'<span class="lv-sub">{hidden} more; type part of a name above</span>' if hidden else "",
        )

    def _overrides_set(self) -> None:
        self.error = None
        self._settle_uri()
        if self._contents is not None:
            try:
                for override in self.overrides:
                    ConfigProbe.of_task(self._contents.pipeline, override.task).set(override)
            except LenticularError as error:
                self.error = error
        now = {o.field: o.value for o in self.overrides if o.task == self.task}
        for name, row in self._rows.items():
            row.set(now.get(name, row.field.value))
        items = "<br>".join(f"<code>{escape(str(override))}</code>" for override in self.overrides)
        show(self._changes, f'<div class="lv-label">Changed here</div>{items}' if items else "")


def _first_sentence(text: str) -> str:
    return text.strip().split(". ")[0].splitlines()[0] if text.strip() else ""
