"""Previewing a QuantumGraph before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import EmptyGraphError, LenticularError
from lenticular.pipelines.graph import GraphRequest, preview_graph
from lenticular.widgets.copying import literal, python
from lenticular.widgets.graph_diagram import draw_tasks
from lenticular.widgets.look import button, html, plain_table, show
from lenticular.widgets.requests import request_command, request_source
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os

    from lenticular.butler import Repository
    from lenticular.pipelines.graph import GraphPreview

__all__ = ["GraphPreviewView"]


class GraphPreviewView(View):
    """How many quanta a request makes, of which tasks, from and to which datasets.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `pipeline`, `inputs`, `where` and `config`; each may be another view's
        parameter, so that the preview follows what is chosen there.
    """

    heading: ClassVar[str] = "Graph preview"

    pipeline = param.String(default="", allow_refs=True, doc="Path or URI of the pipeline.")
    inputs = param.List(default=[], item_type=str, allow_refs=True, doc="Collections to search, in order.")
    where = param.String(default="", allow_refs=True, doc="Constraint on data IDs.")
    config = param.Parameter(
        default=(), allow_refs=True, doc="Configuration values: ConfigOverride, a tuple."
    )
    request = param.Parameter(
        default=None, constant=True, doc="These four as a GraphRequest, or None if the pipeline is missing."
    )
    preview = param.Parameter(default=None, constant=True, doc="The GraphPreview last made, or None.")

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**params)
        self.repository = opened(repository)
        self._button = button("Preview graph", primary=True)
        self._stale = html(visible=False)
        self._result = html('<span class="lv-sub">Counts what would run; nothing is written.</span>')
        self._button.on_click(lambda _: self._background.post(self.compute))
        self._watch(self._settle, ["pipeline", "inputs", "where", "config"])
        self._listen(self, "busy", lambda: self._button.param.update(disabled=bool(self.busy)))
        self._settle()

    def compute(self) -> None:
        """Make the preview; the button does the same."""
        request = self.request
        if request is None:
            self.error = LenticularError(
                "No pipeline has been chosen", hint="Choose a pipeline and its tasks."
            )
            return
        # The collections and the pipeline are read again each time: another
        # run may have ended meanwhile.
        self._work(
            "Building the graph",
            self.repository,
            lambda: preview_graph(self.repository.butler, request),
            lambda preview: self._show_preview(preview, request),
        )

    def as_python(self) -> str:
        """Return Python that makes the same preview."""
        lines = [
            f"repository = Repository.open({literal(self.repository.name)})",
            request_source(self._wanted()),
            "preview = preview_graph(repository.butler, request)",
            "print({task.label: task.quanta for task in preview.tasks})",
        ]
        names = ["GraphRequest", "preview_graph", *(["ConfigOverride"] if self.config else [])]
        return python({"lenticular.butler": ["Repository"], "lenticular.pipelines.graph": names}, *lines)

    def as_command(self) -> str:
        """Return the command that shows the same counts."""
        return f"{request_command(self.repository.name, self._wanted())} --preview"

    def _body(self) -> list[Any]:
        return [self._button, self._stale, pn.Column(self._result, sizing_mode="stretch_width")]

    def _wanted(self) -> GraphRequest:
        if self.request is None:
            raise LenticularError("No pipeline has been chosen")
        request: GraphRequest = self.request
        return request

    def _settle(self) -> None:
        request = (
            GraphRequest(
                pipeline=self.pipeline,
                inputs=tuple(self.inputs),
                where=self.where,
                config=tuple(self.config or ()),
            )
            if self.pipeline
            else None
        )
        with param.edit_constant(self):
            self.request = request
        if self.preview is not None:
            text = '<span class="lv-sub">The choice has changed since; preview again.</span>'
            self._background.post(lambda: show(self._stale, text))

    def _show_preview(self, preview: GraphPreview, request: GraphRequest) -> None:
        with param.edit_constant(self):
            self.preview = preview
        show(self._result, _describe(preview))
        show(self._stale, "")
        if request != self.request:
            self._settle()

    def _show_status(self) -> None:
        super()._show_status()
        if isinstance(self.error, EmptyGraphError):
            # An answer too: the picture of the previous request would mislead.
            show(self._result, "")
            show(self._stale, "")


def _describe(preview: GraphPreview) -> str:
    made = sum(kind.to_make for kind in preview.dataset_types)
    read = sum(kind.existing for kind in preview.dataset_types)
    rows = [
        (kind.name, ", ".join(kind.dimensions), kind.storage_class, kind.existing, kind.to_make)
        for kind in preview.dataset_types
    ]
    columns = ("dataset type", "dimensions", "storage class", "to read", "to make")
    return (
        f'<div style="margin: 4px 0 10px"><span class="lv-figure">{preview.quanta:,}</span> quanta, '
        f"reading {read:,} datasets and making {made:,}</div>"
        f"{draw_tasks(preview)}"
        f'<details style="margin-top: 8px"><summary>Dataset types ({len(rows)})</summary>'
        f"{plain_table(columns, rows)}</details>"
    )
