"""Raw files into a repository, as often as one likes and by as many as like.

What raws have beyond other files is here: headers, instruments, and exposures.
That ingesting is idempotent and safe with several writers is the work of
`lenticular.butler.registration`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from lsst.daf.butler import DataCoordinate, DatasetType
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.pipe.base import Instrument

from lenticular.butler.errors import ConfigError, IngestError, ReadOnlyRepositoryError
from lenticular.butler.registration import TRANSFER_MODES, FileToRegister, register_batches
from lenticular.pipelines.ingest.candidates import Candidate, Instruments, examine
from lenticular.pipelines.ingest.checks import RegistryChecks
from lenticular.pipelines.ingest.reports import IngestReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lsst.daf.butler import Butler
    from lsst.resources import ResourcePathExpression

    from lenticular.butler.registration import Outcome
    from lenticular.pipelines.ingest.reports import Progress

__all__ = ["ingest_raws"]


def ingest_raws(
    butler: Butler,
    files: Iterable[ResourcePathExpression],
    *,
    instrument: Instrument | str | None = None,
    run: str | None = None,
    transfer: str = "copy",
    progress: Progress | None = None,
    on_written: Callable[[], None] | None = None,
) -> IngestReport:
    """Register raw files: their exposures, and a dataset for each detector.

    Works for every instrument that is registered in the repository and has a
    header translator in an installed package. CerroCam, DECam and HSC need not
    be registered: the first ingest does it.

    Parameters
    ----------
    butler
        The repository, open for writing.
    files
        Local files or URIs.
    instrument
        If given, files of other instruments fail.
    run
        RUN collection for the datasets; by default the instrument's own,
        ``{instrument}/raw/all``.
    transfer
        How the files get into the datastore, see `TRANSFER_MODES`; ``direct``
        leaves them where they are.
    progress
        Called with what is done, how much is done, and how much there is.
    on_written
        Called once at the end if anything was written, as to refresh the
        statistics of the database.

    Returns
    -------
    IngestReport
        What became of each file. Files that cannot be ingested are in
        ``failed``, and do not hold up the others.

    Raises
    ------
    lenticular.butler.errors.ReadOnlyRepositoryError
        If the repository was opened for reading.
    lenticular.butler.errors.ConfigError
        If there is no such mode of transfer.
    """
    if not butler.isWriteable():
        raise ReadOnlyRepositoryError(
            "Raws cannot be ingested into a repository opened for reading", hint="Open it for writing."
        )
    if transfer not in TRANSFER_MODES:
        raise ConfigError(
            f"No mode of transfer {transfer!r}", hint=f"Use one of {', '.join(TRANSFER_MODES)}."
        )
    told = progress if progress is not None else _silent
    expected = instrument.getName() if isinstance(instrument, Instrument) else instrument
    instruments = Instruments(butler)
    candidates, failed = examine(files, butler, instruments, expected=expected, progress=told)
    report = IngestReport(failed=tuple(failed))
    done = 0
    for name, members in groupby(candidates, key=lambda candidate: candidate.instrument):
        found = instrument if isinstance(instrument, Instrument) else instruments.get(name, name)
        instruments.ensure_registered(name)
        writer = _Writer(butler, found, run, transfer)

        def tell(count: int, before: int = done) -> None:
            told("ingest raws", before + count, len(candidates))

        part = writer.write(list(members), tell)
        done += len(part.ingested) + len(part.skipped) + len(part.failed)
        report += part
    if report.ingested and on_written is not None:
        on_written()
    return report


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


class _Writer:
    """Writes the raws of one instrument."""

    def __init__(self, butler: Butler, instrument: Instrument, run: str | None, transfer: str) -> None:
        self._butler = butler
        self._instrument = instrument
        self._run = run or instrument.makeDefaultRawIngestRunName()
        self._transfer = transfer
        name, dimensions, storage_class = instrument.raw_definition or (
            "raw",
            ("instrument", "exposure", "detector"),
            "RawImage",
        )
        self._type = DatasetType(name, dimensions, storage_class, universe=butler.dimensions)

    def write(self, candidates: list[Candidate], tell: Callable[[int], None]) -> IngestReport:
        """Ingest files, and report on them."""
        name = self._instrument.getName()
        self._prepare()
        checks = RegistryChecks(self._butler, name, candidates)
        accepted: list[Candidate] = []
        failed: list[tuple[str, IngestError]] = []
        for candidate in candidates:
            try:
                checks.check(candidate)
            except IngestError as error:
                failed.append((str(candidate.uri), error))
            else:
                accepted.append(candidate)
        report = IngestReport(failed=tuple(failed))
        done = len(failed)
        files = [self._file(candidate) for candidate in accepted]
        known = {id(file): candidate for file, candidate in zip(files, accepted, strict=True)}
        for outcome in register_batches(self._butler, files, run=self._run, transfer=self._transfer):
            report += _reported(outcome, known)
            done += len(outcome)
            tell(done)
        return report

    def _file(self, candidate: Candidate) -> FileToRegister:
        """Return what is to be registered of a file."""
        records: dict[Any, Any] = {}
        for observation in candidate.observations:
            for element in ("day_obs", "group", "exposure"):
                record = getattr(observation, element)
                records[record.dataId] = record
        data_ids: tuple[dict[str, int | str], ...] = tuple(
            {"instrument": o.instrument, "exposure": o.exposure_id, "detector": o.detector}
            for o in candidate.observations
        )
        reader = self._instrument.getRawFormatter(
            DataCoordinate.standardize(data_ids[0], universe=self._butler.dimensions)
        )
        return FileToRegister(candidate.uri, self._type, data_ids, reader, tuple(records.values()))

    def _prepare(self) -> None:
        """Register dataset type and collection, which no transaction may hold."""
        try:
            self._butler.registry.registerDatasetType(self._type)
            self._butler.collections.register(self._run)
        except ConflictingDefinitionError as error:
            raise IngestError(
                f"The repository defines the dataset type {self._type.name!r} otherwise: {error}",
                where=self._run,
                hint="Ingest with the instrument class that the repository was made with.",
            ) from error


def _reported(outcome: Outcome, candidates: Mapping[int, Candidate]) -> IngestReport:
    """Return what became of files in terms of exposures."""
    registered = [candidates[id(file)] for file in outcome.registered]
    skipped = [candidates[id(file)] for file in outcome.skipped]
    return IngestReport(
        ingested=tuple(str(candidate.uri) for candidate in registered),
        skipped=tuple(str(candidate.uri) for candidate in skipped),
        failed=tuple((str(file.path), error) for file, error in outcome.failed),
        exposures=tuple(sorted({(c.instrument, c.exposure_id) for c in (*registered, *skipped)})),
    )
