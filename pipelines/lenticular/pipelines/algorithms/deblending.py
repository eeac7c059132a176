"""Sources that hide beside brighter ones, found once those are taken away.

Convolved with the point-spread function, as the search for faint sources wants it, two
stars merge when they are closer than some two and a half times its width. What is left
of the image when the sources found so far are subtracted shows the missing ones (as in
DAOPHOT's repeated search, Stetson 1987, PASP 99, 191, section IV) and, where a galaxy was
taken for a star, rings and lobes that are none. The latter have no peak in the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from lenticular.pipelines.algorithms.detection import detect, signal_to_noise_map
from lenticular.pipelines.algorithms.psf import gaussian_kernel
from lenticular.pipelines.algorithms.saturation import grow

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.algorithms.photometry import PsfPhotometry

__all__ = ["find_hidden"]

_NEAR = 3.0
"""A neighbour within so many FWHM can be the cause of a residual."""

_FAR = 4.0
_CLOSEST = 0.5
_PEAK_REACH = 1.5
_MIN_PEAK = 4.0
_SATURATED_HALO = 8


def find_hidden(
    image: FloatImage,
    noise: FloatImage,
    mask: BoolImage,
    saturated: BoolImage,
    kernel: npt.NDArray[np.floating],
    found: PsfPhotometry,
    extended: npt.NDArray[np.bool_],
    *,
    fwhm: float,
    threshold: float = 5.0,
    min_contrast: float = 0.05,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find sources in what is left of an image after the known ones are subtracted.

    Parameters
    ----------
    image
        Background-subtracted pixels, shape (ny, nx).
    noise
        Standard deviation of the sky, shape (ny, nx), positive.
    mask
        True where a pixel must not be used, shape (ny, nx).
    saturated
        Saturated pixels, shape (ny, nx); nothing is searched near them.
    kernel
        Point-spread function, centred on the middle pixel, sides odd.
    found
        The known sources and the image without them.
    extended
        True for known sources that are broader than a star, shape (n,). Near
        these a new source must also be a peak of the image itself.
    fwhm
        Full width at half maximum of the point-spread function, pixels.
    threshold
        Least signal to noise of a peak of the residual.
    min_contrast
        Least signal to noise of a peak relative to that of the nearest known
        source: an allowance for errors of the point-spread function.

    Returns
    -------
    x, y
        Positions of the new sources, pixels; there may be none.
    """
    rest = detect(found.residual, noise, mask, kernel, threshold=threshold, deblend_contrast=1.0)
    if not len(rest) or not len(found):
        return rest.x, rest.y
    distance, nearest = cKDTree(np.column_stack([found.x, found.y])).query(np.column_stack([rest.x, rest.y]))
    rival = np.where(distance < _FAR * fwhm, np.nan_to_num(found.signal_to_noise)[nearest], 0.0)
    narrow = signal_to_noise_map(image, noise, mask, gaussian_kernel(0.5 * fwhm, 9))
    peaks = (ndimage.maximum_filter(narrow, size=5) == narrow) & (narrow > _MIN_PEAK)
    off_peak = ndimage.distance_transform_edt(~peaks)[rest.peak_y, rest.peak_x]
    doubtful = (distance < _NEAR * fwhm) & extended[nearest]
    chosen = (
        (distance > _CLOSEST * fwhm)
        & (rest.peak_signal_to_noise > min_contrast * rival)
        & ~grow(saturated, _SATURATED_HALO)[rest.peak_y, rest.peak_x]
        & ((off_peak <= _PEAK_REACH) | ~doubtful)
    )
    return rest.x[chosen], rest.y[chosen]
