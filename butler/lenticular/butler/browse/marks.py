"""Places between pages, and the comparisons with them.

A page begins after what the page before ended with, told by the values that
the rows are sorted by and, where these are equal, by the dataset's UUID. So a
page costs the same wherever it is, and datasets added or removed meanwhile
neither repeat nor hide others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    import sqlalchemy

    type Value = int | float | str | None
    type Key = tuple[Value, ...]

__all__ = ["Ordering", "PageMark", "Term", "raw"]


@dataclass(frozen=True, slots=True)
class PageMark:
    """Where a page begins or ends."""

    values: Key
    """What the rows are sorted by, of the row that it stands at."""

    id: str
    """UUID of this row's dataset; empty for other rows."""


@dataclass(frozen=True, slots=True)
class Term:
    """Something to sort by."""

    column: sqlalchemy.ColumnElement[Any]
    reverse: bool
    """Whether large values come first."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """An order without ties.

    Where a value is missing, a row comes where the database has it, which is
    also where upstream has it: on SQLite before all values, on PostgreSQL after
    them.
    """

    terms: tuple[Term, ...]
    last: sqlalchemy.ColumnElement[Any] | None
    """The datasets' UUIDs, which differ where all else is equal; `None` if the
    terms tell rows apart."""

    backwards: bool
    """Whether rows are read towards the first."""

    nulls_small: bool
    """Whether the database takes what is missing for smaller than all values."""

    def order(self) -> list[sqlalchemy.ColumnElement[Any]]:
        """Return the columns to sort by, as they are read."""
        return [
            term.column.desc() if term.reverse is not self.backwards else term.column.asc()
            for term in self._all()
        ]

    def _all(self) -> tuple[Term, ...]:
        return self.terms if self.last is None else (*self.terms, Term(self.last, reverse=False))

    def beyond(self, mark: PageMark) -> sqlalchemy.ColumnElement[bool]:
        """Return the condition that a row is read after a mark.

        Raises
        ------
        DataError
            Raised if the mark is of another order.
        """
        import sqlalchemy

        if len(mark.values) != len(self.terms):
            raise DataError(
                "The mark is of a page in another order",
                hint="Read on with the query and the order of the page that it came from.",
            )
        values: list[Any] = [*mark.values, *([] if self.last is None else [UUID(mark.id)])]
        equal: list[sqlalchemy.ColumnElement[bool]] = []
        steps = []
        for term, value in zip(self._all(), values, strict=True):
            steps.append(sqlalchemy.and_(*equal, self._further(term, value)))
            equal.append(term.column.is_(None) if value is None else term.column == value)
        return sqlalchemy.or_(*steps)

    def _further(self, term: Term, value: Any) -> sqlalchemy.ColumnElement[bool]:
        import sqlalchemy

        falling = term.reverse is not self.backwards
        nulls_first = self.nulls_small is not falling
        if value is None:
            return term.column.is_not(None) if nulls_first else sqlalchemy.false()
        step = term.column < value if falling else term.column > value
        return step if nulls_first else sqlalchemy.or_(step, term.column.is_(None))


def raw(column: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[Any]:
    """Return a column whose values are numbers or text, as a mark can hold them.

    Parameters
    ----------
    column
        A column that upstream's statement gives; moments are nanoseconds or, in
        the older layout of registries, dates.
    """
    import sqlalchemy

    if isinstance(column.type, sqlalchemy.DateTime):
        return sqlalchemy.cast(column, sqlalchemy.Text)
    kind: Any = column.type
    while isinstance(kind, sqlalchemy.TypeDecorator):
        kind = kind.impl
    return sqlalchemy.type_coerce(column, kind)
