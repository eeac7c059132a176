"""Watching a run."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import LenticularError, RunError
from lenticular.butler.redact import redact
from lenticular.platform.runs import Run, RunState, RunStore
from lenticular.widgets.copying import literal, python
from lenticular.widgets.look import button, html, show, styled
from lenticular.widgets.run_status import describe_status
from lenticular.widgets.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenticular.platform.runs import FailureGroup, RunRecord, RunStatus

__all__ = ["RunMonitor"]

_LOOK_SECONDS = 0.25
_LISTED = 20
_NO_RUN = "no run"


class RunMonitor(View):
    """How a run stands: its tasks, its failures with their logs, and its end.

    It reads the run's record, so it shows a run that was launched before the
    kernel was restarted, or from elsewhere, as well.

    Parameters
    ----------
    run
        The run, its identifier, or a parameter that holds a run (such as a
        launcher's). By default the latest one.
    store
        Where records are kept; the default store by default.
    **params
        Further parameters of `View`.
    """

    heading: ClassVar[str] = "Run"

    run = param.Parameter(default=None, allow_refs=True, doc="The Run that is watched, or None.")
    read_only = param.Boolean(
        default=False, constant=True, doc="Whether runs are only looked at, neither cancelled nor restarted."
    )
    status = param.Parameter(default=None, constant=True, doc="Its RunStatus when last looked at, or None.")

    def __init__(self, run: Run | str | Any = None, *, store: RunStore | None = None, **params: Any) -> None:
        self._store = store or RunStore()
        super().__init__(run=self._found(run) if isinstance(run, str) else run, **params)
        self._stop = threading.Event()
        self._failures: tuple[FailureGroup, ...] = ()
        self._make_widgets()
        self._listen(self._runs, "value", self._run_chosen)
        self._cancel.on_click(lambda _: self._background.post(self.cancel))
        self._restart.on_click(lambda _: self._background.post(self.restart))
        self._watch(self._follow, ["run"])
        if self.run is None and run is None:
            self.run = next((Run(record) for record in self._store.list()), None)
        self._follow()

    def cancel(self) -> None:
        """Ask the run to stop; what has succeeded is kept."""
        self._attempt(lambda run: run.cancel())

    def restart(self) -> None:
        """Do what is left of the run: only quanta that have not succeeded."""
        self._attempt(lambda run: run.restart())
        self._follow()

    def close(self) -> None:
        """Follow the run no longer."""
        self._stop.set()

    async def finished(self) -> RunStatus:
        """Wait for the end of the run, while the notebook stays alive.

        Returns
        -------
        RunStatus
            The last status.

        Raises
        ------
        RunError
            Raised if there is no run to wait for.
        """
        while True:
            if self.run is None:
                raise RunError("There is no run to wait for", hint="Launch one first.")
            status: RunStatus = self.run.status()
            self._show_run(self.run, status)
            if status.is_over:
                return status
            await asyncio.sleep(_LOOK_SECONDS)

    def as_python(self) -> str:
        """Return Python that finds the run and waits for its end."""
        lines = [
            f"run = RunStore().get({literal(self._record().id)})",
            "status = run.wait()",
            "print(status.state, status.succeeded, status.total)",
        ]
        return python({"lenticular.platform.runs": ["RunStore"]}, *lines)

    def as_command(self) -> str:
        """Return the command that shows the run."""
        return f"lenticular show run {self._record().id}"

    def _make_widgets(self) -> None:
        self._runs = styled(pn.widgets.Select, name="Run", options={_NO_RUN: None}, width=480)
        self._cancel = button("Cancel", disabled=True, visible=not self.read_only, align="end")
        self._restart = button("Run what is left", visible=False, align="end")
        self._state = html('<span class="lv-sub">No run has been launched yet.</span>')
        self._failed = pn.Column(sizing_mode="stretch_width")

    def _body(self) -> list[Any]:
        return [
            pn.FlexBox(self._runs, self._cancel, self._restart, gap="10px", align_items="end"),
            self._state,
            self._failed,
        ]

    def _record(self) -> RunRecord:
        if self.run is None:
            raise RunError("There is no run", hint="Launch one first.")
        record: RunRecord = self.run.record
        return record

    def _found(self, run_id: str) -> Run:
        return self._store.get(run_id)

    def _attempt(self, act: Any) -> None:
        self.error = None
        try:
            if self.read_only:
                raise RunError("Runs are only looked at here", hint="Use `lenticular cancel` or `restart`.")
            self._record()
            act(self.run)
        except LenticularError as error:
            self.error = error

    def _run_chosen(self) -> None:
        chosen = self._runs.value
        if chosen is not None and (self.run is None or self.run.record.id != chosen):
            self.run = self._found(chosen)

    def _follow(self) -> None:
        """Follow the run with a thread of its own, and stop following another."""
        self._stop.set()
        self._background.post(self._list_runs)
        run = self.run
        if run is None:
            return
        self._stop = stop = threading.Event()

        def look() -> None:
            seen: RunStatus | None = None
            while True:
                status = run.status()
                if status != seen:
                    self._background.post(partial(self._show_run, run, status))
                seen = status
                if status.is_over or stop.wait(_LOOK_SECONDS):
                    return

        threading.Thread(target=look, name=f"monitor-{run.record.id}", daemon=True).start()

    def _list_runs(self) -> None:
        records = list(self._store.list()[:_LISTED])
        if self.run is not None and self.run.record.id not in {record.id for record in records}:
            records.insert(0, self.run.record)
        options: dict[str, str | None] = {
            f"{record.output_run}  ({record.created:%Y-%m-%d %H:%M} UTC)": record.id for record in records
        }
        chosen = None if self.run is None else self.run.record.id
        if chosen is None:
            # Else the field would choose a run by itself, and cut the link to a launcher.
            options = {_NO_RUN: None, **options}
        # At once: a value that arrives before its option leaves the field empty.
        self._runs.param.update(options=options, value=chosen)

    def _show_run(self, run: Run, status: RunStatus) -> None:
        if run is not self.run or status == self.status:
            return
        with param.edit_constant(self):
            self.status = status
        left = status.is_over and status.state is not RunState.SUCCEEDED
        self._cancel.disabled = status.is_over
        self._restart.visible = left and not self.read_only
        show(self._state, describe_status(status, run.record))
        if status.failures != self._failures:
            self._failures = status.failures
            self._failed[:] = [self._failure(run, group) for group in status.failures]

    def _failure(self, run: Run, group: FailureGroup) -> pn.Column:
        """Return a group of failures with a button for the log of the first."""
        quanta = "quantum" if group.count == 1 else "quanta"
        text = html(
            f'<div class="lv-error"><b>{group.count} {quanta} of {escape(group.task)}: '
            f"{escape(group.error)}</b><div>{escape(redact(group.message))}</div>"
            f'<div class="lv-sub">as {escape(group.data_id)}</div></div>'
        )
        log, control = html(visible=False), button("Show log")

        def toggle() -> None:
            if log.visible:
                show(log, "")
                return
            try:
                shown = run.log(group.quantum)
            except LenticularError as error:
                shown = str(error)
            show(log, f"<pre>{escape(redact(_tail(shown.splitlines())))}</pre>")

        control.on_click(lambda _: self._background.post(toggle))
        return pn.Column(pn.Row(text, control, sizing_mode="stretch_width"), log, sizing_mode="stretch_width")


def _tail(lines: Sequence[str], most: int = 200) -> str:
    head = [f"... {len(lines) - most} lines before"] if len(lines) > most else []
    return "\n".join([*head, *lines[-most:]])
