"""What upstream's query planner decided, as far as it matters for running a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy
    from lsst.sphgeom import Region

__all__ = ["Lookup", "Plan", "Ranking", "Refinement"]


@dataclass(frozen=True, slots=True)
class Refinement:
    """What is left to be done with the rows, since a database cannot do it.

    Columns are named as in the statement; they hold regions as base64.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    """Columns of regions, two at a time, that have to overlap in each row."""

    given: tuple[tuple[str, Region], ...] = ()
    """Columns of regions, and what each has to overlap."""

    sums: tuple[str, ...] = ()
    """Columns with several pairs of regions, of which one has to overlap."""

    matches: str | None = None
    """Column with the number of calibrations found for a data ID, where more
    than one is an error."""

    limit: int | None = None
    """Rows wanted of those that are left."""

    def __bool__(self) -> bool:
        return bool(self.pairs or self.given or self.sums or self.matches) or self.limit is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it reads, each once."""
        names = [name for pair in self.pairs for name in pair]
        names += [name for name, _ in self.given] + list(self.sums)
        return tuple(dict.fromkeys([*names, *([self.matches] if self.matches else [])]))


@dataclass(frozen=True, slots=True)
class Ranking:
    """How the first dataset of each data ID is found among all that a search sees."""

    keys: tuple[str, ...]
    """Columns of the required dimensions."""

    collection: str
    """Column with the number of the collection."""

    ranks: Mapping[int, int]
    """Place of each collection in the search, by its number."""

    run: str
    """Column with the run, which the statement lacks if there are `runs`."""

    runs: tuple[str, ...] = ()
    """Names of the collections by place, if all of them are runs: then the run
    is known without the table of all datasets."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Dimensions that a statement leaves out, since they follow from its others.

    A million datasets share some thousand visits: to read these once, and to
    fill in their filters and nights here, is quicker than a join that sends
    them with every row.
    """

    element: str
    """Dimension from whose records they follow."""

    keys: tuple[str, ...]
    """Dimensions that identify a record; the statement has them."""

    values: tuple[str, ...]
    """Dimensions that follow."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query, planned."""

    select: sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]
    """The statement."""

    connection: sqlalchemy.Connection
    """The connection to run it on, which sees the query's temporary tables."""

    labels: Mapping[tuple[str, str | None], str]
    """The statement's name for each column (table and field) of the answer."""

    names: tuple[str, ...]
    """Names of all columns of the statement, in their order."""

    refinement: Refinement
    """What to do with the rows."""

    ranking: Ranking | None = None
    """How to find the first of each data ID, where the statement does not."""

    lookup: Lookup | None = None
    """What is to be filled in, where the statement leaves it out."""

    constants: Mapping[str, str] = field(default_factory=dict)
    """Columns that the statement leaves out because each row has the same in them."""

    sliced: bool = False
    """Whether the statement sorts its rows, or limits their number."""

    sort: tuple[tuple[str, bool], ...] = ()
    """Columns by which the rows are to be sorted, and whether in reverse, where
    the statement gives them and leaves the sorting."""

    bulky: bool = False
    """Whether some of its columns are regions, which are long."""
