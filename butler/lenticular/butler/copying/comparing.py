"""Whether two registries hold the same rows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

from lenticular.butler.copying.report import Difference
from lenticular.butler.copying.tables import sorted_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy

    from lenticular.butler.copying.forms import Layout

__all__ = ["compare_tables"]

type Row = tuple[Any, ...]
type Tell = Callable[[int], None]

_NAMED = 20
"""Rows that are named for each table; beyond these they are only counted."""


def compare_tables(
    source: tuple[sqlalchemy.Engine, Layout],
    target: tuple[sqlalchemy.Engine, Layout],
    *,
    block: int,
    tell: Tell,
) -> tuple[int, int, tuple[Difference, ...]]:
    """Compare a table in two databases, row by row in order of the key.

    Parameters
    ----------
    source, target
        Database and table.
    block
        Rows that are held at once, of each side.
    tell
        Called with the number of rows compared since the last call.

    Returns
    -------
    rows
        How many rows the target has.
    different
        How many rows are not the same.
    named
        The first of these.
    """
    layout = source[1]
    places = layout.key_places
    count, different = 0, 0
    named: list[Difference] = []
    theirs = _counted(sorted_blocks(*target, block), tell)
    for one, other in _paired(_each(sorted_blocks(*source, block)), _each(theirs), places):
        count += other is not None
        if one == other:
            continue
        different += 1
        if len(named) < _NAMED:
            named.append(_difference(layout, one, other))
    return count, different, tuple(named)


def _counted(blocks: Iterator[list[Row]], tell: Tell) -> Iterator[list[Row]]:
    for block in blocks:
        yield block
        tell(len(block))


def _each(blocks: Iterator[list[Row]]) -> Iterator[Row]:
    return chain.from_iterable(blocks)


def _paired(
    ones: Iterator[Row], others: Iterator[Row], places: tuple[int, ...]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Pair rows of equal keys; a row without a partner is paired with `None`."""

    def key(row: Row) -> Row:
        return tuple(row[place] for place in places)

    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if one == other:  # nearly always
            yield one, other
            one, other = next(ones, None), next(others, None)
        elif other is None or (one is not None and key(one) < key(other)):
            yield one, None
            one = next(ones, None)
        elif one is None or key(other) < key(one):
            yield None, other
            other = next(others, None)
        else:
            yield one, other
            one, other = next(ones, None), next(others, None)


def _difference(layout: Layout, one: Row | None, other: Row | None) -> Difference:
    row = one if one is not None else other
    assert row is not None  # noqa: S101 - of a pair at most one is missing
    key = dict(zip(layout.key, (row[place] for place in layout.key_places), strict=True))
    if one is None or other is None:
        return Difference(layout.name, "extra" if one is None else "missing", key)
    fields = tuple(
        field.name for field, a, b in zip(layout.fields, one, other, strict=True) if a is not b and a != b
    )
    return Difference(layout.name, "changed", key, fields)
