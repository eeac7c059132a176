"""What the task ``calibrateImage`` reads and writes, and what can be set about it."""

from __future__ import annotations

from lsst.pex.config import ChoiceField, Field, FieldValidationError, ListField, RangeField
from lsst.pipe.base import PipelineTaskConfig, PipelineTaskConnections
from lsst.pipe.base import connectionTypes as cT

__all__ = ["CalibrateImageConfig", "CalibrateImageConnections"]

_EXPOSURE = ("instrument", "exposure", "detector")
_VISIT = ("instrument", "visit", "detector")


class CalibrateImageConnections(PipelineTaskConnections, dimensions=_VISIT):
    """Datasets of the task ``calibrateImage``."""

    exposures = cT.Input(
        name="post_isr_image",
        storageClass="MaskedImageV2",
        dimensions=_EXPOSURE,
        multiple=True,
        doc="Image without the signature of the instrument, electron; one per visit.",
    )
    camera = cT.PrerequisiteInput(
        name="camera",
        storageClass="CameraModel",
        dimensions=("instrument",),
        isCalibration=True,
        doc="Geometry of the detectors and the sections of their amplifiers.",
    )
    ref_cat = cT.PrerequisiteInput(
        name="cerro_refcat",
        storageClass="ArrowAstropy",
        dimensions=("skypix",),
        multiple=True,
        deferLoad=True,
        doc="Reference catalogue: id, ra, dec [deg], BAND_flux and BAND_fluxErr [nJy].",
    )
    exposure = cT.Output(
        name="preliminary_visit_image",
        storageClass="VisitImage",
        dimensions=_VISIT,
        doc="Calibrated, background-subtracted image, nJy.",
    )
    stars = cT.Output(
        name="single_visit_star_unstandardized",
        storageClass="ArrowAstropy",
        dimensions=_VISIT,
        doc="All sources, measured as stars and in apertures.",
    )
    astrometry_matches = cT.Output(
        name="initial_astrometry_match_detector",
        storageClass="ArrowAstropy",
        dimensions=_VISIT,
        doc="Sources matched with the reference catalogue, and their residuals.",
    )
    metrics = cT.Output(
        name="calibrate_image_metrics",
        storageClass="MetricBundle",
        dimensions=_VISIT,
        doc="Metrics of the calibration.",
    )


class CalibrateImageConfig(PipelineTaskConfig, pipelineConnections=CalibrateImageConnections):
    """Configuration of the task ``calibrateImage``."""

    maskedPlanes = ListField[str](
        default=["BAD", "SATURATED", "COSMIC_RAY", "NO_DATA", "UNMASKED_NAN", "INTERPOLATED"],
        doc="Mask planes whose pixels take no part in any fit.",
    )
    backgroundMesh = RangeField(
        dtype=int, default=128, min=16, max=2048, doc="Side of a cell of the background's mesh. [pixel]"
    )
    initialPsfFwhm = RangeField(
        dtype=float,
        default=4.0,
        min=1.0,
        max=30.0,
        doc="Full width at half maximum with which the first, bright stars are sought. [pixel]",
    )
    psfDetectionThreshold = RangeField(
        dtype=float,
        default=10.0,
        min=3.0,
        max=1000.0,
        doc="Least signal to noise of sources that may be PSF stars.",
    )
    psfModel = ChoiceField[str](
        default="pixelgrid",
        allowed={
            "pixelgrid": "A grid of pixels under a Lanczos interpolant: follows any profile.",
            "moffat": "An elliptical Moffat profile: needs fewer stars, and is wrong for other profiles.",
        },
        doc="Profile of the point-spread function (Piff).",
    )
    psfOrder = RangeField(
        dtype=int,
        default=2,
        min=0,
        max=4,
        inclusiveMax=True,
        doc="Order of the polynomial by which the point-spread function changes over the detector. "
        "It is lowered until there are four stars per coefficient.",
    )
    psfMoffatBeta = RangeField(
        dtype=float, default=3.5, min=1.1, max=10.0, doc="Exponent of the Moffat profile."
    )
    psfMinSignalToNoise = RangeField(
        dtype=float, default=30.0, min=5.0, max=1e4, doc="Least signal to noise of PSF stars."
    )
    psfMaxStars = RangeField(dtype=int, default=80, min=6, max=1000, doc="Largest number of PSF stars.")
    psfStampSize = RangeField(
        dtype=int,
        default=27,
        min=15,
        max=101,
        doc="Side of the stamps of the point-spread function; odd. [pixel]",
    )
    doCosmicRay = Field[bool](
        default=True, doc="Look for cosmic rays once more, with the fitted point-spread function?"
    )
    cosmicRaySigma = RangeField(
        dtype=float, default=6.0, min=3.0, max=100.0, doc="A hit stands this far above the sky. [sigma]"
    )
    detectionThreshold = RangeField(
        dtype=float, default=5.0, min=2.0, max=1000.0, doc="Least signal to noise of a source."
    )
    doFindHidden = Field[bool](
        default=True, doc="Search a second time, with the sources of the first subtracted?"
    )
    apertureRadii = ListField[float](
        default=[3.0, 6.0, 9.0, 12.0],
        minLength=1,
        itemCheck=lambda radius: radius > 0,
        doc="Radii of the apertures, ascending. The zero point is that of the last. [pixel]",
    )
    apertureCorrectionMinSignalToNoise = RangeField(
        dtype=float,
        default=60.0,
        min=5.0,
        max=1e5,
        doc="Least signal to noise of stars for the aperture correction.",
    )
    apertureCorrectionOrder = RangeField(
        dtype=int,
        default=1,
        min=0,
        max=3,
        inclusiveMax=True,
        doc="Order of the aperture correction in position.",
    )
    astrometryMinSignalToNoise = RangeField(
        dtype=float,
        default=15.0,
        min=3.0,
        max=1e4,
        doc="Least signal to noise of sources to match with references.",
    )
    astrometryMaxOffset = RangeField(
        dtype=float, default=80.0, min=1.0, max=2000.0, doc="Largest error of the nominal pointing. [pixel]"
    )
    astrometryMaxDegree = RangeField(
        dtype=int,
        default=3,
        min=1,
        max=5,
        inclusiveMax=True,
        doc="Highest degree of the polynomial that corrects the nominal distortion; the data choose.",
    )
    astrometryMinMatches = RangeField(
        dtype=int, default=10, min=6, max=1000, doc="With fewer matches the field counts as not matched."
    )
    photometryMinSignalToNoise = RangeField(
        dtype=float, default=40.0, min=5.0, max=1e4, doc="Least signal to noise of stars for the zero point."
    )

    def validate(self) -> None:
        """Check that the values go together.

        Raises
        ------
        lsst.pex.config.FieldValidationError
            If they do not.
        """
        super().validate()
        radii = list(self.apertureRadii)
        if sorted(set(radii)) != radii:
            raise FieldValidationError(type(self).apertureRadii, self, "The radii must ascend.")
        if self.psfStampSize % 2 == 0:
            raise FieldValidationError(type(self).psfStampSize, self, "The stamp needs a middle pixel: odd.")
        if radii[-1] > (self.psfStampSize - 1) / 2 - 0.5:
            raise FieldValidationError(
                type(self).apertureRadii, self, "The largest aperture does not fit into psfStampSize."
            )
