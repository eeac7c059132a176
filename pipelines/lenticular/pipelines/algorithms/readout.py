"""From a raw image to the pixels of a detector: its offset, its sections, its crosstalk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lenticular.pipelines.algorithms.arrays import require_shape
from lenticular.pipelines.algorithms.detector_effects import correct_crosstalk
from lenticular.pipelines.algorithms.overscan import Overscan, measure_overscan, subtract_overscan

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.camera import DetectorModel

__all__ = ["Readout", "dead_amplifiers", "read_detector", "undo_crosstalk"]


@dataclass(frozen=True, slots=True)
class Readout:
    """The trimmed pixels of a detector and what their overscans said."""

    image: npt.NDArray[np.float32]
    """Signal above the electronic offset, adu; shape (n_y, n_x)."""

    overscans: tuple[Overscan, ...]
    """One for each amplifier, in the camera's order."""

    clipped: npt.NDArray[np.bool_]
    """Pixels at the largest value of the converter, shape (n_y, n_x)."""


def read_detector(
    raw: npt.NDArray[Any],
    detector: DetectorModel,
    *,
    method: Literal["row_mean", "row_median", "constant"] = "row_mean",
    skip_columns: int = 0,
    n_sigma: float = 4.0,
    adu_maximum: int = 65535,
) -> Readout:
    """Subtract the overscan of every amplifier and put them together.

    Parameters
    ----------
    raw
        Raw image, adu; shape ``detector.raw_shape``.
    detector
        Where the sections of the amplifiers are.
    method, skip_columns, n_sigma
        As for `lenticular.pipelines.algorithms.overscan.measure_overscan`.
    adu_maximum
        Largest value of the converter.

    Returns
    -------
    Readout

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the raw has another shape than the camera says.
    """
    require_shape("the raw image", raw, detector.raw_shape)
    image = np.empty(detector.shape, np.float32)
    clipped = np.zeros(detector.shape, bool)
    overscans = []
    for amplifier in detector.amplifiers:
        # The columns are wanted in the order of their reading, to skip the first.
        serial = raw[amplifier.raw_serial_overscan_bbox.slices]
        if amplifier.readout_corner.endswith("R"):
            serial = serial[:, ::-1]
        overscan = measure_overscan(serial, method=method, skip_columns=skip_columns, n_sigma=n_sigma)
        data = raw[amplifier.raw_data_bbox.slices]
        image[amplifier.bbox.slices] = subtract_overscan(data, overscan)
        np.greater_equal(data, adu_maximum, out=clipped[amplifier.bbox.slices])
        overscans.append(overscan)
    return Readout(image, tuple(overscans), clipped)


def undo_crosstalk(image: FloatImage, detector: DetectorModel, matrix: npt.NDArray[Any]) -> None:
    """Correct the crosstalk of a trimmed image, in place.

    Parameters
    ----------
    image
        adu; shape (n_y, n_x).
    detector
        Where the amplifiers are, and the corner each is read from.
    matrix
        Victims in rows, sources in columns.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the amplifiers differ in size or the matrix does not fit.
    """
    amplifiers = detector.amplifiers
    views = [a.to_readout_order(image[a.bbox.slices]) for a in amplifiers]
    for view, corrected in zip(views, correct_crosstalk(views, matrix), strict=True):
        view[...] = corrected


def dead_amplifiers(readout: Readout, detector: DetectorModel) -> BoolImage:
    """Return the pixels of amplifiers whose overscan has no noise: nothing is connected there.

    Parameters
    ----------
    readout
        From `read_detector`.
    detector
        The same detector.
    """
    dead = np.zeros(detector.shape, bool)
    for amplifier, overscan in zip(detector.amplifiers, readout.overscans, strict=True):
        if overscan.noise == 0:
            dead[amplifier.bbox.slices] = True
    return dead
