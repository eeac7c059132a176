"""The one place of this package that leans on how daf_butler works inside.

It makes a repository in its two steps, of which the public interface has only
the sum, and plans queries for `lenticular.butler.columns`. How expressions work
inside is in `lenticular.butler.explain.upstream`.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import RepositoryExistsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsst.daf.butler import Butler, Config, DatasetRef

    from lenticular.butler.columns.plan import Lookup, Plan, Ranking, Refinement

__all__ = [
    "PLANNED_VERSIONS",
    "can_plan",
    "in_transaction",
    "make_registry",
    "plan_any",
    "plan_keyed",
    "plan_query",
    "stored_artifacts",
    "write_configuration",
]

PLANNED_VERSIONS = ((30, 2026, 4300), (31,))
"""The first version of daf_butler whose planner is known here, and the first one beyond."""


def write_configuration(root: str, settings: Mapping[str, Any]) -> Config:
    """Write a new repository's ``butler.yaml``; the first half of ``Butler.makeRepo``.

    Parameters
    ----------
    root
        Folder or S3 URI of the repository.
    settings
        Its configuration, as far as it is not the default.

    Returns
    -------
    lsst.daf.butler.Config
        What was written, for `make_registry`.

    Raises
    ------
    FileExistsError
        Raised if there is a configuration already.
    """
    from lsst.daf.butler import Butler, Config

    written, _ = Butler._make_repo_butler_config(root, config=Config(settings), forceConfigRoot=False)
    return written


def make_registry(configuration: Config, root: str) -> None:
    """Make a new repository's registry; the second half of ``Butler.makeRepo``.

    Parameters
    ----------
    configuration
        What `write_configuration` returned.
    root
        Folder or S3 URI of the repository.

    Raises
    ------
    RepositoryExistsError
        Raised if the database holds a registry already.
    """
    from lsst.daf.butler import Butler
    from lsst.daf.butler.registry.interfaces import SchemaAlreadyDefinedError
    from lsst.resources import ResourcePath

    try:
        Butler._make_repo_registry(configuration, root_uri=ResourcePath(root, forceDirectory=True))
    except SchemaAlreadyDefinedError as error:
        raise RepositoryExistsError(
            "The database holds the registry of a repository already",
            where=root,
            hint="Choose another database or, on PostgreSQL, another namespace.",
        ) from error


def stored_artifacts(butler: Butler, ref: DatasetRef) -> list[tuple[str, int | None, str | None]]:
    """Return where the bytes of a dataset are, how many, and of which component.

    Only records are read: neither a file nor an object is looked at. The
    sizes are in the datastore's records, which have no public reader.
    """
    try:
        uris = butler.getURIs(ref)
    except FileNotFoundError:
        return []
    known = butler.get_dataset(ref.id, datastore_records=True)
    sizes: dict[str | None, int] = {}
    for records in ((known._datastore_records if known else None) or {}).values():
        for record in records:
            sizes.setdefault(getattr(record, "component", None), getattr(record, "file_size", -1))
    places: list[tuple[str | None, Any]] = [(None, uris.primaryURI), *uris.componentURIs.items()]
    return [
        (str(uri), sizes[part] if sizes.get(part, -1) >= 0 else None, part)
        for part, uri in places
        if uri is not None
    ]


def can_plan(query: object) -> bool:
    """Tell whether `plan_query` knows the planner behind a query, or its results.

    It does not for other versions of daf_butler, nor for a Butler behind a
    server: then the public interface has to answer.
    """
    version = importlib.metadata.version("lsst-daf-butler")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if not PLANNED_VERSIONS[0] <= numbers < PLANNED_VERSIONS[1]:
        return False
    from lsst.daf.butler.direct_query_driver import DirectQueryDriver

    return isinstance(getattr(query, "_driver", None), DirectQueryDriver)


def in_transaction(butler: Butler) -> bool:
    """Tell whether a Butler's connection is in a transaction, which a failure would undo."""
    database = getattr(getattr(butler, "_registry", None), "_db", None)
    return database is not None and bool(database.isInTransaction())


def plan_query(results: Any, *, ranked: bool = False, narrow: bool = False) -> Plan:
    """Plan a query just as upstream's driver does before it runs one.

    Parameters
    ----------
    results
        What a method of upstream's ``Query`` returned, in the context of that query.
    ranked
        Whether the statement may give every dataset that a search sees, with
        its collection, when the first of each data ID is wanted: the window
        function for it costs a database more than the rest of the query.
    narrow
        Whether the statement may leave out what is the same in all rows, or
        follows from the rest of them.
    """
    return _Planner(results).plan(ranked=ranked, narrow=narrow)


def plan_keyed(results: Any) -> Plan:
    """Plan a query whose rows are to be compared by what they are sorted by.

    Parameters
    ----------
    results
        What a method of upstream's ``Query`` returned, in the context of that query.

    Returns
    -------
    Plan
        Its statement neither sorts nor limits; it gives what the query sorts by
        in columns of its own, `Plan.sort`.
    """
    return _Planner(results).keyed()


class _Planner:
    """Plans one query."""

    def __init__(self, results: Any) -> None:
        self.driver, self.tree, self.spec = results._driver, results._tree, results._spec
        self.columns, self.target = self.spec.get_result_columns(), self.spec.find_first_dataset
        self.shrink = self.driver.db.name_shrinker.shrink
        self.labels = {(table, field): self.label(table, field) for table, field in self.columns}

    def label(self, table: str, field: str | None) -> str:
        """Return the statement's name of a column."""
        return table if field is None else self.shrink(self.columns.get_qualified_name(table, field))

    def build(self, target: str | None) -> Any:
        """Let upstream build the statement."""
        return self.driver.build_query(
            self.tree,
            final_columns=self.columns,
            find_first_dataset=target,
            order_by=self.spec.order_by,
            allow_duplicate_overlaps=self.spec.allow_duplicate_overlaps,
        )

    def plan(self, *, ranked: bool, narrow: bool) -> Plan:
        """See `plan_query`."""
        from lenticular.butler.columns.plan import Plan

        spec, builder = self.spec, self.build(self.target)
        search = builder.joins_analysis.datasets.get(self.target)
        free = spec.limit is None and search is not None and not search.is_calibration_search
        ranked = ranked and free and bool(getattr(builder, "find_first", None))
        ranking = self.ranking(search) if ranked else None
        if ranking is not None:
            self.columns.dataset_fields[self.target].add("collection_key")
            if ranking.runs:
                self.columns.dataset_fields[self.target].discard("run")
            builder = self.build(None)
        select, available = builder.finish_select()
        narrow = narrow and free and not spec.order_by and not builder.postprocessing
        found = self.narrowed(select, builder, search) if narrow else None
        select, lookup, constants = found or (self.sliced(select, available, builder), None, {})
        return Plan(
            select=select,
            connection=self.driver.db._session_connection,
            labels=self.labels,
            names=tuple(column.name for column in select.selected_columns),
            refinement=_refinement(builder.postprocessing, spec.limit if builder.postprocessing else None),
            ranking=ranking,
            lookup=lookup,
            constants=constants,
            sliced=bool(spec.order_by) or spec.limit is not None,
            bulky=any(field == "region" for _, field in self.columns),
        )

    def keyed(self) -> Plan:
        """See `plan_keyed`."""
        from lsst.daf.butler.direct_query_driver._sql_column_visitor import SqlColumnVisitor

        from lenticular.butler.columns.plan import Plan

        builder = self.build(self.target)
        select, available = builder.finish_select()
        visitor, sort = SqlColumnVisitor(available, self.driver), []
        for place, term in enumerate(self.spec.order_by):
            reverse = term.expression_type == "reversed"
            value = visitor.expect_scalar(term.operand if reverse else term)
            select = select.add_columns(value.label(f"sort_{place}"))
            sort.append((f"sort_{place}", reverse))
        return Plan(
            select=select,
            connection=self.driver.db._session_connection,
            labels=self.labels,
            names=tuple(column.name for column in select.selected_columns),
            refinement=_refinement(builder.postprocessing, None),
            sort=tuple(sort),
        )

    def sliced(self, select: Any, available: Any, builder: Any) -> Any:
        """Return a statement with its order and limit, as far as the latter is the database's."""
        from lsst.daf.butler.direct_query_driver._sql_column_visitor import SqlColumnVisitor

        if self.spec.order_by:
            visitor = SqlColumnVisitor(available, self.driver)
            select = select.order_by(*[visitor.expect_scalar(term) for term in self.spec.order_by])
        if self.spec.limit is not None and not builder.postprocessing:
            select = select.limit(self.spec.limit)
        return select

    def ranking(self, search: Any) -> Ranking:
        """Return how to find what comes first in a search."""
        from lsst.daf.butler import CollectionType

        from lenticular.butler.columns.plan import Ranking

        records = search.collection_records
        plain = all(record.type is CollectionType.RUN for record in records)
        return Ranking(
            keys=tuple(self.columns.dimensions.required),
            collection=self.label(search.name, "collection_key"),
            ranks={record.key: place for place, record in enumerate(records)},
            run=self.label(search.name, "run"),
            runs=tuple(record.name for record in records) if plain else (),
        )

    def narrowed(self, select: Any, builder: Any, search: Any) -> tuple[Any, Lookup, dict[str, str]] | None:
        """Return a statement on the table of datasets alone, and what it leaves out.

        The planner joins tables of dimensions for no more than the dimensions
        that follow from the required ones. Foreign keys see to it that each
        row finds its partners, or that all of a lookup's rows are there.

        Returns
        -------
        tuple or None
            `None` if another table is needed.
        """
        import sqlalchemy
        from lsst.daf.butler import CollectionType

        analysis, group = builder.joins_analysis, self.columns.dimensions
        lookup = _lookup(group)
        joined = analysis.materializations or analysis.data_coordinate_uploads or len(analysis.datasets) != 1
        distinct = builder.needs_dimension_distinct or builder.needs_dataset_distinct or builder.find_first
        if lookup is None or joined or distinct:
            return None
        if not {element.name for element in analysis.iter_mandatory(None)} <= {*lookup.keys, *lookup.values}:
            return None
        if group != search.dimensions or tuple(analysis.columns.dimensions.names) != tuple(group.names):
            return None
        constants, records = {}, search.collection_records
        run = self.labels.get((search.name, "run"))
        if len(records) == 1 and records[0].type is CollectionType.RUN and run is not None:
            constants[run] = records[0].name
        kept = [one for one in select.selected_columns if one.name not in {*lookup.values, *constants}]
        parts = [*kept, *([select.whereclause] if select.whereclause is not None else [])]
        tables = {
            element.table
            for part in parts
            for element in sqlalchemy.sql.visitors.iterate(part)
            if isinstance(element, sqlalchemy.ColumnClause)
        }
        if len(tables) != 1:
            return None
        return sqlalchemy.select(*kept).where(*parts[len(kept) :]), lookup, constants


def _lookup(group: Any) -> Lookup | None:
    """Return from whose records all implied dimensions follow; `None` if not from one's."""
    from lenticular.butler.columns.plan import Lookup

    universe = group.universe
    sources = [name for name in group.required if universe[name].implied]
    if len(sources) != 1:
        return None
    closure = universe[sources[0]].minimal_group
    if set(group.implied) != set(closure.implied):
        return None
    return Lookup(sources[0], tuple(closure.required), tuple(closure.implied))


def _refinement(work: Any, limit: int | None) -> Refinement:
    """Return upstream's ``Postprocessing`` as a value."""
    from lenticular.butler.columns.plan import Refinement

    return Refinement(
        pairs=tuple((f"{a.name}:region", f"{b.name}:region") for a, b in work.spatial_join_filtering),
        given=tuple((f"{element.name}:region", region) for element, region in work.spatial_where_filtering),
        sums=tuple(work.spatial_expression_filtering),
        matches=work.VALIDITY_MATCH_COUNT if work.check_validity_match_count else None,
        limit=limit,
    )


def plan_any(results: Any) -> Plan:
    """Plan a query for nothing but whether it has a row, as upstream's ``any`` does.

    Rows may come more than once, so the database need not sort them out.

    Parameters
    ----------
    results
        What a method of upstream's ``Query`` returned, in the context of that query.
    """
    from lsst.daf.butler.queries.tree import ColumnSet

    from lenticular.butler.columns.plan import Plan

    driver, tree = results._driver, results._tree
    columns = ColumnSet(tree.dimensions)
    for name in tree.datasets:  # without these, it would look for distinct ones first
        columns.dataset_fields[name].update(("dataset_id", "collection_key"))
    builder = driver.build_query(tree, columns, allow_duplicate_overlaps=True)
    work = builder.postprocessing
    if work.spatial_where_filtering and len(work.spatial_where_filtering + work.spatial_join_filtering) > 1:
        # Then upstream may join the same table of overlaps twice under one name.
        builder = driver.build_query(tree, columns)
    select, _ = builder.finish_select()
    return Plan(
        select=select,
        connection=driver.db._session_connection,
        labels={},
        names=tuple(column.name for column in select.selected_columns),
        refinement=_refinement(builder.postprocessing, None),
        sliced=True,
    )
