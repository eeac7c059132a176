"""How many queries a repository is asked at once; others wait in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from lenticular.butler.errors import RepositoryBusyError
from lenticular.butler.guard.scope import POLL, current_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Slots"]

_mine: ContextVar[frozenset[int]] = ContextVar("lenticular_slots", default=frozenset())


class Slots:
    """A number of places, given to those who wait in the order in which they came.

    Parameters
    ----------
    number
        How many there are.
    patience
        Seconds that one waits at most, if no scope has less.

    Raises
    ------
    ValueError
        Raised if there are none.
    """

    number: int
    """How many there are."""

    def __init__(self, number: int, *, patience: float = 60.0) -> None:
        if number < 1:
            message = f"There has to be one query at once at least, not {number}"
            raise ValueError(message)
        self.number = number
        self.patience = patience
        self._lock = threading.Lock()
        self._free = number
        self._queue: deque[threading.Event] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._lock:
            return len(self._queue)

    @contextmanager
    def taken(self, where: object = None) -> Iterator[None]:
        """Take a place; who has one already needs no second.

        Parameters
        ----------
        where
            The repository concerned, to be named in an error.

        Raises
        ------
        RepositoryBusyError
            Raised if none became free for too long.
        QueryTimeoutError, QueryCancelledError
            Raised if the scope of who waits came to its end before.
        """
        mine = _mine.get()
        if id(self) in mine:
            yield
            return
        self._take(where)
        token = _mine.set(mine | {id(self)})
        try:
            yield
        finally:
            _mine.reset(token)
            self._give()

    def _take(self, where: object) -> None:
        with self._lock:
            if self._free and not self._queue:
                self._free -= 1
                return
            turn = threading.Event()
            self._queue.append(turn)
        try:
            self._wait(turn, where)
        except BaseException:
            with self._lock:
                if turn in self._queue:
                    self._queue.remove(turn)
                    raise
            self._give()  # it came in the same moment
            raise

    def _wait(self, turn: threading.Event, where: object) -> None:
        scope = current_scope()
        end = time.monotonic() + self.patience
        while not turn.wait(self.patience if scope is None else POLL):
            if scope is not None:
                scope.check(where)
            if time.monotonic() >= end:
                raise RepositoryBusyError(
                    f"{self.number} queries are running already, and none ended within {self.patience:g} s",
                    where=where,
                    hint="Wait for them, cancel some, or open the repository with a larger `max_queries`.",
                )

    def _give(self) -> None:
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1
