"""Which visits a person means, and how that is said to a registry."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lenticular.butler import Explanation, Repository

__all__ = [
    "VISIT_LIMIT",
    "VisitRow",
    "explain_no_visits",
    "instruments",
    "list_visits",
    "quoted",
    "where_of",
]

VISIT_LIMIT = 5000
"""Visits that are listed at most."""

_MANY = 10_000_000
"""Exposures that no instrument has made yet."""

_RUN_LENGTH = 3
"""So many consecutive identifiers are written as a range."""


@dataclass(frozen=True, slots=True)
class VisitRow:
    """A visit as a table shows it."""

    visit: int
    """Its identifier."""

    band: str
    """Band of its filter."""

    day_obs: int
    """Night, as yyyymmdd."""

    exposure_time: float
    """Exposure time [s]."""

    target: str
    """What was observed."""

    detectors: int
    """Detectors with a raw in the collections asked."""


def quoted(text: str) -> str:
    """Return a string literal of the registry's expression language.

    Raises
    ------
    DataError
        Raised for a text with a quote, which the language cannot hold.
    """
    if "'" in text or "\\" in text:
        raise DataError(
            f"{text!r} cannot stand in an expression", hint="Names with quotes cannot be asked for."
        )
    return f"'{text}'"


def where_of(
    instrument: str,
    *,
    visits: Iterable[int] = (),
    bands: Iterable[str] = (),
    nights: Iterable[int] = (),
    expression: str = "",
) -> str:
    """Return the expression for a selection of visits.

    Parameters
    ----------
    instrument
        Name of the instrument; empty for none.
    visits
        Visits chosen one by one. If there are any, bands and nights only
        served to find them and are left out.
    bands, nights
        What restricts them otherwise.
    expression
        A further constraint, in the same language.

    Returns
    -------
    str
        An expression for ``where``, such as
        ``instrument = 'CerroCam' AND band IN ('g', 'r')``.
    """
    parts = [f"instrument = {quoted(instrument)}"] if instrument else []
    chosen = sorted(set(visits))
    if chosen:
        parts.append(f"visit IN ({', '.join(_ranges(chosen))})")
    else:
        if names := sorted(set(bands)):
            parts.append(f"band IN ({', '.join(map(quoted, names))})")
        if days := sorted(set(nights)):
            parts.append(f"day_obs IN ({', '.join(map(str, days))})")
    if expression.strip():
        parts.append(f"({expression.strip()})")
    return " AND ".join(parts)


def instruments(repository: Repository) -> tuple[str, ...]:
    """Return the names of a repository's instruments."""
    return tuple(repository.dimension_records("instrument").to_pydict().get("name", ()))


def list_visits(
    repository: Repository,
    instrument: str,
    collections: Sequence[str],
    *,
    dataset_type: str = "raw",
    where: str = "",
) -> tuple[VisitRow, ...]:
    """List visits, with the number of detectors that have data.

    Parameters
    ----------
    repository
        The repository.
    instrument
        Name of the instrument.
    collections
        Only visits with data there are listed; with none, all are.
    dataset_type
        What counts as data: a type with an exposure and a detector.
    where
        Expression that restricts the visits.

    Returns
    -------
    tuple of VisitRow
        In the order of their identifiers, `VISIT_LIMIT` at most.
    """
    filters = repository.dimension_records("physical_filter", instrument=instrument).to_pylist()
    bands = {row["name"]: row["band"] for row in filters}
    records = repository.dimension_records(
        "visit", instrument=instrument, where=where, order_by=("visit",), limit=VISIT_LIMIT
    ).to_pylist()
    counts = _detectors(repository, instrument, collections, dataset_type) if collections else None
    return tuple(
        VisitRow(
            visit=record["id"],
            band=bands.get(record["physical_filter"], ""),
            day_obs=record["day_obs"],
            exposure_time=float(record["exposure_time"] or 0.0),
            target=record["target_name"] or "",
            detectors=0 if counts is None else counts[record["id"]],
        )
        for record in records
        if counts is None or counts[record["id"]]
    )


def explain_no_visits(
    repository: Repository,
    instrument: str,
    collections: Sequence[str],
    *,
    dataset_type: str = "raw",
    where: str = "",
) -> Explanation:
    """Explain why `list_visits` finds none.

    Parameters
    ----------
    repository, instrument, collections, dataset_type, where
        What it was given.
    """
    from lenticular.butler import explain_empty
    from lenticular.butler.columns import DatasetQuery, RecordQuery

    data_id = {"instrument": instrument}
    found = explain_empty(repository, RecordQuery(element="visit", where=where, data_id=data_id))
    if found.culprit is not None or not collections:
        return found
    query = DatasetQuery(
        dataset_type=dataset_type, collections=tuple(collections), data_id=data_id, find_first=False
    )
    return explain_empty(repository, query)


def _detectors(
    repository: Repository, instrument: str, collections: Sequence[str], dataset_type: str
) -> Counter[int]:
    """Count, for each visit, the datasets of its exposures."""
    from lenticular.butler import read_facets
    from lenticular.butler.columns import DatasetQuery

    query = DatasetQuery(
        dataset_type=dataset_type, collections=tuple(collections), data_id={"instrument": instrument}
    )
    exposures = Counter(dict(read_facets(repository, query, ["exposure"], most=_MANY)["exposure"].values))
    definitions = repository.dimension_records("visit_definition", instrument=instrument, limit=None)
    counts: Counter[int] = Counter()
    for row in definitions.to_pylist():
        counts[row["visit"]] += exposures[row["exposure"]]
    return counts


def _ranges(numbers: Sequence[int]) -> list[str]:
    """Write sorted numbers, with ``a..b`` where several follow each other."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        part
        for run in runs
        for part in ([f"{run[0]}..{run[-1]}"] if len(run) >= _RUN_LENGTH else map(str, run))
    ]
