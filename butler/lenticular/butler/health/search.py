"""What a search of some collections finds, for all dataset types that share a table at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse import CollectionKind, flatten, not_found
from lenticular.butler.health.memberships import NO_VALIDITY, ask, membership_table, read_kinds, validity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.browse import CollectionInfo
    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.repository import Repository

__all__ = ["ENDS", "Search", "found", "open_search"]

ENDS = ("validity_begin", "validity_end")
"""Columns with the range of validity."""


@dataclass(frozen=True, slots=True)
class Search:
    """Collections of a repository, in the order in which they are searched."""

    repository: Repository
    asked: tuple[str, ...]
    """What was named."""

    members: tuple[CollectionInfo, ...]
    """What is searched, without chains."""

    kinds: Mapping[str, StoredType]
    """The repository's dataset types by name."""

    @property
    def name(self) -> str:
        """How it is called in displays."""
        return ", ".join(self.asked)

    def holders(self, dataset_type: str) -> tuple[CollectionInfo, ...]:
        """Return the members that may hold a dataset of a type, by the registry's summaries."""
        return tuple(member for member in self.members if dataset_type in member.dataset_types)

    def is_timed(self, dataset_type: str) -> bool:
        """Tell whether a type is held in CALIBRATION collections, where a data ID has several."""
        return any(member.kind is CollectionKind.CALIBRATION for member in self.holders(dataset_type))


def open_search(repository: Repository, collections: str | Iterable[str]) -> Search:
    """Return what a search of some collections visits.

    Parameters
    ----------
    repository
        The repository.
    collections
        Name of a collection, or of several in the order of the search.

    Raises
    ------
    NotFoundError
        Raised if one of them does not exist.
    """
    asked = (collections,) if isinstance(collections, str) else tuple(collections)
    known = {info.name: info for info in repository.collections()}
    order: dict[str, None] = {}
    for name in asked:
        if name not in known:
            raise not_found("collection", name, known, where=repository.name)
        order.update(dict.fromkeys(flatten(name, known)))
    return Search(repository, asked, tuple(known[name] for name in order), read_kinds(repository))


def found(
    search: Search, kinds: Sequence[StoredType], *, timed: bool
) -> sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]:
    """Return the statement that gives the datasets that a search finds.

    Parameters
    ----------
    search
        The collections.
    kinds
        Dataset types that share their tables.
    timed
        Whether they are looked up with their validity: then what identifies a
        row is a data ID with its range.

    Returns
    -------
    sqlalchemy.Select
        One row for each that is found first: ``dataset_type_id``, a column
        for each dimension, if `timed` the two of `ENDS`, and ``dataset_id``.
    """
    import sqlalchemy

    tables = search.repository.tables
    holders = {member.name: member for kind in kinds for member in search.holders(kind.info.name)}
    order = [member.name for member in search.members if member.name in holders]
    columns = tables.collection.c
    numbers = dict(
        tuple(row)
        for row in ask(
            search.repository,
            sqlalchemy.select(columns.name, columns.collection_id).where(columns.name.in_(order)),
        )
    )
    ranks = {numbers[name]: place for place, name in enumerate(order) if name in numbers}
    everything = _everything(search, kinds, tuple(ranks), timed=timed)
    if all(len(search.holders(kind.info.name)) < 2 for kind in kinds):  # noqa: PLR2004  nothing hides another
        inner = everything.subquery()
        return sqlalchemy.select(*(column for column in inner.c if column.name != "collection_id"))
    inner = everything.subquery()
    key = [column for column in inner.c if column.name not in {"dataset_id", "collection_id"}]
    place = sqlalchemy.func.row_number().over(
        partition_by=key, order_by=sqlalchemy.case(ranks, value=inner.c.collection_id)
    )
    ranked = sqlalchemy.select(*key, inner.c.dataset_id, place.label("place")).subquery()
    return sqlalchemy.select(*(column for column in ranked.c if column.name != "place")).where(
        ranked.c.place == 1
    )


def _everything(
    search: Search, kinds: Sequence[StoredType], collections: Sequence[int], *, timed: bool
) -> sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]:
    """Return the statement that gives all members of some collections."""
    import sqlalchemy

    first = kinds[0]

    def select(name: str, *, with_validity: bool) -> sqlalchemy.Select[Any]:
        table = membership_table(search.repository, name, first.info.dimensions, timed=with_validity)
        none: sqlalchemy.ColumnElement[Any] = sqlalchemy.literal_column(str(NO_VALIDITY))
        ends = validity(table) if with_validity else (none, none)
        return sqlalchemy.select(
            table.c.dataset_type_id,
            *(table.c[dimension] for dimension in first.info.dimensions),
            *((end.label(name) for end, name in zip(ends, ENDS, strict=True)) if timed else ()),
            table.c.dataset_id,
            table.c.collection_id,
        ).where(
            table.c.dataset_type_id.in_([kind.id for kind in kinds]),
            table.c.collection_id.in_(collections),
        )

    plain = select(first.tags, with_validity=False)
    if not timed or first.calibrations is None:
        return plain
    return sqlalchemy.union_all(plain, select(first.calibrations, with_validity=True))
