"""Values that exist, nearest to one that matches nothing."""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lenticular.butler.columns.layout import data_id_layout, record_layout
from lenticular.butler.columns.requests import DataIdQuery, Request
from lenticular.butler.explain.constraints import Change
from lenticular.butler.explain.terms import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lsst.daf.butler import Butler
    from lsst.daf.butler.queries import Query

    from lenticular.butler.columns.layout import Column
    from lenticular.butler.explain.probes import Probe
    from lenticular.butler.explain.terms import Leaf

__all__ = [
    "Candidate",
    "FieldQuery",
    "Side",
    "as_glob",
    "candidates",
    "first_few",
    "likeness",
    "nearest",
    "number",
    "values_of",
]

MOST = 500
"""Values looked at on either side."""

_FIRST_BLOCK = 8
_FEW = 12
_TRIED = 8
_WANTED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldQuery(Request):
    """The key of a dimension element with some of its fields."""

    element: str
    """The element."""

    fields: tuple[str, ...]
    """The fields."""

    def _own_names(self) -> Sequence[str]:
        return (self.element,)

    def build(self, butler: Butler, query: Query) -> tuple[tuple[Column, ...], Any]:
        """See `Request.build`."""
        element = butler.dimensions[self.element]
        dimensions = element.minimal_group
        own = tuple(column for column in record_layout(element) if column.field in self.fields)
        results = query.general(
            dimensions,
            dimension_fields={self.element: {column.field for column in own if column.field}},
            dataset_fields={},
            find_first=False,
        )
        return (*data_id_layout(dimensions), *own), self._restrict(results)

    def value(self, item: Any, column: Column) -> Any:
        """See `Request.value`."""
        return item[column.table if column.field is None else f"{column.table}.{column.field}"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that exists."""

    shown: str
    """It, as a person reads it."""

    change: Change
    """What to demand, so that it matches."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    """The data ID that has it."""

    @property
    def is_pattern(self) -> bool:
        """Whether it is a pattern rather than a value."""
        return self.change.text.startswith("GLOB(")


@dataclass(frozen=True, slots=True)
class Side:
    """Values on one side of those asked for."""

    found: list[Candidate]
    """The nearest, in this order."""

    outside: str = ""
    """The condition that all values on this side meet."""

    make: Callable[[dict[str, Any]], Candidate | None] | None = None
    """Returns the candidate for a record."""


def candidates(probe: Probe, leaf: Leaf, local: Request) -> list[Side]:
    """Return values of a column that exist, nearest first, on each side of those asked for.

    Parameters
    ----------
    probe
        Asks the repository.
    leaf
        The comparison that matches nothing.
    local
        A question of whatever kind whose expression and values concern the
        element alone.

    Returns
    -------
    list of Side
        One for each direction to search in.
    """
    if leaf.operator == "!=" or leaf.element not in probe.butler.dimensions.elements.names:
        return []
    if leaf.kind == "string":
        return [Side(_names(probe, leaf, local))]
    if leaf.end is None and leaf.kind in {"int", "float"}:
        return _numbers(probe, leaf, local)
    if leaf.kind in {"timespan", "datetime"}:
        from lenticular.butler.explain.times import spans

        return spans(probe, leaf, local)
    return []


def nearest[T](
    found: Sequence[T],
    passing: Callable[[Sequence[T]], Sequence[T]],
    beyond: Callable[[Sequence[T]], T | None] | None = None,
) -> T | None:
    """Return the first candidate that passes a test, with few tests.

    Parameters
    ----------
    found
        Candidates, nearest first.
    passing
        Returns those of some candidates that pass.
    beyond
        Returns the first that passes of what comes after the nearest ones,
        where there is a quicker way to find it.
    """
    low, size = 0, _FIRST_BLOCK
    while low < len(found):
        if beyond is not None and size > _FIRST_BLOCK**2:
            return beyond(found[:low])
        passed = passing(found[low : low + size])
        if passed:
            return passed[0]
        low, size = low + size, size * _FIRST_BLOCK
    return None


def values_of(
    probe: Probe, leaf: Leaf, local: Request, *, where: str = "", order_by: str = "", limit: int = MOST
) -> list[dict[str, Any]]:
    """Return records of an element: their keys, and the field that a comparison is about."""
    joined = " AND ".join(f"({part})" for part in (local.where, where) if part)
    options: dict[str, Any] = {
        "where": joined,
        "bind": local.bind,
        "data_id": local.data_id,
        "order_by": (order_by,) if order_by else (),
        "limit": limit,
    }
    if leaf.field is None:
        table = probe.table(DataIdQuery(dimensions=(leaf.element,), **options))
    else:
        table = probe.table(FieldQuery(element=leaf.element, fields=(leaf.field,), **options))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _numbers(probe: Probe, leaf: Leaf, local: Request) -> list[Side]:
    """Return numbers below the least and above the greatest that is asked for."""
    column, name = leaf.column, leaf.field or leaf.element
    low, high = _bounds(leaf)
    sides = []
    if low is not None and leaf.operator not in {"<", "<="}:
        sides.append((f"{column} < {literal(low)}", f"-{column}"))
    if high is not None and leaf.operator not in {">", ">="}:
        sides.append((f"{column} > {literal(high)}", column))
    if leaf.operator in {"<", "<=", ">", ">="}:
        other = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[leaf.operator]
        order = column if leaf.operator in {"<", "<="} else f"-{column}"
        sides = [(f"{column} {other} {literal(leaf.values[0])}", order)]
    found = []
    for where, order in sides:
        rows = values_of(probe, leaf, local, where=where, order_by=order)
        make = partial(_from_row, leaf, name)
        found.append(Side([one for row in rows if (one := make(row)) is not None], where, make))
    return found


def _bounds(leaf: Leaf) -> tuple[Any, Any]:
    if leaf.operator == "range":
        return leaf.values[0], leaf.values[1]
    numbers = [value for value in leaf.values if isinstance(value, int | float)]
    return (min(numbers), max(numbers)) if numbers else (None, None)


def _from_row(leaf: Leaf, name: str, row: dict[str, Any]) -> Candidate | None:
    return None if row[name] is None else number(leaf, row[name], row)


def number(leaf: Leaf, value: Any, row: dict[str, Any]) -> Candidate:
    """Return a number as what to demand in the place of a comparison.

    Parameters
    ----------
    leaf
        The comparison.
    value
        The number.
    row
        The data ID that has it.
    """
    column, text = leaf.column, literal(value) or str(value)
    match leaf.operator:
        case "<" | "<=":
            change = f"{column} <= {text}"
        case ">" | ">=":
            change = f"{column} >= {text}"
        case "range" if leaf.values[2] == 1:
            low, high = min(value, leaf.values[0]), max(value, leaf.values[1])
            change = f"{column} IN ({low}..{high})"
        case _:
            change = f"{column} = {text}"
    return Candidate(text, Change(change, value), row)


def _names(probe: Probe, leaf: Leaf, local: Request) -> list[Candidate]:
    """Return names in the order of their likeness."""
    name = leaf.field or leaf.element
    rows = values_of(probe, leaf, local, limit=MOST * 20)
    keys: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row[name] is not None:
            keys.setdefault(row[name], row)
    asked = [value for value in leaf.values if isinstance(value, str)]
    known = sorted(set(keys) - (set(asked) if leaf.operator == "==" else set()))
    ranked = sorted(known, key=lambda one: (-max(likeness(one, value) for value in asked), one))
    found = [
        Candidate(one, Change(f"{leaf.column} = {literal(one)}", one), keys[one])
        for one in ranked
        if literal(one) is not None
    ]
    if leaf.operator == "==" and (pattern := as_glob(asked[0])) is not None:
        matching = fnmatch.filter(known, pattern)
        if matching:
            glob = Candidate(pattern, Change(f"GLOB({leaf.column}, '{pattern}')", None), keys[matching[0]])
            found = [glob, *found]
    return found if len(found) <= _FEW else found[: max(_TRIED, _FEW)]


def as_glob(text: str) -> str | None:
    """Return text that looks like a pattern as GLOB takes it; `None` if it does not look so."""
    if re.search(r"[*?\[]", text):
        return text
    return text.replace("%", "*").replace("_", "?") if "%" in text else None


def likeness(one: str, other: str) -> float:
    """Return how alike two names are, from 0 to 1; the same but for case is nearly 1."""
    if one.casefold() == other.casefold():
        return 0.999
    score = difflib.SequenceMatcher(None, one.casefold(), other.casefold()).ratio()
    contained = one.casefold() in other.casefold() or other.casefold() in one.casefold()
    return max(score, 0.6) if contained else score


def first_few(found: Iterable[Candidate], passes: Callable[[Candidate], bool]) -> list[Candidate]:
    """Return the first few candidates that pass, after trying not too many."""
    kept: list[Candidate] = []
    for tried, one in enumerate(found):
        if len(kept) == _WANTED or tried == _FEW:
            break
        if passes(one):
            kept.append(one)
    return kept
