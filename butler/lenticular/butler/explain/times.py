"""Records that are nearest in time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lenticular.butler.explain.constraints import Change
from lenticular.butler.explain.nearby import Candidate, Side, values_of
from lenticular.butler.explain.terms import literal

if TYPE_CHECKING:
    from lenticular.butler.columns.requests import Request
    from lenticular.butler.explain.probes import Probe
    from lenticular.butler.explain.terms import Leaf

__all__ = ["moment", "shown_gap", "spans"]

_SECOND = 1_000_000_000
_UNITS = (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


def spans(probe: Probe, leaf: Leaf, local: Request) -> list[Side]:
    """Return records before and after a span, or a moment, of time.

    Parameters
    ----------
    probe
        Asks the repository.
    leaf
        A comparison with a timespan, or with its begin or end.
    local
        A question whose expression and values concern the element alone.
    """
    begin, end = _asked(leaf)
    span = f"{leaf.element}.{leaf.field}"
    after, before = literal(moment(end)), literal(moment(begin))
    sides: list[tuple[str, str, int]] = []
    if leaf.operator not in {">", ">="}:
        sides.append((f"{span}.begin >= {after}", f"{span}.begin", 1))
    if leaf.operator not in {"<", "<="}:
        sides.append((f"{span}.end <= {before}", f"-{span}.end", -1))
    found = []
    for where, order, direction in sides:
        rows = values_of(probe, leaf, local, where=where, order_by=order)
        make = partial(_candidate, leaf, begin, end, direction)
        found.append(Side([one for row in rows if (one := make(row)) is not None], where, make))
    return found


def moment(nanoseconds: int) -> Any:
    """Return a moment that the registry keeps (TAI since 1970) as `astropy.time.Time`."""
    from lsst.daf.butler.time_utils import TimeConverter

    return TimeConverter().nsec_to_astropy(nanoseconds)


def shown_gap(nanoseconds: int) -> str:
    """Return a length of time as people say it.

    Examples
    --------
    >>> shown_gap(180_000_000_000)
    '3 minutes'
    """
    seconds = nanoseconds / _SECOND
    unit, size = next((unit for unit in _UNITS if seconds >= 2 * unit[1]), _UNITS[-1])
    amount = seconds / size
    return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"  # noqa: PLR2004 - three digits


def _asked(leaf: Leaf) -> tuple[int, int]:
    """Return begin and end of what is asked for, in nanoseconds."""
    from lsst.daf.butler.time_utils import TimeConverter

    value = leaf.values[0]
    if hasattr(value, "nsec"):
        begin, end = value.nsec
        return int(begin), int(end)
    nanoseconds = TimeConverter().astropy_to_nsec(value)
    return nanoseconds, nanoseconds


def _candidate(leaf: Leaf, begin: int, end: int, direction: int, row: dict[str, Any]) -> Candidate | None:
    first, last = row[f"{leaf.field}_begin"], row[f"{leaf.field}_end"]
    if first is None or last is None:
        return None
    key = row.get(leaf.element)
    gap = first - end if direction > 0 else begin - last
    where = "later" if direction > 0 else "earlier"
    shown = f"{leaf.element} {key}, {shown_gap(gap)} {where}"
    if leaf.end is not None:
        edge = literal(moment(first if leaf.end == "begin" else last))
        operator = {"<": "<=", ">": ">="}.get(leaf.operator, leaf.operator).replace("==", "=")
        return Candidate(shown, Change(f"{leaf.column} {operator} {edge}"), row)
    edges = (min(first, begin), max(last, end))
    text = ", ".join(literal(moment(edge)) or "" for edge in edges)
    return Candidate(shown, Change(f"{leaf.column} OVERLAPS ({text})"), row)
