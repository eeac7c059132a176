"""Visits: exposures of the sky, with the regions by which they are joined to all else.

One exposure is one visit of the same number, the "one-to-one" visit system.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

from lsst.daf.butler import CollectionType
from lsst.pipe.base import Instrument
from lsst.sphgeom import ConvexPolygon

from lenticular.butler.errors import DataError, NotFoundError, ReadOnlyRepositoryError
from lenticular.pipelines.ingest.instruments import ONE_TO_ONE
from lenticular.pipelines.ingest.regions import HeaderRegions
from lenticular.pipelines.ingest.reports import VisitReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lsst.daf.butler import Butler, DimensionRecord

    from lenticular.pipelines.ingest.regions import RegionSource
    from lenticular.pipelines.ingest.reports import Progress

__all__ = ["define_visits"]

_GROUP = 100
"""Visits per transaction."""

_BATCH = 1000
"""How many exposures one query asks for."""

_SHARED = (
    "seq_num",
    "exposure_time",
    "target_name",
    "observation_reason",
    "science_program",
    "azimuth",
    "zenith_angle",
    "timespan",
)
"""Fields that a visit takes over from its exposure."""


def define_visits(
    butler: Butler,
    *,
    instrument: Instrument | str,
    exposures: Iterable[int] | None = None,
    collections: Sequence[str] | str | None = None,
    regions: RegionSource | None = None,
    observation_types: Sequence[str] = ("science",),
    progress: Progress | None = None,
    on_written: Callable[[], None] | None = None,
) -> VisitReport:
    """Define the visits of exposures that have none, and complete those that lack detectors.

    Parameters
    ----------
    butler
        The repository, open for writing.
    instrument
        The instrument, or its short name.
    exposures
        Exposure IDs to consider; all of the instrument by default.
    collections
        Where the raws are, for the default of ``regions``; by default every
        run that holds some.
    regions
        Knows where each detector looked; by default the headers of the raws
        are asked. For a camera whose geometry is known use
        `lenticular.pipelines.ingest.regions.CameraRegions`.
    observation_types
        Exposures of other types get no visit.
    progress
        Called with what is done, how much is done, and how much there is.
    on_written
        Called once at the end if anything was written.

    Returns
    -------
    VisitReport
        What became of each exposure; those of other observation types are
        not mentioned.

    Raises
    ------
    lenticular.butler.errors.ReadOnlyRepositoryError
        If the repository was opened for reading.
    lenticular.butler.errors.NotFoundError
        If one of ``exposures`` does not exist.
    """
    if not butler.isWriteable():
        raise ReadOnlyRepositoryError(
            "Visits cannot be defined in a repository opened for reading", hint="Open it for writing."
        )
    name = instrument.getName() if isinstance(instrument, Instrument) else instrument
    records = [
        record
        for record in _exposures(butler, name, exposures)
        if record.observation_type in observation_types
    ]
    if regions is None:
        regions = HeaderRegions(butler, _raw_runs(butler) if collections is None else collections)
    existing = _existing(butler, name, [int(record.id) for record in records])
    incomplete, skipped = _incomplete(records, existing, regions)
    definitions: list[_Visit] = []
    failed: list[tuple[int, DataError]] = []
    for done, record in enumerate(incomplete, start=1):
        try:
            definitions.append(_Visit(record, regions(record), existing.get(int(record.id), frozenset())))
        except DataError as error:
            failed.append((int(record.id), error))
        if progress is not None:
            progress("find regions", done, len(incomplete))
    for group in batched(definitions, _GROUP, strict=False):
        _write(butler, group)
    if definitions and on_written is not None:
        on_written()
    return VisitReport(
        defined=tuple(visit.id for visit in definitions if not visit.known),
        extended=tuple(visit.id for visit in definitions if visit.known),
        skipped=tuple(skipped),
        failed=tuple(failed),
    )


@dataclass(frozen=True, slots=True)
class _Visit:
    """A visit to be written."""

    exposure: DimensionRecord
    """The exposure it consists of."""

    regions: Mapping[int, ConvexPolygon]
    """Region of each detector."""

    known: frozenset[int]
    """Detectors that the registry has a region for; none if it does not know the visit."""

    @property
    def id(self) -> int:
        """Visit ID, and exposure ID."""
        return int(self.exposure.id)

    @property
    def missing(self) -> tuple[int, ...]:
        """Detectors that the registry lacks."""
        return tuple(sorted(set(self.regions) - self.known))

    def region(self) -> ConvexPolygon:
        """Return the convex hull of all detectors."""
        corners = [corner for region in self.regions.values() for corner in region.getVertices()]
        return ConvexPolygon.convexHull(corners)


def _exposures(butler: Butler, instrument: str, ids: Iterable[int] | None) -> list[DimensionRecord]:
    """Return exposure records in order of their IDs."""
    if ids is None:
        found = butler.query_dimension_records("exposure", instrument=instrument, explain=False, limit=None)
        return sorted(found, key=lambda record: int(record.id))
    wanted = sorted(set(ids))
    records: list[DimensionRecord] = []
    for batch in batched(wanted, _BATCH, strict=False):
        records += butler.query_dimension_records(
            "exposure",
            where="exposure IN (ids)",
            bind={"ids": list(batch)},
            instrument=instrument,
            explain=False,
            limit=None,
        )
    missing = sorted(set(wanted) - {int(record.id) for record in records})
    if missing:
        raise NotFoundError(
            f"{len(missing)} exposures of {instrument} do not exist, the first is {missing[0]}",
            hint="Ingest their raws first.",
        )
    return sorted(records, key=lambda record: int(record.id))


def _raw_runs(butler: Butler) -> list[str]:
    """Return the runs that hold raws, sorted by name."""
    infos = butler.collections.query_info(
        "*", collection_types={CollectionType.RUN}, include_summary=True, summary_datasets=["raw"]
    )
    return sorted(info.name for info in infos if info.dataset_types)


def _existing(butler: Butler, instrument: str, ids: Sequence[int]) -> dict[int, frozenset[int]]:
    """Return the detectors with a region, of each of these visits that exists."""
    found: dict[int, set[int]] = {}
    for batch in batched(ids, _BATCH, strict=False):
        records = butler.query_dimension_records(
            "visit_detector_region",
            where="visit IN (ids)",
            bind={"ids": list(batch)},
            instrument=instrument,
            explain=False,
            limit=None,
        )
        for record in records:
            found.setdefault(int(record.visit), set()).add(int(record.detector))
    return {visit: frozenset(detectors) for visit, detectors in found.items()}


def _incomplete(
    records: Sequence[DimensionRecord], existing: Mapping[int, frozenset[int]], regions: RegionSource
) -> tuple[list[DimensionRecord], list[int]]:
    """Return the exposures whose visits lack a detector, and the IDs of those that are complete.

    For the complete ones no region is asked for, and so no header read.
    """
    known = [record for record in records if int(record.id) in existing]
    wanted = regions.detectors(known) if known else {}
    complete = [
        int(record.id)
        for record in known
        if wanted.get(int(record.id), frozenset()) <= existing[int(record.id)]
    ]
    done = frozenset(complete)
    return [record for record in records if int(record.id) not in done], complete


def _write(butler: Butler, visits: Sequence[_Visit]) -> None:
    """Insert visits with all that belongs to them, or nothing."""
    universe, registry = butler.dimensions, butler.registry
    instrument = str(visits[0].exposure.instrument)
    visit_class = universe["visit"].RecordClass
    new = [visit for visit in visits if not visit.known]
    with butler.transaction():
        registry.insertDimensionData(
            "visit", *(_record(visit, visit_class) for visit in new), skip_existing=True
        )
        for visit in visits:
            if visit.known:
                registry.syncDimensionData("visit", _record(visit, visit_class), update=True)
        registry.insertDimensionData(
            "visit_definition",
            *({"instrument": instrument, "exposure": visit.id, "visit": visit.id} for visit in new),
            skip_existing=True,
        )
        registry.insertDimensionData(
            "visit_system_membership",
            *({"instrument": instrument, "visit": visit.id, "visit_system": ONE_TO_ONE} for visit in new),
            skip_existing=True,
        )
        registry.insertDimensionData(
            "visit_detector_region",
            *(
                {
                    "instrument": instrument,
                    "visit": visit.id,
                    "detector": detector,
                    "region": visit.regions[detector],
                }
                for visit in visits
                for detector in visit.missing
            ),
            skip_existing=True,
        )


def _record(visit: _Visit, record_class: type[DimensionRecord]) -> DimensionRecord:
    """Return the visit record of an exposure."""
    exposure = visit.exposure
    return record_class(
        instrument=exposure.instrument,
        id=visit.id,
        name=exposure.obs_id,
        physical_filter=exposure.physical_filter,
        day_obs=exposure.day_obs,
        region=visit.region(),
        **{field: getattr(exposure, field) for field in _SHARED},
    )
