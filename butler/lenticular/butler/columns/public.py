"""The same answers by upstream's public interface, which knows every version of itself.

It makes an object of every row, and is used where the planner is not known:
with other versions of daf_butler, other drivers, and a Butler behind a server.
"""

from __future__ import annotations

from itertools import batched
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lenticular.butler.columns.layout import schema_of

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from lenticular.butler.columns.layout import Column
    from lenticular.butler.columns.requests import Request

__all__ = ["batches"]


def batches(
    request: Request, columns: Sequence[Column], results: Iterable[Any], rows: int
) -> Generator[pa.RecordBatch, None, None]:
    """Turn upstream's results into columns.

    Parameters
    ----------
    request
        The question.
    columns
        Columns of the answer.
    results
        What upstream answers.
    rows
        Rows in a batch.

    Yields
    ------
    pyarrow.RecordBatch
        The next rows.
    """
    schema = schema_of(columns)
    for items in batched(results, rows):
        arrays: list[pa.Array] = []
        for column in columns:
            values = [request.value(item, column) for item in items]
            if column.kind == "timespan":
                ends = [(None, None) if value is None else value.nsec for value in values]
                arrays += [pa.array(end, pa.int64()) for end in zip(*ends, strict=True)]
            else:
                plain = pa.array([_plain(column.kind, value) for value in values])
                arrays.append(plain.cast(column.type))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _plain(kind: str, value: Any) -> Any:
    """Return a value as Arrow keeps it."""
    if value is None:
        return None
    if kind == "uuid":
        return value.bytes
    if kind == "region":
        return value.encode()
    if kind in {"ingest_date", "datetime"} and not isinstance(value, int):
        from lsst.daf.butler.time_utils import TimeConverter

        return TimeConverter().astropy_to_nsec(value)
    return value
