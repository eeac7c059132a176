"""Comparing two searches of different databases, or with an expression: matched as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.browse import CollectionKind
from lenticular.butler.health.memberships import NO_VALIDITY
from lenticular.butler.health.search import ENDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from lenticular.butler.browse import CollectionInfo
    from lenticular.butler.health.memberships import Cancel
    from lenticular.butler.health.search import Search

__all__ = ["count", "join", "marked", "rows_of"]

_OWN = ("dataset_id", "run")


def join(sides: tuple[Search, Search], dataset_type: str, where: str, cancel: Cancel | None) -> pa.Table:
    """Return the datasets of two searches side by side.

    Returns
    -------
    pyarrow.Table
        One row for each data ID that one of them has: its dimensions, and
        ``dataset_id_a``, ``run_a``, ``dataset_id_b`` and ``run_b``, which are
        null on the side that has none.
    """
    import pyarrow as pa

    timed = any(side.is_timed(dataset_type) for side in sides if dataset_type in side.kinds)
    found = [_read(side, dataset_type, where, cancel, timed=timed) for side in sides]
    tables = [table for table in found if table is not None]
    keys = tuple(dict.fromkeys(name for one in tables for name in one.column_names if name not in _OWN))
    types = {name: table.schema.field(name).type for table in tables for name in table.column_names}
    types |= dict(zip(_OWN, (pa.binary(16), pa.string()), strict=True))
    a, b = (
        _own_columns(_completed(table, keys, types), suffix)
        for table, suffix in zip(found, ("_a", "_b"), strict=True)
    )
    if not keys:  # a data ID without dimensions
        a, b = (
            table.append_column("everything", pa.array([0] * table.num_rows, pa.int8())) for table in (a, b)
        )
    # Nulls match nothing in a join, and a dimension is null only where the types differ.
    joined = a.join(b, list(keys) or "everything", join_type="full outer")
    own = [f"{name}{suffix}" for suffix in ("_a", "_b") for name in _OWN]
    return joined.select([*keys, *own])


def count(joined: pa.Table) -> Mapping[str, int]:
    """Return the number of rows of each part of what `join` gave."""
    import pyarrow.compute as pc

    return {name: pc.sum(mask).as_py() or 0 for name, mask in _masks(joined).items()}


def rows_of(joined: pa.Table, part: str, limit: int | None) -> pa.Table:
    """Return the rows of one part of what `join` gave; see `Comparison.only_in_a`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    own = {f"{name}{suffix}" for suffix in ("_a", "_b") for name in _OWN}
    keys = [name for name in joined.column_names if name not in own]
    chosen = joined.filter(_masks(joined)[part])
    if keys:
        chosen = chosen.sort_by([(name, "ascending") for name in keys])
    if part != "different":
        side = "_b" if part == "only_in_b" else "_a"
        chosen = chosen.select([*keys, *(f"{name}{side}" for name in _OWN)]).rename_columns([*keys, *_OWN])
    for name in set(ENDS) & set(keys):
        none = pa.scalar(None, pa.int64())
        ends = chosen[name]
        real = pc.if_else(pc.equal(ends, NO_VALIDITY), none, ends)
        chosen = chosen.set_column(chosen.column_names.index(name), name, real)
    return marked(chosen if limit is None else chosen.slice(0, limit))


def marked(table: pa.Table) -> pa.Table:
    """Return an answer whose columns tell what they hold, as those of other answers do."""
    import pyarrow as pa

    from lenticular.butler.columns.layout import Column

    ids = (Column(f"dataset_id{suffix}", "", "dataset_id", "uuid") for suffix in ("", "_a", "_b"))
    columns = (*ids, Column(ENDS[0].removesuffix("_begin"), "", "timespan", "timespan"))
    known = {one.name: one for column in columns for one in column.fields}
    return table.cast(pa.schema([known.get(one.name, one) for one in table.schema]))


def _masks(joined: pa.Table) -> Mapping[str, pa.ChunkedArray]:
    import pyarrow.compute as pc

    a, b = joined["dataset_id_a"], joined["dataset_id_b"]
    equal = pc.fill_null(pc.equal(a, b), fill_value=False)
    return {
        "only_in_a": pc.is_null(b),
        "only_in_b": pc.is_null(a),
        "same": equal,
        "different": pc.and_(pc.and_(pc.is_valid(a), pc.is_valid(b)), pc.invert(equal)),
    }


def _read(
    side: Search, dataset_type: str, where: str, cancel: Cancel | None, *, timed: bool
) -> pa.Table | None:
    """Return what one search finds, or `None` if it cannot find anything."""
    from lenticular.butler.columns import query_datasets

    holders = [member.name for member in side.holders(dataset_type)]
    if not holders:
        return None
    table = query_datasets(
        side.repository,
        dataset_type,
        holders,
        find_first=not timed,
        columns=("timespan", "collection") if timed else (),
        where=where,
        cancel=cancel,
    )
    dimensions = list(side.kinds[dataset_type].info.dimensions)
    if timed:
        ends = [name for name in table.column_names if name.startswith("timespan_")]
        table = table.rename_columns([ENDS[ends.index(n)] if n in ends else n for n in table.column_names])
        table = _first_of_each(table, [*dimensions, *ENDS], side.holders(dataset_type))
    return _plain(table.select([*dimensions, *(ENDS if timed else ()), *_OWN]))


def _first_of_each(table: pa.Table, keys: Sequence[str], order: Sequence[CollectionInfo]) -> pa.Table:
    """Keep of each data ID and range what comes first; upstream lists all calibrations."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _plain(table)
    timed = [member.name for member in order if member.kind is CollectionKind.CALIBRATION]
    # Elsewhere upstream gives a range without ends, which a calibration may have as well.
    is_timed = pc.is_in(table["collection"], pa.array(timed, pa.string()))
    for name in ENDS:
        ends = pc.if_else(is_timed, table[name], NO_VALIDITY)
        table = table.set_column(table.column_names.index(name), name, ends)
    rank = pc.index_in(table["collection"], pa.array([member.name for member in order]))
    ranked = table.append_column("rank", rank).sort_by("rank")
    return (
        ranked.group_by(list(keys), use_threads=False)
        .aggregate([(name, "first") for name in _OWN])
        .rename_columns([*keys, *_OWN])
    )


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without dictionaries, on which a join cannot match."""
    import pyarrow as pa

    types = [
        field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in table.schema
    ]
    return table.cast(pa.schema(list(zip(table.column_names, types, strict=True))))


def _completed(table: pa.Table | None, keys: Sequence[str], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return a table with all columns of the other, too."""
    import pyarrow as pa

    names = [*keys, *_OWN]
    if table is None:
        return pa.table({name: pa.array([], types[name]) for name in names})
    missing = {
        name: pa.nulls(table.num_rows, types[name]) for name in names if name not in table.column_names
    }
    for name, nulls in missing.items():
        table = table.append_column(name, nulls)
    return table.select(names)


def _own_columns(table: pa.Table, suffix: str) -> pa.Table:
    return table.rename_columns([f"{name}{suffix}" if name in _OWN else name for name in table.column_names])
