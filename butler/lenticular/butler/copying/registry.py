"""Copying a whole registry from one database into another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from lenticular.butler.copying.comparing import compare_tables
from lenticular.butler.copying.journal import JOURNAL, Journal
from lenticular.butler.copying.places import check_alike, check_versions, layouts, open_target
from lenticular.butler.copying.report import CopyReport, TableCopy
from lenticular.butler.copying.tables import count_rows, read_block, set_sequences, write_block
from lenticular.butler.database import analyze, answering_within, explained
from lenticular.butler.errors import QueryCancelledError, RepositoryExistsError, RepositoryNotFoundError
from lenticular.butler.store import Location, read_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from threading import Event

    from lenticular.butler.copying.forms import Layout
    from lenticular.butler.copying.places import Target
    from lenticular.butler.copying.report import Difference
    from lenticular.butler.repository import Repository

    type Progress = Callable[[str, int, int], None]

__all__ = ["copy_registry"]

_FIRST = ("dimension_graph_key", "dimension_graph_definition", "dataset_type")
"""Tables that tell which others there are."""

_SEEDED = (*_FIRST[:2], "butler_attributes", "opaque_meta")
"""Tables that may have rows in a registry that holds nothing."""


def copy_registry(
    source: Repository,
    target_database: str,
    *,
    namespace: str | None = None,
    root: str | os.PathLike[str] | None = None,
    resume: bool = True,
    verify_only: bool = False,
    block: int = 5000,
    timeout: float = 5.0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> CopyReport:
    """Copy a registry into another database, and compare both row by row.

    Everything is copied: dimension records, collections, datasets, tags and
    calibrations with their timespans, the datastore's records and attributes.
    Files stay where they are. SQLite and PostgreSQL may be on either side.

    Parameters
    ----------
    source
        The repository.
    target_database
        SQLAlchemy URL of an empty database, or of one with an unfinished copy.
    namespace
        Schema for the tables (PostgreSQL).
    root
        Folder or S3 URI that gets a ``butler.yaml`` for the copied registry
        and the source's files, once the copy has been found good.
    resume
        Whether to go on with an unfinished copy that is there.
    verify_only
        Whether only to compare what is there.
    block
        Rows that are held in memory at once, and written in one transaction.
    timeout
        Seconds after which a database counts as unreachable.
    progress
        Called with what is done, the rows that are done, and all there are.
    cancel
        Set by another thread to stop after the current block.

    Returns
    -------
    CopyReport
        What was copied, and every table's rows that differ. It does not raise
        for these: see `CopyReport.raise_for_differences`.

    Raises
    ------
    RepositoryExistsError
        Raised if the database or the folder holds something else.
    SchemaVersionError
        Raised if a new registry would be of another version than the source.
    QueryCancelledError
        Raised if it was cancelled; what is copied is kept.
    DatabaseUnreachableError
        Raised if a database does not answer; the same call goes on with the copy.

    Notes
    -----
    A good copy needs a source that nobody writes to. Who does is noticed: a
    row that came, changed or went behind the copy is named as a difference.
    """
    if root is not None:
        _check_absent(root, timeout)
    target = open_target(source, target_database, namespace, timeout=timeout, create=not verify_only)
    try:
        with answering_within(target.engine, timeout, where=target.shown), explained(target.shown):
            target.engine.connect().close()
        with (
            explained(source.name),
            _Copy(source, target, block=block, progress=progress, cancel=cancel) as work,
        ):
            copied = {} if verify_only else work.copy(resume=resume)
            report = work.compare(copied)
            if not verify_only and report.good:
                work.finish()
                if root is not None:
                    return _with_configuration(report, target.write_configuration(str(root)))
            return report
    finally:
        target.engine.dispose()


def _check_absent(root: str | os.PathLike[str], timeout: float) -> None:
    from lenticular.butler.configuration import CONFIGURATION_NAME

    try:
        read_bytes(Location.parse(root).join(CONFIGURATION_NAME), timeout=timeout)
    except RepositoryNotFoundError:
        return
    raise RepositoryExistsError(
        "There is a repository at this place already", where=root, hint="Choose another place."
    )


def _with_configuration(report: CopyReport, address: str) -> CopyReport:
    from dataclasses import replace

    return replace(report, configuration=address)


class _Copy:
    """One run of a copy, or of a comparison."""

    def __init__(
        self,
        source: Repository,
        target: Target,
        *,
        block: int,
        progress: Progress | None,
        cancel: Event | None,
    ) -> None:
        self._source = source
        self._target = target
        self._block = block
        self._tell = progress or _silent
        self._cancel = cancel
        self._theirs = layouts(source.butler)
        self._journal = Journal(target.engine, target.namespace)
        self._total = sum(count_rows(source.engine, layout) for layout in self._theirs.values())
        self._done = 0
        self._watch = source.engine.connect() if source.engine.dialect.name == "sqlite" else None
        self._before = self._version()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.close()

    def copy(self, *, resume: bool) -> dict[str, int]:
        """Copy what is not copied yet, and return the rows copied now by table."""
        if not self._journal.find(self._identity(), resume=resume):
            if not self._journal.tables():
                self._target.make(self._source.butler)
            self._take()
        with self._target.open() as made:
            ours = layouts(made)
            copied = {name: self._copy_table(name, ours[name]) for name in _FIRST}
        # A Butler that has seen which dataset types there are knows their tables.
        with self._target.open() as made:
            ours = layouts(made, create=True)
            check_alike(self._theirs, ours, self._source.name)
            for name in self._theirs:
                if name not in copied:
                    copied[name] = self._copy_table(name, ours[name])
        return copied

    def _take(self) -> None:
        """Take a registry that has just been made, by us or by others, for the copy.

        Between its making and the journal's a copy may have been killed: a
        registry that holds nothing is as good as an empty database.
        """
        try:
            made = self._target.open()
        except Exception as error:
            what = "The database holds something else, or a registry whose making was cut short"
            raise self._journal.refusal(what) from error
        with made:
            ours = layouts(made)
            for name, layout in ours.items():
                if name not in _SEEDED and count_rows(self._target.engine, layout):
                    raise self._journal.refusal("The database holds a registry that is not empty")
        key = "butler_attributes"
        check_versions((self._source.engine, self._theirs[key]), (self._target.engine, ours[key]))
        with self._target.engine.begin() as connection:
            for name in reversed(_FIRST):
                connection.execute(ours[name].table.delete())
            self._journal.begin(connection, self._identity())

    def _copy_table(self, name: str, ours: Layout) -> int:
        """Copy the rows of a table that are not copied yet, and return how many."""
        theirs = self._theirs[name]
        rows, last, complete = self._journal.progress(name)
        before = rows
        self._advance(f"copy {name}", rows)
        while not complete:
            self._check_cancelled()
            block = read_block(self._source.engine, theirs, last, self._block)
            complete = len(block) < self._block
            with self._target.engine.begin() as connection:
                if last is None:
                    connection.execute(ours.table.delete())  # what opening a Butler has written
                if block:
                    write_block(connection, ours, block)
                    last = tuple(block[-1][place] for place in theirs.key_places)
                if complete:
                    set_sequences(connection, ours)
                self._journal.note(connection, name, rows + len(block), last, complete=complete)
            rows += len(block)
            self._advance(f"copy {name}", len(block))
        return rows - before

    def compare(self, copied: dict[str, int]) -> CopyReport:
        """Compare both registries."""
        self._done = 0
        with self._target.open() as made:
            ours = layouts(made)
            check_alike(self._theirs, ours, self._source.name)
        tables: list[TableCopy] = []
        differences: list[Difference] = []
        for name, theirs in self._theirs.items():
            count, different, named = compare_tables(
                (self._source.engine, theirs),
                (self._target.engine, ours[name]),
                block=self._block,
                tell=lambda done, name=name: self._compared(name, done),  # type: ignore[misc]  # of a default no type is inferred
            )
            tables.append(TableCopy(name, count, copied.get(name, 0), different))
            differences += named
        return CopyReport(
            source=self._source.configuration.shown_database,
            target=self._target.shown,
            tables=tuple(tables),
            differences=tuple(differences),
            written_meanwhile=self._written(tables),
            left=tuple(sorted(self._all_tables() - self._theirs.keys() - {JOURNAL, "sqlite_sequence"})),
        )

    def finish(self) -> None:
        """Make the copy a registry like any other."""
        if JOURNAL in self._journal.tables():
            self._journal.end()
        analyze(self._target.engine, where=self._target.shown, namespace=self._target.namespace)

    def _identity(self) -> str:
        configuration = self._source.configuration
        return f"{configuration.shown_database} {configuration.namespace or ''}".rstrip()

    def _all_tables(self) -> set[str]:
        import sqlalchemy

        with self._source.engine.connect() as connection:
            names = sqlalchemy.inspect(connection).get_table_names(
                schema=self._source.configuration.namespace
            )
        return set(names)

    def _version(self) -> Any:
        """Return a number that changes when others write to a SQLite source."""
        return None if self._watch is None else self._watch.exec_driver_sql("PRAGMA data_version").scalar()

    def _written(self, tables: list[TableCopy]) -> bool:
        """Tell whether somebody was seen to write to the source after it was read."""
        return self._version() != self._before or any(
            not table.different and count_rows(self._source.engine, self._theirs[table.name]) != table.rows
            for table in tables
        )

    def _compared(self, name: str, done: int) -> None:
        self._check_cancelled()
        self._advance(f"compare {name}", done)

    def _advance(self, what: str, done: int) -> None:
        self._done += done
        self._tell(what, self._done, max(self._total, self._done))

    def _check_cancelled(self) -> None:
        if self._cancel is not None and self._cancel.is_set():
            raise QueryCancelledError(
                "The copy of the registry was cancelled",
                where=self._target.shown,
                hint="What is copied is kept: the same call goes on with it.",
            )


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
