"""What a selection of datasets is made of: the values of each dimension, with counts.

A selection is looked at once. Of what follows from a dimension, such as the
filter and the night of a visit, is counted what the counts of the visits add up
to, rather than dataset by dataset.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.selection import select, with_plan
from lenticular.butler.display import display, grouped, pairs
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa
    import sqlalchemy

    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.browse.universe import Element, Universe
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.requests import DatasetQuery
    from lenticular.butler.repository import Repository

    type Value = int | str | None
    type Groups = dict[str, list[tuple[Value, int, int]]]
    """For each dimension some values, how often each is found, and how many there are."""

__all__ = ["Facet", "Facets", "read_facets"]


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one dimension in a selection."""

    dimension: str
    values: tuple[tuple[Value, int], ...]
    """The first of its values in their order, each with the number of datasets
    that have it; `None`, which comes last, where a record leaves it open."""

    distinct: int
    """How many values there are."""

    @property
    def more(self) -> int:
        """How many values are left out."""
        return self.distinct - len(self.values)

    def __str__(self) -> str:
        shown = ", ".join(f"{value} ({grouped(number)})" for value, number in self.values)
        return f"{self.dimension}: {shown}" + (f" and {grouped(self.more)} more" if self.more else "")


@dataclass(frozen=True, slots=True)
class Facets:
    """The values of the dimensions in a selection."""

    facets: tuple[Facet, ...]
    """One for each dimension."""

    total: int
    """Number of datasets."""

    def __getitem__(self, dimension: str) -> Facet:
        for facet in self.facets:
            if facet.dimension == dimension:
                return facet
        raise KeyError(dimension)

    def __iter__(self) -> Iterator[Facet]:
        return iter(self.facets)

    def _repr_html_(self) -> str:
        found = ((facet.dimension, str(facet).partition(": ")[2] or "none") for facet in self.facets)
        return display("Facets", f"{grouped(self.total)} datasets", pairs(found))


def read_facets(
    repository: Repository, query: DatasetQuery, dimensions: Iterable[str] | None = None, *, most: int = 100
) -> Facets:
    """Find the values of each dimension in a selection of datasets, with counts.

    Parameters
    ----------
    repository
        The repository.
    query
        The selection; its order and limit do not matter.
    dimensions
        Dimensions of the dataset type that are wanted; by default all, also
        those that follow from the required ones.
    most
        Values of one dimension to return at most.

    Raises
    ------
    DataError
        Raised if the type has no such dimension, or the query cannot be
        answered, as for a wrong expression.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    chosen = select(repository, query)
    known = chosen.kind.all_dimensions
    wanted = known if dimensions is None else tuple(dict.fromkeys(dimensions))
    for name in wanted:
        if name not in known:
            hint = f"There are {', '.join(known)}." if known else "It has none."
            raise DataError(f"Datasets of type {chosen.kind.name!r} have no dimension {name!r}", hint=hint)
    if chosen.is_simple:
        if not chosen.members:
            return _facets(wanted, {}, 0)
        return repository.read(lambda connection: _of_table(connection, repository, chosen, wanted, most))
    found = with_plan(repository, query, lambda plan: _of_plan(plan, chosen, wanted, most))
    return found or _of_columns(repository, query, wanted, most)


def _facets(wanted: Sequence[str], groups: Groups, total: int) -> Facets:
    facets = []
    for name in wanted:
        values = sorted(groups.get(name, []), key=lambda group: (group[0] is None, group[0]))
        distinct = values[0][2] if values else 0
        facets.append(Facet(name, tuple((value, number) for value, number, _ in values), distinct))
    return Facets(tuple(facets), total)


def _of_table(
    connection: sqlalchemy.Connection,
    repository: Repository,
    chosen: Selection,
    wanted: Sequence[str],
    most: int,
) -> Facets:
    """Count what the table of datasets holds, then what follows from it."""
    universe, constants = chosen.universe, chosen.constants
    paths = {name: universe.source(name, chosen.kind.dimensions) for name in wanted if name not in constants}
    # What is counted: for what follows from a dimension, all that identifies its record.
    sets = {
        name: tuple(key for key in (path[0].required if path else (name,)) if key not in constants)
        for name, path in paths.items()
    }
    groups = _Grouping(connection, chosen.data_ids(), tuple(dict.fromkeys(sets.values())))
    namespace = repository.configuration.namespace
    parts = [
        _summed(groups.counted(sets[name]), name, path, namespace, most, constants)
        for name, path in paths.items()
    ]
    found = _run(connection, parts, wanted, universe, groups.total())
    same = {name: Facet(name, ((constants[name], found.total),), 1) for name in wanted if name in constants}
    return Facets(
        tuple(same.get(facet.dimension, facet) if found.total else facet for facet in found), found.total
    )


class _Grouping:
    """Counts the rows of a statement by several sets of columns, in one statement.

    PostgreSQL passes over the rows once. SQLite knows no sets of groups; it
    passes over an index for each, or once over rows that it has to sort out.

    Parameters
    ----------
    connection
        A connection to the registry.
    rows
        The statement.
    sets
        The sets of columns.
    """

    def __init__(
        self,
        connection: sqlalchemy.Connection,
        rows: sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any],
        sets: Sequence[tuple[str, ...]],
    ) -> None:
        import sqlalchemy

        self._sets = sets
        # What is needed several times is read into memory once if it has to be
        # sorted out first; else each of SQLite's passes takes the index that suits it.
        plain = connection.dialect.name == "sqlite" and not getattr(rows, "_distinct", False)
        self._whole = rows.subquery() if plain else rows.cte("chosen")
        self._counts: sqlalchemy.CTE | None = None
        self._by_set: dict[tuple[str, ...], sqlalchemy.CTE] = {}
        if connection.dialect.name == "sqlite":
            for place, one in enumerate(sets):
                keys = [self._whole.c[name] for name in one]
                found = sqlalchemy.select(*keys, sqlalchemy.func.count().label("number"))
                found = found.select_from(self._whole).group_by(*keys)
                self._by_set[one] = found.cte(f"counts_{place}")
        elif sets:
            columns = self._whole.c
            names = dict.fromkeys(name for one in sets for name in one)
            marks = {name: sqlalchemy.func.grouping(columns[name]).label(f"without_{name}") for name in names}
            # The empty set counts all.
            groups = [sqlalchemy.tuple_(*(columns[name] for name in one)) for one in sets if one]
            self._counts = (
                sqlalchemy.select(
                    *(columns[name] for name in names),
                    *marks.values(),
                    sqlalchemy.func.count().label("number"),
                )
                .group_by(sqlalchemy.func.grouping_sets(*groups, sqlalchemy.tuple_()))
                .cte("counts")
            )

    def counted(self, one: tuple[str, ...]) -> sqlalchemy.FromClause:
        """Return the rows of one set, with the number of each in ``number``."""
        import sqlalchemy

        if self._counts is None:
            return self._by_set[one]
        columns = [self._counts.c[name] for name in one]
        return sqlalchemy.select(*columns, self._counts.c.number).where(*self._only(one)).subquery()

    def total(self) -> sqlalchemy.ScalarSelect[int]:
        """Return the number of all rows."""
        import sqlalchemy

        if self._counts is None:
            return sqlalchemy.select(sqlalchemy.func.count()).select_from(self._whole).scalar_subquery()
        return sqlalchemy.select(self._counts.c.number).where(*self._only(())).scalar_subquery()

    def _only(self, one: tuple[str, ...]) -> list[sqlalchemy.ColumnElement[bool]]:
        assert self._counts is not None  # noqa: S101 - told by both that call it
        names = dict.fromkeys(name for each in self._sets for name in each)
        return [self._counts.c[f"without_{name}"] == int(name not in one) for name in names]


def _summed(
    counted: sqlalchemy.FromClause,
    dimension: str,
    path: Sequence[Element],
    namespace: str | None,
    most: int,
    constants: Mapping[str, Any],
) -> sqlalchemy.Select[Any]:
    """Return the statement that adds counts up to the values of a dimension that follows.

    Its rows are the dimension, a value as text, how often it is found, and how
    many values there are.
    """
    import sqlalchemy

    source: Any = counted
    columns: dict[str, Any] = {name: sqlalchemy.literal(value) for name, value in constants.items()}
    columns |= {column.name: column for column in counted.c}
    for element in path:
        table = element.of_table(namespace).alias()
        on = [table.c[element.column(name)] == columns[name] for name in element.required]
        # Outer, since what a record leaves open may have no record itself.
        source = source.outerjoin(table, sqlalchemy.and_(*on))
        columns |= {name: table.c[element.column(name)] for name in element.implied}
    value = columns[dimension]
    number = sqlalchemy.func.sum(counted.c.number)
    return (
        sqlalchemy.select(
            sqlalchemy.literal(dimension).label("dimension"),
            sqlalchemy.cast(value, sqlalchemy.Text).label("value"),
            sqlalchemy.cast(number, sqlalchemy.BigInteger).label("number"),
            sqlalchemy.func.count().over().label("different"),
        )
        .select_from(source)
        .group_by(value)
        .order_by(value.is_(None), value)
        .limit(most)
    )


def _run(
    connection: sqlalchemy.Connection,
    parts: Sequence[sqlalchemy.Select[Any]],
    wanted: Sequence[str],
    universe: Universe,
    total: sqlalchemy.ScalarSelect[int],
) -> Facets:
    import sqlalchemy

    null = sqlalchemy.null()
    whole = sqlalchemy.select(
        sqlalchemy.literal("").label("dimension"),
        sqlalchemy.cast(null, sqlalchemy.Text).label("value"),
        sqlalchemy.cast(total, sqlalchemy.BigInteger).label("number"),
        sqlalchemy.cast(null, sqlalchemy.BigInteger).label("different"),
    )
    selects = [sqlalchemy.select(part.subquery()) for part in parts]
    groups: Groups = defaultdict(list)
    number_of_all = 0
    for dimension, value, number, different in connection.execute(sqlalchemy.union_all(whole, *selects)):
        if dimension:
            known = int(value) if value is not None and universe[dimension].is_number else value
            groups[dimension].append((known, number, different))
        else:
            number_of_all = number
    return _facets(wanted, groups, number_of_all)


def _of_plan(plan: Plan | None, chosen: Selection, wanted: Sequence[str], most: int) -> Facets | None:
    """Count what a planned statement gives; `None` if rows are left to be refined."""
    if plan is None or plan.refinement:
        return None
    import sqlalchemy

    rows = plan.select.subquery()
    columns = [rows.c[plan.labels[name, None]].label(name) for name in wanted]
    data_ids = (
        sqlalchemy.select(*columns) if columns else sqlalchemy.select(sqlalchemy.literal(1).label("one"))
    )
    groups = _Grouping(plan.connection, data_ids.select_from(rows), [(name,) for name in wanted])
    parts = [_summed(groups.counted((name,)), name, (), None, most, {}) for name in wanted]
    return _run(plan.connection, parts, wanted, chosen.universe, groups.total())


def _of_columns(repository: Repository, query: DatasetQuery, wanted: Sequence[str], most: int) -> Facets:
    """Count rows as they come, where a database alone cannot tell which stay."""
    from dataclasses import replace

    from lenticular.butler.columns import read

    table = read(repository, replace(query, order_by=(), limit=None, columns=()))
    groups = {name: _counted(table.column(name), most) for name in wanted}
    return _facets(wanted, groups, table.num_rows)


def _counted(column: pa.ChunkedArray, most: int) -> list[tuple[Value, int, int]]:
    import pyarrow as pa

    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    pairs = [(entry["values"].as_py(), entry["counts"].as_py()) for entry in plain.value_counts()]
    pairs.sort(key=lambda pair: (pair[0] is None, pair[0]))
    return [(value, number, len(pairs)) for value, number in pairs[:most]]
