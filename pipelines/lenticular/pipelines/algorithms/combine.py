"""The clipped mean of many frames in the memory of a few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import require_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import FloatImage

__all__ = ["CombinedFrame", "combine_frames"]

_MIN_TO_CLIP = 3
"""Of two frames nobody can say which is the outlier."""


@dataclass(frozen=True, slots=True)
class CombinedFrame:
    """The mean of several frames."""

    mean: npt.NDArray[np.float32]
    """Clipped mean in the unit of the frames, shape (n_y, n_x); NaN where no frame was finite."""

    count: npt.NDArray[np.uint16]
    """Number of frames in the mean of each pixel."""

    noise: float
    """Typical standard deviation of a pixel from frame to frame."""

    n_frames: int
    """Number of frames."""

    n_clipped: int
    """Number of pixels left out, over all frames."""

    def _repr_html_(self) -> str:
        return (
            f"<b>Mean of {self.n_frames} frames</b> of {self.mean.shape}: noise {self.noise:.4g} a frame, "
            f"{self.n_clipped} pixels clipped"
        )


def combine_frames(frames: Callable[[], Iterable[FloatImage]], *, n_sigma: float = 4.0) -> CombinedFrame:
    """Return the mean of frames, without outliers such as cosmic rays.

    Parameters
    ----------
    frames
        Gives the frames anew at each call; called twice. One frame is held at
        a time, so the memory is that of about eight frames for any number.
    n_sigma
        Half-width of the accepted interval in standard deviations.

    Returns
    -------
    CombinedFrame

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If there is no frame, their shapes differ, or the second call gives
        another number of frames than the first.

    Notes
    -----
    First pass: sums, extremes. The centre is the mean without the smallest and
    the largest value, which one outlier cannot move. The width of a pixel is
    its own deviation without the extremes, but at least that of the whole
    frame: the square root of the median over the pixels of their variances
    with the extremes, divided by the median of χ²/(n - 1). Second pass: the
    mean of what lies within ``n_sigma`` widths of the centre.
    """
    first = _first_pass(frames())
    centre, width, noise = _centre_and_width(first)
    cut = np.float32(n_sigma) * width
    total, count, n_frames = np.zeros(centre.shape), np.zeros(centre.shape, np.uint16), 0
    clip = first.n_frames >= _MIN_TO_CLIP
    for frame in frames():
        offset = frame - centre
        kept = np.abs(offset) <= cut if clip else np.isfinite(offset)
        total += np.where(kept, offset, 0)
        count += kept
        n_frames += 1
    if n_frames != first.n_frames:
        raise MeasurementError(
            f"the second pass has {n_frames} frames, the first had {first.n_frames}",
            hint="Give a function that makes the frames anew, not an iterator",
        )
    n_clipped = int(first.count.sum(dtype=np.int64) - count.sum(dtype=np.int64))
    mean = np.full(centre.shape, np.nan, np.float32)
    np.divide(total, count, out=mean, where=count > 0, casting="same_kind")
    mean += centre
    return CombinedFrame(mean, count, noise, n_frames, n_clipped)


@dataclass(slots=True)
class _Sums:
    """What the first pass keeps of the frames, about the first one."""

    reference: FloatImage
    total: npt.NDArray[np.float32]
    square: npt.NDArray[np.float32]
    low: npt.NDArray[np.float32]
    high: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint16]
    n_frames: int = 0


def _first_pass(frames: Iterable[FloatImage]) -> _Sums:
    sums: _Sums | None = None
    for frame in frames:
        if sums is None:
            reference = np.nan_to_num(frame, posinf=0.0, neginf=0.0)
            sums = _Sums(
                reference,
                total=np.zeros_like(reference),
                square=np.zeros_like(reference),
                low=np.full_like(reference, np.inf),
                high=np.full_like(reference, -np.inf),
                count=np.zeros(frame.shape, np.uint16),
            )
        require_shape("a frame", frame, sums.reference.shape)
        finite = np.isfinite(frame)
        # About the first frame, so that float32 sums keep their digits.
        offset = np.where(finite, frame - sums.reference, 0)
        sums.total += offset
        sums.square += np.square(offset)
        np.minimum(sums.low, offset, out=sums.low, where=finite)
        np.maximum(sums.high, offset, out=sums.high, where=finite)
        sums.count += finite
        sums.n_frames += 1
    if sums is None:
        raise MeasurementError(
            "there is no frame to combine", hint="Take or ingest calibration exposures first"
        )
    return sums


def _centre_and_width(sums: _Sums) -> tuple[FloatImage, FloatImage, float]:
    """Return the robust centre and width of each pixel, and the typical width."""
    count = np.maximum(sums.count, 1)
    mean = sums.total / count
    variance = np.maximum(sums.square - sums.total * mean, 0) / np.maximum(count - 1.0, 1)
    enough = sums.count >= 2  # noqa: PLR2004  # a variance needs two
    n_typical = int(np.median(sums.count[enough])) if enough.any() else 1
    typical = float(np.median(variance[enough])) if enough.any() else 0.0
    if n_typical > 1:
        typical *= (n_typical - 1) / float(chi2.median(n_typical - 1))
    trimmed = sums.count >= _MIN_TO_CLIP
    low, high = np.where(trimmed, sums.low, 0), np.where(trimmed, sums.high, 0)
    inner = np.maximum(count - 2.0 * trimmed, 1).astype(np.float32)
    centre = (sums.total - low - high) / inner
    spread = sums.square - low**2 - high**2 - inner * centre**2
    spread = np.where(trimmed, np.maximum(spread, 0) / np.maximum(inner - 1, 1), variance)
    value = (sums.reference + centre).astype(np.float32)
    # Equal frames have no width at all: leave room for the rounding of float32.
    width = np.maximum(np.sqrt(np.maximum(spread, typical)), 1e-6 * (1 + np.abs(value)))
    return value, width.astype(np.float32), float(np.sqrt(typical))
