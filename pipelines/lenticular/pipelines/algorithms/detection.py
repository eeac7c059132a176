"""Sources, found as peaks of a map of signal to noise.

For a point source of known shape on a background of known noise, the statistic that
finds most at a given rate of false alarms is the image convolved with the point-spread
function, divided by the standard deviation of that sum (matched filter; e.g. Zackay &
Ofek 2017, ApJ 836, 187, eq. 7). The noise is that of the sky alone: a source's own
photons must not count against it.

The map is made here and not by ``sep.extract(filter_type="matched")``, whose matched
filter is wrong in `sep` 1.4 when the noise is given as an array (it finds hundreds of
sources in pure noise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from lenticular.butler.errors import MeasurementError

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["Detections", "detect", "nearest_neighbour", "signal_to_noise_map"]

_MIN_EFFECTIVE_WEIGHT = 0.3
"""Pixels whose neighbourhood is masked more than this are not searched."""

_DEBLEND_LEVELS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Sources found in an image, in the order of `sep`'s scan.

    Attributes
    ----------
    x, y
        Barycentres in the map of signal to noise, pixels, float64, shape (n,).
    peak_x, peak_y
        Pixel of the highest signal to noise, int64, shape (n,).
    peak_signal_to_noise
        Highest value in the map, float64, shape (n,).
    footprint
        Index of the source (from 1) that owns the pixel, 0 elsewhere,
        int32, shape (ny, nx).
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    peak_x: npt.NDArray[np.int64]
    peak_y: npt.NDArray[np.int64]
    peak_signal_to_noise: npt.NDArray[np.float64]
    footprint: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Detections({len(self)} sources on {self.footprint.shape})"


def signal_to_noise_map(
    image: FloatImage,
    noise: FloatImage,
    mask: BoolImage,
    kernel: npt.NDArray[np.floating],
) -> FloatImage:
    """Compute the signal to noise of a point source at every pixel.

    Parameters
    ----------
    image
        Background-subtracted pixels, shape (ny, nx).
    noise
        Standard deviation of the sky, shape (ny, nx), positive.
    mask
        True where a pixel must not be used, shape (ny, nx).
    kernel
        Point-spread function, centred on the middle pixel, sides odd.

    Returns
    -------
    numpy.ndarray
        Signal to noise, shape (ny, nx), float32; 0 where most of the
        neighbourhood is masked.
    """
    weight = np.where(mask, 0.0, 1.0 / np.square(noise)).astype(np.float32)
    pixels = np.where(mask, np.float32(0), image)
    flipped = np.asarray(kernel[::-1, ::-1], dtype=np.float32)
    total = signal.oaconvolve(pixels * weight, flipped, mode="same")
    variance = signal.oaconvolve(weight, flipped**2, mode="same")
    usable = variance > _MIN_EFFECTIVE_WEIGHT * np.median(variance)
    scale = np.sqrt(np.where(usable, variance, 1.0))
    return np.where(usable, total / scale, 0.0).astype(np.float32)


def detect(
    image: FloatImage,
    noise: FloatImage,
    mask: BoolImage,
    kernel: npt.NDArray[np.floating],
    *,
    threshold: float = 5.0,
    deblend_contrast: float = 0.0005,
) -> Detections:
    """Find sources above a threshold of signal to noise and part the blended ones.

    Parameters
    ----------
    image
        Background-subtracted pixels, shape (ny, nx).
    noise
        Standard deviation of the sky, shape (ny, nx), positive.
    mask
        True where a pixel must not be used, shape (ny, nx).
    kernel
        Point-spread function, centred on the middle pixel, sides odd.
    threshold
        Least signal to noise of a peak.
    deblend_contrast
        Least part of the signal of a group that a peak must hold to be taken
        for a source of its own (Bertin & Arnouts 1996, section 5).

    Returns
    -------
    Detections
        The sources; there may be none.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are more sources than `sep` can hold.
    """
    import sep

    ratio = signal_to_noise_map(image, noise, mask, kernel)
    try:
        found, footprint = sep.extract(
            ratio,
            threshold,
            minarea=1,
            filter_kernel=None,
            clean=False,
            deblend_nthresh=_DEBLEND_LEVELS,
            deblend_cont=deblend_contrast,
            segmentation_map=True,
        )
    except Exception as error:
        # sep raises plain Exception, when its pixel stack overflows for one.
        raise MeasurementError(
            f"The search for sources failed: {error}",
            where="detection",
            hint="Raise the detection threshold.",
        ) from error
    return Detections(
        x=np.asarray(found["x"], dtype=np.float64),
        y=np.asarray(found["y"], dtype=np.float64),
        peak_x=np.asarray(found["xpeak"], dtype=np.int64),
        peak_y=np.asarray(found["ypeak"], dtype=np.int64),
        peak_signal_to_noise=np.asarray(found["peak"], dtype=np.float64),
        footprint=np.asarray(footprint, dtype=np.int32),
    )


def nearest_neighbour(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the distance of every source to its nearest neighbour.

    Parameters
    ----------
    x, y
        Positions, pixels, shape (n,).

    Returns
    -------
    numpy.ndarray
        Distances, pixels, shape (n,); infinite for a source that is alone.
    """
    from scipy.spatial import cKDTree

    if len(x) == 0:
        return np.empty(0)
    points = np.column_stack([x, y])
    distance, _ = cKDTree(points).query(points, k=2)
    return np.asarray(distance[:, 1], dtype=np.float64)
