"""Long work off the page's thread, and its results back onto it.

A page has one thread that may change it. In a notebook this is the one that
runs the cells, although clicks can arrive on others (JupyterLab gives each
view a subshell); in a served application it is whichever holds the session's
document. Registries and object stores are asked on a thread of the
repository's own, one question after the other, since upstream's Butler is
not made for several at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import panel as pn

from lenticular.widgets.page import PAGE_LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Background", "worker_of"]

_log = logging.getLogger(__name__)

_WORKERS: weakref.WeakKeyDictionary[Any, concurrent.futures.ThreadPoolExecutor] = weakref.WeakKeyDictionary()
_WORKERS_LOCK = threading.Lock()


def worker_of(owner: object) -> concurrent.futures.ThreadPoolExecutor:
    """Return the thread on which a repository is asked, or any other owner's work is done.

    Parameters
    ----------
    owner
        The repository; all views on it share the thread.
    """
    with _WORKERS_LOCK:
        if owner not in _WORKERS:
            _WORKERS[owner] = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="lenticular")
        return _WORKERS[owner]


class Background:
    """Work under way for one view.

    It belongs to the page on which it was made: there its results arrive.
    """

    def __init__(self) -> None:
        self._loop = _page_loop()
        self._document = _served_document()
        self._queue: deque[Callable[[], object]] = deque()
        self._pending: set[concurrent.futures.Future[None]] = set()

    def submit(self, owner: object, work: Callable[[], Callable[[], object]]) -> None:
        """Do something on the owner's thread.

        Parameters
        ----------
        owner
            Whose thread; see `worker_of`.
        work
            What to do. What it returns is called on the page's thread; it
            deals with its own errors.
        """

        def job() -> None:
            self.post(work())

        future = worker_of(owner).submit(job)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)

    def post(self, change: Callable[[], object]) -> None:
        """Have something called on the page's thread: now if this is it."""
        self._queue.append(change)
        if self._document is not None:
            self._document.add_next_tick_callback(self._drain)
        elif self._loop is None or not self._loop.is_running() or _running_loop() is self._loop:
            self._drain()
        else:
            self._loop.call_soon_threadsafe(self._drain)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is under way and every result has arrived.

        Parameters
        ----------
        timeout
            Longest time to wait for one piece of work [s].

        Returns
        -------
        bool
            Whether all is done.
        """
        while pending := list(self._pending):
            if concurrent.futures.wait(pending, timeout).not_done:
                return False
            self._pending.difference_update(pending)
            self._drain()
        self._drain()
        return True

    async def finished(self) -> None:
        """Wait as `wait` does, while the page stays alive."""
        while pending := list(self._pending):
            await asyncio.to_thread(concurrent.futures.wait, pending)
            self._pending.difference_update(pending)
            self._drain()

    def _drain(self) -> None:
        with PAGE_LOCK:
            while self._queue:
                try:
                    self._queue.popleft()()
                except Exception:  # noqa: BLE001  one change must not stop those behind it
                    # A fault of ours: one change is lost, the page goes on.
                    _log.exception("A view could not be changed")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _page_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs a notebook's cells, if this is in one."""
    return _running_loop() if threading.current_thread() is threading.main_thread() else None


def _served_document() -> Any:
    """Return the session's document in a served application."""
    document = pn.state.curdoc
    return document if document is not None and document.session_context is not None else None
