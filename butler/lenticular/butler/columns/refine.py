"""What a database cannot decide, decided on columns: overlaps on the sky, and who comes first.

A database finds which regions may overlap by the pixels of the sky that they
share. Whether they do is computed from their shapes, as upstream does it row
by row; here, once for each pair of shapes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from lsst.sphgeom import Region

    from lenticular.butler.columns.plan import Lookup, Ranking, Refinement

__all__ = ["Refiner", "complete", "first_of_each"]

_NAMES = pa.dictionary(pa.int32(), pa.string())


class Refiner:
    """Applies to one batch of rows after another what a statement leaves to be done.

    Parameters
    ----------
    work
        What that is.
    """

    def __init__(self, work: Refinement) -> None:
        self._work = work
        self._left = work.limit

    @property
    def done(self) -> bool:
        """Whether no further row is wanted."""
        return self._left == 0

    def apply(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that stay.

        Parameters
        ----------
        rows
            Rows of the statement, with regions as base64.

        Raises
        ------
        DataError
            Raised if a data ID has several calibrations, of which none comes first.
        """
        kept = np.ones(rows.num_rows, bool)
        for name in self._work.sums:
            _keep(kept, [rows.column(name)], _some_overlap)
        for pair in self._work.pairs:
            _keep(kept, [rows.column(name) for name in pair], _overlap)
        for name, region in self._work.given:
            _keep(kept, [rows.column(name)], lambda text, other=region: _meets(text, other))
        if not kept.all():
            rows = rows.filter(pa.array(kept))
        if self._left is not None:
            rows = rows.slice(0, self._left)
            self._left -= rows.num_rows
        if self._work.matches is not None:
            _check_matches(rows.column(self._work.matches))
        return rows


def first_of_each(rows: pa.Table, ranking: Ranking) -> pa.Table:
    """Return, of the rows with the same data ID, that of the collection searched first.

    Parameters
    ----------
    rows
        All datasets that a search sees.
    ranking
        Columns and order of the search.

    Returns
    -------
    pyarrow.Table
        The rows that come first, in the order in which they were, with the run.
    """
    if not rows.num_rows:
        return rows.append_column(ranking.run, pa.array([], _NAMES)) if ranking.runs else rows
    numbers = np.asarray(rows.column(ranking.collection).cast(pa.int64()))
    known = np.array(sorted(ranking.ranks))
    order = np.array([ranking.ranks[number] for number in known.tolist()])
    place = order[np.searchsorted(known, numbers)]
    groups = _groups([rows.column(name) for name in ranking.keys], rows.num_rows)
    best = np.full(int(groups.max()) + 1, len(order))
    np.minimum.at(best, groups, place)
    first = place == best[groups]
    if not first.all():
        rows, place = rows.filter(pa.array(first)), place[first]
    if ranking.runs:
        names = pa.DictionaryArray.from_arrays(pa.array(place, pa.int32()), pa.array(ranking.runs))
        rows = rows.append_column(ranking.run, names)
    return rows


def complete(rows: pa.Table, records: pa.Table, lookup: Lookup) -> pa.Table:
    """Fill in the dimensions that follow from others, as a join with their records would.

    Parameters
    ----------
    rows
        Rows that have the keys.
    records
        Keys and values, each key once. Rows without a record are left out.
    lookup
        The columns concerned.
    """
    keys = [pa.chunked_array([_whole(records, name), _whole(rows, name)]) for name in lookup.keys]
    groups = _groups(keys, records.num_rows + rows.num_rows)
    place = np.full(int(groups.max(initial=-1)) + 1, -1)
    place[groups[: records.num_rows]] = np.arange(records.num_rows)
    found = place[groups[records.num_rows :]]
    if (found < 0).any():
        rows, found = rows.filter(pa.array(found >= 0)), found[found >= 0]
    places = pa.array(found)
    for name in lookup.values:
        rows = rows.append_column(name, _whole(records, name).take(places))
    return rows


def _whole(table: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, text of either side with dictionary encoding."""
    column = table.column(name)
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    return column.unify_dictionaries().combine_chunks()


def _groups(keys: Sequence[pa.ChunkedArray], size: int) -> npt.NDArray[np.int64]:
    """Return a number for each distinct combination of values, from 0 and without gaps."""
    numbers: npt.NDArray[np.int64] = np.zeros(size, np.int64)
    for key in keys:
        codes, count = _codes(key)
        if count > 1:
            numbers = _codes(pa.array(numbers * count + codes))[0]
    return numbers


def _codes(values: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], int]:
    whole = values if isinstance(values, pa.Array) else values.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    return np.asarray(coded.indices).astype(np.int64), len(coded.dictionary)


def _keep(kept: npt.NDArray[np.bool_], columns: Sequence[pa.Array], test: Any) -> None:
    """Clear the marks of rows that fail a test, made once for each combination of values."""
    places = np.flatnonzero(kept)
    if not len(places):
        return
    coded = [column.take(pa.array(places)).dictionary_encode() for column in columns]
    numbers = np.zeros(len(places), np.int64)
    for part in coded:
        numbers = numbers * len(part.dictionary) + np.asarray(part.indices)
    _, examples, members = np.unique(numbers, return_index=True, return_inverse=True)
    answers = np.array([test(*(part[int(place)].as_py() for part in coded)) for place in examples], bool)
    kept[places] = answers[members]


@lru_cache(maxsize=8192)
def _region(text: str) -> Region:
    from lsst.sphgeom import Region

    return Region.decodeBase64(text)


def _overlap(one: str, other: str) -> bool:
    return _region(one).overlaps(_region(other)) is not False


def _meets(text: str, other: Region) -> bool:
    return _region(text).overlaps(other) is not False


def _some_overlap(text: str) -> bool:
    from lsst.sphgeom import Region

    # PostgreSQL writes what was cast to bytes in hexadecimal.
    plain = bytes.fromhex(text[2:]).decode() if text.startswith("\\x") else text
    return Region.decodeOverlapsBase64(plain) is not False


def _check_matches(counts: pa.Array) -> None:
    if any(count is not None and int(count) > 1 for count in counts.unique().to_pylist()):
        raise DataError(
            "A data ID has several calibrations, each valid for another span of time",
            hint="Restrict the time, as by exposure.timespan OVERLAPS, or ask with find_first=False.",
        )
