"""Writes that are cut short: whether they were done, as far as can be known.

A write is never repeated of itself. The database may have done it and lost the
connection before it could say so.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.errors import InterruptedWriteError, QueryCancelledError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

__all__ = ["commit_begun", "commit_ended", "commit_failed", "writing"]


@dataclass(slots=True)
class _Tally:
    """What a write has committed."""

    committed: int = 0
    committing: bool = False
    unknown: bool = False


_tally: ContextVar[_Tally | None] = ContextVar("lenticular_writes", default=None)


@contextmanager
def writing(what: str, *, where: object) -> Iterator[None]:
    """Say of a write that is cut short whether it was done.

    Parameters
    ----------
    what
        What is done, as it follows "While the repository was asked to".
    where
        The repository concerned, to be named in an error.

    Raises
    ------
    InterruptedWriteError
        Raised if the connection was lost, time was up, or the write was
        cancelled. The hint says what is done, as far as can be known.
    RepositoryError
        Raised for anything else that the database has to complain of.
    """
    from lenticular.butler.database import explained
    from lenticular.butler.guard.hooks import install
    from lenticular.butler.guard.reading import is_lost

    install()
    tally = _Tally()
    token = _tally.set(tally)
    try:
        with explained(where):
            yield
    except Exception as error:
        reason = _reason(error, lost=is_lost(error))
        if reason is None:
            raise
        raise InterruptedWriteError(
            f"While the repository was asked to {what}, {reason}", where=where, hint=_outcome(tally)
        ) from error
    finally:
        _tally.reset(token)


def commit_begun(_: object) -> None:
    """Note that the database is about to be asked to commit."""
    tally = _tally.get()
    if tally is not None:
        tally.committing = True


def commit_ended() -> None:
    """Note that work goes on after a commit, if there was one."""
    tally = _tally.get()
    if tally is not None and tally.committing and not tally.unknown:
        tally.committing = False
        tally.committed += 1


def commit_failed(context: sqlalchemy.ExceptionContext) -> None:
    """Note an error of the database's, which may have come while it was to commit."""
    tally = _tally.get()
    if tally is not None and tally.committing and context.statement is None:
        tally.unknown = context.is_disconnect
        tally.committing = tally.unknown


def _reason(error: Exception, *, lost: bool) -> str | None:
    if isinstance(error, QueryTimeoutError):
        return "its time was up"
    if isinstance(error, QueryCancelledError):
        return "it was cancelled"
    return "the connection to its database was lost" if lost else None


def _outcome(tally: _Tally) -> str:
    if tally.unknown:
        return "It may be done or not: the database was just asked to keep it. Look before it is tried again."
    if tally.committed:
        return "What came before is done, the last step is not: look what is there before it is tried again."
    return "Nothing of it was done. It can be tried again."
