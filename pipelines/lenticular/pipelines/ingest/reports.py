"""What an ingest, or a definition of visits, did: to be looked at by a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenticular.butler.display import display, rows

if TYPE_CHECKING:
    from lenticular.butler.errors import DataError, IngestError

__all__ = ["IngestReport", "Progress", "VisitReport"]

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_MOST = 10


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of each file given to `lenticular.pipelines.ingest.ingest_raws`."""

    ingested: tuple[str, ...] = ()
    """Files whose dataset was registered now, in order of exposure and detector."""

    skipped: tuple[str, ...] = ()
    """Files whose dataset had been registered before."""

    failed: tuple[tuple[str, IngestError], ...] = ()
    """Files that could not be registered, each with the reason."""

    exposures: tuple[tuple[str, int], ...] = field(default=())
    """Instrument and exposure identifier of everything ingested or skipped, in order."""

    def __add__(self, other: IngestReport) -> IngestReport:
        """Join two reports, as of two instruments."""
        return IngestReport(
            ingested=self.ingested + other.ingested,
            skipped=self.skipped + other.skipped,
            failed=self.failed + other.failed,
            exposures=tuple(sorted({*self.exposures, *other.exposures})),
        )

    def __str__(self) -> str:
        return f"{len(self.ingested)} ingested, {len(self.skipped)} skipped, {len(self.failed)} failed"

    def raise_for_failures(self) -> None:
        """Raise the first failure, if there is any.

        Raises
        ------
        lenticular.butler.errors.IngestError
            The error of the first file that failed.
        """
        for _, error in self.failed:
            raise error

    def _repr_html_(self) -> str:
        return _shown("Ingest", str(self), "file", self.failed)


@dataclass(frozen=True, slots=True)
class VisitReport:
    """What became of each exposure considered by `lenticular.pipelines.ingest.define_visits`."""

    defined: tuple[int, ...] = ()
    """Visits that are new, in order."""

    extended: tuple[int, ...] = ()
    """Visits that existed and now cover more detectors."""

    skipped: tuple[int, ...] = ()
    """Visits that were complete before."""

    failed: tuple[tuple[int, DataError], ...] = ()
    """Exposures for which no visit could be defined, each with the reason."""

    def __str__(self) -> str:
        return (
            f"{len(self.defined)} visits defined, {len(self.extended)} extended, "
            f"{len(self.skipped)} skipped, {len(self.failed)} failed"
        )

    def raise_for_failures(self) -> None:
        """Raise the first failure, if there is any.

        Raises
        ------
        lenticular.butler.errors.DataError
            The error of the first exposure that failed.
        """
        for _, error in self.failed:
            raise error

    def _repr_html_(self) -> str:
        return _shown("Visits", str(self), "exposure", self.failed)


def _shown(kind: str, summary: str, subject: str, failed: Sequence[tuple[object, DataError]]) -> str:
    """Return a report with the first of what failed as a table."""
    lines = [(str(one), error.what, error.hint or "") for one, error in failed[:_MOST]]
    table = [rows((subject, "reason", "what to do"), lines, total=len(failed))] if failed else []
    return display(kind, summary, *table)
