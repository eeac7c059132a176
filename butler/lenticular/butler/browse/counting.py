"""Counting datasets: as far as a browser needs it, exactly, or about.

To count exactly, a database has to look at every dataset. Mostly it is enough
to know that there are more than ten thousand, for which it looks at so many; or
how many there are about, for which it looks at its statistics alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from lenticular.butler.browse.collections import CollectionKind, read_tree
from lenticular.butler.browse.dataset_types import read_dataset_types
from lenticular.butler.browse.selection import select, with_plan
from lenticular.butler.browse.universe import read_universe
from lenticular.butler.display import grouped
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse.collections import CollectionInfo
    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.requests import DatasetQuery
    from lenticular.butler.repository import Repository

    type How = Literal["capped", "exact", "estimate"]

__all__ = ["Count", "CountKind", "count", "count_datasets", "count_visible", "with_counts"]

_GROWTH = 8
"""By how much more rows are looked at if most of those before were hidden."""


class CountKind(StrEnum):
    """What is known of a number."""

    EXACT = "exact"
    CAPPED = "capped"
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are."""

    value: int
    """The number; if it is capped, there are more."""

    kind: CountKind
    """What is known of it."""

    def __str__(self) -> str:
        match self.kind:
            case CountKind.EXACT:
                return grouped(self.value)
            case CountKind.CAPPED:
                return f"{grouped(self.value)}+"
            case CountKind.ESTIMATE:
                return f"about {_rounded(self.value)}"

    def _repr_html_(self) -> str:
        return f"<span>{self}</span>"


def _rounded(number: int) -> str:
    """Return a number with two digits that count, large ones in words."""
    if not number:
        return "0"
    digits = max(0, len(str(number)) - 2)
    coarse = round(number, -digits)
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if coarse >= size:
            return f"{coarse / size:.2g} {word}" if coarse < 100 * size else f"{coarse // size} {word}"
    return grouped(coarse)


def count(repository: Repository, query: DatasetQuery, how: How = "capped", *, cap: int = 10_000) -> Count:
    """Count the datasets that a query finds.

    Parameters
    ----------
    repository
        The repository.
    query
        The query.
    how
        ``"capped"``: no further than to `cap`, at a cost that does not depend
        on the size of the repository unless most datasets are hidden;
        ``"exact"``; or ``"estimate"``: from the database's statistics, which on
        SQLite say nothing of expressions. Then, and without statistics, the
        answer is a capped count.
    cap
        How far to count.

    Returns
    -------
    Count
        The number and what is known of it. A capped count that does not reach
        the cap is exact.

    Raises
    ------
    DataError
        Raised if the query cannot be answered, as for a wrong expression.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    if how not in ("capped", "exact", "estimate"):
        raise DataError(f"There is no way to count {how!r}", hint="Say 'capped', 'exact' or 'estimate'.")
    if cap < 1:
        raise DataError("A count cannot be capped below one", where=cap, hint="Ask for a cap of 1 or more.")
    chosen = select(repository, query)
    if chosen.is_simple and not chosen.members:
        return Count(0, CountKind.EXACT)
    if how == "estimate":
        value = _estimate(repository, query, chosen)
        if value is not None:
            return _limited(Count(value, CountKind.ESTIMATE), query.limit)
        how = "capped"
    # One more than the cap tells that there are more.
    most = cap + 1 if how == "capped" else None
    most = query.limit if most is None or (query.limit is not None and query.limit < most) else most
    found = _count_up_to(repository, query, chosen, most)
    return Count(cap, CountKind.CAPPED) if how == "capped" and found > cap else Count(found, CountKind.EXACT)


def _limited(found: Count, limit: int | None) -> Count:
    return found if limit is None or found.value <= limit else Count(limit, found.kind)


def _count_up_to(repository: Repository, query: DatasetQuery, chosen: Selection, most: int | None) -> int:
    """Count datasets, no further than to a number if one is given."""
    if not chosen.is_simple:
        found = with_plan(repository, query, lambda plan: _count_plan(plan, most))
        return _count_stream(repository, query, most) if found is None else found
    if chosen.hides and most is not None:
        return repository.read(lambda connection: _count_distinct(connection, chosen, most))
    return repository.read(lambda connection: _count_rows(connection, chosen.data_ids(), most))


def _count_rows(connection: sqlalchemy.Connection, rows: sqlalchemy.Select[Any], most: int | None) -> int:
    import sqlalchemy

    wanted = rows if most is None else rows.limit(most)
    statement = sqlalchemy.select(sqlalchemy.func.count()).select_from(wanted.subquery())
    number: int = connection.execute(statement).scalar_one()
    return number


def _count_distinct(connection: sqlalchemy.Connection, chosen: Selection, most: int) -> int:
    """Count data IDs no further than to a number, and look at no more datasets than that takes.

    A database would look at all to find out which data IDs are the same.
    """
    import sqlalchemy

    constants = chosen.constants
    names = [name for name in chosen.kind.dimensions if name not in constants]
    looked_at = 2 * most
    while names:
        some = chosen.held(*names).limit(looked_at).subquery()
        distinct = sqlalchemy.select(some).distinct().subquery()
        numbers = sqlalchemy.select(
            sqlalchemy.select(sqlalchemy.func.count()).select_from(some).scalar_subquery(),
            sqlalchemy.select(sqlalchemy.func.count()).select_from(distinct).scalar_subquery(),
        )
        seen, different = map(int, connection.execute(numbers).one())
        if different >= most or seen < looked_at:
            return min(different, most)
        looked_at *= _GROWTH
    return _count_rows(connection, chosen.data_ids(), most)


def _count_plan(plan: Plan | None, most: int | None) -> int | None:
    """Count what a planned statement gives; `None` if rows are left to be refined."""
    if plan is None or plan.refinement:
        return None
    rows: Any = plan.select
    return _count_rows(plan.connection, rows, most)


def _count_stream(repository: Repository, query: DatasetQuery, most: int | None) -> int:
    """Count rows as they come, where a database alone cannot tell which stay."""
    from lenticular.butler.columns import stream

    found = 0
    with stream(repository, replace(query, order_by=(), limit=most)) as batches:
        for batch in batches:
            found += batch.num_rows
    return found


def _estimate(repository: Repository, query: DatasetQuery, chosen: Selection) -> int | None:
    """Return about how many datasets a query finds; `None` if there is no telling."""
    from lenticular.butler.browse import estimates

    if repository.engine.dialect.name == "sqlite":
        if not chosen.is_simple:
            return None
        return repository.read(lambda connection: estimates.from_index(connection, chosen))
    if chosen.is_simple:
        return repository.read(lambda connection: estimates.from_plan(connection, chosen.data_ids()))
    return with_plan(
        repository,
        query,
        lambda plan: None if plan is None else estimates.from_plan(plan.connection, plan.select),
    )


def count_datasets(repository: Repository, names: Iterable[str]) -> Mapping[str, Mapping[str, int]]:
    """Count the datasets that some collections hold themselves, exactly.

    Parameters
    ----------
    repository
        The repository.
    names
        The collections; chains hold none themselves.

    Returns
    -------
    dict
        For each collection that holds some, their number by dataset type.
    """
    wanted, universe, tables = set(names), read_universe(repository), repository.tables

    def read(connection: sqlalchemy.Connection) -> Mapping[str, Mapping[str, int]]:
        tree = read_tree(connection, tables)
        infos = [info for name, info in tree.collections.items() if name in wanted]
        by_id = {tree.ids[info.name]: info for info in infos if info.kind is not CollectionKind.CHAINED}
        held = {name for info in by_id.values() for name in info.dataset_types}
        types = {one.id: one for one in read_dataset_types(connection, tables, universe).values()}
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        for timed in (False, True):
            ids = [
                number for number, info in by_id.items() if timed is (info.kind is CollectionKind.CALIBRATION)
            ]
            for table, members in _by_table(types.values(), held, timed=timed).items():
                if ids:
                    statement = _held(tables.association(table, ()), ids, members, timed=timed)
                    for collection, kind, number in connection.execute(statement):
                        counts[by_id[collection].name][types[kind].info.name] = number
        return {name: dict(sorted(counts[name].items())) for name in sorted(counts)}

    return repository.read(read)


def _by_table(types: Iterable[StoredType], held: set[str], *, timed: bool) -> Mapping[str, list[int]]:
    """Return the types that are held, by the table that has them."""
    found: dict[str, list[int]] = defaultdict(list)
    for one in types:
        table = one.calibrations if timed else one.tags
        if table is not None and one.info.name in held:
            found[table].append(one.id)
    return found


def _held(
    table: sqlalchemy.TableClause, ids: Sequence[int], types: Sequence[int], *, timed: bool
) -> sqlalchemy.Select[tuple[int, int, int]]:
    import sqlalchemy

    columns = table.c
    # A calibration may be valid for several spans of time.
    number = sqlalchemy.func.count(columns.dataset_id.distinct()) if timed else sqlalchemy.func.count()
    return (
        sqlalchemy.select(columns.collection_id, columns.dataset_type_id, number)
        .where(columns.dataset_type_id.in_(types), columns.collection_id.in_(ids))
        .group_by(columns.collection_id, columns.dataset_type_id)
    )


def count_visible(repository: Repository, name: str) -> Mapping[str, int]:
    """Count the datasets that a search of a collection finds, exactly.

    Parameters
    ----------
    repository
        The repository.
    name
        The collection.

    Returns
    -------
    dict
        Number of datasets by dataset type. A data ID counts once, since what
        comes first hides the rest. In a CALIBRATION collection nothing hides:
        there each dataset of a calibration type counts.

    Raises
    ------
    NotFoundError
        Raised if there is no such collection.
    """
    universe, tables = read_universe(repository), repository.tables

    def read(connection: sqlalchemy.Connection) -> Mapping[str, int]:
        tree = read_tree(connection, tables)
        members = tree.members([name], where=repository.name)
        types = read_dataset_types(connection, tables, universe)
        return _count_types(connection, repository, members, tree.ids, types)

    return repository.read(read)


def _count_types(
    connection: sqlalchemy.Connection,
    repository: Repository,
    members: Sequence[CollectionInfo],
    ids: Mapping[str, int],
    types: Mapping[str, StoredType],
) -> Mapping[str, int]:
    """Count what is seen in some collections, with one statement for each kind of data ID."""
    names = {name for member in members for name in member.dataset_types}
    timed = any(member.kind is CollectionKind.CALIBRATION for member in members)
    shared: dict[tuple[str, str | None], list[StoredType]] = defaultdict(list)
    for name in sorted(names):
        one = types[name]
        shared[one.tags, one.calibrations if timed else None].append(one)
    counts = dict.fromkeys(sorted(names), 0)
    numbers = [ids[member.name] for member in members]
    for (tags, calibrations), kinds in shared.items():
        known = {one.id: one.info.name for one in kinds}
        statement = _seen(repository, (tags, calibrations), kinds[0].info.dimensions, numbers, list(known))
        for kind, number in connection.execute(statement):
            counts[known[kind]] = number
    return counts


def _seen(
    repository: Repository,
    tables: tuple[str, str | None],
    dimensions: Sequence[str],
    collections: Sequence[int],
    types: Sequence[int],
) -> sqlalchemy.Select[tuple[int, int]]:
    """Return the statement that counts the types that share a table.

    What counts once is a data ID or, with calibrations, a dataset.
    """
    import sqlalchemy

    tags, calibrations = tables
    key = ("dataset_id",) if calibrations else tuple(dimensions)

    def members(name: str) -> sqlalchemy.Select[Any]:
        columns = repository.tables.association(name, dimensions).c
        chosen = sqlalchemy.select(columns.dataset_type_id, *(columns[column] for column in key)).where(
            columns.collection_id.in_(collections), columns.dataset_type_id.in_(types)
        )
        # The rows of a single collection differ already.
        return chosen if len(collections) == 1 and not calibrations else chosen.distinct()

    chosen: sqlalchemy.FromClause = members(tags).subquery()
    if calibrations is not None:
        chosen = sqlalchemy.union(members(tags), members(calibrations)).subquery()
    return sqlalchemy.select(chosen.c.dataset_type_id, sqlalchemy.func.count()).group_by(
        chosen.c.dataset_type_id
    )


def with_counts(repository: Repository, infos: Sequence[CollectionInfo]) -> list[CollectionInfo]:
    """Return collections with the number of their datasets by type.

    Parameters
    ----------
    repository
        The repository.
    infos
        The collections. Of a chain is counted what a search of it finds.
    """
    own = count_datasets(repository, [info.name for info in infos])
    chained = {info.name for info in infos if info.kind is CollectionKind.CHAINED}
    return [
        replace(
            info,
            counts=count_visible(repository, info.name) if info.name in chained else own.get(info.name, {}),
        )
        for info in infos
    ]
