"""Pixels whose signal stopped growing with the light."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import MeasurementError

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["find_saturated", "grow", "measure_full_well"]


def find_saturated(
    electrons: FloatImage,
    saturation: float,
    *,
    fraction: float = 0.97,
    adu: npt.NDArray[Any] | None = None,
    adu_maximum: int = 65535,
) -> BoolImage:
    """Find the pixels at full well or at the end of the converter.

    Parameters
    ----------
    electrons
        Linear signal of one amplifier, electron.
    saturation
        Full well of the amplifier, electron.
    fraction
        Share of the full well from which on a pixel counts as saturated: the
        read noise and the spread of the full well over the pixels scatter
        saturated pixels to below the nominal level.
    adu
        Raw pixels of the amplifier, if the converter is to be looked at.
    adu_maximum
        Largest value of the converter.

    Returns
    -------
    BoolImage
        Shape of ``electrons``.
    """
    saturated: BoolImage = electrons >= np.float32(fraction * saturation)
    if adu is not None:
        saturated |= adu >= adu_maximum
    return saturated


def measure_full_well(
    electrons: npt.NDArray[Any], nominal: float, *, spread: float = 0.15, min_pixels: int = 30
) -> float | None:
    """Measure the full well from the pile-up of saturated pixels.

    Parameters
    ----------
    electrons
        Linear signals of pixels of one amplifier, electron, any shape; the
        brightest of exposures with saturated stars are enough.
    nominal
        What the full well is believed to be, electron.
    spread
        How far from ``nominal`` to look, as a fraction of it.
    min_pixels
        Smallest pile-up that is believed.

    Returns
    -------
    float or None
        Full well, electron; none if no pile-up is seen.

    Notes
    -----
    The counts of stars fall smoothly with brightness; wells that overflow all
    hold the same charge. The full well is the median of the densest interval
    of 1 %, if that holds ``min_pixels`` and more than three times as many as
    the densest one below it.
    """
    values = np.sort(np.asarray(electrons, np.float64).ravel())
    values = values[np.abs(values / nominal - 1) < spread]
    if values.size < min_pixels:
        return None
    inside = np.searchsorted(values, 1.01 * values, side="right") - np.arange(values.size)
    start = int(inside.argmax())
    pile = int(inside[start])
    below = values < values[start] / 1.01
    if pile < min_pixels or pile <= 3 * int(inside[below].max(initial=0)):
        return None
    return float(np.median(values[start : start + pile]))


def grow(mask: BoolImage, radius: int) -> BoolImage:
    """Return the mask with every set pixel grown to a diamond.

    Parameters
    ----------
    mask
        Shape (n_y, n_x).
    radius
        Steps in rows plus steps in columns, pixels; zero returns a copy.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If ``radius`` is negative.
    """
    if radius < 0:
        raise MeasurementError(f"a mask cannot grow by {radius} pixels", hint="Give zero or more")
    grown = mask.copy()
    if not mask.any():
        return grown
    for _ in range(radius):
        before = grown.copy()
        grown[1:] |= before[:-1]
        grown[:-1] |= before[1:]
        grown[:, 1:] |= before[:, :-1]
        grown[:, :-1] |= before[:, 1:]
    return grown
