"""Blocking work on threads, given up when nobody waits for it any more.

A thread cannot be stopped from outside. What takes long is made to stop by
itself: a statement in a database is interrupted by the scope of its job, and
loops ask `checkpoint`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import QueryCancelledError
from lenticular.butler.guard import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AbandonedError", "Job", "Workers", "checkpoint"]

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

    scope: Scope
    """What binds the statements of the work."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._abandoned = False
        self.scope = Scope()
        self.future: Future[T]

    @property
    def abandoned(self) -> bool:
        """Whether it was given up."""
        return self._abandoned

    def run(self) -> T:
        """Do the work, on this thread.

        Raises
        ------
        AbandonedError
            Raised if it was given up.
        """
        _current.job = self
        try:
            checkpoint()
            with closing(self.scope), self.scope.entered():
                return self._call()
        except QueryCancelledError as error:
            if not self._abandoned:
                raise
            raise AbandonedError from error
        finally:
            _current.job = None

    def abandon(self) -> None:
        """Give it up: it is dropped if it waits, and interrupted if it runs; does not wait."""
        self._abandoned = True
        self.scope.cancel()
        self.future.cancel()


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
