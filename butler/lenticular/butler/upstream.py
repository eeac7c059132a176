"""The one place of this package that leans on how daf_butler works inside.

It makes a repository in its two steps, of which the public interface has only
the sum, plans queries for `lenticular.butler.columns`, and turns complaints
into errors that help.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import DataError, RepositoryExistsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from lsst.daf.butler import Butler, Config, DatasetRef

    from lenticular.butler.columns.plan import Plan, Ranking, Refinement

__all__ = [
    "PLANNED_VERSIONS",
    "can_plan",
    "explained_query",
    "in_transaction",
    "make_registry",
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


def plan_query(results: Any, *, ranked: bool = False) -> Plan:
    """Plan a query just as upstream's driver does before it runs one.

    Parameters
    ----------
    results
        What a method of upstream's ``Query`` returned, in the context of that query.
    ranked
        Whether the statement may give every dataset that a search sees, with
        its collection, when the first of each data ID is wanted: the window
        function for it costs a database more than the rest of the query.
    """
    from lsst.daf.butler.direct_query_driver._sql_column_visitor import SqlColumnVisitor

    from lenticular.butler.columns.plan import Plan

    driver, spec = results._driver, results._spec
    columns, target = spec.get_result_columns(), spec.find_first_dataset
    arguments = {"order_by": spec.order_by, "allow_duplicate_overlaps": spec.allow_duplicate_overlaps}
    builder = driver.build_query(results._tree, final_columns=columns, find_first_dataset=target, **arguments)
    search = builder.joins_analysis.datasets.get(target)
    ranked = ranked and spec.limit is None and bool(getattr(builder, "find_first", None))
    ranked = ranked and not search.is_calibration_search
    shrink = driver.db.name_shrinker.shrink
    labels = {
        (table, field): table if field is None else shrink(columns.get_qualified_name(table, field))
        for table, field in columns
    }
    if ranked:
        ranking = _ranking(search, columns, shrink)
        columns.dataset_fields[target].add("collection_key")
        if ranking.runs:
            columns.dataset_fields[target].discard("run")
        builder = driver.build_query(results._tree, final_columns=columns, **arguments)
    select, available = builder.finish_select()
    if spec.order_by:
        visitor = SqlColumnVisitor(available, driver)
        select = select.order_by(*[visitor.expect_scalar(term) for term in spec.order_by])
    left = spec.limit if builder.postprocessing else None
    if spec.limit is not None and left is None:
        select = select.limit(spec.limit)
    return Plan(
        select=select,
        connection=driver.db._session_connection,
        labels=labels,
        names=tuple(column.name for column in select.selected_columns),
        refinement=_refinement(builder.postprocessing, left),
        ranking=ranking if ranked else None,
        sliced=bool(spec.order_by) or spec.limit is not None,
        bulky=any(field == "region" for _, field in columns),
    )


def _ranking(search: Any, columns: Any, shrink: Callable[[str], str]) -> Ranking:
    """Return how to find what comes first in a search."""
    from lsst.daf.butler import CollectionType

    from lenticular.butler.columns.plan import Ranking

    records, name = search.collection_records, columns.get_qualified_name
    plain = all(record.type is CollectionType.RUN for record in records)
    return Ranking(
        keys=tuple(columns.dimensions.required),
        collection=shrink(name(search.name, "collection_key")),
        ranks={record.key: place for place, record in enumerate(records)},
        run=shrink(name(search.name, "run")),
        runs=tuple(record.name for record in records) if plain else (),
    )


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


_SYNTAX = "Strings take single quotes, as in instrument = 'HSC' AND visit IN (1, 2)."


@contextmanager
def explained_query(butler: Butler, where: str, names: Iterable[str]) -> Iterator[None]:
    """Turn upstream's complaints about an expression into ours.

    Parameters
    ----------
    butler
        The repository's Butler, which knows its dimensions.
    where
        The expression.
    names
        What else was given where a dimension or one of its fields is expected.
    """
    from lsst.daf.butler import ButlerUserError

    try:
        yield
    except RecursionError as error:
        raise DataError(
            "The expression is nested too deeply", where=f"{where[:40]} ...", hint="Leave brackets out."
        ) from error
    except (AssertionError, AttributeError, NotImplementedError, TypeError) as error:
        # Upstream's grammar lets more pass than what comes after it expects.
        if not where.strip():
            raise
        raise DataError("The expression cannot be understood", where=where, hint=_SYNTAX) from error
    except (ButlerUserError, ValueError, LookupError, ArithmeticError) as error:
        text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
        # Upstream lists every dimension there is; the nearest is enough.
        text = text.partition(", available dimensions:")[0].rstrip(".")
        if text in names:
            text = f"No such dimension '{text}'"
        raise DataError(
            f"The registry cannot answer this: {text}",
            where=where or None,
            hint=_advice(butler, text, names),
        ) from error


def _advice(butler: Butler, complaint: str, names: Iterable[str]) -> str:
    """Return what to do about a complaint of upstream's."""
    elements = butler.dimensions.elements
    field = re.search(r"Unrecognized field '([^']+)' for (\w+)", complaint)
    if field and field[2] in elements.names:
        return _nearest(field[1], butler.dimensions[field[2]].schema.names, f"field of {field[2]}")
    quoted = re.search(r"Unrecognized identifier '([^']+)'|No such dimension '([^']+)'", complaint)
    unknown = (quoted[1] or quoted[2]).partition(".")[0] if quoted else None
    if unknown is not None:
        advice = _nearest(unknown, elements.names, "dimension")
        return advice if unknown in names else f"{advice} {_SYNTAX}"
    if "do not agree" in complaint:
        return f"Compare numbers with numbers and text with text. {_SYNTAX}"
    if "without constraining it" in complaint:
        return "Name it as well, as in instrument = 'HSC' AND visit IN (1, 2)."
    return _SYNTAX


def _nearest(unknown: str, known: Iterable[str], kind: str) -> str:
    choices = sorted(known)
    near = difflib.get_close_matches(unknown, choices, n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    shown = [name for name in choices if not re.fullmatch(r"(?:healpix|htm)\d+", name)]
    return f"There is no such {kind}; there are {', '.join(shown)}."
