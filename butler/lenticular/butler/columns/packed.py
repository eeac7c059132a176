"""Rows of SQLite by the hundred thousand, without an object of Python's for each value.

SQLite's driver makes tuples, which takes three times as long as the query
behind them. SQLite itself can write a whole column as one JSON array, and
Arrow can read that as the lines of a file.
"""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

if TYPE_CHECKING:
    import sqlalchemy

    from lenticular.butler.columns.plan import Plan

__all__ = ["PACKED_ROWS", "read_packed"]

PACKED_ROWS = 2_000_000
"""Rows from which on an answer is not packed, which bounds the memory: some 100 bytes for each."""

_FIRST_VERSION = (3, 38)
"""SQLite's first version that always has its JSON functions."""


def read_packed(plan: Plan, schema: pa.Schema) -> pa.RecordBatch | None:
    """Run a statement on SQLite, if its answer fits.

    Parameters
    ----------
    plan
        The statement.
    schema
        Names and types of its columns.

    Returns
    -------
    pyarrow.RecordBatch or None
        All rows; `None` if they have an order, which a JSON array does not
        promise to keep, a limit, numbers that JSON would round, regions, or if
        they are too many.
    """
    import sqlalchemy

    fits = not (plan.sliced or plan.refinement or plan.bulky) and all(map(_exact, schema.types))
    if not fits or sqlite3.sqlite_version_info < _FIRST_VERSION:
        return None
    number, limited = sqlalchemy.func.count(), plan.select.limit(PACKED_ROWS).subquery()
    if plan.lookup is None:
        rows = limited
    else:
        # Of one table, rows are counted first: a limit costs more than that, since it keeps
        # SQLite from reading the table's index straight into the arrays.
        count = plan.connection.execute(sqlalchemy.select(number).select_from(limited)).scalar()
        if count == PACKED_ROWS:
            return None
        rows = plan.select.subquery()
    packed: sqlalchemy.Select[Any] = sqlalchemy.select(
        number, *(sqlalchemy.func.json_group_array(column) for column in rows.c)
    )
    with plan.connection.execute(packed) as result:
        cursor: Any = result.cursor
        count, *texts = cursor.fetchone()
    if plan.lookup is None and count == PACKED_ROWS:
        return None
    arrays = [_column(text, kind, count) for text, kind in zip(texts, schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _exact(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_string(kind) or pa.types.is_dictionary(kind))


def _column(text: str, kind: pa.DataType, count: int) -> pa.Array:
    """Read a JSON array of numbers or of strings."""
    if not count:
        return pa.array([], kind)
    data = text.encode()
    if pa.types.is_int64(kind):
        return _lines(data[1:-1].replace(b",", b"\n"), kind)
    # Without a backslash, quotes are only around values; with null, there are fewer lines.
    if data.startswith(b'["') and data.endswith(b'"]') and b"\\" not in data:
        lines = data[2:-2].replace(b'","', b"\n")
        if lines.count(b"\n") + 1 == count:
            return _lines(lines, kind)
    values = pa.array(json.loads(text), pa.string())
    return values.dictionary_encode() if pa.types.is_dictionary(kind) else values


def _lines(data: bytes, kind: pa.DataType) -> pa.Array:
    table = pa.csv.read_csv(
        pa.BufferReader(data + b"\n"),
        pa.csv.ReadOptions(column_names=["value"], block_size=len(data) + 2, use_threads=False),
        # JSON escapes the control character that parts the fields, of which there is one.
        pa.csv.ParseOptions(delimiter="\x1f", quote_char=False, ignore_empty_lines=False),
        pa.csv.ConvertOptions(column_types={"value": kind}, null_values=["null"], strings_can_be_null=False),
    )
    return table.column(0).combine_chunks()
