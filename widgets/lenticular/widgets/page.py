"""The page, which is a notebook or a served application, and the frames of views in it."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import panel as pn
from panel.io.notebook import push_on_root
from pyviz_comms import JupyterComm

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PAGE_LOCK", "Frame", "enable", "enabled"]

PAGE_LOCK = threading.RLock()
"""Held by whoever changes what is on a page, or takes in what a person did there.

In a notebook these are different threads, and Panel was not written for that:
it drops the changes that are on their way when a message comes in.
"""


def enable() -> None:
    """Load what the views need into this notebook or application.

    Everything comes from this installation: no request leaves the machine
    that serves the page. A view that is shown without it calls it by itself;
    called at the top of a notebook it saves that view's wait.
    """
    # Panel's own busy indicator would shade whole views at every click.
    pn.extension("tabulator", notifications=False, loading_indicator=False)


def enabled() -> bool:
    """Whether this notebook has what the views need."""
    return bool(pn.extension._loaded)  # noqa: SLF001  panel has no public word for it


_ANSWER = """
const manager = Bokeh.Models.get("panel.models.comm_manager.CommManager");
if (manager && !manager.prototype.lenticular) {
  const changed = manager.prototype._document_changed;
  manager.prototype._document_changed = function (event) {
    if (event.sync !== false) changed.call(this, event);
  };
  manager.prototype.lenticular = true;
}
cb_obj.tags = ["drawn", Date.now()];
"""
"""Answers a call, and stops an echo. Panel's part in the browser sends every
change that comes from the kernel back to it, where a late echo undoes the next
change; an image would travel twice. Bokeh marks what need not be sent by
``sync: false``."""

_FIRST_PAUSE, _LAST_PAUSE = 0.05, 1.0
"""Seconds between two calls."""


class Frame(pn.Column):
    """The outermost part of a view.

    The browser throws away what it is sent before it has drawn an output,
    which may be long after the cell has run, and it does not tell when it
    has. So the output is called until it answers; what changed meanwhile is
    sent then, in order.
    """

    def __init__(self, *parts: Any, **options: Any) -> None:
        bell = pn.Spacer(width=0, height=0, margin=0)
        bell.jscallback(width=_ANSWER)
        super().__init__(*parts, bell, **options)
        self._bell = bell

    def _render_model(self, doc: Any = None, comm: Any = None) -> Any:
        if not isinstance(comm, JupyterComm):
            return super()._render_model(doc, comm)
        line = _Line.put_before(comm)
        root = super()._render_model(doc, comm)
        line.opened = partial(self._call_in_background, root.ref["id"], line)
        return root

    def _on_msg(self, ref: str, manager: Any, msg: Any) -> None:
        with PAGE_LOCK:
            super()._on_msg(ref, manager, msg)
            line = self._line(ref)
            if line is not None and "drawn" in self._bell._models[ref][0].tags:  # noqa: SLF001  nor for models
                line.step_aside()
                line.send_kept()

    def _call_in_background(self, ref: str, line: _Line) -> None:
        threading.Thread(target=self._call, args=(ref, line), name=f"call-{ref}", daemon=True).start()

    def _line(self, ref: str) -> _Line | None:
        """Return what stands before the line of an output, if it still does."""
        known = pn.state._views  # noqa: SLF001  panel has no public word for it
        line = getattr(known[ref][3], "_comm", None) if ref in known else None
        return line if isinstance(line, _Line) else None

    def _call(self, ref: str, line: _Line) -> None:
        """Ring an output's bell until it answers."""
        pause = _FIRST_PAUSE
        while True:
            time.sleep(pause)
            with PAGE_LOCK:
                if self._line(ref) is not line or ref not in self._bell._models:  # noqa: SLF001  as above
                    return
                model = self._bell._models[ref][0]  # noqa: SLF001  as above
                line.step_aside()
                model.width = 1 - model.width
                push_on_root(ref)
                line.step_back()
            pause = min(1.5 * pause, _LAST_PAUSE)


class _Line:
    """Stands between Panel and the browser until the browser listens.

    Parameters
    ----------
    comm
        Panel's end of the line.
    """

    def __init__(self, comm: JupyterComm) -> None:
        self.opened: Callable[[], None] = lambda: None
        self._comm = comm
        self._connect = comm.init
        self._kept: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._target: Any = None

    @classmethod
    def put_before(cls, comm: JupyterComm) -> Self:
        """Let a line keep what is sent until the output is drawn."""
        line = cls(comm)
        comm._comm = line  # noqa: SLF001  what Panel asks to learn whether there is a line
        comm.init = line.connect
        return line

    def connect(self) -> None:
        """Open the line, as the browser has asked; it does not listen yet."""
        with PAGE_LOCK:
            self._connect()
            # pyviz_comms has no public word for it.
            self._target, self._comm._comm = self._comm._comm, self  # noqa: SLF001
        self.opened()

    def step_aside(self) -> None:
        """Let what comes now go straight to the browser."""
        self._comm._comm = self._target  # noqa: SLF001

    def step_back(self) -> None:
        """Keep what comes now."""
        self._comm._comm = self  # noqa: SLF001

    def send_kept(self) -> None:
        """Send what was kept, in order."""
        for arguments, options in self._kept:
            self._target.send(*arguments, **options)
        self._kept.clear()

    def send(self, *arguments: Any, **options: Any) -> None:
        """Keep a message."""
        self._kept.append((arguments, options))

    def close(self) -> None:
        """Forget the messages."""
        self._kept.clear()
