"""What each member contributes to a chain, and what hides what.

A search takes, of each data ID, what it finds first. So a member of a chain
holds some datasets, of which those contribute whose data IDs no member before
it has. The rest is hidden, or is found before already: a TAGGED collection may
hold the very datasets of a run that follows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.collections import CollectionKind, read_tree
from lenticular.butler.browse.counting import count_datasets
from lenticular.butler.browse.dataset_types import read_dataset_types
from lenticular.butler.browse.names import match, not_found
from lenticular.butler.browse.universe import read_universe
from lenticular.butler.display import display, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse.collections import CollectionInfo
    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.repository import Repository

__all__ = ["Chain", "Contribution", "Shadowing", "read_members", "read_shadowed"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a member of a chain has of one dataset type."""

    member: str
    """Name of the collection."""

    dataset_type: str
    held: int
    """Datasets that it holds."""

    contributed: int | None
    """Datasets that a search of the chain finds in it. `None` for the
    calibrations of a CALIBRATION collection: what is found there depends on a
    time, and neither hides nor is hidden here."""

    repeated: int = 0
    """Datasets that a member before it holds as well."""

    shadowed: int = 0
    """Datasets that are hidden by others with their data IDs."""

    shadowed_by: Mapping[str, int] | None = None
    """How many of these by which member."""


@dataclass(frozen=True, slots=True)
class Chain:
    """The members of a chain, and what each contributes."""

    name: str
    members: tuple[str, ...]
    """Collections in the order of the search, each once, without chains."""

    contributions: tuple[Contribution, ...]
    """By member in this order, and by dataset type."""

    def _repr_html_(self) -> str:
        lines = [
            (
                one.member,
                one.dataset_type,
                one.held,
                one.contributed,
                one.shadowed,
                "by time" if one.contributed is None else ", ".join(one.shadowed_by or ()),
            )
            for one in self.contributions
        ]
        heads = ("member", "dataset type", "holds", "contributes", "shadowed", "by")
        return display("Chain", self.name, rows(heads, lines))


@dataclass(frozen=True, slots=True)
class Shadowing:
    """A data ID of which a search sees several datasets and takes the first."""

    data_id: Mapping[str, int | str]
    """Its required dimensions."""

    winner: tuple[str, str]
    """The collection in which it is found, and the dataset's UUID."""

    hidden: tuple[tuple[str, str], ...]
    """The same of those that are not, in the order of the search."""


def read_members(repository: Repository, chain: str, dataset_types: str | Iterable[str] = "*") -> Chain:
    """Tell what each member contributes to a chain, exactly.

    Types that only one member may hold, by the registry's summaries, are only
    counted; for the others the database compares data IDs.

    Parameters
    ----------
    repository
        The repository.
    chain
        The chain; another collection is its own only member.
    dataset_types
        Globs for the names of the dataset types wanted.

    Raises
    ------
    NotFoundError
        Raised if there is no such collection.
    """
    universe, tables = read_universe(repository), repository.tables

    def read(connection: sqlalchemy.Connection) -> tuple[list[CollectionInfo], list[Contribution]]:
        tree = read_tree(connection, tables)
        members = list(tree.members([chain], where=repository.name))
        types = read_dataset_types(connection, tables, universe)
        found: list[Contribution] = []
        for stored, holders in _contested(members, match(types, dataset_types), types).items():
            ids = [(tree.ids[info.name], info.name) for info in holders]
            found += _compare(connection, repository, list(stored), ids)
        return members, found

    members, found = repository.read(read)
    compared = {(one.member, one.dataset_type): one for one in found}
    held = count_datasets(repository, [info.name for info in members])
    contributions = []
    for info in members:
        for kind, number in held.get(info.name, {}).items():
            if not match([kind], dataset_types):
                continue
            timed = info.kind is CollectionKind.CALIBRATION
            alone = Contribution(info.name, kind, number, None if timed else number)
            contributions.append(alone if timed else compared.get((info.name, kind), alone))
    return Chain(chain, tuple(info.name for info in members), tuple(contributions))


def _contested(
    members: Sequence[CollectionInfo], names: Iterable[str], types: Mapping[str, StoredType]
) -> Mapping[tuple[StoredType, ...], list[CollectionInfo]]:
    """Return the types that several members may hold, those of one table together."""
    plain = [info for info in members if info.kind is not CollectionKind.CALIBRATION]
    tables: dict[str, list[StoredType]] = defaultdict(list)
    for name in names:
        if sum(name in info.dataset_types for info in plain) > 1:
            tables[types[name].tags].append(types[name])
    return {
        tuple(stored): [info for info in plain if any(one.info.name in info.dataset_types for one in stored)]
        for stored in tables.values()
    }


def _ranked(
    repository: Repository, stored: Sequence[StoredType], ids: Sequence[tuple[int, str]]
) -> tuple[sqlalchemy.TableClause, Any, Any]:
    """Return a table, the place in the search of its rows, and what selects them."""
    import sqlalchemy

    table = repository.tables.association(stored[0].tags, stored[0].info.dimensions)
    ranks = {number: rank for rank, (number, _) in enumerate(ids)}
    rank = sqlalchemy.case(ranks, value=table.c.collection_id).label("rank")
    chosen = sqlalchemy.and_(
        table.c.dataset_type_id.in_([one.id for one in stored]), table.c.collection_id.in_(list(ranks))
    )
    return table, rank, chosen


def _compare(
    connection: sqlalchemy.Connection,
    repository: Repository,
    stored: Sequence[StoredType],
    ids: Sequence[tuple[int, str]],
) -> list[Contribution]:
    """Count, with one statement, who holds what and which member it is found in."""
    import sqlalchemy

    table, rank, chosen = _ranked(repository, stored, ids)
    keys = [table.c[name] for name in ("dataset_type_id", *stored[0].info.dimensions)]
    window: dict[str, Any] = {"partition_by": keys, "order_by": rank}
    first = sqlalchemy.func.first_value(table.c.dataset_id).over(**window)
    rows = (
        sqlalchemy.select(
            table.c.dataset_type_id.label("kind"),
            rank,
            sqlalchemy.func.first_value(rank).over(**window).label("winner"),
            (first == table.c.dataset_id).label("same"),
        )
        .where(chosen)
        .subquery()
    )
    groups = [rows.c.kind, rows.c.rank, rows.c.winner, rows.c.same]
    statement = sqlalchemy.select(*groups, sqlalchemy.func.count()).group_by(*groups)
    names = {one.id: one.info.name for one in stored}
    sums: dict[tuple[int, int], dict[str, Any]] = defaultdict(
        lambda: {"held": 0, "contributed": 0, "repeated": 0, "shadowed_by": {}}
    )
    for kind, place, winner, same, number in connection.execute(statement):
        one = sums[kind, place]
        one["held"] += number
        if place == winner:
            one["contributed"] += number
        elif same:
            one["repeated"] += number
        else:
            one["shadowed_by"][winner] = number
    return [
        Contribution(
            ids[place][1],
            names[kind],
            one["held"],
            one["contributed"],
            one["repeated"],
            sum(one["shadowed_by"].values()),
            {ids[winner][1]: number for winner, number in sorted(one["shadowed_by"].items())},
        )
        for (kind, place), one in sums.items()
    ]


def read_shadowed(
    repository: Repository, chain: str, dataset_type: str, *, limit: int = 100
) -> tuple[Shadowing, ...]:
    """Tell which datasets of a type are hidden in a chain, and by which.

    Parameters
    ----------
    repository
        The repository.
    chain
        The chain.
    dataset_type
        Name of the dataset type.
    limit
        Data IDs to return at most.

    Returns
    -------
    tuple of Shadowing
        In the order of the data IDs.

    Raises
    ------
    NotFoundError
        Raised if there is no such collection or dataset type.
    """
    universe, tables = read_universe(repository), repository.tables

    def read(connection: sqlalchemy.Connection) -> tuple[Shadowing, ...]:
        tree = read_tree(connection, tables)
        types = read_dataset_types(connection, tables, universe)
        if dataset_type not in types:
            raise not_found("dataset type", dataset_type, types, where=repository.name)
        members = tree.members([chain], where=repository.name)
        holders = _contested(members, [dataset_type], types).get((types[dataset_type],), [])
        ids = [(tree.ids[info.name], info.name) for info in holders]
        return _shadowed(connection, repository, types[dataset_type], ids, limit) if ids else ()

    return repository.read(read)


def _shadowed(
    connection: sqlalchemy.Connection,
    repository: Repository,
    stored: StoredType,
    ids: Sequence[tuple[int, str]],
    limit: int,
) -> tuple[Shadowing, ...]:
    import sqlalchemy

    names = stored.info.dimensions
    table, rank, chosen = _ranked(repository, [stored], ids)
    several = (
        sqlalchemy.select(*(table.c[name] for name in names))
        .where(chosen)
        .group_by(*(table.c[name] for name in names))
        .having(sqlalchemy.func.count(table.c.dataset_id.distinct()) > 1)
        .order_by(*(table.c[name] for name in names))
        .limit(limit)
        .subquery()
    )
    source: Any = table
    if names:
        same = [table.c[name] == several.c[name] for name in names]
        source = table.join(several, sqlalchemy.and_(*same))
    rows = connection.execute(
        sqlalchemy.select(*(table.c[name] for name in names), table.c.dataset_id, rank)
        .select_from(source)
        .where(chosen)
        .order_by(*(table.c[name] for name in names), rank)
    )
    seen: dict[tuple[Any, ...], dict[str, str]] = defaultdict(dict)
    for row in rows:
        seen[tuple(row[:-2])].setdefault(str(row[-2]), ids[row[-1]][1])
    found = []
    for data_id, datasets in seen.items():
        places = [(collection, dataset) for dataset, collection in datasets.items()]
        if len(places) > 1:
            found.append(Shadowing(dict(zip(names, data_id, strict=True)), places[0], tuple(places[1:])))
    return tuple(found)
