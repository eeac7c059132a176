"""Pages of what upstream's statement gives, in its order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.marks import Ordering, PageMark, Term, raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenticular.butler.columns.plan import Plan

__all__ = ["PlannedPage", "Row"]

_WASTE = 10
"""Rows that are read for one that is wanted, where some will be refined away."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a page."""

    mark: PageMark
    values: tuple[Any, ...]
    """Values of the columns that are wanted."""


@dataclass(frozen=True, slots=True)
class PlannedPage:
    """A page of the rows of a statement."""

    plan: Plan
    """The statement, with the columns it is to be sorted by."""

    columns: tuple[str, ...]
    """Names of the columns that are wanted."""

    ties: tuple[str, ...]
    """Columns that differ between rows with equal places, sorted by after all others."""

    identity: str | None
    """Column with the UUID of a dataset, to sort by last, if the rows are datasets."""

    distinct: bool
    """Whether the statement may give a row more than once."""

    def read(self, wanted: int, mark: PageMark | None, *, backwards: bool) -> list[Row]:
        """Read as many rows as are wanted, or as there are.

        Parameters
        ----------
        wanted
            The number of rows.
        mark
            Where to begin; `None` for the beginning.
        backwards
            Whether to read towards the first.

        Raises
        ------
        DataError
            Raised if the mark is of another order.
        """
        import sqlalchemy

        rows, work = self.plan.select.subquery("found"), self.plan.refinement
        terms = tuple(Term(raw(rows.c[name]), reverse) for name, reverse in self.plan.sort)
        terms += tuple(Term(raw(rows.c[name]), reverse=False) for name in self.ties)
        last = None if self.identity is None else rows.c[self.identity]
        small = self.plan.connection.dialect.name == "sqlite"
        ordering = Ordering(terms, last, backwards=backwards, nulls_small=small)
        regions = [sqlalchemy.type_coerce(rows.c[name], sqlalchemy.String) for name in work.columns]
        own = [rows.c[name] for name in self.columns]
        keys = [*(term.column for term in terms), *([] if last is None else [last])]
        labelled = (column.label(f"c{place}") for place, column in enumerate((*own, *keys, *regions)))
        statement = sqlalchemy.select(*labelled).order_by(*ordering.order())
        if self.distinct:
            statement = statement.distinct()
        found: list[Row] = []
        size = wanted * _WASTE if work else wanted
        first, end = len(own), len(own) + len(terms)
        while True:
            part = statement if mark is None else statement.where(ordering.beyond(mark))
            read = self.plan.connection.execute(part.limit(size)).all()
            marks = [PageMark(tuple(row[first:end]), "" if last is None else str(row[end])) for row in read]
            kept = _refined(work, [row[len(own) + len(keys) :] for row in read])
            found += [Row(marks[place], tuple(read[place][:first])) for place in kept]
            if len(found) >= wanted or len(read) < size:
                return found[:wanted]
            mark, size = marks[-1], 2 * size


def _refined(work: Any, rows: Sequence[Sequence[Any]]) -> list[int]:
    """Return the places of the rows that stay, where a database cannot decide it."""
    if not work or not rows:
        return list(range(len(rows)))
    import pyarrow as pa

    from lenticular.butler.columns.refine import Refiner

    texts = {name: [_text(row[place]) for row in rows] for place, name in enumerate(work.columns)}
    arrays: dict[str, pa.Array] = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    arrays["place"] = pa.array(range(len(rows)), pa.int64())
    places: list[int] = Refiner(work).apply(pa.record_batch(arrays)).column("place").to_pylist()
    return places


def _text(value: Any) -> str | None:
    """Return a region, or a number, as text; what was cast to bytes differs between drivers."""
    if isinstance(value, memoryview | bytes):
        return bytes(value).decode()
    return None if value is None else str(value)
