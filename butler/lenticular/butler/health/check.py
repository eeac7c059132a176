"""The health of a repository: registry, datastore records and files, each with what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lenticular.butler.display import shown_size
from lenticular.butler.errors import DataError
from lenticular.butler.health import artifacts as files
from lenticular.butler.health.memberships import ask, cancellable, unless_cancelled
from lenticular.butler.health.records import file_datastores, measure, totals
from lenticular.butler.health.registry import check_registry, finding
from lenticular.butler.health.report import ArtifactCheck, Finding, HealthReport, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import sqlalchemy

    from lenticular.butler.health.artifacts import Looked
    from lenticular.butler.health.memberships import Cancel, Progress
    from lenticular.butler.health.records import Datastore
    from lenticular.butler.health.report import Usage
    from lenticular.butler.repository import Repository

__all__ = ["check_health"]

_SEVERITIES = list(Severity)
_LIST = "`lenticular check REPO --artifacts all --list {}` prints their addresses."


def check_health(
    repository: Repository,
    *,
    artifacts: Literal["sample", "all", "none"] = "sample",
    sample: int = 1000,
    timeout: float = 5.0,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> HealthReport:
    """Check whether a repository is whole, and how large it is. Nothing is changed.

    Parameters
    ----------
    repository
        The repository.
    artifacts
        Which files to look for in the datastores: some chosen at random, with
        a bound for all others, all of them, or none. Files that the datastores
        do not know of are found with ``all``, and where the store is so small
        that its listing is cheaper than the sample.
    sample
        How many files are some.
    timeout
        Seconds after which a store counts as unreachable.
    progress
        Called with what is being done, the parts done, and all parts.
    cancel
        An event that is set, or a function that returns true, once the answer
        is no longer wanted.

    Raises
    ------
    DataError
        Raised if the sample is not positive.
    QueryCancelledError
        Raised if the answer is no longer wanted.
    RepositoryError
        Raised if the database fails. A store that does not answer is a
        finding instead.
    """
    if sample < 1:
        raise DataError("A sample needs at least one file", where=sample, hint="Or ask for artifacts='none'.")
    with cancellable(cancel):
        found = list(check_registry(repository, progress=progress, cancel=cancel))
        datastores = file_datastores(repository)
        unless_cancelled(cancel, repository.name)
        _tell(progress, "sizes")
        usage = measure(repository, datastores)
        number, size = totals(repository, datastores)
        found += _unstored(usage)
        for datastore in datastores:
            unless_cancelled(cancel, repository.name)
            _tell(progress, "records")
            found += _records(repository, datastore)
        looked = files.Looked(listed=False)
        if artifacts == "none":
            looked.records = number
        else:
            looked = files.look(
                repository,
                datastores,
                sample=None if artifacts == "all" else sample,
                timeout=timeout,
                progress=progress,
                cancel=cancel,
            )
    found += _artifacts(looked)
    found.sort(key=lambda one: (_SEVERITIES.index(one.severity), one.check))
    return HealthReport(
        repository.name,
        tuple(found),
        usage,
        size,
        number,
        _summary(artifacts, looked),
        _paths(looked),
    )


def _tell(progress: Progress | None, what: str) -> None:
    if progress is not None:
        progress(what, 0, 0)


def _unstored(usage: Sequence[Usage]) -> Iterator[Finding]:
    """Tell datasets without a file that are lost from those that never had one, or were removed."""
    partly = [one for one in usage if 0 < one.stored < one.datasets]
    wholly = [one for one in usage if one.datasets and not one.stored]
    hint = "They were removed from the datastore, or their writing failed: Butler.get of one fails."
    yield from finding(
        "unstored-datasets",
        Severity.WARNING,
        "{n} dataset{s} {have} no file, while others of the same type and run have one",
        [f"{one.datasets - one.stored} of {one.datasets} {one.dataset_type} in {one.run}" for one in partly],
        hint,
        count=sum(one.datasets - one.stored for one in partly),
    )
    yield from finding(
        "virtual-datasets",
        Severity.NOTE,
        "{n} dataset{s} {are} of types and runs of which none has a file",
        [f"{one.datasets} {one.dataset_type} in {one.run}" for one in wholly],
        "They are virtual, or were removed from the datastore and kept in the registry on purpose.",
        count=sum(one.datasets for one in wholly),
    )


def _records(repository: Repository, datastore: Datastore) -> Iterator[Finding]:
    """Compare a datastore's records with the registry's tables."""
    numbers = _mismatches(repository, datastore)
    for check, severity, what, hint in _RECORDS:
        where = [str(datastore.root)]
        yield from finding(check, severity, what, where, hint, count=numbers[check])


_RECORDS = (
    (
        "unknown-records",
        Severity.WARNING,
        "{n} dataset{s} {have} records of files, but {are} not known to the registry",
        "The registry was restored from an older copy, or a removal was interrupted.",
    ),
    (
        "trashed-datasets",
        Severity.NOTE,
        "{n} dataset{s} {are} removed, but the files not yet",
        "A removal was interrupted; the next one, such as `butler prune-datasets`, takes them away.",
    ),
    (
        "records-without-location",
        Severity.WARNING,
        "{n} dataset{s} {have} records of files, but {are} not known to be stored",
        "They can be read, but not removed: their writing was interrupted.",
    ),
    (
        "locations-without-record",
        Severity.ERROR,
        "{n} dataset{s} {are} known to be stored, but nothing says in which file",
        "Records were lost: look for the files in the run's folder, and ingest them again.",
    ),
)


def _mismatches(repository: Repository, datastore: Datastore) -> Mapping[str, int]:
    """Count the datasets that one table knows, and another does not."""
    import sqlalchemy

    records, dataset = datastore.records, repository.tables.dataset
    stored, trashed = repository.tables.location, repository.tables.trash

    def held_in(table: sqlalchemy.TableClause) -> sqlalchemy.ColumnElement[bool]:
        # EXISTS rather than IN, of whose negation PostgreSQL makes a nested loop.
        key = table.c.dataset_id == records.c.dataset_id
        return sqlalchemy.exists().where(table.c.datastore_name == datastore.name, key)

    def ids(table: sqlalchemy.TableClause) -> sqlalchemy.Select[Any]:
        return sqlalchemy.select(table.c.dataset_id).where(table.c.datastore_name == datastore.name)

    own = sqlalchemy.select(records.c.dataset_id)
    known = own.outerjoin(dataset, dataset.c.id == records.c.dataset_id)
    recorded = sqlalchemy.exists().where(records.c.dataset_id == stored.c.dataset_id)
    statements = {
        "unknown-records": known.where(dataset.c.id.is_(None), ~held_in(trashed)),
        "trashed-datasets": ids(trashed),
        "records-without-location": known.where(
            dataset.c.id.is_not(None), ~held_in(stored), ~held_in(trashed)
        ),
        "locations-without-record": ids(stored).where(~recorded),
    }
    counts = {}
    for check, statement in statements.items():
        inner = statement.distinct().subquery()
        rows = ask(repository, sqlalchemy.select(sqlalchemy.func.count()).select_from(inner))
        counts[check] = int(rows[0][0])
    return counts


def _artifacts(looked: Looked) -> Iterator[Finding]:
    for problem in looked.problems:
        hint = problem.hint or ""
        yield Finding("store-unreachable", Severity.ERROR, problem.what, 1, (problem.where or "",), hint)
    yield from finding(
        "missing-artifacts",
        Severity.ERROR,
        "{n} file{s} {are} missing",
        looked.missing,
        "Restore them, or remove their datasets: `butler prune-datasets`. " + _LIST.format("missing"),
    )
    yield from finding(
        "mismatched-artifacts",
        Severity.ERROR,
        "{n} file{s} {are} not of the size that was written down",
        looked.mismatched,
        "They were cut short or written over. " + _LIST.format("mismatched"),
    )
    yield from finding(
        "unanswered-artifacts",
        Severity.WARNING,
        "{n} file{s} could not be looked at",
        (),
        "The store did not answer: try again.",
        count=looked.unknown,
    )
    yield from finding(
        "orphans",
        Severity.WARNING,
        f"{{n}} file{{s}} {{belong}} to no dataset ({shown_size(looked.orphan_bytes)})",
        looked.orphans,
        "Nothing removes them by itself. When nobody is writing, and you know each of them, remove them"
        " with the store's own tools. " + _LIST.format("orphans"),
    )
    yield from finding(
        "leftovers",
        Severity.WARNING,
        "{n} file{s} {look} like leftovers of transfers that were interrupted",
        looked.leftovers,
        "When nobody is writing they can be removed. " + _LIST.format("leftovers"),
    )


def _summary(mode: str, looked: Looked) -> ArtifactCheck:
    answered = looked.looked_at - looked.unknown
    whole = answered >= looked.records
    share = len(looked.missing) / answered if answered else 0.0
    bounds = (share, share) if whole else files.missing_bounds(len(looked.missing), answered)
    return ArtifactCheck(
        mode="all" if mode == "sample" and whole else mode,
        records=looked.records,
        looked_at=looked.looked_at,
        missing=len(looked.missing),
        mismatched=len(looked.mismatched),
        unknown=looked.unknown,
        listed=looked.listed,
        missing_fraction=bounds,
        confidence=1.0 if whole else files.CONFIDENCE,
    )


def _paths(looked: Looked) -> Mapping[str, tuple[str, ...]]:
    return {
        "missing": tuple(looked.missing),
        "mismatched": tuple(line.rpartition(": ")[0] for line in looked.mismatched),
        "orphans": tuple(looked.orphans),
        "leftovers": tuple(looked.leftovers),
    }
