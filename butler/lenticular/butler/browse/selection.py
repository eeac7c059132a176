"""Which datasets a question is about, by the registry's own tables or by upstream's plan.

A browser mostly asks for a type, some collections and perhaps a part of the
data ID. Such a `Selection` stands in one table, of which each answer needs only
some columns. For whatever else there is, an expression above all, upstream
plans the query, and its statement takes the table's place, see `with_plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.collections import CollectionKind, read_tree
from lenticular.butler.browse.dataset_types import read_dataset_types
from lenticular.butler.browse.names import not_found
from lenticular.butler.browse.universe import read_universe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import sqlalchemy
    from lsst.daf.butler import Butler

    from lenticular.butler.browse.collections import CollectionInfo
    from lenticular.butler.browse.dataset_types import DatasetTypeInfo
    from lenticular.butler.browse.universe import Universe
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.requests import DatasetQuery, Request
    from lenticular.butler.repository import Repository

    type Value = int | str

__all__ = ["Member", "Selection", "select", "with_plan"]

_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Member:
    """A collection that is searched."""

    id: int
    """The registry's number for it."""

    info: CollectionInfo


@dataclass(frozen=True, slots=True)
class Selection:
    """Datasets of one type in some collections."""

    kind: DatasetTypeInfo
    type_id: int
    universe: Universe
    tags: sqlalchemy.TableClause
    """Table that says which datasets are in which collection."""

    members: tuple[Member, ...]
    """Collections that are searched, in order, as far as they may hold some."""

    fixed: Mapping[str, Value]
    """Required dimensions that are given."""

    find_first: bool
    """Whether of each data ID only the dataset counts that comes first."""

    is_simple: bool
    """Whether this says all: otherwise upstream has to plan the query."""

    @property
    def hides(self) -> bool:
        """Whether datasets may hide each other."""
        return self.find_first and len(self.members) > 1

    def held(self, *names: str) -> sqlalchemy.Select[Any]:
        """Return the statement for all datasets, also those that are hidden.

        Parameters
        ----------
        *names
            Columns of `tags`.
        """
        import sqlalchemy

        columns = self.tags.c
        conditions = [
            columns.dataset_type_id == self.type_id,
            self.within(self.members),
            *(columns[name] == value for name, value in self.fixed.items()),
        ]
        return sqlalchemy.select(*(columns[name] for name in names)).where(*conditions)

    def within(self, members: Sequence[Member]) -> sqlalchemy.ColumnElement[bool]:
        """Return the condition that a row is of some collections."""
        column = self.tags.c.collection_id
        # With a single number databases know that an index gives the rows in order.
        return column == members[0].id if len(members) == 1 else column.in_([one.id for one in members])

    @property
    def constants(self) -> Mapping[str, Value]:
        """Dimensions that have the same value in all data IDs, and this value.

        Texts are what databases sort and compare slowest, and mostly a
        collection is of one instrument.
        """
        known = dict(self.fixed)
        for dimension, held in (("instrument", "instruments"), ("skymap", "skymaps")):
            values = {value for member in self.members for value in getattr(member.info, held)}
            if dimension in self.kind.dimensions and len(values) == 1:
                known.setdefault(dimension, values.pop())
        return known

    def data_ids(self) -> sqlalchemy.Select[Any]:
        """Return the statement for the data IDs of all that counts, one row for each dataset.

        Its columns are the dimensions that are not constant or, if all are, a
        constant.
        """
        import sqlalchemy

        constants = self.constants
        names = [name for name in self.kind.dimensions if name not in constants]
        rows = self.held(*names) if names else self.held().add_columns(sqlalchemy.literal(1).label("one"))
        return rows.distinct() if self.hides else rows


def select(repository: Repository, query: DatasetQuery) -> Selection:
    """Find out where the datasets are that a query is about.

    Parameters
    ----------
    repository
        The repository.
    query
        The query; its order and limit do not matter.

    Raises
    ------
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    universe = read_universe(repository)
    named = query.collections or ()
    patterns = any(sign in name for name in named for sign in "*?[")

    def read(connection: sqlalchemy.Connection) -> Selection:
        tree = read_tree(connection, repository.tables)
        types = read_dataset_types(connection, repository.tables, universe)
        if query.dataset_type not in types:
            raise not_found("dataset type", query.dataset_type, types, where=repository.name)
        stored = types[query.dataset_type]
        infos = () if patterns else tree.members(named, where=repository.name)
        members = [info for info in infos if query.dataset_type in info.dataset_types]
        timed = stored.info.is_calibration and any(
            info.kind is CollectionKind.CALIBRATION for info in members
        )
        simple = not (patterns or timed or query.collections is None or query.where.strip() or query.bind)
        return Selection(
            kind=stored.info,
            type_id=stored.id,
            universe=universe,
            tags=repository.tables.association(stored.tags, stored.info.dimensions),
            members=tuple(Member(tree.ids[info.name], info) for info in members),
            fixed=dict(query.data_id),
            find_first=query.find_first,
            is_simple=simple and _is_plain(query.data_id, stored.info, universe),
        )

    return repository.read(read)


def _is_plain(data_id: Mapping[str, Any], kind: DatasetTypeInfo, universe: Universe) -> bool:
    """Tell whether a data ID only gives columns of the type's own table, of their own type."""
    return all(
        name in kind.dimensions
        and (
            (type(value) is int and abs(value) < _LARGEST)
            if universe[name].is_number
            else isinstance(value, str)
        )
        for name, value in data_id.items()
    )


def with_plan[T](repository: Repository, request: Request, work: Callable[[Plan | None], T]) -> T:
    """Have upstream plan a query, and do something with the plan.

    Parameters
    ----------
    repository
        The repository.
    request
        The query. What it sorts by is given in columns, see `Plan.sort`; the
        statement itself neither sorts nor limits.
    work
        What is done with the plan, which is `None` if upstream's planner is of
        a version that is not known here. It may be called a second time.

    Raises
    ------
    DataError
        Raised if the query cannot be answered, as for a wrong expression.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    from lenticular.butler import upstream
    from lenticular.butler.columns.reading import complaints

    def ask(butler: Butler) -> T:
        with complaints(butler, request, repository.name), butler.query() as query:
            _, results = replace(request, limit=None).build(butler, query)
            return work(upstream.plan_keyed(results) if upstream.can_plan(query) else None)

    return repository.read_registry(ask)
