"""Calibration exposures of one detector, reduced as far as its calibrations are known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.detector_effects import linearize, subtract_dark, to_electrons
from lenticular.pipelines.algorithms.readout import read_detector, undo_crosstalk

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import FloatImage
    from lenticular.pipelines.calibration import Crosstalk, Linearity, PhotonTransfer
    from lenticular.pipelines.camera import DetectorModel

__all__ = ["CalibrationFrame", "DetectorCalibration"]


@dataclass(frozen=True, slots=True)
class CalibrationFrame:
    """One detector of one exposure, to be read when it is needed."""

    exposure: int
    """Exposure ID."""

    kind: str
    """``bias``, ``dark``, ``flat`` or ``science``."""

    physical_filter: str
    """Filter in the beam."""

    exposure_time: float
    """Time that the shutter was open, s."""

    dark_time: float
    """Time since the detector was cleared, s."""

    load: Callable[[], npt.NDArray[Any]] = field(repr=False)
    """Returns the raw image, adu, shape ``DetectorModel.raw_shape``."""


@dataclass(slots=True)
class DetectorCalibration:
    """What is known about a detector so far; it grows while products are measured."""

    instrument: str
    """Short name of the instrument."""

    detector: DetectorModel
    """Geometry and nominal values."""

    bias: FloatImage | None = None
    """adu."""

    crosstalk: Crosstalk | None = None
    """Coupling of the amplifiers."""

    transfer: PhotonTransfer | None = None
    """Gain, read noise, full well."""

    linearity: Linearity | None = None
    """Non-linearity."""

    dark: FloatImage | None = None
    """electron/s."""

    noise: list[float] = field(default_factory=list)
    """Standard deviation of the overscan of each amplifier, adu."""

    full_wells: list[float | None] = field(default_factory=list)
    """Full well of each amplifier as saturated stars show it, adu; none if they do not."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the amplifiers."""
        return tuple(amplifier.name for amplifier in self.detector.amplifiers)

    def adu(self, frame: CalibrationFrame) -> FloatImage:
        """Return a frame without offset, bias and crosstalk, as far as they are known, adu."""
        image = read_detector(frame.load(), self.detector).image
        if self.bias is not None:
            image -= self.bias
        if self.crosstalk is not None:
            undo_crosstalk(image, self.detector, self.crosstalk.as_array())
        return image

    def electrons(self, frame: CalibrationFrame) -> FloatImage:
        """Return a frame in linear electrons, without dark current if that is known."""
        if self.transfer is None or self.linearity is None:
            raise MeasurementError(
                "the photon transfer curve has not been measured yet",
                hint="Measure it before darks and flats",
            )
        image = self.adu(frame)
        for k, amplifier in enumerate(self.detector.amplifiers):
            part = image[amplifier.bbox.slices]
            to_electrons(part, self.transfer.gain[k])
            linearize(part, self.linearity.coefficient[k])
        if self.dark is not None:
            subtract_dark(image, self.dark, frame.dark_time)
        return image
