"""From a question to its answer in columns, whole or batch by batch."""

from __future__ import annotations

import difflib
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from lenticular.butler import upstream
from lenticular.butler.columns import cursors, public
from lenticular.butler.columns.decode import decode_batch, raw_type
from lenticular.butler.columns.layout import schema_of
from lenticular.butler.columns.refine import Refiner, first_of_each
from lenticular.butler.database import explained
from lenticular.butler.errors import NotFoundError, QueryCancelledError
from lenticular.butler.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    from lsst.daf.butler import Butler

    from lenticular.butler.columns.layout import Column
    from lenticular.butler.columns.plan import Plan, Ranking
    from lenticular.butler.columns.requests import Request

    type Rows = Generator[pa.RecordBatch, None, None]
    type Source = Repository | Butler
    type Cancel = threading.Event | Callable[[], bool]

__all__ = ["BATCH_ROWS", "butler_of", "read", "stream"]

BATCH_ROWS = 20_000
"""Rows in a batch, unless another number is asked for."""

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
        is no longer wanted. It is looked at between batches.

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
    QueryCancelledError
        Raised if the answer is no longer wanted.
    RepositoryError
        Raised if the database fails.
    """
    with (
        explained(_name_of(source)),
        _opened(source, request, cancel, BATCH_ROWS, whole=True) as (schema, batches),
    ):
        table = pa.Table.from_batches(batches, schema)
    return table.unify_dictionaries().combine_chunks()


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
        is no longer wanted. It is looked at between batches.

    Yields
    ------
    pyarrow.RecordBatchReader
        The batches, to be read inside the context. Leaving it before the last
        one stops the query.

    Raises
    ------
    DataError, NotFoundError, QueryCancelledError, RepositoryError
        As for `read`; also while the batches are read.
    """
    with _opened(source, request, cancel, rows, whole=False) as (schema, batches):
        yield pa.RecordBatchReader.from_batches(schema, batches)


def butler_of(source: Source) -> Butler:
    """Return upstream's Butler on a repository.

    Parameters
    ----------
    source
        A repository, or the Butler itself.
    """
    return source.butler if isinstance(source, Repository) else source


def _name_of(source: Source) -> str | None:
    return source.name if isinstance(source, Repository) else None


@contextmanager
def _opened(
    source: Source, request: Request, cancel: Cancel | None, rows: int, *, whole: bool
) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Open a query; give the schema and the batches of its answer."""
    butler, name = butler_of(source), _name_of(source)
    guarded = upstream.in_transaction(butler)
    with ExitStack() as stack:
        with _complaints(butler, request, name):
            query = stack.enter_context(butler.query())
            columns, results = request.build(butler, query)
            plan = upstream.plan_query(results, ranked=whole) if upstream.can_plan(query) else None
            if plan is not None and cursors.can_run(plan.connection):
                batches = _explained(_run(plan, columns, rows, guarded=guarded), explained(name))
            else:
                answer = public.batches(request, columns, results, rows)
                batches = _explained(answer, _complaints(butler, request, name))
        yield schema_of(columns), stack.enter_context(closing(_watched(batches, cancel, name)))


def _run(plan: Plan, columns: Sequence[Column], rows: int, *, guarded: bool) -> Rows:
    """Run a planned query and do with its rows what is left to be done."""
    refiner = Refiner(plan.refinement)
    if plan.refinement.limit is not None:
        rows = min(rows, max(_FEWEST_ROWS, _WASTE * plan.refinement.limit))
    schema = _raw_schema(plan, columns)
    with closing(cursors.run(plan, schema, rows=rows, guarded=guarded)) as found:
        batches = found if plan.ranking is None else _ranked(found, plan.ranking, schema)
        for batch in batches:
            if not batch.num_rows:
                yield batch
            elif not refiner.done:
                yield decode_batch(refiner.apply(batch), columns, plan.labels)
            if refiner.done:
                return


def _ranked(batches: Rows, ranking: Ranking, schema: pa.Schema) -> Rows:
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        kept.append(batch)
        yield batch.slice(0, 0)  # nothing yet, but a chance to be cancelled
    yield from first_of_each(pa.Table.from_batches(kept, schema), ranking).to_batches()


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
def _complaints(butler: Butler, request: Request, where: str | None) -> Iterator[None]:
    """Turn upstream's complaints, and the database's, into ours."""
    from lsst.daf.butler import MissingCollectionError, MissingDatasetTypeError

    with explained(where), upstream.explained_query(butler, request.where, request.names):
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
