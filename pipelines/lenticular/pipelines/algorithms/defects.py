"""Pixels that do not measure light: dead, deaf, hot or stuck."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import require_shape, robust_sigma, smooth_median

if TYPE_CHECKING:
    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["find_dark_defects", "find_flat_defects", "join_columns"]


def find_flat_defects(flat: FloatImage, *, low: float = 0.8, high: float = 1.2, block: int = 64) -> BoolImage:
    """Find pixels whose response differs from that of their surroundings.

    Parameters
    ----------
    flat
        Combined flat, any unit; shape (n_y, n_x).
    low, high
        Accepted response relative to the median of the surroundings.
    block
        Side of the surroundings, pixels.

    Returns
    -------
    BoolImage
        Shape of ``flat``; true also where the flat is not finite.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the flat holds no light.
    """
    surroundings = smooth_median(flat, block)
    if not np.median(surroundings) > 0:
        raise MeasurementError("the flat holds no light", hint="Look whether the lamp was on")
    relative = flat / np.where(surroundings > 0, surroundings, np.nan)
    defects: BoolImage = ~((relative > low) & (relative < high))
    return defects


def find_dark_defects(
    frame: FloatImage, *, threshold: float, n_sigma: float = 10.0, block: int = 64
) -> BoolImage:
    """Find pixels that stand out in a combined bias or dark.

    Parameters
    ----------
    frame
        Combined frame, any unit; shape (n_y, n_x).
    threshold
        Smallest deviation from the surroundings that counts, same unit.
    n_sigma
        It must also be this many standard deviations of the frame.
    block
        Side of the surroundings, pixels.

    Returns
    -------
    BoolImage
        Shape of ``frame``; true also where the frame is not finite.
    """
    deviation = frame - smooth_median(frame, block)
    width = robust_sigma(deviation[np.isfinite(deviation)])
    defects: BoolImage = ~(np.abs(deviation) <= max(threshold, n_sigma * width))
    return defects


def join_columns(defects: BoolImage, *, gap: int = 3, length: int = 20) -> BoolImage:
    """Close short gaps in bad columns, where noise made a bad pixel look good.

    Parameters
    ----------
    defects
        Shape (n_y, n_x).
    gap
        Longest run of good pixels that is closed.
    length
        Number of bad pixels, above and below together within ``length`` rows
        either way, that make a bad column.

    Returns
    -------
    BoolImage
        New array, a superset of ``defects``.
    """
    if defects.ndim != 2:  # noqa: PLR2004  # an image
        require_shape("the defects", defects, (0, 0))
    joined = defects.copy()
    for column in np.nonzero(defects.sum(axis=0) >= length)[0]:
        rows = np.nonzero(defects[:, column])[0]
        for before, after in pairwise(rows):
            near = np.count_nonzero(np.abs(rows - before) <= length)
            if 1 < after - before <= gap + 1 and near >= length:
                joined[before:after, column] = True
    return joined
