"""Counting what is seen in a collection, with one statement for each kind of data ID.

The registry keeps, for each combination of dimensions, a table of who is in
which collection. What the public interface counts dataset type by dataset
type is counted here for all types that share such a table at once.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from lenticular.butler.browse import CollectionKind
from lenticular.butler.database import explained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse import CollectionInfo
    from lenticular.butler.schema import Tables

__all__ = ["count_visible"]


def count_visible(
    engine: sqlalchemy.Engine, tables: Tables, members: Sequence[CollectionInfo], *, where: object
) -> Mapping[str, int]:
    """Count the datasets that a search of some collections finds, exactly.

    Parameters
    ----------
    engine
        Engine for the registry's database.
    tables
        The registry's tables.
    members
        What is searched, without chains, as `~lenticular.butler.browse.flatten`
        has it.
    where
        The repository concerned, to be named in an error.

    Returns
    -------
    dict
        Number of datasets by dataset type. A data ID counts once, since what
        comes first hides the rest. In a CALIBRATION collection nothing hides:
        there each dataset of a calibration type counts.
    """
    import sqlalchemy

    kinds, groups = tables.dataset_type.c, tables.dimension_group.c
    names = {name for member in members for name in member.dataset_types}
    timed = any(member.kind is CollectionKind.CALIBRATION for member in members)
    with explained(where), engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.select(
                kinds.id,
                kinds.name,
                kinds.dimensions_key,
                kinds.tag_association_table,
                kinds.calibration_association_table,
            ).where(kinds.name.in_(names))
        ).all()
        dimensions: dict[int, list[str]] = defaultdict(list)
        for group, dimension in connection.execute(
            sqlalchemy.select(groups.dimension_graph_id, groups.dimension_name)
        ):
            dimensions[group].append(dimension)
        shared: dict[tuple[str, str | None, int], dict[int, str]] = defaultdict(dict)
        for row in rows:
            calibrations = row.calibration_association_table if timed else None
            shared[row.tag_association_table, calibrations, row.dimensions_key][row.id] = row.name
        ids = sqlalchemy.select(tables.collection.c.collection_id).where(
            tables.collection.c.name.in_([member.name for member in members])
        )
        counts = dict.fromkeys((row.name for row in rows), 0)
        for (tags, calibrations, group), types in shared.items():
            columns = () if calibrations else tuple(dimensions[group])
            statement = _statement(tables, tags, calibrations, columns, ids, types)
            for type_id, number in connection.execute(statement):
                counts[types[type_id]] = number
    return counts


def _statement(
    tables: Tables,
    tags: str,
    calibrations: str | None,
    columns: Sequence[str],
    ids: sqlalchemy.Select[tuple[int]],
    types: Mapping[int, str],
) -> sqlalchemy.Select[tuple[int, int]]:
    """Return the statement that counts the types that share a table.

    What counts once is a data ID or, with calibrations, a dataset.
    """
    import sqlalchemy

    key = ("dataset_id",) if calibrations else tuple(columns)

    def members(name: str) -> sqlalchemy.Select[tuple[int]]:
        table = sqlalchemy.table(
            name,
            *(sqlalchemy.column(column) for column in ("dataset_type_id", "collection_id", *key)),
            schema=tables.dataset.schema,
        )
        return (
            sqlalchemy.select(table.c.dataset_type_id, *(table.c[column] for column in key))
            .where(table.c.collection_id.in_(ids), table.c.dataset_type_id.in_(list(types)))
            .distinct()
        )

    chosen: sqlalchemy.FromClause = members(tags).subquery()
    if calibrations is not None:
        chosen = sqlalchemy.union(members(tags), members(calibrations)).subquery()
    return sqlalchemy.select(chosen.c.dataset_type_id, sqlalchemy.func.count()).group_by(
        chosen.c.dataset_type_id
    )
