"""What the task ``isr`` reads and writes, and what can be set about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsst.pex.config import ChoiceField, Field, FieldValidationError, ListField, RangeField
from lsst.pipe.base import PipelineTaskConfig, PipelineTaskConnections
from lsst.pipe.base import connectionTypes as cT

if TYPE_CHECKING:
    from typing import Any

__all__ = ["IsrConfig", "IsrConnections"]

_EXPOSURE = ("instrument", "exposure", "detector")
_DETECTOR = ("instrument", "detector")


class IsrConnections(PipelineTaskConnections, dimensions=_EXPOSURE):
    """Datasets of the task ``isr``; a correction that is switched off asks for none."""

    ccdExposure = cT.Input(
        name="raw", storageClass="RawImage", dimensions=_EXPOSURE, doc="Raw image with overscans, adu."
    )
    camera = cT.PrerequisiteInput(
        name="camera",
        storageClass="CameraModel",
        dimensions=("instrument",),
        isCalibration=True,
        doc="Geometry of the detectors and the sections of their amplifiers.",
    )
    bias = cT.PrerequisiteInput(
        name="bias",
        storageClass="ImageV2",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Pattern that stays after the overscan is subtracted, adu.",
    )
    crosstalk = cT.PrerequisiteInput(
        name="crosstalk",
        storageClass="Crosstalk",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Coupling of the amplifiers.",
    )
    ptc = cT.PrerequisiteInput(
        name="ptc",
        storageClass="PhotonTransfer",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Gain, read noise and full well of the amplifiers.",
    )
    linearizer = cT.PrerequisiteInput(
        name="linearizer",
        storageClass="Linearity",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Non-linearity of the amplifiers.",
    )
    dark = cT.PrerequisiteInput(
        name="dark",
        storageClass="ImageV2",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Dark current, electron/s.",
    )
    flat = cT.PrerequisiteInput(
        name="flat",
        storageClass="ImageV2",
        dimensions=(*_DETECTOR, "physical_filter"),
        isCalibration=True,
        doc="Relative response of the pixels, mean 1.",
    )
    defects = cT.PrerequisiteInput(
        name="defects",
        storageClass="MaskV2",
        dimensions=_DETECTOR,
        isCalibration=True,
        doc="Pixels that do not measure light (mask plane BAD).",
    )
    outputExposure = cT.Output(
        name="post_isr_image",
        storageClass="MaskedImageV2",
        dimensions=_EXPOSURE,
        doc="Image without the signature of the instrument, electron.",
    )
    outputStatistics = cT.Output(
        name="isr_statistics",
        storageClass="StructuredDataDict",
        dimensions=_EXPOSURE,
        doc="What was measured on the way, by amplifier and for the detector.",
    )

    def __init__(self, *, config: Any = None) -> None:
        super().__init__(config=config)
        for switch, connection in _CALIBRATION_OF.items():
            if not getattr(config, switch):
                delattr(self, connection)


_CALIBRATION_OF = {
    "doBias": "bias",
    "doCrosstalk": "crosstalk",
    "doPtc": "ptc",
    "doLinearize": "linearizer",
    "doDark": "dark",
    "doFlat": "flat",
    "doDefect": "defects",
}
"""The calibration that each switch asks for."""


class IsrConfig(PipelineTaskConfig, pipelineConnections=IsrConnections):
    """Configuration of the task ``isr``."""

    doBias = Field[bool](default=True, doc="Subtract the bias?")
    doCrosstalk = Field[bool](default=True, doc="Correct the crosstalk between amplifiers?")
    doPtc = Field[bool](
        default=True,
        doc="Take gain, read noise and full well from the photon transfer curve? "
        "Otherwise the camera's nominal values serve.",
    )
    doLinearize = Field[bool](default=True, doc="Correct the non-linearity of the amplifiers?")
    doDark = Field[bool](default=True, doc="Subtract the dark current?")
    doFlat = Field[bool](default=True, doc="Divide by the flat field?")
    doDefect = Field[bool](default=True, doc="Mask the defects?")
    doCosmicRay = Field[bool](
        default=True,
        doc="Find and interpolate cosmic rays? The PSF is not known yet: stars are spared by cosmicRayFwhm.",
    )
    doInterpolate = Field[bool](
        default=True, doc="Replace the pixels of interpolatedPlanes by their neighbours?"
    )

    overscanMethod = ChoiceField[str](
        default="row_mean",
        allowed={
            "row_mean": "Clipped mean of each row.",
            "row_median": "Median of each row: sturdier, with 1.6 times the variance.",
            "constant": "One value for the amplifier, where the offset does not drift.",
        },
        doc="How the electronic offset is estimated from the serial overscan.",
    )
    overscanSkipColumns = RangeField(
        dtype=int,
        default=0,
        min=0,
        max=64,
        inclusiveMax=True,
        doc="Overscan columns read first that are left out, beyond those that the camera leaves out. [pixel]",
    )
    adcMaximum = RangeField(
        dtype=int,
        default=65535,
        min=1,
        doc="Largest value of the converter: such pixels are saturated. [adu]",
    )
    saturationFraction = RangeField(
        dtype=float,
        default=0.95,
        min=0.1,
        max=1.0,
        inclusiveMax=True,
        doc="Share of the full well from which on a pixel is saturated.",
    )
    suspectFraction = RangeField(
        dtype=float,
        default=0.85,
        min=0.1,
        max=1.0,
        inclusiveMax=True,
        doc="Share of the full well from which on a pixel is suspect.",
    )
    growSaturation = RangeField(
        dtype=int, default=1, min=0, max=20, doc="How far to grow the saturated pixels. [pixel]"
    )
    maxSaturatedFraction = RangeField(
        dtype=float,
        default=0.5,
        min=0.0,
        max=1.0,
        inclusiveMax=True,
        doc="With more saturated pixels than this the exposure is called unprocessable.",
    )
    flatMinimum = RangeField(
        dtype=float, default=0.05, min=0.0, max=1.0, doc="Pixels of a smaller response are bad."
    )
    cosmicRayFwhm = RangeField(
        dtype=float,
        default=2.6,
        min=1.0,
        max=20.0,
        doc="Full width at half maximum of the sharpest star that can occur. [pixel]",
    )
    cosmicRaySigma = RangeField(
        dtype=float, default=6.0, min=3.0, max=100.0, doc="A hit stands this far above the sky. [sigma]"
    )
    cosmicRayMinimum = RangeField(
        dtype=float, default=60.0, min=0.0, doc="Smallest signal of a hit's brightest pixel. [electron]"
    )
    backgroundBlock = RangeField(
        dtype=int,
        default=64,
        min=8,
        max=1024,
        doc="Side of the blocks whose medians are the sky under cosmic rays. [pixel]",
    )
    interpolatedPlanes = ListField[str](
        default=["BAD", "COSMIC_RAY"],
        itemCheck=lambda plane: plane in {"BAD", "COSMIC_RAY", "SATURATED", "UNMASKED_NAN"},
        doc="Mask planes whose pixels are interpolated: BAD, COSMIC_RAY, SATURATED, UNMASKED_NAN.",
    )

    def validate(self) -> None:
        """Check that the switches and thresholds go together.

        Raises
        ------
        lsst.pex.config.FieldValidationError
            If they do not.
        """
        super().validate()
        if self.suspectFraction > self.saturationFraction:
            raise FieldValidationError(
                type(self).suspectFraction, self, "A suspect pixel must lie below a saturated one."
            )
