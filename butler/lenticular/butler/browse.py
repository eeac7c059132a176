"""Answers of a registry that a browser asks most, by direct SQL.

Each is one or two statements whatever the number of collections, where the
public interface sends one recursive query for every chain.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from html import escape
from typing import TYPE_CHECKING

from lenticular.butler.database import explained
from lenticular.butler.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.schema import Tables

__all__ = [
    "CollectionInfo",
    "CollectionKind",
    "DatasetTypeInfo",
    "count_datasets",
    "flatten",
    "list_collections",
    "list_dataset_types",
    "match",
    "not_found",
]


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

    def _repr_html_(self) -> str:
        rows = [("kind", self.kind.value), ("documentation", self.documentation)]
        if self.children:
            rows.append(("searched in order", ", ".join(self.children)))
        rows.append(("dataset types", ", ".join(self.dataset_types) or "none"))
        body = "".join(f"<tr><th>{key}</th><td>{escape(value)}</td></tr>" for key, value in rows if value)
        return f"<table><caption>{escape(self.name)}</caption>{body}</table>"


@dataclass(frozen=True, slots=True)
class DatasetTypeInfo:
    """A dataset type and what its data IDs are made of."""

    name: str
    storage_class: str
    dimensions: tuple[str, ...]
    is_calibration: bool

    def _repr_html_(self) -> str:
        return (
            f"<code>{escape(self.name)}</code> {escape(self.storage_class)} "
            f"by {escape(', '.join(self.dimensions) or 'nothing')}"
        )


def list_collections(
    engine: sqlalchemy.Engine, tables: Tables, *, where: object
) -> Mapping[str, CollectionInfo]:
    """Return every collection, by name, in alphabetical order.

    Three statements, each one pass over a small table.
    """
    import sqlalchemy

    with explained(where), engine.connect() as connection:
        collections = connection.execute(
            sqlalchemy.select(
                tables.collection.c.collection_id,
                tables.collection.c.name,
                tables.collection.c.type,
                tables.collection.c.doc,
            ).order_by(tables.collection.c.name)
        ).all()
        links = connection.execute(
            sqlalchemy.select(tables.chain.c.parent, tables.chain.c.child).order_by(
                tables.chain.c.parent, tables.chain.c.position
            )
        ).all()
        held = connection.execute(
            sqlalchemy.select(tables.summary.c.collection_id, tables.dataset_type.c.name).join(
                tables.dataset_type, tables.dataset_type.c.id == tables.summary.c.dataset_type_id
            )
        ).all()
    names = {row.collection_id: row.name for row in collections}
    children: dict[str, list[str]] = defaultdict(list)
    for parent, child in links:
        children[names[parent]].append(names[child])
    own: dict[str, set[str]] = defaultdict(set)
    for collection_id, dataset_type in held:
        own[names[collection_id]].add(dataset_type)
    return {
        row.name: CollectionInfo(
            name=row.name,
            kind=_KIND_BY_CODE[row.type],
            children=tuple(children[row.name]),
            documentation=row.doc or "",
            dataset_types=tuple(
                sorted({kind for member in _members(row.name, children) for kind in own[member]})
            ),
        )
        for row in collections
    }


def list_dataset_types(
    engine: sqlalchemy.Engine, tables: Tables, *, where: object
) -> Mapping[str, DatasetTypeInfo]:
    """Return every dataset type, by name, in alphabetical order."""
    import sqlalchemy

    kinds, groups = tables.dataset_type.c, tables.dimension_group.c
    with explained(where), engine.connect() as connection:
        rows = connection.execute(
            sqlalchemy.select(
                kinds.name, kinds.storage_class, kinds.dimensions_key, kinds.calibration_association_table
            ).order_by(kinds.name)
        ).all()
        members: dict[int, list[str]] = defaultdict(list)
        for group, dimension in connection.execute(
            sqlalchemy.select(groups.dimension_graph_id, groups.dimension_name)
        ):
            members[group].append(dimension)
    return {
        row.name: DatasetTypeInfo(
            name=row.name,
            storage_class=row.storage_class,
            dimensions=tuple(sorted(members[row.dimensions_key], key=_dimension_order)),
            is_calibration=row.calibration_association_table is not None,
        )
        for row in rows
    }


def count_datasets(
    engine: sqlalchemy.Engine, tables: Tables, runs: Iterable[str], *, where: object
) -> Mapping[str, Mapping[str, int]]:
    """Count the datasets of some runs, exactly.

    Returns
    -------
    dict
        For each run, the number of datasets by dataset type.
    """
    import sqlalchemy

    datasets, collections, kinds = tables.dataset.c, tables.collection.c, tables.dataset_type.c
    query = (
        sqlalchemy.select(collections.name, kinds.name, sqlalchemy.func.count())
        .select_from(tables.dataset)
        .join(tables.collection, collections.collection_id == datasets.run_id)
        .join(tables.dataset_type, kinds.id == datasets.dataset_type_id)
        .where(collections.name.in_(list(runs)))
        .group_by(collections.name, kinds.name)
        .order_by(collections.name, kinds.name)
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    with explained(where), engine.connect() as connection:
        for run, kind, number in connection.execute(query):
            counts[run][kind] = number
    return counts


def flatten(name: str, collections: Mapping[str, CollectionInfo]) -> tuple[str, ...]:
    """Return the collections that a search of ``name`` visits, in its order.

    A collection that several chains hold is searched once, where it comes
    first.
    """
    children: dict[str, Sequence[str]] = {info.name: info.children for info in collections.values()}
    return tuple(member for member in _members(name, children) if not children.get(member))


def match(names: Iterable[str], patterns: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names that any of some globs matches, in their own order."""
    globs = [patterns] if isinstance(patterns, str) else list(patterns)
    return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def not_found(what: str, name: str, known: Iterable[str], *, where: object) -> NotFoundError:
    """Return the error for a name that does not exist, with those nearest."""
    candidates = list(known)
    near = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
    if not near:
        near = [candidate for candidate in candidates if name.lower() in candidate.lower()][:3]
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    else:
        hint = f"There are {len(candidates)} others to list." if candidates else "There are none yet."
    return NotFoundError(f"There is no {what} {name!r}", where=where, hint=hint)


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


_ORDER = (
    "instrument",
    "skymap",
    "tract",
    "patch",
    "band",
    "physical_filter",
    "day_obs",
    "group",
    "exposure",
    "visit",
)


def _dimension_order(name: str) -> tuple[int, str]:
    """Sort dimensions as people write them: where, then when, then which part."""
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)
