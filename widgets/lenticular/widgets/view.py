"""What all views have in common: a frame, errors, work under way, and code to take away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler import Repository
from lenticular.butler.errors import LenticularError
from lenticular.widgets import page
from lenticular.widgets.background import Background
from lenticular.widgets.copying import CodeDrawer
from lenticular.widgets.look import CSS, html, notice, show

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["View", "opened"]

_log = logging.getLogger(__name__)


def opened(target: Repository | str | os.PathLike[str]) -> Repository:
    """Return the repository that is meant: itself, or by label, folder or URI."""
    return target if isinstance(target, Repository) else Repository.open(target)


class View(pn.viewable.Viewer):
    """A view: state as parameters, shown as a panel.

    Subclasses fill `_body` with what stands in the frame and start their
    work with `_work`; code for what was clicked comes from `as_python` and
    `as_command`.
    """

    busy = param.String(default="", doc="What is being done; empty if nothing is.")
    error = param.Parameter(
        default=None, doc="What went wrong last: a LenticularError, or None. Cleared by the next attempt."
    )

    heading: ClassVar[str] = ""
    """Title in the frame."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)  # type: ignore[no-untyped-call]  # param has no types here
        self._background = Background()
        self._turns: dict[str, int] = {}
        self._frame: page.Frame | None = None
        self._status = html(visible=False)
        self._subtitle = html(margin=(0, 6))
        self._watch(self._show_status, ["busy", "error"])

    def as_python(self) -> str:
        """Return Python that does what was clicked, without the view."""
        raise NotImplementedError

    def as_command(self) -> str | None:
        """Return a command line that does what was clicked, if there is one."""
        return None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is under way; for scripts.

        Parameters
        ----------
        timeout
            Longest time to wait for one piece of work [s].

        Returns
        -------
        bool
            Whether all is done.
        """
        return self._background.wait(timeout)

    async def ready(self) -> None:
        """Wait until nothing is under way, while the notebook stays alive."""
        await self._background.finished()

    def close(self) -> None:
        """Let go of what goes on in the background, since the page is gone."""

    def _body(self) -> list[Any]:
        """Return what stands in the frame, from top to bottom."""
        raise NotImplementedError

    def __panel__(self) -> pn.viewable.Viewable:
        if self._frame is None:
            drawer = CodeDrawer(self.as_python, self.as_command)
            title = html(f'<span class="lv-title">{self.heading}</span>', stylesheets=[CSS])
            self._frame = page.Frame(
                pn.Row(pn.Column(title, self._subtitle), drawer.buttons, sizing_mode="stretch_width"),
                self._status,
                drawer.drawer,
                *self._body(),
                sizing_mode="stretch_width",
                max_width=1180,
                css_classes=["lenticular-view", f"lenticular-{type(self).__name__}"],
            )
        return self._frame

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if not page.enabled():
            page.enable()
        return super()._repr_mimebundle_(include, exclude)  # type: ignore[no-untyped-call]  # panel neither

    def _work[Result](
        self,
        doing: str,
        owner: object,
        work: Callable[[], Result],
        then: Callable[[Result], None],
        *,
        slot: str = "",
    ) -> None:
        """Do something off the page's thread and show what it gave.

        Parameters
        ----------
        doing
            What it is, as in "Reading the registry".
        owner
            Whose thread does it; usually the repository.
        work
            What to do. A `LenticularError` that it raises is shown.
        then
            Called with the result, on the page's thread, unless newer work of
            the same slot has been started meanwhile.
        slot
            Kind of work, where a view has several.
        """
        turn = self._turns[slot] = self._turns.get(slot, 0) + 1
        self.param.update(busy=doing, error=None)

        def attempt() -> Callable[[], object]:
            if self._turns[slot] != turn:
                return lambda: None
            try:
                result = work()
            except LenticularError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  shown, and logged with its traceback
                _log.exception("%s failed", doing)
                failure = LenticularError(
                    f"{type(error).__name__}: {error}", hint="The log of the kernel has the details."
                )
            else:
                return lambda: self._arrive(slot, turn, lambda: then(result))
            return lambda: self._arrive(slot, turn, lambda: self.param.update(error=failure))

        self._background.submit(owner, attempt)

    def _arrive(self, slot: str, turn: int, show_result: Callable[[], object]) -> None:
        if self._turns[slot] == turn:
            self.busy = ""
            show_result()

    def _listen(self, widget: Any, names: str | list[str], react: Callable[[], object]) -> None:
        """Call something on the page's thread whenever a widget, or another view, changes."""
        # Several at once come as several arguments.
        widget.param.watch(lambda *_: self._background.post(react), names)

    def _watch(self, react: Callable[[], object], names: list[str]) -> None:
        """Call something on the page's thread whenever parameters of this view change."""
        self._listen(self, names, react)

    def _show_status(self) -> None:
        if self.error is not None:
            failure = self.error
            what = f"{failure.what} ({failure.where})" if failure.where else failure.what
            show(self._status, notice(what, hint=failure.hint))
        elif self.busy:
            show(self._status, f'<div class="lv-busy" role="status">{self.busy} ...</div>')
        else:
            show(self._status, "")
