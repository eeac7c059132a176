"""Pages in the two orders that are asked for most, at a cost that does not grow.

The registry's tables have an index by dataset type, collection and data ID, but
that begins with the detector rather than the visit; and one by UUID. A page by
data ID goes along the records of the visits (exposures, patches, ...), takes
what there is of some of them, and stops when it has enough. A page of the
newest goes down the UUIDs, which of version 7 begin with the time (RFC 9562).
Who hides whom is looked up for the few datasets that are concerned.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lenticular.butler.browse.collections import CollectionKind
from lenticular.butler.browse.marks import PageMark
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy

    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.browse.universe import Element
    from lenticular.butler.repository import Repository

    type Row = tuple[tuple[Any, ...], UUID, int]
    """A data ID, a dataset and the number of a collection that holds it."""

__all__ = ["Found", "by_data_id", "newest"]

_FEW = 4
"""Datasets, in pages, that are sorted rather than gone along."""

_STEP, _GROWTH = 2, 4
"""Records that are gone along at first, and by how much more each time."""

_TERMS = 200
"""Selects that are joined to one statement, of which SQLite takes 500."""

_LAST_TIME = UUID(int=0x0300 << 112)
"""UUIDs of version 7 up to 2074 come before this."""

_VERSION = 7
_STRANGERS = 1000
"""Datasets with other UUIDs, of other types, that are looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset of a page."""

    mark: PageMark
    run: str
    values: tuple[Any, ...]


def by_data_id(
    repository: Repository, chosen: Selection, wanted: int, mark: PageMark | None, *, backwards: bool
) -> list[Found]:
    """Read datasets in the order of their data IDs.

    Parameters
    ----------
    repository
        The repository.
    chosen
        Datasets, of which each data ID has one at most.
    wanted
        How many to read.
    mark
        Where to begin; `None` for the beginning.
    backwards
        Whether to read towards the first.
    """
    if mark is not None and len(mark.values) != len(chosen.kind.dimensions):
        raise DataError(
            "The mark is of a page in another order",
            hint="Read on with the query and the order of the page that it came from.",
        )

    def read(connection: sqlalchemy.Connection) -> list[Found]:
        page = _Page(connection, chosen, wanted, mark.values if mark else None, backwards)
        rows = page.read()
        runs = _runs(connection, repository, chosen, rows)
        return [Found(PageMark(row[0], str(row[1])), runs[row[1]], row[0]) for row in rows]

    return repository.read(read)


class _Page:
    """One page by data ID."""

    def __init__(
        self,
        connection: sqlalchemy.Connection,
        chosen: Selection,
        wanted: int,
        after: tuple[Any, ...] | None,
        backwards: bool,  # noqa: FBT001 - private
    ) -> None:
        self.connection, self.chosen, self.wanted, self.backwards = connection, chosen, wanted, backwards
        self.names = chosen.kind.dimensions
        self.constants = chosen.constants
        self.after = after
        self.free = [name for name in self.names if name not in self.constants]

    def read(self) -> list[Row]:
        """Return as many rows as are wanted, or as there are."""
        if not self.free and self.after is not None:
            return []
        element = self._leader()
        if element is not None and not self._are_few():
            return self._walk(element)
        return self._merge() if self.free and len(self.chosen.members) <= _TERMS else self._sort()

    def _leader(self) -> Element | None:
        """Return what has records in the order of the page, if a data ID has more than its key."""
        universe = self.chosen.universe
        for length in range(len(self.names) - 1, 0, -1):
            element = universe[self.names[length - 1]]
            leads = set(element.required) == set(self.names[:length]) and element.table == element.name
            if leads and not set(element.required) <= set(self.constants):
                return element
        return None

    def _are_few(self) -> bool:
        import sqlalchemy

        limit = _FEW * self.wanted
        some = self.chosen.held("dataset_id").limit(limit).subquery()
        count = sqlalchemy.select(sqlalchemy.func.count()).select_from(some)
        return self.connection.execute(count).scalar_one() < limit

    def _select(self) -> sqlalchemy.Select[Any]:
        """Return the statement for what is held, with all that is known of it as conditions."""
        columns = self.chosen.tags.c
        statement = self.chosen.held(*self.names, "dataset_id", "collection_id")
        return statement.where(*(columns[name] == value for name, value in self.constants.items()))

    def _further(self, columns: Any, names: Sequence[str], *, same: bool) -> list[Any]:
        """Return the condition for what is read after the mark, or with it."""
        import sqlalchemy

        if self.after is None or not names:
            return []
        known = dict(zip(self.names, self.after, strict=True))
        one = sqlalchemy.tuple_(*(columns[name] for name in names))
        other = sqlalchemy.tuple_(*(sqlalchemy.literal(known[name]) for name in names))
        if same:
            return [one <= other if self.backwards else one >= other]
        return [one < other if self.backwards else one > other]

    def _ordered(self, columns: Iterable[Any]) -> list[Any]:
        return [column.desc() if self.backwards else column.asc() for column in columns]

    def _merge(self) -> list[Row]:
        """Read the first of each collection, in whose index they are in order."""
        import sqlalchemy

        columns = self.chosen.tags.c
        part = self._select().where(*self._further(columns, self.free, same=False))
        part = part.order_by(*self._ordered(columns[name] for name in self.free))
        if len(self.chosen.members) == 1:
            return self._rows(part.limit(self.wanted))
        parts = [part.where(columns.collection_id == one.id) for one in self.chosen.members]
        selects = [sqlalchemy.select(one.limit(self.wanted).subquery()) for one in parts]
        whole = sqlalchemy.union_all(*selects).subquery()
        ordered = self._ordered(whole.c[name] for name in self.free)
        return self._winners(self._rows(sqlalchemy.select(whole).order_by(*ordered)))[: self.wanted]

    def _sort(self) -> list[Row]:
        """Let the database sort all data IDs; then read what is held of the first."""
        import sqlalchemy

        columns = self.chosen.tags.c
        keys = [columns[name] for name in self.free]
        order = self._ordered(keys)
        further = self._further(columns, self.free, same=False)
        first = self._select().with_only_columns(*keys).where(*further).distinct()
        held = self._select()
        if keys:
            found = self.connection.execute(first.order_by(*order).limit(self.wanted))
            held = held.where(sqlalchemy.tuple_(*keys).in_([tuple(row) for row in found]))
        return self._winners(self._rows(held.order_by(*order)))

    def _walk(self, element: Element) -> list[Row]:
        """Go along the records of an element, and read what there is of them."""
        found: list[Row] = []
        step, last = _STEP, None
        while len(found) < self.wanted:
            block = self._records(element, last, step)
            if block:
                found += self._winners(self._of_records(element, block))
                last = block[-1]
            if len(block) < step:
                break
            step *= _GROWTH
        return found[: self.wanted]

    def _records(self, element: Element, last: Any, step: int) -> list[tuple[Any, ...]]:
        """Return the keys of the next records, as far as they are not constant."""
        import sqlalchemy

        table = element.of_table(self.chosen.tags.schema)
        columns = {name: table.c[element.column(name)] for name in element.required}
        names = [name for name in self.free if name in columns]
        known = [columns[name] == value for name, value in self.constants.items() if name in columns]
        if last is None:
            known += self._further(columns, names, same=True)
        else:
            one = sqlalchemy.tuple_(*(columns[name] for name in names))
            other = sqlalchemy.tuple_(*map(sqlalchemy.literal, last))
            known.append(one < other if self.backwards else one > other)
        keys = [columns[name] for name in names]
        statement = sqlalchemy.select(*keys).where(*known).order_by(*self._ordered(keys)).limit(step)
        return [tuple(row) for row in self.connection.execute(statement)]

    def _of_records(self, element: Element, block: Sequence[tuple[Any, ...]]) -> list[Row]:
        """Return what is held between the first and the last of some records."""
        import sqlalchemy

        chosen, columns = self.chosen, self.chosen.tags.c
        names = [name for name in self.free if name in element.required]
        one = sqlalchemy.tuple_(*(columns[name] for name in names))
        first, last = (block[-1], block[0]) if self.backwards else (block[0], block[-1])
        wanted = (*self.names, "dataset_id", "collection_id")
        statement = sqlalchemy.select(*(columns[name] for name in wanted))
        statement = statement.where(
            *(columns[name] == value for name, value in self.constants.items()),
            one >= sqlalchemy.tuple_(*map(sqlalchemy.literal, first)),
            one <= sqlalchemy.tuple_(*map(sqlalchemy.literal, last)),
            # As sums, these are no use for an index: the one of the records is to be taken.
            columns.dataset_type_id + 0 == chosen.type_id,
            (columns.collection_id + 0).in_([member.id for member in chosen.members]),
            *self._further(columns, self.free, same=False),
        )
        return self._rows(statement.order_by(*self._ordered(columns[name] for name in self.free)))

    def _rows(self, statement: Any) -> list[Row]:
        found = self.connection.execute(statement)
        return [(tuple(row[:-2]), row[-2], row[-1]) for row in found]

    def _winners(self, rows: Sequence[Row]) -> list[Row]:
        """Return the first that is found of each data ID; the data IDs stay in their order."""
        return list(_first(self.chosen, rows).values())


def _first(chosen: Selection, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    ranks = {member.id: rank for rank, member in enumerate(chosen.members)}
    best: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        known = best.get(row[0])
        if known is None or ranks[row[2]] < ranks[known[2]]:
            best[row[0]] = row
    return best


def newest(
    repository: Repository, chosen: Selection, wanted: int, mark: PageMark | None, *, backwards: bool
) -> list[Found] | None:
    """Read the newest datasets, by UUIDs that tell when they were made.

    Parameters
    ----------
    repository, chosen, wanted, mark, backwards
        As for `by_data_id`.

    Returns
    -------
    list of Found or None
        `None` if some of the UUIDs do not tell it.
    """
    if mark is not None and mark.values:
        return None

    def read(connection: sqlalchemy.Connection) -> list[Found] | None:
        if not _tell_time(connection, chosen):
            return None
        found: dict[UUID, Row] = {}
        last, size = None if mark is None else UUID(mark.id), wanted
        while len(found) < wanted:
            rows = _by_id(connection, chosen, last, size, backwards=backwards)
            if any(row[1].version != _VERSION for row in rows):
                return None
            found |= {row[1]: row for row in _not_hidden(connection, chosen, rows)}
            if len(rows) < size:
                break
            last, size = rows[-1][1], _GROWTH * size
        page = list(found.values())[:wanted]
        runs = _runs(connection, repository, chosen, page)
        return [Found(PageMark((), str(row[1])), runs[row[1]], row[0]) for row in page]

    return repository.read(read)


def _tell_time(connection: sqlalchemy.Connection, chosen: Selection) -> bool:
    """Tell whether the UUIDs of a type seem to be those of version 7.

    Nearly all others are larger, since theirs are spread evenly over all
    numbers; so an index tells soon.
    """
    import sqlalchemy

    columns = chosen.tags.c
    some = sqlalchemy.select(columns.dataset_type_id).where(columns.dataset_id > _LAST_TIME).limit(_STRANGERS)
    kinds = [kind for (kind,) in connection.execute(some)]
    return chosen.type_id not in kinds and len(kinds) < _STRANGERS


def _by_id(
    connection: sqlalchemy.Connection, chosen: Selection, last: UUID | None, size: int, *, backwards: bool
) -> list[Row]:
    """Return what is held with the next UUIDs; with the last of them, only part of it perhaps."""
    column = chosen.tags.c.dataset_id
    statement = chosen.held(*chosen.kind.dimensions, "dataset_id", "collection_id")
    statement = statement.order_by(column.asc() if backwards else column.desc()).limit(size)
    if last is not None:
        statement = statement.where(column > last if backwards else column < last)
    return [(tuple(row[:-2]), row[-2], row[-1]) for row in connection.execute(statement)]


def _not_hidden(connection: sqlalchemy.Connection, chosen: Selection, rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose dataset is the first that is found of its data ID."""
    if not chosen.hides or not rows:
        return list(rows)
    import sqlalchemy

    names, constants = chosen.kind.dimensions, chosen.constants
    free = [place for place, name in enumerate(names) if name not in constants]
    statement = chosen.held(*names, "dataset_id", "collection_id")
    statement = statement.where(*(chosen.tags.c[name] == value for name, value in constants.items()))
    if free:
        one = sqlalchemy.tuple_(*(chosen.tags.c[names[place]] for place in free))
        statement = statement.where(one.in_({tuple(row[0][place] for place in free) for row in rows}))
    found = connection.execute(statement)
    first = _first(chosen, [(tuple(row[:-2]), row[-2], row[-1]) for row in found])
    return [row for row in rows if first[row[0]][1] == row[1]]


def _runs(
    connection: sqlalchemy.Connection, repository: Repository, chosen: Selection, rows: Sequence[Row]
) -> dict[UUID, str]:
    """Return the run of each dataset, which only the members of other kinds do not tell."""
    import sqlalchemy

    known = {member.id: member.info for member in chosen.members}
    found = {row[1]: known[row[2]].name for row in rows if known[row[2]].kind is CollectionKind.RUN}
    others = defaultdict(list)
    for row in rows:
        if row[1] not in found:
            others[0].append(row[1])
    if others:
        datasets, collections = repository.tables.dataset, repository.tables.collection
        identity = sqlalchemy.type_coerce(datasets.c.id, sqlalchemy.Uuid())
        statement = (
            sqlalchemy.select(identity, collections.c.name)
            .join_from(datasets, collections, collections.c.collection_id == datasets.c.run_id)
            .where(identity.in_(others[0]))
        )
        found |= {key: name for key, name in connection.execute(statement)}  # noqa: C416 - a result has keys of its own
    return found
