"""Datasets page by page, by key: a page costs the same wherever it is.

The order is that of the required dimensions. The next page is asked for by a
comparison with the last data ID, never by a number of rows to skip, so that
datasets added or removed meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from lenticular.butler import upstream
from lenticular.butler.browse import CollectionKind, not_found
from lenticular.butler.database import explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lenticular.butler.repository import Repository

type Key = tuple[int | str, ...]
"""Values of the required dimensions, in the order of a page."""

__all__ = ["DatasetPage", "DatasetRow", "PageMark", "read_page"]


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One dataset of a page."""

    id: str
    """Its UUID."""

    run: str
    """The RUN collection that holds it."""

    values: Key
    """Values of the required dimensions, in the page's order."""


@dataclass(frozen=True, slots=True)
class PageMark:
    """Where a page ended."""

    values: Key
    """Data ID of its last dataset."""

    id: str
    """UUID of its last dataset."""


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """Some datasets of one type, in the order of their data IDs."""

    dimensions: tuple[str, ...]
    """Required dimensions, in the order by which the datasets are sorted."""

    rows: tuple[DatasetRow, ...]
    """The datasets."""

    next: PageMark | None
    """Where the next page begins; `None` after the last."""


def read_page(
    repository: Repository,
    dataset_type: str,
    collections: Sequence[str],
    *,
    where: str = "",
    limit: int = 100,
    after: PageMark | None = None,
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
    limit
        Datasets on the page at most.
    after
        Where the page before ended; `None` for the first.

    Returns
    -------
    DatasetPage
        Of a data ID only what comes first in the collections. In a CALIBRATION
        collection a data ID has a dataset for each of several spans of time,
        none of which comes first: there all of a calibration type are given,
        those of one data ID in the order of their UUIDs.

    Raises
    ------
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    DataError
        Raised if the registry cannot answer, as for a wrong expression.
    """
    kinds = {info.name: info for info in repository.dataset_types()}
    if dataset_type not in kinds:
        raise not_found("dataset type", dataset_type, kinds, where=repository.name)
    kind = kinds[dataset_type]
    members = {member for name in collections for member in repository.search_order(name)}
    timed = {info.name for info in repository.collections(kinds=[CollectionKind.CALIBRATION])}
    find_first = not (kind.is_calibration and members & timed)

    question = _Question(repository, dataset_type, kind.dimensions, tuple(collections), where, find_first)
    rows = _collect(question, limit, after)
    last = rows[limit - 1] if len(rows) > limit else None
    return DatasetPage(
        dimensions=kind.dimensions,
        rows=tuple(rows[:limit]),
        next=None if last is None else PageMark(last.values, last.id),
    )


@dataclass(frozen=True, slots=True)
class _Question:
    """What all pages of a list of datasets have in common."""

    repository: Repository
    dataset_type: str
    dimensions: tuple[str, ...]
    collections: tuple[str, ...]
    where: str
    find_first: bool

    def select(self, limit: int | None, key: Key | None, *, same: bool = False) -> list[DatasetRow]:
        """Return datasets in the order of their data IDs.

        Parameters
        ----------
        limit
            Rows to return at most; `None` for all.
        key
            A data ID; what does not come after it is left out.
        same
            Whether to return instead what has just this data ID.
        """
        condition, bind = _comparison(self.dimensions, () if key is None else key, same=same)
        butler = self.repository.butler
        with (
            explained(self.repository.name),
            upstream.explained_query(butler, self.where, ()),
            butler.query() as query,
        ):
            found = query.datasets(self.dataset_type, self.collections, find_first=self.find_first)
            if self.where.strip():
                found = found.where(self.where)
            if condition:
                found = found.where(condition, bind=bind)
            if self.dimensions:
                found = found.order_by(*self.dimensions)
            return [
                DatasetRow(str(ref.id), ref.run, tuple(ref.dataId[name] for name in self.dimensions))
                for ref in found.limit(limit)
            ]


def _collect(question: _Question, limit: int, after: PageMark | None) -> list[DatasetRow]:
    """Return the rows of a page and at least one more, if there are more.

    Unless what comes first hides the rest, the rows of one data ID have no
    order of their own in the database, and a limit may cut through them: they
    are then read whole.
    """
    key = None if after is None else after.values
    if question.find_first:
        # Without dimensions there is one dataset at most, hence no second page.
        return [] if key == () else question.select(limit + 1, key)
    rows: list[DatasetRow] = []
    if after is not None:
        rows = [row for row in _sorted(question.select(None, key, same=True)) if row.id > after.id]
    wanted = limit + 1 - len(rows)
    if wanted <= 0 or key == ():
        return rows
    more = question.select(wanted, key)
    if len(more) == wanted:
        cut = more[-1].values
        more = [row for row in more if row.values != cut] + question.select(None, cut, same=True)
    return rows + _sorted(more)


def _comparison(dimensions: Sequence[str], key: Key, *, same: bool) -> tuple[str, dict[str, int | str]]:
    """Return the expression for data IDs equal to, or after, one, and its values."""
    bind = {f"key_{place}": value for place, value in enumerate(key)}
    equal = [f"{name} = key_{place}" for place, name in enumerate(dimensions[: len(key)])]
    if same:
        return " AND ".join(equal), bind
    steps = [
        " AND ".join([*equal[:place], f"{name} > key_{place}"])
        for place, name in enumerate(dimensions[: len(key)])
    ]
    return " OR ".join(f"({step})" for step in steps), bind


def _sorted(rows: Iterable[DatasetRow]) -> list[DatasetRow]:
    """Sort the rows of each data ID by UUID; several collections may give a dataset twice."""
    return [
        row
        for _, group in groupby(rows, key=lambda row: row.values)
        for row in sorted(dict.fromkeys(group), key=lambda row: row.id)
    ]
