"""Time and patience for queries: a deadline, and a way to say that an answer is no longer wanted.

A scope holds for everything that its thread does inside it, by our own engine
and by upstream's::

    with guarded(timeout=5.0, cancel=event):
        repository.collections()
        repository.butler.query_datasets("raw")
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from lenticular.butler.errors import (
    DatabaseUnreachableError,
    InterruptedWriteError,
    QueryCancelledError,
    QueryTimeoutError,
)
from lenticular.butler.guard.lines import GRACE, release
from lenticular.butler.guard.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lenticular.butler.errors import DataError
    from lenticular.butler.guard.lines import Line

__all__ = ["Scope", "causes", "current_scope", "guarded", "is_database_error"]

POLL = 0.02
"""Seconds between two looks at an event, which cannot call."""

_TOLD = (QueryTimeoutError, QueryCancelledError, InterruptedWriteError)
"""What says already that time was up, or that nobody waits."""

_current: ContextVar[Scope | None] = ContextVar("lenticular_scope", default=None)
_watcher = Watcher()


class Scope:
    """What a piece of work may take, and the connections that it uses meanwhile.

    Parameters
    ----------
    timeout
        Seconds that it may take each time that it is entered; `None` for any.
    cancel
        An event that is set once its result is no longer wanted.
    grace
        Seconds that a server has to stop a statement, before its connection is
        cut.

    Raises
    ------
    ValueError
        Raised if the time is not positive.
    """

    def __init__(
        self, *, timeout: float | None = None, cancel: threading.Event | None = None, grace: float = GRACE
    ) -> None:
        if timeout is not None and not timeout > 0:
            message = f"A timeout has to be positive, not {timeout!r}"
            raise ValueError(message)
        self.timeout = timeout
        self.grace = grace
        self._cancel = cancel
        self._lock = threading.Lock()
        self._lines: dict[int, Line] = {}
        self._deadline: float | None = None
        self._cancelled = False
        self._expired = False
        self._entered = False
        self._parent: Scope | None = None

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let what this thread does inside be bound by this scope, and those around it.

        Raises
        ------
        QueryTimeoutError
            Raised if time was up before a statement had ended.
        QueryCancelledError
            Raised if it was cancelled before.
        """
        parent = _current.get()
        if parent is self:
            yield
            return
        self._parent, self._entered = parent, True
        token = _current.set(self)
        if self.timeout is not None:
            self._deadline = time.monotonic() + self.timeout
        if self.timeout is not None or self._cancel is not None or self._cancelled:
            _watcher.add(self)
        try:
            yield
        except Exception as error:
            told = self.told()
            if told is None or isinstance(error, _TOLD) or not is_database_error(error):
                raise
            raise told from error
        finally:
            _current.reset(token)
            self._entered, self._deadline = False, None
            _watcher.remove(self)
            self._settle()

    def cancel(self) -> None:
        """Say, from any thread, that the result is no longer wanted; does not wait."""
        self._cancelled = True
        if self._entered:
            _watcher.add(self)

    def close(self) -> None:
        """Leave the connections that are still in use to those who use them."""
        for line in self.lines:
            if getattr(line.connection, "closed", False):
                release(line.connection)
            self.leave(line)

    def check(self, where: object = None) -> None:
        """Raise if time is up, or the result is no longer wanted.

        Parameters
        ----------
        where
            The repository concerned, to be named in the error.

        Raises
        ------
        QueryTimeoutError, QueryCancelledError
            Raised if so.
        """
        told = self.told(where, now=time.monotonic())
        if told is not None:
            raise told

    def told(self, where: object = None, *, now: float | None = None) -> DataError | None:
        """Return the error to raise, if this scope, or one around it, has come to its end.

        Parameters
        ----------
        where
            The repository concerned, to be named in the error.
        now
            The time, for those that have not been looked at since.
        """
        ends = (scope.end(where, now=now) for scope in self.chain())
        return next((end for end in ends if end is not None), None)

    def end(self, where: object = None, *, now: float | None = None) -> DataError | None:
        """Return the error to raise, if this scope has come to its end; see `told`."""
        if now is not None:
            self._judge(now)
        if self._cancelled:
            return QueryCancelledError("The query was cancelled", where=where)
        if not self._expired:
            return None
        return QueryTimeoutError(
            f"The query took longer than {self.timeout:g} s",
            where=where,
            hint="Ask for less, by a narrower expression or a limit, or allow more time.",
        )

    def chain(self) -> Iterator[Scope]:
        """Yield this scope and those around it."""
        yield self
        if self._parent is not None:
            yield from self._parent.chain()

    @property
    def lines(self) -> tuple[Line, ...]:
        """The connections that are in use under it."""
        with self._lock:
            return tuple(self._lines.values())

    def take(self, line: Line) -> None:
        """Note that a connection is in use."""
        with self._lock:
            if id(line) not in self._lines:
                self._lines[id(line)] = line
                line.scopes.append(self)

    def leave(self, line: Line) -> None:
        """Note that it is not in use any more."""
        with self._lock:
            if self._lines.pop(id(line), None) is not None:
                line.scopes.remove(self)

    def look(self, now: float) -> float:
        """Do what it is time for; the watcher's thread calls it.

        Parameters
        ----------
        now
            The time, of the monotonic clock [s].

        Returns
        -------
        float
            When to call again.
        """
        self._judge(now)
        if self._cancelled or self._expired:
            with self._lock:
                # New ones may come, and those need not wait long.
                return min([now + 1.0, *(line.stop(now, self.grace) for line in self._lines.values())])
        due = float("inf") if self._deadline is None else self._deadline
        return due if self._cancel is None else min(due, now + POLL)

    def _judge(self, now: float) -> None:
        if self._cancel is not None and self._cancel.is_set():
            self._cancelled = True
        if self._deadline is not None and now >= self._deadline:
            self._expired = True

    def _settle(self) -> None:
        """Let no interruption come late to a connection that goes on in use."""
        for line in self.lines:
            if line.stopped:
                line.settle()
                line.record.invalidate(soft=True)  # whoever takes it next gets another one

    def wait[T](self, call: Callable[[], T], discard: Callable[[T], object]) -> T:
        """Do something that cannot be stopped, and wait for it as long as the scope allows.

        Parameters
        ----------
        call
            What to do, on a thread of its own.
        discard
            What to do with its result if nobody waits for it any more.

        Raises
        ------
        QueryTimeoutError, QueryCancelledError
            Raised if the wait was given up.
        """
        errand = _Errand(call, discard)
        try:
            while not errand.done.wait(POLL):
                self.check()
        except BaseException:
            errand.forget()
            raise
        return errand.result()


class _Errand[T]:
    """A call on a thread of its own."""

    def __init__(self, call: Callable[[], T], discard: Callable[[T], object]) -> None:
        self.done = threading.Event()
        self._call, self._discard = call, discard
        self._lock = threading.Lock()
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._forgotten = False
        threading.Thread(target=self._run, name="lenticular-errand", daemon=True).start()

    def _run(self) -> None:
        try:
            result = self._call()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        else:
            with self._lock:
                self._results.append(result)
                if self._forgotten:
                    self._discard(self._results.pop())
        self.done.set()

    def forget(self) -> None:
        """Have the result discarded."""
        with self._lock:
            self._forgotten = True
            while self._results:
                self._discard(self._results.pop())

    def result(self) -> T:
        """Return what came of it."""
        if self._error is not None:
            raise self._error
        return self._results.pop()


def current_scope() -> Scope | None:
    """Return the scope that this thread's work is in, if there is one."""
    return _current.get()


@contextmanager
def guarded(
    timeout: float | None = None, cancel: threading.Event | None = None, *, grace: float = GRACE
) -> Iterator[Scope]:
    """Bind every statement, and every wait for one, by a deadline and an event.

    At the deadline, or when the event is set, the statement that runs in the
    database is interrupted, and its connection cut if that does not help. What
    was interrupted is never used for another query.

    Parameters
    ----------
    timeout
        Seconds for everything inside; `None` for any. Of several scopes around
        each other the earliest deadline counts.
    cancel
        An event that another thread may set.
    grace
        Seconds that a server has to stop a statement, before its connection is
        cut.

    Yields
    ------
    Scope
        The scope; another thread may also call `Scope.cancel`.

    Raises
    ------
    QueryTimeoutError
        Raised if time was up before a statement had ended.
    QueryCancelledError
        Raised if it was cancelled before.
    """
    from lenticular.butler.guard.hooks import install

    install()
    scope = Scope(timeout=timeout, cancel=cancel, grace=grace)
    try:
        with scope.entered():
            yield scope
    finally:
        scope.close()


def is_database_error(error: BaseException) -> bool:
    """Tell whether an error is a database's, or was raised because of one."""
    import sqlalchemy

    kinds = (sqlalchemy.exc.SQLAlchemyError, DatabaseUnreachableError)
    return any(isinstance(one, kinds) for one in causes(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those because of which it was raised."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        following = following.__cause__ or following.__context__
