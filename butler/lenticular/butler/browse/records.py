"""Records of a dimension, page by page, forwards and backwards, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.planned import PlannedPage
from lenticular.butler.browse.selection import with_plan
from lenticular.butler.display import display, rows
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler.browse.marks import PageMark
    from lenticular.butler.browse.planned import Row
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.repository import Repository

__all__ = ["RecordPage", "read_records"]

_UNSHOWN = {"region", "hash"}


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records of a dimension."""

    columns: tuple[str, ...]
    """Their fields but for regions and hashes; of a timespan its begin and its
    end, in nanoseconds TAI since 1970."""

    rows: tuple[tuple[Any, ...], ...]
    """Values of these."""

    next: PageMark | None
    """Where the next page begins; `None` after the last."""

    previous: PageMark | None
    """Where the page before ends; `None` before the first."""

    def _repr_html_(self) -> str:
        lines = [["" if value is None else str(value) for value in row] for row in self.rows]
        return display("Records", "", rows(self.columns, lines))


def read_records(
    repository: Repository,
    element: str,
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    order_by: Sequence[str] = (),
    limit: int = 100,
    after: PageMark | None = None,
    before: PageMark | None = None,
) -> RecordPage:
    """Read one page of the records of a dimension element.

    Parameters
    ----------
    repository
        The repository.
    element
        The element, such as ``visit``.
    where
        Butler expression that restricts them.
    bind
        Values for identifiers of the expression.
    data_id
        Dimension values that restrict them.
    order_by
        Dimensions or fields to sort by; ``-`` before a name reverses. What is
        equal in these, or all without any, is sorted by key.
    limit
        Records on the page at most.
    after
        Where the page before ended; `None` for the first.
    before
        Where the page after began, instead of `after`.

    Raises
    ------
    DataError
        Raised if the registry cannot answer, as for a wrong expression, or if a
        mark is of another order.
    """
    from lenticular.butler.columns.layout import record_layout
    from lenticular.butler.columns.requests import RecordQuery

    if limit < 1:
        raise DataError(
            "A page needs room for at least one record", where=limit, hint="Ask for a limit of 1 or more."
        )
    if after is not None and before is not None:
        raise DataError(
            "A page is read after a mark or before one, not both", hint="Give `after` or `before` alone."
        )
    if element not in repository.butler.dimensions.elements:
        # The query tells which elements there are.
        order = tuple(order_by)
        fields: tuple[Any, ...] = ()
    else:
        fields = record_layout(repository.butler.dimensions[element])
        timed = any(column.kind == "timespan" for column in fields)
        keys = tuple(column.table for column in fields if column.field is None)
        ends = tuple(f"{element}.timespan.{end}" for end in ("begin", "end")) if timed else ()
        # What is sorted by comes as plain numbers, also of a timespan.
        order = (*order_by, *keys, *ends)
    query = RecordQuery(
        element=element, where=where, bind=dict(bind or {}), data_id=dict(data_id or {}), order_by=order
    )
    mark, backwards = (before, True) if before is not None else (after, False)
    shown = [column for column in fields if column.kind not in _UNSHOWN and column.kind != "timespan"]

    def read(plan: Plan | None) -> list[Row]:
        if plan is None:
            raise DataError(
                "Records come in pages only with the versions of daf_butler that are known here",
                hint="Ask for all of them by `query_dimension_records`.",
            )
        label = plan.labels
        page = PlannedPage(
            plan,
            tuple(label[column.table, column.field] for column in shown),
            ties=(),
            identity=None,
            distinct=False,
        )
        return page.read(limit + 1, mark, backwards=backwards)

    found = with_plan(repository, query, read)
    more, rows = len(found) > limit, found[:limit]
    if backwards:
        rows.reverse()
    names = [column.name for column in shown]
    timed = any(column.kind == "timespan" for column in fields)
    values = tuple((*row.values, *(row.mark.values[-2:] if timed else ())) for row in rows)
    columns = (*names, *(("timespan_begin", "timespan_end") if timed else ()))
    ends_of = (rows[0].mark, rows[-1].mark) if rows else (None, None)
    return RecordPage(
        columns,
        values,
        next=ends_of[1] if more or backwards else None,
        previous=ends_of[0] if (more if backwards else mark is not None) else None,
    )
