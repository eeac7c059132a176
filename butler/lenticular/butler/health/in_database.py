"""Comparing two searches of one database: by one statement, which sends back numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from lenticular.butler.health.in_columns import marked
from lenticular.butler.health.memberships import NO_VALIDITY, ask
from lenticular.butler.health.search import ENDS, found

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    import sqlalchemy

    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.health.search import Search

__all__ = ["PARTS", "count", "read_rows"]

PARTS = ("only_in_a", "only_in_b", "same", "different")
"""What a pair of searches is divided into."""


def count(
    sides: tuple[Search, Search], kinds: Sequence[StoredType], *, timed: bool, cap: int | None
) -> Mapping[str, Mapping[str, int]]:
    """Count what two searches have, or have not, in common.

    Parameters
    ----------
    sides
        The searches, of one database.
    kinds
        Dataset types that share their tables.
    timed
        Whether their validity is part of what identifies them.
    cap
        Number beyond which is not counted further; `None` for all.

    Returns
    -------
    dict
        For each dataset type, the number of each of `PARTS`. With a cap, what
        is larger is the next number after it.
    """
    counts = {kind.info.name: dict.fromkeys(PARTS, 0) for kind in kinds}
    if cap is not None:
        for kind in kinds:
            row = ask(sides[0].repository, _capped(sides, kind, cap, timed=timed))[0]
            counts[kind.info.name] = dict(zip(PARTS, row, strict=True))
        return counts
    names = {kind.id: kind.info.name for kind in kinds}
    for key, side, number, both, same in ask(sides[0].repository, _counting(sides, kinds, timed=timed)):
        part = counts[names[key]]
        if side == "a":
            part.update(only_in_a=number - both, same=same, different=both - same)
            part["only_in_b"] -= both
        else:
            part["only_in_b"] += number
    return counts


def _counting(
    sides: tuple[Search, Search], kinds: Sequence[StoredType], *, timed: bool
) -> sqlalchemy.CompoundSelect[Any]:
    """Return the statement that counts A, what of it B has, too, and B.

    A full outer join would do, but SQLite before 3.39 has none.
    """
    import sqlalchemy

    a, b = (found(side, kinds, timed=timed).cte(name) for side, name in zip(sides, "ab", strict=True))
    call = sqlalchemy.func
    zero: sqlalchemy.ColumnElement[Any] = sqlalchemy.literal_column("0")
    equal = sqlalchemy.case((a.c.dataset_id == b.c.dataset_id, 1), else_=0)
    first = (
        sqlalchemy.select(
            a.c.dataset_type_id,
            sqlalchemy.literal_column("'a'").label("side"),
            call.count().label("number"),
            call.count(b.c.dataset_id).label("both"),
            call.sum(equal).label("same"),
        )
        .select_from(a.outerjoin(b, _match(a, b)))
        .group_by(a.c.dataset_type_id)
    )
    second = sqlalchemy.select(
        b.c.dataset_type_id, sqlalchemy.literal_column("'b'"), call.count(), zero, zero
    ).group_by(b.c.dataset_type_id)
    return sqlalchemy.union_all(first, second)


def _capped(
    sides: tuple[Search, Search], kind: StoredType, cap: int, *, timed: bool
) -> sqlalchemy.Select[Any]:
    import sqlalchemy

    numbers = []
    for part in PARTS:
        chosen, _ = _part(sides, kind, part, timed=timed)
        few = chosen.with_only_columns(sqlalchemy.literal_column("1").label("one")).limit(cap + 1).subquery()
        numbers.append(sqlalchemy.select(sqlalchemy.func.count()).select_from(few).scalar_subquery())
    return sqlalchemy.select(*numbers)


def _part(
    sides: tuple[Search, Search], kind: StoredType, part: str, *, timed: bool
) -> tuple[sqlalchemy.Select[Any], tuple[sqlalchemy.FromClause, ...]]:
    """Return the statement that gives one of `PARTS`, and whose datasets it gives."""
    import sqlalchemy

    a, b = (
        found(side, [kind], timed=timed).subquery(name)
        for side, name in zip(sides if part != "only_in_b" else sides[::-1], "ab", strict=True)
    )
    key = [column for column in a.c if column.name not in {"dataset_type_id", "dataset_id"}]
    if part in {"only_in_a", "only_in_b"}:
        joined = a.outerjoin(b, _match(a, b))
        return sqlalchemy.select(*key).select_from(joined).where(b.c.dataset_id.is_(None)), (a,)
    both = sqlalchemy.select(*key).select_from(a.join(b, _match(a, b)))
    if part == "same":
        return both.where(a.c.dataset_id == b.c.dataset_id), (a,)
    return both.where(a.c.dataset_id != b.c.dataset_id), (a, b)


def _match(a: sqlalchemy.FromClause, b: sqlalchemy.FromClause) -> sqlalchemy.ColumnElement[bool]:
    import sqlalchemy

    names = [column.name for column in a.c if column.name != "dataset_id"]
    return sqlalchemy.and_(*(a.c[name] == b.c[name] for name in names))


def read_rows(sides: tuple[Search, Search], dataset_type: str, part: str, limit: int | None) -> pa.Table:
    """Return the rows of one of `PARTS`; see `Comparison.only_in_a`."""
    import pyarrow as pa

    repository = sides[0].repository
    kind = sides[0].kinds[dataset_type]
    timed = any(side.is_timed(dataset_type) for side in sides)
    statement, owners = _part(sides, kind, part, timed=timed)
    key_columns = list(statement.selected_columns)
    key = [column.name for column in key_columns]
    tables = repository.tables
    names = list(key)
    for owner, suffix in zip(owners, ("_a", "_b") if len(owners) > 1 else ("",), strict=True):
        dataset, run = tables.dataset.alias(f"dataset{suffix}"), tables.collection.alias(f"run{suffix}")
        statement = (
            statement.add_columns(
                owner.c.dataset_id.label(f"dataset_id{suffix}"), run.c.name.label(f"run{suffix}")
            )
            .join(dataset, dataset.c.id == owner.c.dataset_id)
            .join(run, run.c.collection_id == dataset.c.run_id)
        )
        names += [f"dataset_id{suffix}", f"run{suffix}"]
    found_rows = ask(repository, statement.order_by(*key_columns).limit(limit))
    columns = list(zip(*found_rows, strict=True)) or [()] * len(names)
    arrays = [_array(name, values) for name, values in zip(names, columns, strict=True)]
    return marked(pa.table(arrays, names=names))


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if name.startswith("dataset_id"):
        return pa.array([UUID(str(value)).bytes for value in values], pa.binary(16))
    if name in ENDS:
        return pa.array([None if value == NO_VALIDITY else value for value in values], pa.int64())
    if name.startswith("run"):
        return pa.array(values, pa.string())
    return pa.array(values)
