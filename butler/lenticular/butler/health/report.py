"""What was found in a repository, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lenticular.butler.display import Piece, display, grouped, pairs, rows, shown_size

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ArtifactCheck", "Finding", "HealthReport", "Severity", "Usage"]

_SHOWN = 20


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """Something is lost, or answers are wrong."""

    WARNING = "warning"
    """Something is in the way, or costs space."""

    NOTE = "note"
    """Often meant to be so."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a repository's owner should know."""

    check: str
    """Short name of what was looked at, such as ``missing-artifacts``."""

    severity: Severity
    what: str
    """What was found, as one sentence without a final stop."""

    count: int
    """How many there are."""

    examples: tuple[str, ...] = ()
    """Some of them, or all."""

    hint: str = ""
    """What can be done."""

    def __str__(self) -> str:
        return f"{self.severity}: {self.what}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the datasets of a type in a run take up."""

    dataset_type: str
    run: str
    datasets: int
    """Datasets in the registry."""

    stored: int
    """Datasets of which a datastore has a record."""

    files: int
    """Files that hold them; a file with several datasets counts once."""

    bytes: int
    """Size of these files, as far as the datastore wrote it down."""


@dataclass(frozen=True, slots=True)
class ArtifactCheck:
    """How the files were looked at, and what came out."""

    mode: str
    """``all``, ``sample`` or ``none``."""

    records: int
    """Files that the datastores know of."""

    looked_at: int
    """Files that were looked for."""

    missing: int
    """Those not there."""

    mismatched: int
    """Those of another size than the datastore wrote down."""

    unknown: int = 0
    """Those of which the store did not say anything."""

    listed: bool = False
    """Whether the stores were listed as well, so that files without records were seen."""

    missing_fraction: tuple[float, float] = (0.0, 0.0)
    """Between which fractions of all files are missing, with `confidence`."""

    confidence: float = 1.0
    """Probability that the fraction is within these bounds; 1 if all were looked at."""

    def __str__(self) -> str:
        if self.mode == "none" or not self.records:
            return "No file was looked at" if self.records else "There are no files to look for"
        looked = f"{grouped(self.looked_at)} of {grouped(self.records)} files were looked for"
        found = f"{grouped(self.missing)} missing, {grouped(self.mismatched)} of another size"
        if self.unknown:
            found += f", {grouped(self.unknown)} without an answer"
        if self.looked_at >= self.records:
            return f"{looked}: {found}"
        low, high = (f"{100 * end:.3g} %" for end in self.missing_fraction)
        bound = f"at most {high}" if not self.missing else f"{low} to {high}"
        return f"{looked}: {found}; of all, {bound} are missing ({100 * self.confidence:g} % confidence)"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Whether a repository is whole, and how large it is."""

    repository: str
    findings: tuple[Finding, ...]
    """What was found, the worst first."""

    usage: tuple[Usage, ...]
    """What each dataset type takes up in each run, the largest first."""

    bytes: int
    """Size of all files, each counted once."""

    files: int
    """Number of all files, each counted once."""

    artifacts: ArtifactCheck

    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """Addresses of all files concerned, by the finding's `Finding.check`."""

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is worse than a note."""
        return all(finding.severity is Severity.NOTE for finding in self.findings)

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of a severity."""
        return tuple(finding for finding in self.findings if finding.severity is severity)

    def by_dataset_type(self) -> tuple[Usage, ...]:
        """Return what each dataset type takes up in all runs together, the largest first."""
        sums: dict[str, list[int]] = {}
        for one in self.usage:
            numbers = sums.setdefault(one.dataset_type, [0, 0, 0, 0])
            own = (one.datasets, one.stored, one.files, one.bytes)
            sums[one.dataset_type] = [a + b for a, b in zip(numbers, own, strict=True)]
        made = [Usage(name, "*", *numbers) for name, numbers in sums.items()]
        return tuple(sorted(made, key=lambda one: (-one.bytes, one.dataset_type)))

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can have it."""
        return {
            "repository": self.repository,
            "healthy": self.is_healthy,
            "bytes": self.bytes,
            "files": self.files,
            "artifacts": asdict(self.artifacts),
            "findings": [asdict(finding) for finding in self.findings],
            "usage": [asdict(one) for one in self.usage],
        }

    def __str__(self) -> str:
        numbers = {severity: len(self.of(severity)) for severity in Severity}
        told = ", ".join(f"{n} {severity}{'s' if n > 1 else ''}" for severity, n in numbers.items() if n)
        return f"{self.repository}: {told or 'nothing to report'}"

    def _repr_html_(self) -> str:
        found = [(one.severity, one.what, ", ".join(one.examples[:3]), one.hint) for one in self.findings]
        kinds = self.by_dataset_type()
        lines = [(one.dataset_type, one.datasets, one.files, shown_size(one.bytes)) for one in kinds]
        sizes = [("files", grouped(self.files)), ("size", shown_size(self.bytes))]
        return display(
            "Health",
            self.repository,
            pairs([*sizes, ("artifacts", str(self.artifacts))]),
            rows(("", "found", "such as", "what to do"), found)
            if found
            else Piece("<p>Nothing to report.</p>"),
            rows(("dataset type", "datasets", "files", "size"), lines[:_SHOWN], total=len(lines)),
        )
