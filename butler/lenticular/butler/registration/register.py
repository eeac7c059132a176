"""Registering files, as often as one likes and by as many as like."""

from __future__ import annotations

import itertools
import sqlite3
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import (
    ConfigError,
    DatabaseUnreachableError,
    IngestError,
    ReadOnlyRepositoryError,
)
from lenticular.butler.registration.files import TRANSFER_MODES, Outcome, RegistrationReport
from lenticular.butler.registration.known import sort_out
from lenticular.butler.registration.linked import LinkedFiles
from lenticular.butler.registration.prepared import Preparation
from lenticular.butler.registration.stored import StoredFiles

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from threading import Event
    from typing import Literal

    from lsst.daf.butler import Butler

    from lenticular.butler.registration.files import FileToRegister, Progress
    from lenticular.butler.registration.prepared import Prepared
    from lenticular.butler.repository import Repository

    type Ids = Literal["run", "type", "unique"]

__all__ = ["register_batches", "register_files"]

_STORED, _LINKED = 64, 1000
"""Files per transaction: many enough to be quick, few enough not to keep other writers waiting."""

_ATTEMPTS = 5
"""How often a group is tried when other writers keep claiming parts of it."""

_ENOUGH = 1000
"""New files after which the database's statistics are worth the second that they take."""


def register_files(
    repository: Repository,
    files: Iterable[FileToRegister],
    *,
    run: str,
    transfer: str = "copy",
    ids: Ids = "run",
    total: int = 0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> RegistrationReport:
    """Register files as datasets of a run.

    It may be done again, after it was cut short or by others at the same
    time: what is there and the same is skipped, and each dataset is registered
    by one writer. Files that cannot be registered do not hold up the others.

    Parameters
    ----------
    repository
        The repository, open for writing.
    files
        Files, of any number: they are taken batch by batch.
    run
        RUN collection, made if it does not exist.
    transfer
        How the files get into the datastore, see `TRANSFER_MODES`; ``direct``
        leaves them where they are.
    ids
        How datasets get their UUIDs: from data ID, dataset type and ``run``
        (version 5, the same in every repository), from data ID and dataset
        ``type`` alone, or ``unique`` ones (version 7).
    total
        Number of files, if it is known, for ``progress``.
    progress
        Called with what is done, how much is done, and how much there is.
    cancel
        Set by another thread to stop after the current batch.

    Returns
    -------
    RegistrationReport
        How many files were registered and skipped, and each that failed.

    Raises
    ------
    ReadOnlyRepositoryError
        Raised if the repository was opened for reading.
    ConfigError
        Raised if there is no such mode of transfer.
    DatabaseUnreachableError
        Raised if the database fails; the same call completes what is not done.
    """
    repository.require_writeable("register files")
    report = RegistrationReport()
    outcomes = register_batches(repository.butler, files, run=run, transfer=transfer, ids=ids)
    for outcome in outcomes:
        report += RegistrationReport(
            len(outcome.registered),
            len(outcome.skipped),
            tuple((str(file.path), error) for file, error in outcome.failed),
        )
        if progress is not None:
            done = report.registered + report.skipped + len(report.failed)
            progress("register files", done, total)
        if cancel is not None and cancel.is_set():
            report += RegistrationReport(cancelled=True)
            break
    outcomes.close()
    if report.registered >= _ENOUGH:
        repository.analyze()
    return report


def register_batches(
    butler: Butler,
    files: Iterable[FileToRegister],
    *,
    run: str,
    transfer: str = "copy",
    ids: Ids = "run",
) -> Generator[Outcome]:
    """Register files batch by batch; see `register_files`.

    Parameters
    ----------
    butler
        The repository, open for writing.
    files, run, transfer, ids
        As for `register_files`.

    Yields
    ------
    Outcome
        What became of the files of a batch.

    Raises
    ------
    ReadOnlyRepositoryError, ConfigError, DatabaseUnreachableError
        As for `register_files`.
    """
    if not butler.isWriteable():
        raise ReadOnlyRepositoryError(
            "Files cannot be registered in a repository opened for reading", hint="Open it for writing."
        )
    if transfer not in TRANSFER_MODES:
        raise ConfigError(
            f"No mode of transfer {transfer!r}", hint=f"Use one of {', '.join(TRANSFER_MODES)}."
        )
    butler.collections.register(run)
    registrar = _Registrar(butler, run, transfer, ids)
    for batch in itertools.batched(files, _LINKED if transfer == "direct" else _STORED, strict=False):
        yield registrar.register(batch)


class _Registrar:
    """Registers files of one run."""

    def __init__(self, butler: Butler, run: str, transfer: str, ids: Ids) -> None:
        from lsst.daf.butler import DatasetIdGenEnum

        modes = {
            "run": DatasetIdGenEnum.DATAID_TYPE_RUN,
            "type": DatasetIdGenEnum.DATAID_TYPE,
            "unique": DatasetIdGenEnum.UNIQUE,
        }
        self._butler = butler
        self._run = run
        self._direct = transfer == "direct"
        self._preparation = Preparation(butler)
        self._stored = StoredFiles(butler, run, transfer, modes[ids])
        self._linked = LinkedFiles(butler, run, modes[ids])

    def register(self, files: Sequence[FileToRegister]) -> Outcome:
        """Register some files."""
        fit, failed = self._preparation.prepare(files)
        outcome = Outcome(failed=tuple(failed))
        return outcome + self._write_group(fit) if fit else outcome

    def _writer(self, group: Sequence[Prepared]) -> LinkedFiles | StoredFiles:
        return self._linked if self._direct and self._linked.can_write(group) else self._stored

    def _write_group(self, group: Sequence[Prepared]) -> Outcome:
        """Register files in one transaction, trying again when others were quicker."""
        from lsst.daf.butler.registry import ConflictingDefinitionError
        from sqlalchemy.exc import DBAPIError, IntegrityError

        refusal: Exception | None = None
        writer = self._writer(group)
        for _ in range(_ATTEMPTS):
            new, outcome = sort_out(self._butler, group, self._run, writer.compare)
            if not new:
                return outcome
            try:
                writer.write(new)
            except (ConflictingDefinitionError, IntegrityError) as error:
                # Another writer claimed one of them since we looked: look again.
                refusal = error
                continue
            except DBAPIError as error:
                if not _passes(error):
                    raise self._failure(error) from error
                refusal = error
                continue
            except Exception as error:  # noqa: BLE001 - whatever a file can do; the others must not suffer
                return outcome + self._divide(new, error)
            return outcome + Outcome(registered=tuple(file.file for file in new))
        if isinstance(refusal, DBAPIError) and not isinstance(refusal, IntegrityError):
            raise self._failure(refusal) from refusal
        return self._divide(group, refusal)

    def _failure(self, error: Any) -> DatabaseUnreachableError:
        # Not the fault of any file: go no further.
        return DatabaseUnreachableError(
            f"The registry failed during ingest: {error.orig}",
            where=self._run,
            hint="Files reported before are ingested. Ingest again to complete.",
        )

    def _divide(self, group: Sequence[Prepared], error: Exception | None) -> Outcome:
        """Find the file that a group failed of, by halves."""
        if len(group) > 1:
            middle = len(group) // 2
            return self._write_group(group[:middle]) + self._write_group(group[middle:])
        (one,) = group
        failure = error
        if not isinstance(failure, IngestError):
            failure = IngestError(
                f"The file could not be ingested: {type(error).__name__}: {error}",
                where=one.uri,
                hint="Nothing of it was kept. Ingest it again when the cause is gone.",
            )
            failure.__cause__ = error
        return Outcome(failed=((one.file, failure),))


def _passes(error: Any) -> bool:
    """Tell whether a database's complaint is of two writers in each other's way."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return "locked" in str(error.orig)
    # Deadlock detected; serialization failure.
    return getattr(error.orig, "pgcode", None) in {"40P01", "40001"}
