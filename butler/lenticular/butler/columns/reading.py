"""From a question to its answer in columns, whole or batch by batch."""

from __future__ import annotations

import difflib
import threading
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lenticular.butler import upstream
from lenticular.butler.columns import cursors, public
from lenticular.butler.columns.decode import decode_batch, raw_type, shortened
from lenticular.butler.columns.layout import schema_of
from lenticular.butler.columns.refine import Refiner, complete, first_of_each
from lenticular.butler.columns.requests import DataIdQuery
from lenticular.butler.columns.shown import titled
from lenticular.butler.database import explained
from lenticular.butler.errors import DatabaseUnreachableError, NotFoundError, QueryCancelledError
from lenticular.butler.guard import Scope, guarded
from lenticular.butler.guard.reading import is_lost, run_read
from lenticular.butler.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    from lsst.daf.butler import Butler

    from lenticular.butler.columns.layout import Column
    from lenticular.butler.columns.plan import Lookup, Plan
    from lenticular.butler.columns.requests import Request

    type Rows = Generator[pa.RecordBatch, None, None]
    type Source = Repository | Butler
    type LookUp = Callable[[Lookup, pa.Table], pa.Table]
    type Cancel = threading.Event | Callable[[], bool]

__all__ = ["BATCH_ROWS", "ask", "butler_of", "complaints", "read", "stream"]

BATCH_ROWS = 20_000
"""Rows in a batch, unless another number is asked for."""

_FEW_RECORDS = 500
"""Records that are asked for by their keys rather than all at once, at most."""

_FEWEST_ROWS = 100
_WASTE = 10
"""Rows that are fetched, as upstream does it, for one that stays after refinement."""


def read(source: Source, request: Request, *, cancel: Cancel | None = None) -> pa.Table:
    """Return the whole answer to a question.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    request
        The question.
    cancel
        An event that is set, or a function that returns true, once the answer
        is no longer wanted. The function is asked between batches; an event
        ends the running statement as well.

    Returns
    -------
    pyarrow.Table
        The answer; its rows are those, and in the order, that upstream gives.

    Raises
    ------
    DataError
        Raised if the question cannot be answered, as for a wrong expression.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    QueryTimeoutError, QueryCancelledError
        Raised if time was up, or the answer is no longer wanted.
    RepositoryError
        Raised if the database fails.
    """

    def answer() -> pa.Table:
        with _opened(source, request, cancel, BATCH_ROWS, whole=True) as (schema, batches):
            return pa.Table.from_batches(batches, schema)

    event = _event(cancel)
    butler_of(source)  # the first time, that is no query's
    with nullcontext() if event is None else guarded(cancel=event):
        table = ask(source, answer)
    return titled(table.unify_dictionaries().combine_chunks(), request)


@contextmanager
def stream(
    source: Source, request: Request, *, rows: int = BATCH_ROWS, cancel: Cancel | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Give the answer to a question batch by batch, for answers that do not fit into memory.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it; it is not to be used for
        something else inside the context.
    request
        The question.
    rows
        Rows in a batch, at most.
    cancel
        An event that is set, or a function that returns true, once the answer
        is no longer wanted; see `read`.

    Yields
    ------
    pyarrow.RecordBatchReader
        The batches, to be read inside the context. Leaving it before the last
        one stops the query. If the connection is lost before the first one, it
        begins anew.

    Raises
    ------
    DataError, NotFoundError, QueryTimeoutError, QueryCancelledError, RepositoryError
        As for `read`; also while the batches are read. Time counts while a
        batch is waited for.
    """
    name, timeout = _name_of(source), source.query_timeout if isinstance(source, Repository) else None
    scope = Scope(timeout=timeout, cancel=_event(cancel))
    butler_of(source)  # the first time, that is no query's

    def begin() -> tuple[pa.Schema, Rows, pa.RecordBatch | None, ExitStack]:
        with ExitStack() as opening:
            schema, batches = opening.enter_context(_opened(source, request, cancel, rows, whole=False))
            first = next(batches, None)
            return schema, batches, first, opening.pop_all()

    broken: list[DatabaseUnreachableError] = []
    with closing(scope), _place(source), suppress(_BrokenError):
        with scope.entered():
            schema, batches, first, opened = ask(source, begin, timed=False)
        with opened:
            following = _following(first, batches, scope, name, broken)
            yield pa.RecordBatchReader.from_batches(schema, following)
            if broken:  # and the caller knows: upstream is not to commit on a lost connection
                raise _BrokenError


def butler_of(source: Source) -> Butler:
    """Return upstream's Butler on a repository, to ask its registry.

    Parameters
    ----------
    source
        A repository, or the Butler itself.
    """
    return source.registry_butler if isinstance(source, Repository) else source


def ask[T](source: Source, work: Callable[[], T], *, timed: bool = True) -> T:
    """Do something that reads, as `~lenticular.butler.guard.reading.run_read` does it.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    work
        What reads.
    timed
        Whether it is to end within the repository's own time.
    """
    known = source if isinstance(source, Repository) else None
    return run_read(
        work,
        where=_name_of(source),
        slots=None if known is None else known.slots,
        timeout=known.query_timeout if known is not None and timed else None,
        repeatable=not upstream.in_transaction(butler_of(source)),
    )


def _place(source: Source) -> AbstractContextManager[None]:
    return source.slots.taken(source.name) if isinstance(source, Repository) else nullcontext()


def _event(cancel: Cancel | None) -> threading.Event | None:
    return cancel if isinstance(cancel, threading.Event) else None


class _BrokenError(Exception):
    """A stream is left whose connection is lost."""


def _following(
    first: pa.RecordBatch | None,
    batches: Rows,
    scope: Scope,
    where: str | None,
    broken: list[DatabaseUnreachableError],
) -> Rows:
    """Give the batches of a stream, each in its time; note the error if it breaks."""
    batch, given = first, 0
    while batch is not None:
        given += batch.num_rows
        yield batch
        try:
            with scope.entered():
                batch = next(batches, None)
        except DatabaseUnreachableError as error:
            broken.append(error)
            if not is_lost(error):
                raise
            raise DatabaseUnreachableError(
                f"The connection to the registry's database was lost after {given} rows",
                where=where,
                hint="Nothing can follow these rows: read the answer from its beginning.",
            ) from error


def _name_of(source: Source) -> str | None:
    return source.name if isinstance(source, Repository) else None


@contextmanager
def _opened(
    source: Source, request: Request, cancel: Cancel | None, rows: int, *, whole: bool
) -> Iterator[tuple[pa.Schema, Rows]]:
    """Open a query; give the schema and the batches of its answer."""
    butler, name = butler_of(source), _name_of(source)
    guarded = upstream.in_transaction(butler)
    with ExitStack() as stack:
        with complaints(butler, request, name):
            query = stack.enter_context(butler.query())
            columns, results = request.build(butler, query)
            plan = (
                upstream.plan_query(results, ranked=whole, narrow=whole) if upstream.can_plan(query) else None
            )
            if plan is not None and cursors.can_run(plan.connection):
                look_up = partial(_look_up, source)
                found = _run(plan, columns, rows, guarded=guarded, look_up=look_up)
                batches = _explained(found, explained(name))
            else:
                answer = public.batches(request, columns, results, rows)
                batches = _explained(answer, complaints(butler, request, name))
        yield schema_of(columns), stack.enter_context(closing(_watched(batches, cancel, name)))


def _run(
    plan: Plan,
    columns: Sequence[Column],
    rows: int,
    *,
    guarded: bool,
    look_up: LookUp,
) -> Rows:
    """Run a planned query and do with its rows what is left to be done."""
    refiner = Refiner(plan.refinement)
    if plan.refinement.limit is not None:
        rows = min(rows, max(_FEWEST_ROWS, _WASTE * plan.refinement.limit))
    schema = _raw_schema(plan, columns)
    with closing(cursors.run(plan, schema, rows=rows, guarded=guarded)) as found:
        batches: Rows = found
        if plan.ranking or plan.lookup:
            ids = [plan.labels[column.table, column.field] for column in columns if column.kind == "uuid"]
            batches = _completed((shortened(batch, ids) for batch in found), plan, look_up)
        for batch in batches:
            if not batch.num_rows:
                yield batch
            elif not refiner.done:
                yield decode_batch(refiner.apply(batch), columns, plan.labels)
            if refiner.done:
                return


def _completed(batches: Iterator[pa.RecordBatch], plan: Plan, look_up: LookUp) -> Rows:
    """Do what takes all rows: find the first of each data ID, and fill in what was left out."""
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        kept.append(batch)
        yield batch.slice(0, 0)  # nothing yet, but a chance to be cancelled
    if not kept:
        return
    table = pa.Table.from_batches(kept)
    if plan.ranking is not None:
        table = first_of_each(table, plan.ranking)
    for name, value in plan.constants.items():
        places = pa.array(np.zeros(table.num_rows, np.int32))
        table = table.append_column(name, pa.DictionaryArray.from_arrays(places, pa.array([value])))
    if plan.lookup is not None:
        table = complete(table, look_up(plan.lookup, table), plan.lookup)
    yield from table.to_batches()


def _look_up(source: Source, lookup: Lookup, rows: pa.Table) -> pa.Table:
    """Return the records that rows refer to, or all if these are many."""
    wanted = {key: rows.column(key).unique().to_pylist() for key in lookup.keys}
    terms: list[str] = []
    bind: dict[str, Any] = {}
    if max(map(len, wanted.values())) <= _FEW_RECORDS:
        governors = butler_of(source).dimensions.governor_dimensions.names
        for key, values in wanted.items():
            # Upstream takes an instrument for given only if its values are listed one by one.
            given = dict(enumerate(values)) if key in governors else {0: values}
            names = {f"wanted_{key}_{place}": value for place, value in given.items()}
            bind |= names
            terms.append(f"{key} IN ({', '.join(names)})")
    request = DataIdQuery(dimensions=(lookup.element,), where=" AND ".join(terms), bind=bind)
    with _opened(source, request, None, BATCH_ROWS, whole=False) as (schema, batches):
        return pa.Table.from_batches(batches, schema)


def _raw_schema(plan: Plan, columns: Sequence[Column]) -> pa.Schema:
    """Return names and types of a statement's columns, as its driver's values are kept."""
    import sqlalchemy

    columns = [column for column in columns if column.pixelization is None]
    types = {plan.labels[column.table, column.field]: raw_type(column) for column in columns}
    numbers = [plan.refinement.matches, plan.ranking and plan.ranking.collection]
    types.update({name: pa.int64() for name in numbers if name})
    for column in columns:
        label = plan.labels[column.table, column.field]
        if column.kind == "timespan" and label not in plan.names:
            types.update({f"{label}_{end}": pa.int64() for end in ("begin", "end")})
        if column.kind == "ingest_date":
            written = plan.select.selected_columns[label].type
            types[label] = pa.string() if isinstance(written, sqlalchemy.DateTime) else pa.int64()
    return pa.schema([(name, types.get(name, pa.string())) for name in plan.names])


def _watched(batches: Rows, cancel: Cancel | None, where: str | None) -> Rows:
    """Look before each batch whether it is still wanted; leave out those without a row."""
    given_up = cancel.is_set if isinstance(cancel, threading.Event) else cancel
    with closing(batches):
        while True:
            if given_up is not None and given_up():
                raise QueryCancelledError("The query was cancelled", where=where)
            batch = next(batches, None)
            if batch is None:
                return
            if batch.num_rows:
                yield batch


def _explained(batches: Rows, context: AbstractContextManager[None]) -> Rows:
    with context, closing(batches):
        yield from batches


@contextmanager
def complaints(butler: Butler, request: Request, where: str | None) -> Iterator[None]:
    """Turn upstream's complaints, and the database's, into ours.

    Parameters
    ----------
    butler
        The repository's Butler.
    request
        The question that it is asked.
    where
        The repository concerned, to be named in an error.
    """
    from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

    from lenticular.butler.explain.language import explained_request

    with explained(where), explained_request(butler, request):
        try:
            yield
        except MissingCollectionError as error:
            names = butler.collections.query("*", include_chains=True)
            raise _not_found("collection", getattr(request, "collections", ()), names, where) from error
        except MissingDatasetTypeError as error:
            names = [kind.name for kind in butler.registry.queryDatasetTypes()]
            raise _not_found("dataset type", [getattr(request, "dataset_type", "")], names, where) from error


def _not_found(what: str, asked: Sequence[str], known: Sequence[str], where: str | None) -> NotFoundError:
    missing = next((name for name in asked if name not in known), "")
    near = difflib.get_close_matches(missing, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {len(known)} others."
    return NotFoundError(f"There is no {what} {missing!r}", where=where, hint=hint)
