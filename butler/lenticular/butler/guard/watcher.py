"""The one thread that keeps the deadlines of all scopes."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenticular.butler.guard.scope import Scope

__all__ = ["Watcher"]

_log = logging.getLogger(__name__)

_IDLE = 10.0
"""Seconds after which the thread ends if there is nothing to watch."""


class Watcher:
    """Looks at scopes when it is time to.

    A scope's own thread is busy in a driver, and cannot. The thread that does
    is started with the first scope; what it calls never waits.
    """

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._scopes: set[Scope] = set()
        self._thread: threading.Thread | None = None

    def add(self, scope: Scope) -> None:
        """Watch a scope from now on."""
        with self._news:
            self._scopes.add(scope)
            # After a fork the thread is another process's.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lenticular-guard", daemon=True)
                self._thread.start()
            self._news.notify()

    def remove(self, scope: Scope) -> None:
        """Watch a scope no more."""
        with self._news:
            self._scopes.discard(scope)

    def _run(self) -> None:
        with self._news:
            while True:
                if not self._scopes and not self._news.wait_for(lambda: bool(self._scopes), _IDLE):
                    self._thread = None
                    return
                now = time.monotonic()
                due = min(self._look(scope, now) for scope in self._scopes)
                self._news.wait(None if due == float("inf") else max(0.0, due - time.monotonic()))

    @staticmethod
    def _look(scope: Scope, now: float) -> float:
        try:
            return scope.look(now)
        except Exception:  # noqa: BLE001 - the deadlines of the others are to be kept all the same
            _log.exception("A query could not be stopped")
            return now + 1.0
