"""Blocking work on threads, given up when nobody waits for it any more.

A thread cannot be stopped from outside. What takes long is made to stop by
itself: a statement in a database is interrupted, and loops ask `checkpoint`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AbandonedError", "Job", "Workers", "checkpoint", "watch_connections"]

_current = threading.local()


class AbandonedError(Exception):
    """Nobody waits for the result of this work any more."""


class Job[T]:
    """A piece of work that may be given up.

    Parameters
    ----------
    call
        The work.
    """

    future: Future[T]
    """Its result."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._lines: dict[int, Any] = {}
        self._abandoned = False
        self.future: Future[T]

    @property
    def abandoned(self) -> bool:
        """Whether it was given up."""
        return self._abandoned

    def run(self) -> T:
        """Do the work, on this thread."""
        _current.job = self
        try:
            checkpoint()
            return self._call()
        finally:
            _current.job = None

    def abandon(self) -> None:
        """Give it up: it is dropped if it waits, and interrupted if it runs."""
        with self._lock:
            self._abandoned = True
            for line in self._lines.values():
                _interrupt(line)
        self.future.cancel()

    def use(self, line: Any) -> None:
        """Note that the work has a driver's connection to a database in hand."""
        with self._lock:
            self._lines[id(line)] = line

    def give_back(self, line: Any) -> bool:
        """Note that it has the connection no more; tell whether that is still sound."""
        with self._lock:
            return self._lines.pop(id(line), None) is None or not self._abandoned


class Workers:
    """The threads on which an extension's answers are found.

    Parameters
    ----------
    number
        How many.
    """

    def __init__(self, number: int) -> None:
        self._pool = ThreadPoolExecutor(number, thread_name_prefix="lenticular")
        self._jobs: set[Job[Any]] = set()

    def submit[T](self, call: Callable[[], T]) -> Job[T]:
        """Have some work done as soon as a thread is free."""
        job = Job(call)
        job.future = self._pool.submit(job.run)
        self._jobs.add(job)
        job.future.add_done_callback(lambda _: self._jobs.discard(job))
        return job

    def close(self) -> None:
        """Drop what waits, give up what runs, and take no more; does not wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for job in tuple(self._jobs):
            job.abandon()


def checkpoint() -> None:
    """Stop here if nobody waits for the work that this thread does.

    Raises
    ------
    AbandonedError
        Raised if so.
    """
    job: Job[Any] | None = getattr(_current, "job", None)
    if job is not None and job.abandoned:
        raise AbandonedError


@cache
def watch_connections() -> None:
    """Let statements be interrupted with the work that sent them.

    Listens to all of SQLAlchemy's pools, upstream's among them, and heeds
    those that a worker's thread takes a connection from.
    """
    import sqlalchemy

    def taken(line: Any, _record: object, _proxy: object) -> None:
        job: Job[Any] | None = getattr(_current, "job", None)
        if job is not None:
            job.use(line)

    def returned(line: Any, record: Any) -> None:
        job: Job[Any] | None = getattr(_current, "job", None)
        if job is not None and line is not None and not job.give_back(line):
            # A late interruption must not hit the next one's statement.
            record.invalidate()

    def begun(*_: object) -> None:
        checkpoint()

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", begun)
    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkout", taken)
    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkin", returned)


def _interrupt(line: Any) -> None:
    """Interrupt what a connection is doing: SQLite's or psycopg2's, both made for other threads."""
    stop = getattr(line, "interrupt", None) or getattr(line, "cancel", None)
    if stop is not None:
        with suppress(Exception):  # closed meanwhile, or the server is gone: nothing left to stop
            stop()
