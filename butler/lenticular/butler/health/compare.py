"""In what two collections differ: which datasets only one of them has, and which both have.

Datasets are matched by dataset type and data ID, and in CALIBRATION
collections by their range of validity, too. A chain counts as what a search
of it finds: what is hidden is not there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse import match, not_found
from lenticular.butler.display import display, grouped, pairs, rows
from lenticular.butler.health import in_columns, in_database
from lenticular.butler.health.memberships import cancellable, unless_cancelled
from lenticular.butler.health.search import Search, open_search

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from lenticular.butler.browse.dataset_types import StoredType
    from lenticular.butler.health.memberships import Cancel
    from lenticular.butler.repository import Repository

__all__ = ["Comparison", "TypeComparison", "compare_collections"]


@dataclass(frozen=True, slots=True)
class TypeComparison:
    """How many datasets of a type two collections have, or have not, in common."""

    dataset_type: str
    only_in_a: int
    """Data IDs of which only A has a dataset."""

    only_in_b: int
    """Data IDs of which only B has a dataset."""

    same: int
    """Data IDs of which both have the same dataset."""

    different: int
    """Data IDs of which each has a dataset of its own."""

    note: str = ""
    """Why they cannot be matched, if so."""

    @property
    def is_equal(self) -> bool:
        """Whether both have the same."""
        return not (self.only_in_a or self.only_in_b or self.different)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two collections, compared. Its repositories have to stay open for its rows to be had."""

    a: str
    """What was compared."""

    b: str
    """And with what."""

    types: tuple[TypeComparison, ...]
    """What came out for each dataset type of which one of them has a dataset."""

    cap: int | None = None
    """Numbers above this one only say that there are more."""

    where: str = ""
    """Expression that restricts both."""

    _sides: tuple[Search, Search] = field(repr=False, compare=False, kw_only=True)
    _cancel: Cancel | None = field(default=None, repr=False, compare=False, kw_only=True)

    @property
    def is_equal(self) -> bool:
        """Whether both have the same datasets."""
        return all(one.is_equal for one in self.types)

    def only_in_a(self, dataset_type: str, *, limit: int | None = None) -> pa.Table:
        """Return the datasets of which B has none with their data ID.

        Parameters
        ----------
        dataset_type
            Name of their type.
        limit
            Rows to return at most; `None` for all.

        Returns
        -------
        pyarrow.Table
            A column for each required dimension, for calibrations the range
            of their validity (``validity_begin``, ``validity_end`` [ns since
            1970-01-01, TAI]), ``dataset_id`` and ``run``; sorted.

        Raises
        ------
        NotFoundError
            Raised if the dataset type is none of those compared.
        """
        return self._rows("only_in_a", dataset_type, limit)

    def only_in_b(self, dataset_type: str, *, limit: int | None = None) -> pa.Table:
        """Return the datasets of which A has none with their data ID; see `only_in_a`."""
        return self._rows("only_in_b", dataset_type, limit)

    def same(self, dataset_type: str, *, limit: int | None = None) -> pa.Table:
        """Return the datasets that both have; see `only_in_a`."""
        return self._rows("same", dataset_type, limit)

    def different(self, dataset_type: str, *, limit: int | None = None) -> pa.Table:
        """Return the pairs of datasets that have a data ID in common, and nothing else.

        As `only_in_a`, but with ``dataset_id_a``, ``run_a``, ``dataset_id_b``
        and ``run_b``.
        """
        return self._rows("different", dataset_type, limit)

    def _rows(self, part: str, dataset_type: str, limit: int | None) -> pa.Table:
        names = [one.dataset_type for one in self.types]
        if dataset_type not in names:
            raise not_found("dataset type in either collection,", dataset_type, names, where=self.a)
        if _in_one_database(self._sides) and not self.where:
            return in_database.read_rows(self._sides, dataset_type, part, limit)
        joined = in_columns.join(self._sides, dataset_type, self.where, self._cancel)
        return in_columns.rows_of(joined, part, limit)

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON can have it, without rows."""
        return {
            "a": self.a,
            "b": self.b,
            "where": self.where,
            "equal": self.is_equal,
            "cap": self.cap,
            "dataset_types": [
                {
                    "dataset_type": one.dataset_type,
                    "only_in_a": one.only_in_a,
                    "only_in_b": one.only_in_b,
                    "same": one.same,
                    "different": one.different,
                    "note": one.note,
                }
                for one in self.types
            ],
        }

    def __str__(self) -> str:
        if self.is_equal:
            return f"{self.a} and {self.b} hold the same datasets"
        unequal = [one.dataset_type for one in self.types if not one.is_equal]
        shown = ", ".join(unequal[:3]) + (f" and {len(unequal) - 3} more types" if unequal[3:] else "")
        return f"{self.a} and {self.b} differ in {shown}"

    def _repr_html_(self) -> str:
        lines = [
            (
                one.dataset_type,
                *(self.shown(number) for number in (one.only_in_a, one.only_in_b, one.different, one.same)),
                one.note,
            )
            for one in self.types
        ]
        heads = ("dataset type", "only in A", "only in B", "in both, different", "in both, the same", "")
        told = "equal" if self.is_equal else "different"
        return display(
            "Comparison",
            told,
            pairs([("A", self.a), ("B", self.b), ("where", self.where)]),
            rows(heads, lines),
        )

    def shown(self, number: int) -> int | str:
        """Return a number, or what is known of it if it was not counted to its end."""
        return f"{grouped(self.cap)}+" if self.cap is not None and number > self.cap else number


def compare_collections(
    repository: Repository,
    a: str | Iterable[str],
    b: str | Iterable[str],
    *,
    other: Repository | None = None,
    dataset_types: str | Iterable[str] = "*",
    where: str = "",
    cap: int | None = None,
    cancel: Cancel | None = None,
) -> Comparison:
    """Compare what two collections hold, dataset type by dataset type.

    In one database that is one statement for all dataset types that share a
    table, and no dataset leaves it. Between two repositories, or with an
    expression, the datasets of each type are read as columns and matched here.

    Parameters
    ----------
    repository
        The repository.
    a
        A collection, or several in the order of their search.
    b
        What it is compared with.
    other
        The repository of `b`, if it is another one.
    dataset_types
        A glob for names of dataset types, or several.
    where
        Butler expression that restricts both.
    cap
        Number above which it does not matter how many there are; all are
        counted by default.
    cancel
        An event that is set, or a function that returns true, once the answer
        is no longer wanted. An event stops the statement that is running, a
        function is looked at between statements.

    Raises
    ------
    NotFoundError
        Raised if a collection does not exist.
    DataError
        Raised if the expression is wrong.
    QueryCancelledError
        Raised if the answer is no longer wanted.
    RepositoryError
        Raised if a database fails.
    """
    sides = (open_search(repository, a), open_search(other or repository, b))
    held = sorted({name for side in sides for one in side.members for name in one.dataset_types})
    names = match(held, dataset_types)
    compared: list[TypeComparison] = []
    with cancellable(cancel):
        if _in_one_database(sides) and not where:
            for (_, timed), kinds in _groups(sides, names).items():
                unless_cancelled(cancel, repository.name)
                numbers = in_database.count(sides, kinds, timed=timed, cap=cap)
                compared += [_compared(name, one) for name, one in numbers.items()]
        else:
            compared += [_in_columns(sides, name, where, cancel) for name in names]
    kept = [one for one in compared if one.only_in_a or one.only_in_b or one.same or one.different]
    return Comparison(
        *_titles(sides),
        tuple(sorted(kept, key=lambda one: one.dataset_type)),
        cap,
        where,
        _sides=sides,
        _cancel=cancel,
    )


def _groups(
    sides: tuple[Search, Search], names: Iterable[str]
) -> Mapping[tuple[str, bool], list[StoredType]]:
    """Return the dataset types that one statement can do together."""
    groups: dict[tuple[str, bool], list[StoredType]] = defaultdict(list)
    for name in names:
        kind = sides[0].kinds[name]
        groups[kind.tags, any(side.is_timed(name) for side in sides)].append(kind)
    return groups


def _in_columns(sides: tuple[Search, Search], name: str, where: str, cancel: Cancel | None) -> TypeComparison:
    unless_cancelled(cancel, sides[0].repository.name)
    note = ""
    known = [side.kinds[name].info.dimensions for side in sides if name in side.kinds]
    if len(set(known)) > 1:
        a, b = (", ".join(names) or "nothing" for names in known)
        note = f"by {a} in A, but by {b} in B"
    joined = in_columns.join(sides, name, where, cancel)
    return _compared(name, in_columns.count(joined), note)


def _compared(name: str, numbers: Mapping[str, int], note: str = "") -> TypeComparison:
    counted = [numbers[part] for part in in_database.PARTS]
    return TypeComparison(name, counted[0], counted[1], counted[2], counted[3], note)


def _in_one_database(sides: tuple[Search, Search]) -> bool:
    a, b = (side.repository for side in sides)
    return a is b or (a.engine.url == b.engine.url and a.configuration.namespace == b.configuration.namespace)


def _titles(sides: tuple[Search, Search]) -> tuple[str, str]:
    if sides[0].repository is sides[1].repository:
        return sides[0].name, sides[1].name
    a, b = (f"{side.name} of {side.repository.name}" for side in sides)
    return a, b
