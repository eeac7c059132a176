"""Asking a repository whether a changed question has rows, and how many, as cheaply as can be."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lenticular.butler import upstream
from lenticular.butler.columns.reading import butler_of, complaints, read
from lenticular.butler.columns.refine import Refiner
from lenticular.butler.columns.requests import DatasetQuery
from lenticular.butler.database import explained
from lenticular.butler.errors import DataError, QueryCancelledError, QueryTimeoutError
from lenticular.butler.explain.report import CAP, Rows
from lenticular.butler.guard import guarded
from lenticular.butler.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    import sqlalchemy
    from lsst.daf.butler import Butler

    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.reading import Cancel, Source
    from lenticular.butler.columns.requests import Request

__all__ = ["PATIENCE", "Probe"]

_PIECE = 500
_FIRST_LOOK = 2 * CAP
PATIENCE = 0.7
"""Seconds that a count, or a search for the most distant value, may take."""

_LOOKS = 3
"""How often, at most, a search in a chain is continued, each time eight times as far."""


_REFUSALS = (NotImplementedError, AttributeError, TypeError)
"""What upstream raises, beside its own errors, as where a region is missing."""


class Probe:
    """Asks one question after the other.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    cancel
        As for `~lenticular.butler.columns.reading.read`.
    """

    asked: int
    """Questions asked."""

    def __init__(self, source: Source, cancel: Cancel | None = None) -> None:
        self.source = source
        self.butler = butler_of(source)
        self.name = source.name if isinstance(source, Repository) else None
        self.asked = 0
        self._given_up = cancel.is_set if isinstance(cancel, threading.Event) else cancel
        self._started = time.monotonic()
        self._planned: bool | None = None
        self._known: dict[tuple[object, ...], Any] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the first question could be asked."""
        return time.monotonic() - self._started

    def has_rows(self, request: Request) -> bool:
        """Tell whether a question has a row, whatever its limit; not if upstream refuses it."""
        plain = _bare(request)
        return bool(self._once(("any", repr(plain)), lambda: self._asked(plain, _any)))

    def check(self, request: Request) -> bool:
        """Tell whether a question has a row, and raise what is wrong with it, if something is.

        Raises
        ------
        DataError, NotFoundError
            Raised as by `~lenticular.butler.columns.reading.read`.
        """
        plain = replace(request, order_by=(), limit=None)

        def ask(butler: Butler) -> bool:
            with complaints(butler, request, self.name), butler.query() as query:
                results = plain.build(butler, query)[1]
                return _any(results, self._plans(results))

        read(self.source, replace(request, limit=0))
        return self.source.read_registry(ask) if isinstance(self.source, Repository) else ask(self.source)

    def count(self, request: Request, cap: int = CAP) -> Rows | None:
        """Return the number of rows of a question; `None` if upstream refuses it.

        Parameters
        ----------
        request
            The question.
        cap
            Rows to count, at most.
        """
        plain = replace(request, order_by=())
        if isinstance(plain, DatasetQuery):
            plain = replace(plain, columns=())
        rows: Rows | None = self._once(("count", cap, repr(plain)), lambda: self._in_time(plain, cap))
        return rows

    def keys(self, request: Request, name: str) -> set[Any] | None:
        """Return the values of a dimension in the rows of a question, which should be few.

        Returns
        -------
        set or None
            The values; `None` if upstream refuses the question.
        """
        found: set[Any] | None = self._asked(_bare(request), partial(_keys, name))
        return found

    def extreme(self, request: Request, name: str, *, largest: bool) -> Any:
        """Return the largest or smallest value of a dimension in the rows of a question.

        Returns
        -------
        int or None
            The value; `None` if there is no row, or the database cannot tell in time.
        """
        try:
            with guarded(timeout=PATIENCE):
                return self._asked(_bare(request), partial(_extreme, name, largest=largest))
        except QueryTimeoutError:
            return None

    def _in_time(self, plain: Request, cap: int) -> Rows | None:
        """Count; if that takes too long, tell that there are rows, or none."""
        try:
            with guarded(timeout=PATIENCE):
                return self._count(plain, cap)
        except QueryTimeoutError:
            return Rows(1, more=True) if self.has_rows(plain) else Rows(0)

    def _count(self, plain: Request, cap: int) -> Rows | None:
        if plain.limit is None:
            rows: Rows | None = self._asked(plain, partial(_counted, cap))
            if rows is not None:
                return rows
        limit = cap + 1 if plain.limit is None else min(plain.limit, cap + 1)
        try:
            number = self.table(replace(plain, limit=limit)).num_rows
        except (QueryTimeoutError, QueryCancelledError):
            raise
        except (DataError, *_REFUSALS):
            return None
        return Rows(min(number, cap), more=number > cap)

    def _once(self, key: tuple[object, ...], ask: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]

    def _plans(self, results: Any) -> bool:
        if self._planned is None:
            self._planned = upstream.can_plan(results)
        return self._planned

    def _asked(self, request: Request, work: Callable[[Any, bool], Any]) -> Any:
        """Return what some work makes of upstream's results; `None` if it refuses the question."""
        from lsst.daf.butler import ButlerUserError

        self._next()

        def ask(butler: Butler) -> Any:
            with butler.query() as query:
                results = request.build(butler, query)[1]
                return work(results, self._plans(results))

        try:
            if isinstance(self.source, Repository):
                return self.source.read_registry(ask)
            with explained(self.name):
                return ask(self.source)
        except _REFUSALS:
            return None
        except ButlerUserError:
            return None

    def table(self, request: Request) -> pa.Table:
        """Return the answer to a question, which should be short."""
        self._next()
        return read(self.source, request)

    def _next(self) -> None:
        if self._given_up is not None and self._given_up():
            raise QueryCancelledError("The explanation was cancelled", where=self.name)
        self.asked += 1


def _bare(request: Request) -> Request:
    """Return a question whose rows are not sorted or chosen from: there are some or not."""
    plain = replace(request, order_by=(), limit=None)
    return replace(plain, find_first=False, columns=()) if isinstance(plain, DatasetQuery) else plain


def _any(results: Any, planned: bool) -> bool:  # noqa: FBT001 - one signature for all
    """Tell whether there is a row, after what a database cannot decide."""
    import sqlalchemy

    if not planned:
        return bool(results.any())
    plan = upstream.plan_any(results)
    if not plan.refinement:
        return plan.connection.execute(plan.select.limit(1)).first() is not None
    rows = plan.select.subquery()
    names = plan.refinement.columns
    # Regions as they are kept: only those of distinct text are decoded.
    texts = [sqlalchemy.type_coerce(rows.c[name], sqlalchemy.String).label(name) for name in names]
    refiner = Refiner(plan.refinement)
    with plan.connection.execute(sqlalchemy.select(*texts)) as result:
        for block in result.partitions(_PIECE):
            columns = [pa.array(values, pa.string()) for values in zip(*block, strict=True)]
            if refiner.apply(pa.RecordBatch.from_arrays(columns, names)).num_rows:
                return True
    return False


def _keys(name: str, results: Any, planned: bool) -> set[Any] | None:  # noqa: FBT001
    import sqlalchemy

    plan = _unrefined(results) if planned else None
    if plan is None:
        return None
    column = plan.select.subquery().c[name]
    return set(plan.connection.execute(sqlalchemy.select(column).distinct()).scalars())


def _extreme(name: str, results: Any, planned: bool, *, largest: bool) -> Any:  # noqa: FBT001
    import sqlalchemy

    plan = _unrefined(results) if planned else None
    if plan is None:
        return None
    column = plan.select.subquery().c[name]
    value = sqlalchemy.func.max(column) if largest else sqlalchemy.func.min(column)
    return plan.connection.execute(sqlalchemy.select(value)).scalar_one()


def _unrefined(results: Any) -> Plan | None:
    """Return a plan of all rows, if the database alone decides on them."""
    plan = upstream.plan_any(results)
    return None if plan.refinement else plan


def _counted(cap: int, results: Any, planned: bool) -> Rows | None:  # noqa: FBT001
    """Return the number of rows; `None` if a database cannot tell."""
    import sqlalchemy

    plan = upstream.plan_query(results, ranked=True) if planned else None
    if plan is None or plan.refinement:
        return None
    count: Any = sqlalchemy.func.count()
    if plan.ranking is None:
        rows = plan.select.limit(cap + 1).subquery()
        number = plan.connection.execute(sqlalchemy.select(count).select_from(rows)).scalar_one()
        return Rows(min(number, cap), more=number > cap)
    # Each data ID counts once, in how many collections it may be. How many rows
    # give enough of them is not known before.
    look = _FIRST_LOOK
    for _ in range(_LOOKS):
        number, seen = _distinct(plan, plan.ranking.keys, look)
        if number > cap or seen < look:
            break
        look *= 8
    return Rows(min(number, cap), more=number > cap or seen >= look)


def _distinct(plan: Plan, keys: tuple[str, ...], look: int) -> tuple[int, int]:
    """Return how many distinct keys there are in the first rows, and how many rows there were."""
    import sqlalchemy

    count: Any = sqlalchemy.func.count()
    rows: sqlalchemy.Subquery = plan.select.limit(look).subquery()
    every = sqlalchemy.func.count().label("copies")
    if not keys:
        seen = plan.connection.execute(sqlalchemy.select(count).select_from(rows)).scalar_one()
        return min(seen, 1), seen
    columns = [rows.c[key] for key in keys]
    groups = sqlalchemy.select(every).select_from(rows).group_by(*columns).subquery()
    number, seen = plan.connection.execute(
        sqlalchemy.select(count, sqlalchemy.func.coalesce(sqlalchemy.func.sum(groups.c.copies), 0))
    ).one()
    return int(number), int(seen)
