"""The page, which is a notebook or a served application, and the frames of views in it."""

from __future__ import annotations

import threading
from typing import Any

import panel as pn
from pyviz_comms import JupyterComm

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


class Frame(pn.Column):
    """The outermost part of a view.

    What changes between the run of a cell and the moment when the browser
    draws its output, which may be long, reaches the browser in order. Panel
    alone would try again with each change by itself, and an early one could
    overtake a late one.
    """

    def _render_model(self, doc: Any = None, comm: Any = None) -> Any:
        if isinstance(comm, JupyterComm):
            _keep_order(comm)
        return super()._render_model(doc, comm)

    def _on_msg(self, ref: str, manager: Any, msg: Any) -> None:
        with PAGE_LOCK:
            super()._on_msg(ref, manager, msg)


class _Early:
    """Stands in for the line to the browser until there is one."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def send(self, *arguments: Any, **options: Any) -> None:
        self.sent.append((arguments, options))

    def close(self) -> None:
        self.sent.clear()


def _keep_order(comm: JupyterComm) -> None:
    """Let a line keep what is sent before the browser has opened it."""
    early, connect = _Early(), comm.init

    def init() -> None:
        with PAGE_LOCK:
            connect()
            for arguments, options in early.sent:
                comm.comm.send(*arguments, **options)
            early.sent.clear()

    comm._comm = early  # noqa: SLF001  what Panel asks to learn whether there is a line
    comm.init = init
