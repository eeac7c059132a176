"""What is to be registered, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.display import display, pairs, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsst.daf.butler import DatasetType, DimensionRecord
    from lsst.resources import ResourcePath

    from lenticular.butler.errors import IngestError

__all__ = ["TRANSFER_MODES", "FileToRegister", "Outcome", "Progress", "RegistrationReport"]

TRANSFER_MODES = ("auto", "copy", "move", "link", "hardlink", "symlink", "relsymlink", "direct")
"""How files may get into the datastore; ``direct`` leaves them where they are."""

_SHOWN = 10

type Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 if unknown)."""


@dataclass(frozen=True, slots=True)
class FileToRegister:
    """A file, and the datasets that it holds."""

    path: str | ResourcePath
    """Path or URI."""

    dataset_type: str | DatasetType
    """Dataset type; one given by name must be registered."""

    data_ids: tuple[Mapping[str, Any], ...]
    """Data ID of each of its datasets; mostly one."""

    formatter: Any = None
    """Class that reads it, or its name; that of the datastore's configuration by default."""

    records: tuple[DimensionRecord, ...] = ()
    """Dimension records that are inserted with its datasets, unless they are there."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some files; both are in the order in which they were given."""

    registered: tuple[FileToRegister, ...] = ()
    """Files whose datasets are registered now."""

    skipped: tuple[FileToRegister, ...] = ()
    """Files that were registered before, and are the same."""

    failed: tuple[tuple[FileToRegister, IngestError], ...] = ()
    """Files that could not be registered, each with the reason."""

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.registered + other.registered, self.skipped + other.skipped, self.failed + other.failed
        )

    def __len__(self) -> int:
        return len(self.registered) + len(self.skipped) + len(self.failed)


@dataclass(frozen=True, slots=True)
class RegistrationReport:
    """What `lenticular.butler.registration.register_files` did."""

    registered: int = 0
    """Number of files whose datasets are registered now."""

    skipped: int = 0
    """Number of files that were registered before, and are the same."""

    failed: tuple[tuple[str, IngestError], ...] = ()
    """Files that could not be registered, each with the reason."""

    cancelled: bool = False
    """Whether it was stopped before the last file."""

    def __add__(self, other: RegistrationReport) -> RegistrationReport:
        return RegistrationReport(
            self.registered + other.registered,
            self.skipped + other.skipped,
            self.failed + other.failed,
            cancelled=self.cancelled or other.cancelled,
        )

    def __str__(self) -> str:
        stopped = "; stopped before the end" if self.cancelled else ""
        return f"{self.registered} registered, {self.skipped} skipped, {len(self.failed)} failed{stopped}"

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
        facts = pairs([("registered", self.registered), ("skipped", self.skipped)])
        shown = [(file, error.what, error.hint) for file, error in self.failed[:_SHOWN]]
        table = rows(("file", "reason", "what to do"), shown, total=len(self.failed)) if shown else facts
        return display("Registration", str(self), *((facts, table) if shown else (facts,)))
