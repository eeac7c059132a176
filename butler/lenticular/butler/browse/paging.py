"""Datasets page by page, forwards and backwards, in any order.

The order of the data IDs, and what is newest, are read from the registry's own
tables, see `lenticular.butler.browse.quick`; all else from the statement that
upstream plans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse import quick
from lenticular.butler.browse.collections import CollectionKind
from lenticular.butler.browse.marks import PageMark
from lenticular.butler.browse.planned import PlannedPage
from lenticular.butler.browse.selection import select, with_plan
from lenticular.butler.display import display, rows
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.requests import DatasetQuery
    from lenticular.butler.repository import Repository

__all__ = ["NEWEST", "DatasetPage", "DatasetRow", "read_page", "read_query_page"]

NEWEST = "newest"
"""What to order by to have the newest first: by when their UUIDs were made,
which are version 7 and tell it, or else by when they came into the registry."""


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset of a page."""

    id: str
    """Its UUID."""

    run: str
    """The RUN collection that holds it."""

    values: tuple[int | str, ...]
    """Values of the required dimensions, in the page's order."""


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """Some datasets of one type."""

    dimensions: tuple[str, ...]
    """Required dimensions."""

    rows: tuple[DatasetRow, ...]
    """The datasets."""

    next: PageMark | None
    """Where the next page begins; `None` after the last."""

    previous: PageMark | None = None
    """Where the page before ends; `None` before the first."""

    def _repr_html_(self) -> str:
        # Visits and days are names: no thousands are set apart in them.
        lines = [(*map(str, row.values), row.run) for row in self.rows]
        return display("Datasets", "", rows((*self.dimensions, "run"), lines))


def read_page(
    repository: Repository,
    dataset_type: str,
    collections: Sequence[str],
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    order_by: str | Sequence[str] = (),
    limit: int = 100,
    after: PageMark | None = None,
    before: PageMark | None = None,
) -> DatasetPage:
    """Read one page of datasets.

    Parameters
    ----------
    repository
        The repository.
    dataset_type
        Name of the dataset type.
    collections
        Collections to search, in order.
    where
        Butler expression that restricts them.
    bind
        Values for identifiers of the expression.
    data_id
        Dimension values that restrict them.
    order_by
        Dimensions, fields of their records such as ``visit.exposure_time`` or
        ``visit.timespan.begin``, or ``ingest_date``; ``-`` before a name
        reverses. Or `NEWEST` alone. By default the dimensions, in the order of
        `DatasetPage.dimensions`: that order, its reverse and `NEWEST` cost the
        same whatever the number of datasets.
    limit
        Datasets on the page at most.
    after
        Where the page before ended; `None` for the first.
    before
        Where the page after began, instead of `after`.

    Returns
    -------
    DatasetPage
        Of a data ID only what comes first in the collections. In a CALIBRATION
        collection a data ID has a dataset for each of several spans of time,
        none of which comes first: there all of a calibration type are given,
        each once.

    Raises
    ------
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    DataError
        Raised if the registry cannot answer, as for a wrong expression, or if a
        mark is of another order.
    """
    from lenticular.butler.columns.requests import DatasetQuery

    query = DatasetQuery(
        dataset_type=dataset_type,
        collections=tuple(collections),
        where=where,
        bind=dict(bind or {}),
        data_id=dict(data_id or {}),
        order_by=(order_by,) if isinstance(order_by, str) else tuple(order_by),
    )
    chosen = select(repository, query)
    timed = any(member.info.kind is CollectionKind.CALIBRATION for member in chosen.members)
    query = replace(query, find_first=not (chosen.kind.is_calibration and timed))
    return _read(repository, query, chosen, limit, after, before)


def read_query_page(
    repository: Repository,
    query: DatasetQuery,
    *,
    limit: int = 100,
    after: PageMark | None = None,
    before: PageMark | None = None,
) -> DatasetPage:
    """Read one page of what a query finds, in the query's order.

    Parameters
    ----------
    repository
        The repository.
    query
        The query; its own limit does not matter. Without `find_first`, a
        dataset that is found several times is given once.
    limit, after, before
        As for `read_page`.

    Raises
    ------
    NotFoundError, DataError
        As for `read_page`.
    """
    return _read(repository, query, select(repository, query), limit, after, before)


@dataclass(frozen=True, slots=True)
class _Span:
    """Which part of an order to read."""

    wanted: int
    mark: PageMark | None
    backwards: bool


def _read(
    repository: Repository,
    query: DatasetQuery,
    chosen: Selection,
    limit: int,
    after: PageMark | None,
    before: PageMark | None,
) -> DatasetPage:
    if limit < 1:
        raise DataError(
            "A page needs room for at least one dataset", where=limit, hint="Ask for a limit of 1 or more."
        )
    if after is not None and before is not None:
        raise DataError(
            "A page is read after a mark or before one, not both", hint="Give `after` or `before` alone."
        )
    # One more than fit tells that there are more.
    span = _Span(limit + 1, before or after, backwards=before is not None)
    found = _find(repository, query, chosen, span)
    return _page(chosen.kind.dimensions, found, limit, span)


def _find(repository: Repository, query: DatasetQuery, chosen: Selection, span: _Span) -> list[quick.Found]:
    dimensions, newest = chosen.kind.dimensions, tuple(query.order_by) == (NEWEST,)
    if chosen.is_simple and not chosen.members:
        return []
    found = None
    if chosen.is_simple and (query.find_first or len(chosen.members) == 1):
        if newest:
            found = quick.newest(repository, chosen, span.wanted, span.mark, backwards=span.backwards)
        elif (turn := _turn(query.order_by, chosen)) is not None:
            backwards = span.backwards != turn
            found = quick.by_data_id(repository, chosen, span.wanted, span.mark, backwards=backwards)
    if found is not None:
        return found
    order = ("-ingest_date",) if newest else tuple(query.order_by) or dimensions
    asked = replace(query, order_by=order, limit=None, columns=())
    found = with_plan(
        repository, asked, lambda plan: None if plan is None else _of_plan(plan, asked, dimensions, span)
    )
    return _of_columns(repository, asked, dimensions, span) if found is None else found


def _turn(order_by: Sequence[str], chosen: Selection) -> bool | None:
    """Tell whether an order is that of the data IDs (false) or its reverse (true).

    What is the same for all datasets does not matter, and what an order leaves
    open may be settled by the rest of the data ID. `None` stands for neither.
    """
    names = [name for name in order_by if name.removeprefix("-") not in chosen.constants]
    signs = {name.startswith("-") for name in names}
    plain = [name.removeprefix("-") for name in names]
    dimensions = [name for name in chosen.kind.dimensions if name not in chosen.constants]
    if len(signs) > 1 or plain != dimensions[: len(plain)]:
        return None
    return signs == {True}


def _page(dimensions: tuple[str, ...], found: Sequence[quick.Found], limit: int, span: _Span) -> DatasetPage:
    more, shown = len(found) > limit, list(found[:limit])
    if span.backwards:
        shown.reverse()
    first, last = (shown[0].mark, shown[-1].mark) if shown else (None, None)
    return DatasetPage(
        dimensions,
        tuple(DatasetRow(one.mark.id, one.run, one.values) for one in shown),
        next=last if more or span.backwards else None,
        previous=first if (more if span.backwards else span.mark is not None) else None,
    )


def _of_plan(plan: Plan, query: DatasetQuery, dimensions: Sequence[str], span: _Span) -> list[quick.Found]:
    """Read from upstream's statement as many rows as are wanted."""
    label = plan.labels
    identity, run = label[query.dataset_type, "dataset_id"], label[query.dataset_type, "run"]
    columns = (run, *(label[name, None] for name in dimensions))
    page = PlannedPage(plan, columns, (), identity, distinct=not query.find_first)
    rows = page.read(span.wanted, span.mark, backwards=span.backwards)
    return [quick.Found(row.mark, row.values[0], row.values[1:]) for row in rows]


def _of_columns(
    repository: Repository, query: DatasetQuery, dimensions: Sequence[str], span: _Span
) -> list[quick.Found]:
    """Read all, where upstream's planner is not known."""
    from lenticular.butler.columns import plain_table, read

    rows = plain_table(read(repository, query)).to_pylist()
    found = {
        one["dataset_id"]: quick.Found(
            PageMark((), one["dataset_id"]), one["run"], tuple(one[name] for name in dimensions)
        )
        for one in (rows[::-1] if span.backwards else rows)
    }
    names = list(found)
    if span.mark is not None and span.mark.id not in found:
        raise DataError("The dataset that the page begins after is gone", hint="Begin with the first page.")
    first = 0 if span.mark is None else names.index(span.mark.id) + 1
    return [found[name] for name in names[first : first + span.wanted]]
