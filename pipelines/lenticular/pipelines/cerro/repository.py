"""A repository filled with the survey cerro, ready to be reduced.

Every step looks at what is there first, so that `populate` completes what an
interrupted run of it began, and changes nothing when all is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from lsst.daf.butler import CollectionType, DatasetType, Timespan
from lsst.sphgeom import ConvexPolygon, HtmPixelization, LonLat

from lenticular.butler.errors import DataError
from lenticular.pipelines.calibrations import build_calibrations
from lenticular.pipelines.cerro.camera import BANDS
from lenticular.pipelines.cerro.exposures import simulate_survey
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.sky import FIELD_DEC, FIELD_RA, Kind, Sky
from lenticular.pipelines.cerro.streams import Stream, stream
from lenticular.pipelines.ingest.raws import ingest_raws
from lenticular.pipelines.ingest.regions import CameraRegions
from lenticular.pipelines.ingest.visits import define_visits
from lenticular.pipelines.refcat import (
    LEVEL,
    measured_references,
    overlapping_trixels,
    register_references,
    within_trixel,
)
from lenticular.pipelines.skymap import RUN as SKYMAP_RUN
from lenticular.pipelines.skymap import DiscreteSkyMap, register_skymap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from astropy.table import Table
    from lsst.daf.butler import Butler, DatasetRef

    from lenticular.pipelines.calibrations import CalibrationReport
    from lenticular.pipelines.camera import CameraModel
    from lenticular.pipelines.cerro.survey import SurveyPlan
    from lenticular.pipelines.ingest.reports import IngestReport, Progress, VisitReport

__all__ = [
    "REFCAT",
    "REFCAT_RUN",
    "SKYMAP",
    "SurveyReport",
    "populate",
    "reference_shard",
    "register_camera",
    "survey_skymap",
]

REFCAT = "cerro_refcat"
"""Dataset type of the reference catalogue."""

REFCAT_RUN = "refcats/cerro"
"""RUN collection of the reference catalogue."""

SKYMAP = "cerro_v1"
"""Name of the sky map."""

REFERENCE_LIMIT = 21.5
"""References are stars brighter than this in r [mag]."""

_PATCH = 1000
"""About how many pixels a side of a patch has."""

_FIELD_MARGIN = 0.005
"""By how much the sky map is larger than the visits of today [deg]."""


@dataclass(frozen=True, slots=True)
class SurveyReport:
    """What `populate` did, and what the repository now has."""

    ingest: IngestReport
    """What became of the raw files."""

    visits: VisitReport
    """What became of the exposures of the sky."""

    calibrations: CalibrationReport
    """What was built from the bias, dark and flat exposures."""

    n_references: int
    """Shards of the reference catalogue."""

    collection: str
    """Chain of all that a pipeline needs."""

    def __str__(self) -> str:
        return (
            f"{self.collection}: {self.ingest}; {self.visits}; "
            f"{len(self.calibrations.built)} calibrations built, {self.calibrations.n_kept} kept; "
            f"{self.n_references} reference shards"
        )

    def _repr_html_(self) -> str:
        collection, _, rest = str(self).partition(": ")
        return f"<p><b>{collection}</b>: {rest}</p>"


def populate(
    butler: Butler,
    folder: Path | str,
    plan: SurveyPlan,
    *,
    transfer: str = "copy",
    workers: int = 1,
    progress: Progress | None = None,
    on_written: Callable[[], None] | None = None,
) -> SurveyReport:
    """Fill a repository with a simulated survey and all that its reduction needs.

    Instrument, camera, raws, visits, sky map, calibrations, reference
    catalogue, and the chain ``CerroCam/defaults`` over them.

    Parameters
    ----------
    butler
        The repository, open for writing, with the configuration of
        `lenticular.pipelines.storage.repository_config`.
    folder
        Where the raw files are simulated. Those that are there are used.
    plan
        The survey.
    transfer
        How raw files get into the datastore.
    workers
        Processes that simulate.
    progress
        Called with what is done, how much is done, and how much there is.
    on_written
        Called after raws or visits were written, as to refresh the statistics
        of the database.

    Returns
    -------
    SurveyReport
        What was done.

    Raises
    ------
    lenticular.butler.errors.DataError
        If a raw cannot be ingested, or the repository's sky map is too small.
    lenticular.butler.errors.MeasurementError
        If the survey has too few calibration exposures.
    lenticular.butler.errors.ReadOnlyRepositoryError
        If the repository was opened for reading.
    """
    told = progress if progress is not None else _silent
    instrument = CerroCam()
    instrument.register(butler.registry)
    register_camera(butler, plan.camera)
    files = simulate_survey(
        plan, folder, workers=workers, progress=lambda done, total, _: told("simulate raws", done, total)
    )
    ingested = ingest_raws(
        butler, files, instrument=instrument, transfer=transfer, progress=told, on_written=on_written
    )
    ingested.raise_for_failures()
    regions = CameraRegions(_used(plan))
    visits = define_visits(
        butler,
        instrument=instrument,
        exposures=[exposure.id for exposure in plan.science],
        regions=regions,
        progress=told,
        on_written=on_written,
    )
    visits.raise_for_failures()
    calibrations = build_calibrations(
        butler,
        instrument,
        collections=instrument.makeDefaultRawIngestRunName(),
        output_run_prefix=instrument.makeCalibrationCollectionName(),
        calibration_collection=instrument.makeCalibrationCollectionName(),
        progress=told,
    )
    covered = _visit_regions(butler, instrument.getName())
    _ensure_skymap(butler, covered)
    references = register_references(
        butler,
        overlapping_trixels(covered),
        lambda trixel: reference_shard(plan.seed, trixel),
        dataset_type=REFCAT,
        run=REFCAT_RUN,
        progress=told,
    )
    chain = _chain(butler, instrument)
    return SurveyReport(ingested, visits, calibrations, len(references), chain)


def _silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def _used(plan: SurveyPlan) -> CameraModel:
    """Return the camera with only those detectors that the survey uses."""
    camera = plan.camera
    return camera.model_copy(
        update={"detectors": tuple(camera.detector(detector) for detector in plan.detector_ids)}
    )


def register_camera(butler: Butler, camera: CameraModel) -> DatasetRef:
    """Store the camera as a calibration valid for all time, unless that is done already.

    Parameters
    ----------
    butler
        The repository, open for writing; the instrument is registered.
    camera
        The camera.

    Returns
    -------
    lsst.daf.butler.DatasetRef
        The dataset ``camera``.

    Raises
    ------
    lenticular.butler.errors.DataError
        If another camera is stored, as of a survey with other detectors.
    """
    instrument = CerroCam()
    name, run = instrument.getName(), instrument.makeUnboundedCalibrationRunName()
    calibrations = instrument.makeCalibrationCollectionName()
    kind = DatasetType(
        "camera", ("instrument",), "CameraModel", universe=butler.dimensions, isCalibration=True
    )
    butler.registry.registerDatasetType(kind)
    butler.collections.register(run)
    butler.collections.register(calibrations, CollectionType.CALIBRATION)
    found = butler.find_dataset(kind, instrument=name, collections=run)
    if found is not None:
        if butler.get(found) != camera:
            raise DataError(
                "The repository holds another camera of this name",
                where=run,
                hint="Build this survey in a repository of its own.",
            )
        ref = found
    else:
        ref = butler.put(camera, kind, instrument=name, run=run)
    certified = butler.registry.queryDatasetAssociations(kind, collections=calibrations)
    if not any(association.ref == ref for association in certified):
        butler.registry.certify(calibrations, [ref], Timespan(None, None))
    return ref


def _visit_regions(butler: Butler, instrument: str) -> list[ConvexPolygon]:
    """Return the regions of all visits in the repository."""
    records = butler.query_dimension_records("visit", instrument=instrument, explain=False, limit=None)
    return [record.region for record in sorted(records, key=lambda record: int(record.id))]


def survey_skymap(regions: Iterable[ConvexPolygon], *, name: str = SKYMAP) -> DiscreteSkyMap:
    """Return a sky map about the centre of the field that covers some regions.

    Parameters
    ----------
    regions
        Regions of visits.
    name
        Name of the sky map.

    Returns
    -------
    DiscreteSkyMap
        Patches of about 1000 pixels, two along each side at least.
    """
    centre = LonLat.fromDegrees(FIELD_RA, FIELD_DEC)
    extent = 0.0
    for region in regions:
        for corner in region.getVertices():
            place = LonLat(corner)
            east = (place.getLon().asDegrees() - centre.getLon().asDegrees() + 180) % 360 - 180
            north = place.getLat().asDegrees() - centre.getLat().asDegrees()
            extent = max(extent, abs(north), abs(east * math.cos(place.getLat().asRadians())))
    radius = extent + _FIELD_MARGIN
    small = DiscreteSkyMap.covering(name, ra=FIELD_RA, dec=FIELD_DEC, radius=radius)
    n_patches = max(2, round(small.n_patches * small.patch_size / _PATCH))
    return DiscreteSkyMap.covering(name, ra=FIELD_RA, dec=FIELD_DEC, radius=radius, n_patches=n_patches)


def _ensure_skymap(butler: Butler, regions: list[ConvexPolygon]) -> None:
    """Register a sky map, or make sure that the one there is large enough."""
    found = butler.query_dimension_records("skymap", skymap=SKYMAP, explain=False)
    stored = (
        butler.query_datasets("skyMap", collections=SKYMAP_RUN, skymap=SKYMAP, explain=False) if found else []
    )
    skymap = butler.get(stored[0]) if stored else survey_skymap(regions)
    if not skymap.covers(regions):
        raise DataError(
            f"The sky map {SKYMAP} does not cover all visits",
            where=SKYMAP_RUN,
            hint="Build the larger survey in a repository of its own.",
        )
    register_skymap(butler, skymap)


def reference_shard(seed: int, trixel: int) -> Table:
    """Return the reference catalogue of a trixel, whole, wherever the survey looked.

    Parameters
    ----------
    seed
        Seed of the survey.
    trixel
        Trixel of level 7.

    Returns
    -------
    astropy.table.Table
        Stars brighter than `REFERENCE_LIMIT`, variable ones at their mean; see
        `lenticular.pipelines.refcat.measured_references`. The same for the
        same arguments.
    """
    circle = HtmPixelization(LEVEL).pixel(trixel).getBoundingCircle()
    centre = LonLat(circle.getCenter())
    sky = Sky.around(
        seed,
        centre.getLon().asDegrees(),
        centre.getLat().asDegrees(),
        circle.getOpeningAngle().asDegrees(),
    )
    stellar = np.isin(sky.table["kind"], (Kind.STAR, Kind.VARIABLE))
    stars = sky[stellar & (sky.table["r_mag"] < REFERENCE_LIMIT)]
    truth = within_trixel(trixel, stars.to_astropy())
    return measured_references(truth, BANDS, stream(seed, Stream.REFERENCES, trixel))


def _chain(butler: Butler, instrument: CerroCam) -> str:
    """Define the chain of all that a pipeline needs, and return its name."""
    chain = instrument.makeUmbrellaCollectionName()
    children = [
        instrument.makeDefaultRawIngestRunName(),
        instrument.makeCalibrationCollectionName(),
        REFCAT_RUN,
        SKYMAP_RUN,
    ]
    butler.collections.register(chain, CollectionType.CHAINED)
    if list(butler.collections.get_info(chain).children) != children:
        butler.collections.redefine_chain(chain, children)
    return chain
