"""Whether files are where datastores wrote down that they are, and what else is there."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import StoreUnreachableError
from lenticular.butler.health.memberships import unless_cancelled
from lenticular.butler.health.stores import open_files
from lenticular.butler.store import Location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.health.memberships import Cancel, Progress
    from lenticular.butler.health.records import Datastore
    from lenticular.butler.health.stores import Store
    from lenticular.butler.repository import Repository

__all__ = ["CONFIDENCE", "Looked", "look", "missing_bounds"]

CONFIDENCE = 0.95
"""Probability that the share of missing files is within the bounds that are stated."""

_LEFTOVER = re.compile(r"^(?:[a-z0-9_]{16}(?:\.[a-z0-9.]+)?|.*\.(?:part|tmp|temp)|\..*\.\d+|.*~)$")
"""Names of files that are moved to their place when they are complete: sixteen
random characters are those of lsst.resources."""

_ROWS = 20_000
_PATIENCE = 5
"""Questions without an answer after which no more are asked."""


@dataclass(slots=True)
class Looked:
    """What was seen in the datastores. Paths are whole addresses, fit to be shown."""

    records: int = 0
    """Files that there should be."""

    looked_at: int = 0
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    unknown: int = 0
    orphan_bytes: int = 0
    listed: bool = True
    """Whether everything there is was seen."""

    problems: list[StoreUnreachableError] = field(default_factory=list)


def missing_bounds(missing: int, looked_at: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return between which fractions of all files are missing.

    Parameters
    ----------
    missing
        Files missing among those looked at.
    looked_at
        Files looked at, chosen at random.
    confidence
        Probability that the fraction is within the bounds.

    Returns
    -------
    tuple
        The exact bounds of Clopper and Pearson (1934, Biometrika 26, 404); if
        none is missing, the upper bound is one-sided, about 3 / `looked_at`
        (the rule of three).
    """
    from scipy.stats import beta

    if not looked_at:
        return 0.0, 1.0
    if not missing:
        return 0.0, 1 - (1 - confidence) ** (1 / looked_at)
    if missing == looked_at:
        return float((1 - confidence) ** (1 / looked_at)), 1.0
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, missing, looked_at - missing + 1)
    return float(low), float(beta.ppf(1 - tail, missing + 1, looked_at - missing))


def look(
    repository: Repository,
    datastores: Sequence[Datastore],
    *,
    sample: int | None,
    timeout: float,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Looked:
    """Look for the files of datastores.

    Parameters
    ----------
    repository
        The repository.
    datastores
        Its file datastores.
    sample
        Files to look for, chosen at random; `None` for all. A store that can
        be listed sooner than it can be asked for so many is listed.
    timeout
        Seconds after which a store counts as unreachable.
    progress
        Called with the datastore, and the number of files done of how many.
    cancel
        Looked at between files.
    """
    looked = Looked()
    for datastore in datastores:
        number = _count(repository, datastore)
        store = open_files(datastore.root, timeout=timeout)
        chosen = number if sample is None else min(sample, number)
        looked.records += number
        work = _Work(repository, datastore, store, looked, timeout, progress, cancel)
        # A listing cannot be had in parallel.
        whole = sample is None or number <= chosen * max(1, store.page // store.parallel)
        try:
            if not (whole and work.list(number)):
                looked.listed = False
                work.ask(None if chosen == number else chosen, chosen)
        except StoreUnreachableError as error:
            looked.problems.append(error)
            looked.listed = False
    return looked


def _count(repository: Repository, datastore: Datastore) -> int:
    """Return the number of files that a datastore knows of, each counted once."""
    import sqlalchemy

    files = sqlalchemy.select(_file(datastore, repository)).distinct().subquery()
    statement = sqlalchemy.select(sqlalchemy.func.count()).select_from(files)
    return int(repository.read(lambda connection: connection.execute(statement).scalar_one()))


def _file(datastore: Datastore, repository: Repository) -> sqlalchemy.ColumnElement[Any]:
    """Return the path of a record's file, which may be one with many datasets inside."""
    import sqlalchemy

    from lenticular.butler.health.records import file_of

    path = datastore.records.c.path
    return sqlalchemy.case((datastore.is_in_archive, file_of(repository, path)), else_=path).label("file")


@dataclass(frozen=True, slots=True)
class _Work:
    """Looking at one datastore."""

    repository: Repository
    datastore: Datastore
    store: Store
    looked: Looked
    timeout: float
    progress: Progress | None
    cancel: Cancel | None

    def list(self, number: int) -> bool:
        """Compare a listing with the records; tell whether the store can be listed."""
        self._tell(0, number)
        expected = dict(self._records(None))
        outside = {path: expected.pop(path) for path in list(expected) if _is_elsewhere(path)}
        known, inner = self._not_datasets(), self._inner_roots()
        found = 0
        try:
            for path, size in self.store.listing():
                found += 1
                if found % _ROWS == 0:
                    self._tell(found, max(number, found))
                if path in expected:
                    self._compare(path, expected.pop(path), size)
                elif path not in known and not path.startswith(inner):
                    self._stray(path, size)
        except StoreUnreachableError as error:
            if "refuses access" not in error.what:
                raise
            return False  # single files may well be looked at
        for path in sorted(expected):
            self.looked.looked_at += 1
            self.looked.missing.append(self._shown(path))
        self._ask(outside.items(), number)
        return True

    def ask(self, sample: int | None, number: int) -> None:
        """Look for files one by one, several at once."""
        self._ask(self._records(sample), number)

    def _ask(self, wanted: Iterable[tuple[str, int | None]], number: int) -> None:
        failures = 0
        others: dict[tuple[str, str, str | None], Store] = {}
        with ThreadPoolExecutor(self.store.parallel) as pool:
            for batch in batched(wanted, 8 * self.store.parallel):
                sizes = [pool.submit(self._size, path, others) for path, _ in batch]
                for (path, expected), answer in zip(batch, sizes, strict=True):
                    self.looked.looked_at += 1
                    problem = answer.exception()
                    if isinstance(problem, StoreUnreachableError):
                        failures += 1
                        self.looked.unknown += 1
                        last = problem
                        continue
                    size = answer.result()
                    if size is None:
                        self.looked.missing.append(self._shown(path))
                    else:
                        self._compare(path, expected, size, counted=True)
                self._tell(self.looked.looked_at, max(number, self.looked.looked_at))
                if failures > _PATIENCE:
                    raise last

    def _size(self, path: str, others: dict[tuple[str, str, str | None], Store]) -> int | None:
        if not _is_elsewhere(path):
            return self.store.size(path)
        place = Location.parse(path)
        key = (place.scheme, place.container, place.profile)
        if key not in others:  # two threads may both make one, of which either will do
            root = Location(place.scheme, place.container, "/" if place.is_local else "", place.profile)
            others[key] = open_files(root, timeout=self.timeout)
        return others[key].size(place.path.lstrip("/"))

    def _compare(self, path: str, expected: int | None, size: int, *, counted: bool = False) -> None:
        self.looked.looked_at += not counted
        if expected is not None and expected != size:
            self.looked.mismatched.append(f"{self._shown(path)}: {size} bytes instead of {expected}")

    def _stray(self, path: str, size: int) -> None:
        if _LEFTOVER.match(path.rpartition("/")[2]):
            self.looked.leftovers.append(self._shown(path))
            return
        self.looked.orphan_bytes += size
        self.looked.orphans.append(self._shown(path))

    def _records(self, sample: int | None) -> Iterator[tuple[str, int | None]]:
        """Yield path and size, as far as known, of each file, or of some chosen at random."""
        import sqlalchemy

        column = self.datastore.records.c
        known = sqlalchemy.case(
            (sqlalchemy.or_(self.datastore.is_in_archive, column.file_size < 0), None), else_=column.file_size
        )
        file = _file(self.datastore, self.repository)
        statement = sqlalchemy.select(file, sqlalchemy.func.max(known)).group_by(file)
        if sample is not None:
            statement = statement.order_by(sqlalchemy.func.random()).limit(sample)
        rows = self.repository.read(lambda connection: connection.execute(statement).all())
        return ((path, None if size is None else int(size)) for path, size in rows)

    def _not_datasets(self) -> Mapping[str, None]:
        """Return the paths of files of the repository itself that are in the datastore's root."""
        configuration = self.repository.configuration
        root = f"{str(self.datastore.root).rstrip('/')}/"
        own = [str(configuration.location)]
        database = self.repository.engine.url
        if database.get_backend_name() == "sqlite" and configuration.database is not None:
            file = configuration.database_url.database or ""
            own += [f"{file}{suffix}" for suffix in ("", "-journal", "-wal", "-shm")]
        return {path.removeprefix(root): None for path in own if path.startswith(root)}

    def _inner_roots(self) -> tuple[str, ...]:
        """Return the roots of other datastores that are in the datastore's root."""
        root = f"{str(self.datastore.root).rstrip('/')}/"
        others = (f"{str(other).rstrip('/')}/" for other in self.repository.configuration.datastores)
        return tuple(other.removeprefix(root) for other in others if other.startswith(root) and other != root)

    def _shown(self, path: str) -> str:
        from lenticular.butler.redact import redact

        return redact(path) if _is_elsewhere(path) else str(self.datastore.root.join(path))

    def _tell(self, done: int, total: int) -> None:
        unless_cancelled(self.cancel, self.repository.name)
        if self.progress is not None:
            self.progress(str(self.datastore.root), done, total)


def _is_elsewhere(path: str) -> bool:
    """Tell whether a record has a whole address, of a file that was left where it was."""
    return path.startswith("/") or "://" in path
