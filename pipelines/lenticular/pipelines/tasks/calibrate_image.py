"""The task ``calibrateImage``: from electrons to a calibrated image and its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lsst.pipe.base import AlgorithmError, NoWorkFound, PipelineTask, Struct
from lsst.utils.timer import timeMethod

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.background import estimate_background
from lenticular.pipelines.tasks.calibrate_image_config import (
    CalibrateImageConfig,
    CalibrateImageConnections,
)
from lenticular.pipelines.tasks.calibrate_image_data import Planes
from lenticular.pipelines.tasks.calibrate_image_solution import calibrate
from lenticular.pipelines.tasks.calibrate_image_steps import (
    find_cosmic_rays_with_psf,
    find_sources,
    measure_psf,
    measure_sources,
)
from lenticular.pipelines.tasks.star_table import match_table, star_table
from lenticular.pipelines.tasks.timing import timed
from lenticular.pipelines.tasks.visit_image import VisitFacts, assemble_visit_image, calibrated_mask
from lenticular.pipelines.tasks.visit_statistics import calibration_metrics, summary_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.table import Table
    from astropy.wcs import WCS
    from lsst.images import MaskedImage
    from lsst.pipe.base import InputQuantizedConnection, OutputQuantizedConnection, QuantumContext

    from lenticular.pipelines.camera import CameraModel
    from lenticular.pipelines.tasks.calibrate_image_data import Calibration, PsfResult, Sources

__all__ = [
    "CalibrateImageConfig",
    "CalibrateImageConnections",
    "CalibrateImageError",
    "CalibrateImageTask",
]


class CalibrateImageError(MeasurementError, AlgorithmError):
    """An image that cannot be calibrated.

    To the executors it is an `lsst.pipe.base.AlgorithmError`: to try again is
    of no use.
    """

    @property
    def metadata(self) -> dict[str, Any]:
        """What the metadata of the task says about the failure."""
        return {"what": self.what, "where": self.where or "", "hint": self.hint or ""}


class CalibrateImageTask(PipelineTask):
    """Calibrate one detector of one visit.

    Background, point-spread function, cosmic rays once more, sources, their
    fluxes and shapes, aperture correction, WCS, zero point; in this order.
    """

    ConfigClass: ClassVar[type[CalibrateImageConfig]] = CalibrateImageConfig
    _DefaultName: ClassVar[str] = "calibrateImage"
    config: CalibrateImageConfig

    def runQuantum(
        self,
        butlerQC: QuantumContext,
        inputRefs: InputQuantizedConnection,
        outputRefs: OutputQuantizedConnection,
    ) -> None:
        """Read the inputs, run, write the outputs."""
        data_id = butlerQC.quantum.dataId
        if data_id is None or data_id.records["visit"] is None:
            raise CalibrateImageError("The data ID has no visit record", where=data_id)
        facts = VisitFacts.from_data_id(data_id)
        if len(inputRefs.exposures) != 1:
            raise CalibrateImageError(
                f"The visit has {len(inputRefs.exposures)} exposures, one is needed",
                where=facts,
                hint="Visits of several snaps are not combined here.",
            )
        outputs = self.run(
            exposure=butlerQC.get(inputRefs.exposures[0]),
            camera=butlerQC.get(inputRefs.camera),
            references=[butlerQC.get(reference) for reference in inputRefs.ref_cat],
            facts=facts,
        )
        butlerQC.put(outputs, outputRefs)

    @timeMethod
    def run(
        self,
        *,
        exposure: MaskedImage,
        camera: CameraModel,
        references: Sequence[Any],
        facts: VisitFacts,
    ) -> Struct:
        """Calibrate one detector of one visit.

        Parameters
        ----------
        exposure
            Image without the signature of the instrument, electrons, with the
            nominal WCS. It is not changed.
        camera
            Geometry of the detectors.
        references
            Shards of the reference catalogue: tables, or handles that get
            them. Columns are ``id``, ``ra``, ``dec`` [deg], ``BAND_flux`` and
            ``BAND_fluxErr`` [nJy].
        facts
            What is known about the visit.

        Returns
        -------
        lsst.pipe.base.Struct
            ``exposure``, an `lsst.images.VisitImage` in nJy; ``stars`` and
            ``astrometry_matches``, tables; ``metrics``.

        Raises
        ------
        CalibrateImageError
            Raised if a step fails: the image, its stars or the references do
            not allow it.
        lsst.pipe.base.NoWorkFound
            Raised if no pixel of the image is usable.
        """
        try:
            return self._run(exposure, camera, references, facts)
        except MeasurementError as error:
            if isinstance(error, CalibrateImageError):
                raise
            where = f"{facts}, step {error.where}" if error.where else str(facts)
            raise CalibrateImageError(error.what, where=where, hint=error.hint) from error

    def _run(
        self, exposure: MaskedImage, camera: CameraModel, references: Sequence[Any], facts: VisitFacts
    ) -> Struct:
        seconds: dict[str, float] = {}
        try:
            return self._calibrate(exposure, camera, references, facts, seconds)
        finally:
            # A step that fails leaves its time behind, too.
            self.metadata["seconds"] = seconds

    def _calibrate(
        self,
        exposure: MaskedImage,
        camera: CameraModel,
        references: Sequence[Any],
        facts: VisitFacts,
        seconds: dict[str, float],
    ) -> Struct:
        config = self.config
        planes = self._planes(exposure, facts)
        nominal = _nominal_wcs(exposure)
        with timed(seconds, "references"):
            # First, for it is quick and without it all else is in vain.
            catalogue = _catalogue(references, facts)
        with timed(seconds, "background"):
            sky = estimate_background(planes.image, planes.unusable, mesh=config.backgroundMesh)
        with timed(seconds, "psf"):
            psf = measure_psf(planes, sky, config)
        n_cosmic_ray = 0
        if config.doCosmicRay:
            with timed(seconds, "cosmic_rays"):
                n_cosmic_ray = find_cosmic_rays_with_psf(planes, sky, psf, config)
        with timed(seconds, "sources"):
            detected = find_sources(planes, sky, psf, config)
        with timed(seconds, "measurement"):
            sources = measure_sources(planes, detected, psf, config)
        with timed(seconds, "calibration"):
            calibration = calibrate(
                planes,
                sources,
                catalogue,
                nominal=nominal,
                bbox=exposure.bbox,
                band=facts.band,
                fwhm=psf.fwhm,
                config=config,
            )
        with timed(seconds, "assembly"):
            outputs = self._assemble(
                exposure, planes, psf, sources, calibration, catalogue, camera=camera, facts=facts
            )
        counts = {
            "n_psf_star": len(psf.star_x),
            "n_cosmic_ray": n_cosmic_ray,
            "n_source": len(outputs.stars),
            "n_match": len(outputs.astrometry_matches),
        }
        self.metadata["counts"] = counts
        self.log.info("%s: %s; %r; %r", facts, counts, calibration.wcs_fit, calibration.zero_point)
        return outputs

    def _assemble(
        self,
        exposure: MaskedImage,
        planes: Planes,
        psf: PsfResult,
        sources: Sources,
        calibration: Calibration,
        catalogue: Table,
        *,
        camera: CameraModel,
        facts: VisitFacts,
    ) -> Struct:
        """Make the outputs from what was measured."""
        detected = sources.detected
        mask = calibrated_mask(exposure.mask, planes, detected)
        stars = star_table(
            planes,
            mask,
            sources,
            psf,
            calibration,
            visit=facts.visit,
            detector=facts.detector,
            band=facts.band,
            config=self.config,
        )
        matches = match_table(stars, catalogue, calibration, band=facts.band)
        summary = summary_statistics(planes, sources, psf, calibration, exposure_time=facts.exposure_time)
        image = assemble_visit_image(
            exposure, mask, planes, detected, psf, calibration, summary, camera=camera, facts=facts
        )
        metrics = calibration_metrics(summary, sources, psf, calibration, matches, identifier=str(facts))
        return Struct(exposure=image, stars=stars, astrometry_matches=matches, metrics=metrics)

    def _planes(self, exposure: MaskedImage, facts: VisitFacts) -> Planes:
        """Take the pixels out of the exposure."""
        mask = exposure.mask
        unusable = mask.get("SATURATED").copy()
        saturated = unusable.copy()
        for plane in self.config.maskedPlanes:
            if plane in mask.schema.names:
                unusable |= mask.get(plane)
        try:
            return Planes.make(exposure.image.array, exposure.variance.array, unusable, saturated)
        except MeasurementError as error:
            raise NoWorkFound(f"{facts}: {error}") from error


def _nominal_wcs(exposure: MaskedImage) -> WCS:
    """Take the WCS of the header."""
    projection = exposure.sky_projection
    wcs = None if projection is None else projection.as_fits_wcs(exposure.bbox)
    if wcs is None:
        raise MeasurementError(
            "The image has no nominal WCS in FITS form",
            where="astrometry",
            hint="Reduce it with isr from a raw whose header has one.",
        )
    return wcs


def _catalogue(references: Sequence[Any], facts: VisitFacts) -> Table:
    """Join the shards of the reference catalogue."""
    from astropy.table import vstack

    shards = [shard.get() if hasattr(shard, "dataId") else shard for shard in references]
    shards = [shard for shard in shards if len(shard)]
    if not shards:
        raise MeasurementError(
            "There is no reference in the field",
            where="reference catalogue",
            hint=f"Ingest the shards that {facts} overlaps.",
        )
    needed = ("id", "ra", "dec", f"{facts.band}_flux")
    if missing := [name for name in needed if any(name not in shard.colnames for shard in shards)]:
        raise MeasurementError(
            f"The reference catalogue has no column {', '.join(missing)}",
            where="reference catalogue",
            hint=f"It has {', '.join(shards[0].colnames)}.",
        )
    return vstack(shards, join_type="exact", metadata_conflicts="silent")
