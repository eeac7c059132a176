"""Launching a run."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import LenticularError, RunError
from lenticular.platform.execution.machine import default_workers
from lenticular.widgets.copying import literal, python
from lenticular.widgets.look import button, html, notice, show, styled, text_input
from lenticular.widgets.requests import request_command, request_source
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os

    from lenticular.butler import Repository
    from lenticular.pipelines.graph import GraphRequest
    from lenticular.platform.runs import Run

__all__ = ["Launcher"]

_MOST_WORKERS = 64


class Launcher(View):
    """Where the outputs go, how many workers there are, and the button that starts them.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `request`, which may be a preview's parameter, `output` and `workers`.
    """

    heading: ClassVar[str] = "Launch"

    request = param.Parameter(default=None, allow_refs=True, doc="What is to run: a GraphRequest, or None.")
    output = param.String(default="", doc="Chain that will hold the outputs before the inputs.")
    workers = param.Integer(
        default=1,
        bounds=(1, _MOST_WORKERS),
        doc="Worker processes on this machine; as many as it has room for by default.",
    )
    read_only = param.Boolean(default=False, constant=True, doc="Whether nothing may be launched from here.")
    run = param.Parameter(default=None, constant=True, doc="The Run last launched, or None.")

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**{"workers": min(default_workers(), _MOST_WORKERS)} | params)
        self.repository = opened(repository)
        self._output = text_input(
            "Output collection", value=self.output, placeholder="such as u/yourname/first-look", width=300
        )
        self._workers = styled(
            pn.widgets.IntInput, name="Workers", value=self.workers, start=1, end=_MOST_WORKERS, width=90
        )
        self._button = button("Launch", primary=True, visible=not self.read_only, align="end")
        self._command = html()
        self._launched = html(visible=False)
        self._listen(
            self._output, "value", lambda: self.param.update(output=(self._output.value or "").strip())
        )
        self._listen(self._workers, "value", self._workers_typed)
        self._button.on_click(lambda _: self._background.post(self._press))
        self._listen(self, ["request", "output", "workers"], self._show_command)
        self._show_command()

    @property
    def wanted(self) -> GraphRequest:
        """The request with its output.

        Raises
        ------
        LenticularError
            Raised if something is still to be chosen; the hint says what.
        """
        if self.request is None:
            raise LenticularError("There is nothing to launch yet", hint="Choose a pipeline first.")
        if not self.output:
            raise LenticularError(
                "The output collection has no name", hint="Give it one, such as u/yourname/first-look."
            )
        request: GraphRequest = replace(self.request, output=self.output)
        return request

    def launch(self) -> Run:
        """Launch the run; the button does the same.

        Returns
        -------
        Run
            It goes on even if this notebook is closed.

        Raises
        ------
        LenticularError
            Raised if something is still to be chosen, or the run cannot start.
        """
        from lenticular.platform.runs import launch

        if self.read_only:
            raise RunError("Runs are only looked at here", hint="Launch it by the command in a terminal.")
        run = launch(_address(self.repository), self.wanted, workers=self.workers)
        with param.edit_constant(self):
            self.run = run
        self.error = None
        text = notice(
            f"Launched run {run.record.id}",
            hint=f"Outputs go to {run.record.output_run}. It goes on if this page is closed.",
            kind="note",
        )
        self._background.post(lambda: show(self._launched, text))
        return run

    def as_python(self) -> str:
        """Return Python that launches the same run and waits for its end."""
        request = self.wanted
        lines = [
            request_source(request),
            f"run = launch({literal(_address(self.repository))}, request, workers={self.workers})",
            "status = run.wait()",
            "print(status.state, status.succeeded, status.total)",
        ]
        names = ["GraphRequest", *(["ConfigOverride"] if request.config else [])]
        return python({"lenticular.pipelines.graph": names, "lenticular.platform.runs": ["launch"]}, *lines)

    def as_command(self) -> str:
        """Return the command that launches the same run."""
        return request_command(_address(self.repository), self.wanted, workers=self.workers)

    def _body(self) -> list[Any]:
        return [
            pn.FlexBox(self._output, self._workers, self._button, gap="10px", align_items="end"),
            self._command,
            self._launched,
        ]

    def _press(self) -> None:
        # One press, one run: the button rests until the run has its record.
        self._button.disabled = True
        try:
            self.launch()
        except LenticularError as error:
            self.error = error
        finally:
            self._button.disabled = False

    def _workers_typed(self) -> None:
        value = self._workers.value
        if value is not None and 1 <= value <= _MOST_WORKERS:
            self.workers = value

    def _show_command(self) -> None:
        if self._output.value != self.output:
            self._output.value = self.output
        if self._workers.value != self.workers:
            self._workers.value = self.workers
        try:
            command = self.as_command()
        except LenticularError as error:
            show(self._command, f'<span class="lv-sub">{escape(error.hint or error.what)}</span>')
            return
        show(self._command, f'<div class="lv-label">the same in a terminal</div><pre>{escape(command)}</pre>')


def _address(repository: Repository) -> str:
    """Return how a process elsewhere finds a repository: its label if it has one."""
    if repository.label is not None:
        return repository.label
    location = repository.configuration.location
    return location.path if location.is_local else repository.uri
