"""Raw files into a repository, as often as one likes and by as many as like.

Ingesting is idempotent, and safe with several writers: each group of files is
one transaction, in which the datasets are claimed in the registry *before*
their files are touched. A second writer of the same files waits for the
first, finds them claimed, and reports them as there. The order matters: files
are transferred over what has their name, and a transaction that is undone
removes what it transferred, so that a writer who copied first and was refused
afterwards would take the other's files away.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import batched, groupby
from typing import TYPE_CHECKING

from lsst.daf.butler import DatasetIdGenEnum, DatasetRef, DatasetType, FileDataset
from lsst.daf.butler.registry import ConflictingDefinitionError
from lsst.pipe.base import Instrument
from sqlalchemy.exc import DBAPIError, IntegrityError

from lenticular.butler.errors import (
    ConfigError,
    DatabaseUnreachableError,
    IngestError,
    ReadOnlyRepositoryError,
)
from lenticular.pipelines.ingest.candidates import Candidate, Instruments, examine
from lenticular.pipelines.ingest.checks import RegistryChecks
from lenticular.pipelines.ingest.reports import IngestReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lsst.daf.butler import Butler
    from lsst.resources import ResourcePath, ResourcePathExpression

    from lenticular.pipelines.ingest.reports import Progress

__all__ = ["TRANSFER_MODES", "ingest_raws"]

TRANSFER_MODES = ("auto", "copy", "move", "link", "hardlink", "symlink", "relsymlink", "direct")
"""How files may get into the datastore."""

_GROUP = 64
"""Files per transaction: many enough to be quick, few enough not to keep other writers waiting."""

_ATTEMPTS = 5
"""How often a group is tried when other writers keep claiming parts of it."""


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
        for group in batched(accepted, _GROUP, strict=False):
            report += self._write_group(group)
            done += len(group)
            tell(done)
        return report

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

    def _write_group(self, group: Sequence[Candidate]) -> IngestReport:
        """Ingest a few files in one transaction, trying again when others were quicker."""
        refusal: Exception | None = None
        for _ in range(_ATTEMPTS):
            new, report = self._sort_out(group)
            if not new:
                return report
            try:
                self._claim_and_ingest(new)
            except (ConflictingDefinitionError, IntegrityError) as error:
                # Another writer claimed one of them since we looked: look again.
                refusal = error
                continue
            except DBAPIError as error:
                # Not the fault of any file: go no further.
                raise DatabaseUnreachableError(
                    f"The registry failed during ingest: {error.orig}",
                    where=self._run,
                    hint="Files reported before are ingested. Ingest again to complete.",
                ) from error
            except Exception as error:  # noqa: BLE001 - whatever a file can do; the others must not suffer
                return report + self._divide(new, error)
            written = tuple(str(candidate.uri) for candidate in new)
            return report + IngestReport(ingested=written, exposures=_exposures(new))
        return self._divide(group, refusal)

    def _divide(self, group: Sequence[Candidate], error: Exception | None) -> IngestReport:
        """Find the file that a group failed of, by halves."""
        if len(group) > 1:
            middle = len(group) // 2
            return self._write_group(group[:middle]) + self._write_group(group[middle:])
        (candidate,) = group
        failure = IngestError(
            f"The file could not be ingested: {type(error).__name__}: {error}",
            where=candidate.uri,
            hint="Nothing of it was kept. Ingest it again when the cause is gone.",
        )
        failure.__cause__ = error
        return IngestReport(failed=((str(candidate.uri), failure),))

    def _sort_out(self, group: Sequence[Candidate]) -> tuple[list[Candidate], IngestReport]:
        """Return the files that are not in the repository yet, and a report on the others."""
        known = self._known(group)
        lengths = _lengths(self._butler, list(known.values())) if known else {}
        new: list[Candidate] = []
        there: list[Candidate] = []
        failed: list[tuple[str, IngestError]] = []
        for candidate in group:
            refs = [known[key] for key in candidate.keys if key in known]
            if not refs:
                new.append(candidate)
                continue
            error = self._compare(candidate, refs, lengths[refs[0]])
            if error is None:
                there.append(candidate)
            else:
                failed.append((str(candidate.uri), error))
        skipped = tuple(str(candidate.uri) for candidate in there)
        return new, IngestReport(skipped=skipped, failed=tuple(failed), exposures=_exposures(there))

    def _compare(
        self, candidate: Candidate, refs: Sequence[DatasetRef], length: int | Exception
    ) -> IngestError | None:
        """Return what is wrong with a file whose datasets, some or all, are registered."""
        exposure, detector = candidate.keys[0]
        what = f"Exposure {exposure}, detector {detector} is registered"
        if isinstance(length, FileNotFoundError):
            return IngestError(
                f"{what}, but its file is gone",
                where=candidate.uri,
                hint=f"Prune that dataset from {self._run}, then ingest this file again.",
            )
        here = _length(candidate.uri)
        for place, answer in (("its file", length), ("the file to ingest", here)):
            if isinstance(answer, Exception):
                # No answer is no proof that anything is wrong with either.
                failure = IngestError(
                    f"{what}, but {place} cannot be looked at: {type(answer).__name__}: {answer}",
                    where=candidate.uri,
                    hint="Nothing was changed. Ingest again when the store answers.",
                )
                failure.__cause__ = answer
                return failure
        if len(refs) < len(candidate.keys) or length != here:
            return IngestError(
                f"{what} with another file",
                where=candidate.uri,
                hint=f"Prune that dataset from {self._run} first, or ingest into another run.",
            )
        return None

    def _known(self, group: Sequence[Candidate]) -> dict[tuple[int, int], DatasetRef]:
        """Return the datasets that the registry has for these files."""
        exposures = sorted({candidate.exposure_id for candidate in group})
        refs = self._butler.query_datasets(
            self._type,
            collections=self._run,
            find_first=False,
            where="exposure IN (ids)",
            bind={"ids": exposures},
            instrument=self._instrument.getName(),
            explain=False,
            limit=None,
        )
        return {(int(ref.dataId["exposure"]), int(ref.dataId["detector"])): ref for ref in refs}

    def _claim_and_ingest(self, candidates: Sequence[Candidate]) -> None:
        """Register exposures and datasets, then transfer the files, or do nothing."""
        name = self._instrument.getName()
        registry = self._butler.registry
        observations = [observation for candidate in candidates for observation in candidate.observations]
        with self._butler.transaction():
            for element in ("day_obs", "group", "exposure"):
                # Sorted, so that two writers lock the same rows in the same order.
                records = {record.dataId: record for record in (getattr(o, element) for o in observations)}
                registry.insertDimensionData(
                    element, *(records[data_id] for data_id in sorted(records)), skip_existing=True
                )
            refs = registry.insertDatasets(
                self._type,
                [
                    {"instrument": name, "exposure": o.exposure_id, "detector": o.detector}
                    for o in observations
                ],
                run=self._run,
                idGenerationMode=DatasetIdGenEnum.DATAID_TYPE_RUN,
            )
            by_key = {(int(ref.dataId["exposure"]), int(ref.dataId["detector"])): ref for ref in refs}
            datasets = [self._dataset(candidate, by_key) for candidate in candidates]
            self._butler.ingest(*datasets, transfer=self._transfer)

    def _dataset(self, candidate: Candidate, refs: dict[tuple[int, int], DatasetRef]) -> FileDataset:
        mine = [refs[key] for key in candidate.keys]
        formatter = self._instrument.getRawFormatter(mine[0].dataId)
        return FileDataset(path=candidate.uri, refs=mine, formatter=formatter)


def _exposures(candidates: Iterable[Candidate]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted({(candidate.instrument, candidate.exposure_id) for candidate in candidates}))


def _lengths(butler: Butler, refs: Sequence[DatasetRef]) -> dict[DatasetRef, int | Exception]:
    """Return the length of each dataset's file in bytes, or why it is not known."""
    # The registry is asked from this thread only; the store answers several
    # requests at a time.
    uris = [_place(butler, ref) for ref in refs]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(refs, pool.map(_length, uris), strict=True))


def _place(butler: Butler, ref: DatasetRef) -> ResourcePath | Exception:
    try:
        return butler.getURI(ref)
    except LookupError as error:
        # The datastore has no record of it.
        return FileNotFoundError(str(error))
    except OSError as error:
        return error


def _length(uri: ResourcePath | Exception) -> int | Exception:
    if isinstance(uri, Exception):
        return uri
    try:
        return uri.size()
    except Exception as error:  # noqa: BLE001 - each kind of store has errors of its own
        return error
