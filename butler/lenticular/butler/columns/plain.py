"""Tables for people and screens: text instead of bytes, and no regions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["plain_table"]


def plain_table(table: pa.Table) -> pa.Table:
    """Return an answer as a person, or JSON, can have it.

    Parameters
    ----------
    table
        An answer in columns.

    Returns
    -------
    pyarrow.Table
        The same rows with UUIDs as text, names without dictionaries, and
        neither regions nor notes about kinds.
    """
    return pa.table(dict(_plain_columns(table))).replace_schema_metadata(table.schema.metadata)


def _plain_columns(table: pa.Table) -> Iterator[tuple[str, pa.Array | pa.ChunkedArray]]:
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = (field.metadata or {}).get(b"kind")
        if kind == b"uuid":
            yield field.name, pa.array([str(UUID(bytes=one)) for one in column.to_pylist()], pa.string())
        elif pa.types.is_dictionary(field.type):
            yield field.name, column.cast(field.type.value_type)
        elif kind != b"region":
            yield field.name, column
