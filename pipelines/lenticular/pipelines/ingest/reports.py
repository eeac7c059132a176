"""What an ingest, or a definition of visits, did: to be looked at by a person."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenticular.butler.errors import DataError, IngestError

__all__ = ["IngestReport", "Progress", "VisitReport"]

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_SHOWN = 10


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
        rows = [(file, error.what, error.hint or "") for file, error in self.failed]
        return _html(f"Ingest: {self}", ("file", "reason", "what to do"), rows)


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
        rows = [(str(exposure), error.what, error.hint or "") for exposure, error in self.failed]
        return _html(str(self), ("exposure", "reason", "what to do"), rows)


def _html(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a title and, if there are rows, the first of them as a table."""
    parts = [f"<p><b>{html.escape(title)}</b></p>"]
    if rows:
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows[:_SHOWN]
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    if len(rows) > _SHOWN:
        parts.append(f"<p>and {len(rows) - _SHOWN} more</p>")
    return "".join(parts)
