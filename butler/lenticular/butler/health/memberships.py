"""The tables that say which dataset is in which collection.

Dataset types with the same dimensions share one such table, and another one
for CALIBRATION collections, where each dataset has a range of validity.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.dataset_types import read_dataset_types
from lenticular.butler.browse.universe import read_universe
from lenticular.butler.errors import QueryCancelledError
from lenticular.butler.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.repository import Repository

    type Cancel = threading.Event | Callable[[], bool]
    type Progress = Callable[[str, int, int], None]

__all__ = [
    "FIRST_MOMENT",
    "LAST_MOMENT",
    "NO_VALIDITY",
    "ask",
    "cancellable",
    "membership_table",
    "read_kinds",
    "unless_cancelled",
    "validity",
]

FIRST_MOMENT = 0
"""What an unbounded beginning is written as [ns since 1970-01-01, TAI]."""

LAST_MOMENT = 4_102_444_800 * 10**9
"""What an unbounded end is written as: the first moment of 2100 [ns, TAI]."""

NO_VALIDITY = -1
"""Stands for both ends where a collection knows no validity."""


def read_kinds(repository: Repository) -> Mapping[str, StoredType]:
    """Return every dataset type of a repository, by name, in alphabetical order."""
    universe = read_universe(repository)
    return repository.read(lambda connection: read_dataset_types(connection, repository.tables, universe))


def membership_table(
    repository: Repository, name: str, dimensions: Sequence[str], *, timed: bool = False
) -> sqlalchemy.TableClause:
    """Return one of the tables, as far as it is read here.

    Parameters
    ----------
    repository
        The repository.
    name
        Name of the table, as its dataset types have it.
    dimensions
        Their required dimensions.
    timed
        Whether it is one of CALIBRATION collections.
    """
    ends: tuple[str, ...] = ()
    if timed:
        is_sqlite = repository.engine.dialect.name == "sqlite"
        ends = ("timespan_begin", "timespan_end") if is_sqlite else ("timespan",)
    return repository.tables.association(name, (*dimensions, *ends))


def validity(table: sqlalchemy.TableClause) -> tuple[sqlalchemy.ColumnElement[Any], ...]:
    """Return the ends of the ranges of validity in a table [ns since 1970-01-01, TAI].

    Of an empty range the beginning is the last moment, and the end the first.
    """
    import sqlalchemy

    if "timespan" not in table.c:
        return table.c.timespan_begin, table.c.timespan_end
    span, call = table.c.timespan, sqlalchemy.func
    empty = call.isempty(span)
    return (
        sqlalchemy.case((empty, LAST_MOMENT), else_=call.coalesce(call.lower(span), FIRST_MOMENT)),
        sqlalchemy.case((empty, FIRST_MOMENT), else_=call.coalesce(call.upper(span), LAST_MOMENT)),
    )


def ask(repository: Repository, statement: sqlalchemy.sql.Executable) -> Sequence[Any]:
    """Return all rows of a statement."""
    return repository.read(lambda connection: connection.execute(statement).all())


@contextmanager
def cancellable(cancel: Cancel | None) -> Iterator[None]:
    """Stop the statement that is running, too, when an event is set."""
    with guarded(cancel=cancel if isinstance(cancel, threading.Event) else None):
        yield


def unless_cancelled(cancel: Cancel | None, where: str) -> None:
    """Raise if an answer is no longer wanted.

    Raises
    ------
    QueryCancelledError
        Raised if the event is set, or the function returns true.
    """
    given_up = cancel.is_set if isinstance(cancel, threading.Event) else cancel
    if given_up is not None and given_up():
        raise QueryCancelledError("It was cancelled", where=where)
