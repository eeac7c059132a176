"""Collections: what they are, what they are made of, and what they hold."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.names import not_found
from lenticular.butler.display import Piece, display, labels, pairs, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.repository import Repository
    from lenticular.butler.schema import Tables

__all__ = ["CollectionInfo", "CollectionKind", "Tree", "flatten", "list_collections", "read_tree"]


class CollectionKind(StrEnum):
    """What a collection is."""

    RUN = "RUN"
    TAGGED = "TAGGED"
    CHAINED = "CHAINED"
    CALIBRATION = "CALIBRATION"


_KIND_BY_CODE = {
    1: CollectionKind.RUN,
    2: CollectionKind.TAGGED,
    3: CollectionKind.CHAINED,
    4: CollectionKind.CALIBRATION,
}


_HELD = ("dataset_type", "instrument", "skymap")
"""What is summed up of the members of a chain."""


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection, what it is made of and what it holds."""

    name: str
    kind: CollectionKind
    children: tuple[str, ...] = ()
    """Members of a chain, in the order in which they are searched."""

    documentation: str = ""
    dataset_types: tuple[str, ...] = ()
    """Names of the dataset types that it may hold, through its members too."""

    instruments: tuple[str, ...] = ()
    """Instruments whose data it may hold, through its members too."""

    skymaps: tuple[str, ...] = ()
    """Maps of the sky whose tracts it may hold, through its members too."""

    counts: Mapping[str, int] | None = None
    """Number of datasets by dataset type, of a chain those that a search of it
    finds; `None` unless they were asked for."""

    def _repr_html_(self) -> str:
        counts = (
            None if self.counts is None else [(one, self.counts.get(one, 0)) for one in self.dataset_types]
        )
        types = labels(self.dataset_types) or "none" if counts is None else None
        return display(
            "Collection",
            self.name,
            pairs(
                [
                    ("kind", self.kind.value),
                    ("about", self.documentation),
                    ("searches", labels(self.children)),
                    ("instruments", labels(self.instruments)),
                    ("maps of the sky", labels(self.skymaps)),
                    ("dataset types", types),
                ]
            ),
            rows(("dataset type", "datasets"), counts) if counts else Piece(""),
        )


@dataclass(frozen=True, slots=True)
class Tree:
    """All collections of a registry."""

    collections: Mapping[str, CollectionInfo]
    """By name, in alphabetical order."""

    ids: Mapping[str, int]
    """The registry's numbers for them, by name."""

    def members(self, names: Iterable[str], *, where: object) -> tuple[CollectionInfo, ...]:
        """Return the collections that a search of some visits, in its order, each once.

        Parameters
        ----------
        names
            The collections to be searched, in order.
        where
            The repository concerned, to be named in an error.

        Raises
        ------
        NotFoundError
            Raised if one does not exist.
        """
        found: dict[str, None] = {}
        for name in names:
            if name not in self.collections:
                raise not_found("collection", name, self.collections, where=where)
            found |= dict.fromkeys(flatten(name, self.collections))
        kinds = (self.collections[name] for name in found)
        return tuple(info for info in kinds if info.kind is not CollectionKind.CHAINED)


def list_collections(repository: Repository) -> Mapping[str, CollectionInfo]:
    """Return every collection, by name, in alphabetical order.

    One statement, which passes once over small tables.

    Parameters
    ----------
    repository
        The repository.
    """
    return repository.read(lambda connection: read_tree(connection, repository.tables)).collections


def read_tree(connection: sqlalchemy.Connection, tables: Tables) -> Tree:
    """Read all collections, over a connection to the registry.

    Parameters
    ----------
    connection
        The connection.
    tables
        The registry's tables.
    """
    rows: list[tuple[str, int, int, int, str, str]] = connection.execute(_statement(tables)).tuples().all()  # type: ignore[assignment]  # a union has no column types
    # Plain tuples and few objects: this is the first thing that a browser waits for.
    own = [(name, number, code, doc) for part, number, code, _, name, doc in rows if part == "collection"]
    names = {number: name for name, number, *_ in own}
    links = sorted((a, b, c) for part, a, b, c, *_ in rows if part == "link")
    children: dict[str, list[str]] = defaultdict(list)
    for parent, _, child in links:
        if child in names:  # else rows were deleted by hand; the health of a repository tells
            children[names[parent]].append(names[child])
    held: dict[str, dict[str, list[str]]] = {part: defaultdict(list) for part in _HELD}
    for part, number, _, _, name, _ in rows:
        if part in held:
            held[part][names[number]].append(name)
    collections = {
        name: CollectionInfo(
            name,
            _KIND_BY_CODE[code],
            tuple(children.get(name, ())),
            doc or "",
            **_union(_members(name, children) if name in children else (name,), held),
        )
        for name, _, code, doc in sorted(own)
    }
    return Tree(collections, {name: number for name, number, *_ in own})


def _statement(tables: Tables) -> sqlalchemy.CompoundSelect[tuple[str, int, int, int, str, str]]:
    """Return one statement for all, since over a long line each costs a round trip."""
    import sqlalchemy
    from sqlalchemy import BigInteger, Text, cast, literal, null

    number, text = cast(null(), BigInteger), cast(null(), Text)
    collections, chains, kinds = tables.collection.c, tables.chain.c, tables.dataset_type.c
    selects = [
        sqlalchemy.select(
            literal("collection").label("part"),
            cast(collections.collection_id, BigInteger).label("a"),
            cast(collections.type, BigInteger).label("b"),
            number.label("c"),
            cast(collections.name, Text).label("name"),
            cast(collections.doc, Text).label("doc"),
        ),
        sqlalchemy.select(literal("link"), chains.parent, chains.position, chains.child, text, text),
        sqlalchemy.select(
            literal("dataset_type"), tables.summary.c.collection_id, number, number, kinds.name, text
        ).join_from(tables.summary, tables.dataset_type, kinds.id == tables.summary.c.dataset_type_id),
    ]
    for part, table in (("instrument", tables.summary_instrument), ("skymap", tables.summary_skymap)):
        selects.append(
            sqlalchemy.select(literal(part), table.c.collection_id, number, number, table.c[part], text)
        )
    return sqlalchemy.union_all(*selects)


def _union(members: Sequence[str], held: Mapping[str, Mapping[str, list[str]]]) -> dict[str, Any]:
    """Return what some collections hold together, by the fields of `CollectionInfo`."""
    # As upstream has it, what holds no dataset type holds no instrument either.
    full = [member for member in members if member in held["dataset_type"]]
    if len(full) == 1:
        return {f"{part}s": tuple(sorted(held[part].get(full[0], ()))) for part in _HELD}
    return {f"{part}s": tuple(sorted({n for one in full for n in held[part].get(one, ())})) for part in _HELD}


def flatten(name: str, collections: Mapping[str, CollectionInfo]) -> tuple[str, ...]:
    """Return the collections that a search of ``name`` visits, in its order.

    A collection that several chains hold is searched once, where it comes
    first.
    """
    children: dict[str, Sequence[str]] = {info.name: info.children for info in collections.values()}
    return tuple(member for member in _members(name, children) if not children.get(member))


def _members(name: str, children: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a collection and everything below it, each once, depth first."""
    seen: dict[str, None] = {}
    stack = [name]
    while stack:
        member = stack.pop()
        if member not in seen:
            seen[member] = None
            stack.extend(reversed(children.get(member, ())))
    return list(seen)
