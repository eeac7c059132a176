"""Reads that outlive a lost connection, once."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from lenticular.butler.database import explained
from lenticular.butler.errors import StoreUnreachableError
from lenticular.butler.guard.scope import causes, current_scope, guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from lenticular.butler.guard.slots import Slots

__all__ = ["is_lost", "run_read"]


def run_read[T](
    work: Callable[[], T],
    *,
    where: object,
    slots: Slots | None = None,
    timeout: float | None = None,
    repeatable: bool = True,
) -> T:
    """Read from a registry: in turn, in time, and again if the connection is lost.

    Parameters
    ----------
    work
        What takes a connection and reads. It changes nothing, and may be
        called twice.
    where
        The repository concerned, to be named in an error.
    slots
        Places of which one is needed.
    timeout
        Seconds for all of it, the wait for a place included; `None` for any.
    repeatable
        Whether it may be called again; not so inside somebody's transaction.

    Raises
    ------
    DatabaseUnreachableError
        Raised if the database does not answer, also on a fresh connection.
    RepositoryBusyError
        Raised if no place became free.
    QueryTimeoutError, QueryCancelledError
        Raised if time was up, or the answer is no longer wanted.
    """
    scope = nullcontext() if timeout is None else guarded(timeout)
    place = nullcontext() if slots is None else slots.taken(where)
    with explained(where), scope, place:
        try:
            return work()
        except Exception as error:
            ambient = current_scope()
            if ambient is not None:
                ambient.check(where)
            _explain_store(error)
            if not repeatable or not is_lost(error):
                raise
        # Outside of the handler, so that an error of the second time is told alone.
        return work()


def is_lost(error: BaseException) -> bool:
    """Tell whether an error came of a connection that was good before and is lost.

    Parameters
    ----------
    error
        A driver's error as SQLAlchemy has it, or what was raised because of one.
    """
    import sqlalchemy

    errors = causes(error)
    return any(isinstance(one, sqlalchemy.exc.DBAPIError) and one.connection_invalidated for one in errors)


def _explain_store(error: BaseException) -> None:
    """Raise what an object store has to complain of, if upstream has wrapped that up."""
    found = next((one for one in causes(error) if isinstance(one, StoreUnreachableError)), None)
    if found is not None and found is not error:
        raise type(found)(found.what, where=found.where, hint=found.hint) from error
