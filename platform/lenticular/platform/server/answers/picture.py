"""From an image of any size to a small picture, a band of rows at a time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.platform.server.models.files import Stretch
from lenticular.platform.server.work import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lenticular.platform.server.models.files import PictureQuestion

__all__ = ["bin_image", "draw_image", "grey_levels", "limits_of", "scale_of"]

_BAND_PIXELS = 2**21
"""Pixels that are in memory at once, about: 2 million, 16 MB as float64."""

_TILE_ROWS = 256

_STRETCHES: dict[Stretch, Callable[[NDArray[np.float32]], NDArray[np.floating]]] = {
    Stretch.LINEAR: lambda x: x,
    Stretch.SQRT: np.sqrt,
    # Softening 0.1 of the range (Lupton et al. 2004, PASP 116, 133).
    Stretch.ASINH: lambda x: np.arcsinh(x / np.float32(0.1)) / np.float32(np.arcsinh(10.0)),
    Stretch.LOG: lambda x: np.log1p(1000 * x) / np.float32(np.log(1001.0)),
}


def scale_of(shape: tuple[int, int], size: int) -> int:
    """Return how many pixels on a side become one of a picture.

    Parameters
    ----------
    shape
        Of the image (y, x) [pixel].
    size
        Most pixels of the picture along its longer side.
    """
    return max(1, -(-max(shape) // size))


def draw_image(hdu: Any, question: PictureQuestion, *, is_mask: bool) -> bytes:
    """Return a picture of an image HDU as PNG.

    Parameters
    ----------
    hdu
        Image or compressed image of astropy, of two dimensions.
    question
        How to draw it.
    is_mask
        Whether the values are bits: then a pixel is white where any is set.
    """
    from PIL import Image

    scale = scale_of((int(hdu.shape[0]), int(hdu.shape[1])), question.size)
    values = bin_image(hdu.section, (int(hdu.shape[0]), int(hdu.shape[1])), scale, any_bit=is_mask)
    low, high = (0.0, 1.0) if is_mask else limits_of(values, question.limits)
    grey = grey_levels(values, low, high, Stretch.LINEAR if is_mask else question.stretch)
    opaque = np.where(np.isfinite(values), np.uint8(255), np.uint8(0))
    # FITS counts rows from the bottom, PNG from the top.
    picture = Image.fromarray(np.ascontiguousarray(np.dstack([grey, opaque])[::-1]), "LA")
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def bin_image(
    section: Any, shape: tuple[int, int], scale: int, *, any_bit: bool = False
) -> NDArray[np.float32]:
    """Average an image in square bins, a band of rows at a time.

    Parameters
    ----------
    section
        Gives pixels by slices: astropy's ``section`` of an HDU, or an array.
    shape
        Of the image (y, x) [pixel].
    scale
        Pixels on the side of a bin; the last bins of a row or column may have fewer.
    any_bit
        Whether a bin is 1 if a pixel in it is not 0, else 0, rather than the mean.

    Returns
    -------
    numpy.ndarray
        Shape (y, x) of the bins; NaN where no pixel is finite.
    """
    height, width = shape
    columns = np.arange(0, width, scale)
    result = np.empty((-(-height // scale), len(columns)), np.float32)
    # Whole bins and, where that fits, whole tiles, none of which is then decompressed twice.
    bins = max(1, _BAND_PIXELS // width // scale)
    if (tiles := bins * scale // _TILE_ROWS * _TILE_ROWS) and tiles % scale == 0:
        bins = tiles // scale
    for first in range(0, len(result), bins):
        checkpoint()
        last = min(first + bins, len(result))
        band = np.asarray(section[first * scale : min(last * scale, height), 0:width])
        values = (band != 0).astype(np.float32) if any_bit else band.astype(np.float32)
        finite = np.isfinite(values)
        rows = np.arange(0, len(band), scale)
        total = _sums(np.where(finite, values, 0), rows, columns)
        number = _sums(finite.astype(np.float32), rows, columns)
        mean = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
        result[first:last] = mean > 0 if any_bit else mean
    return result


def _sums(
    values: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    by_row = np.add.reduceat(values, rows, axis=0, dtype=np.float64)
    summed: NDArray[np.float64] = np.add.reduceat(by_row, columns, axis=1)
    return summed


def limits_of(values: NDArray[np.float32], method: str) -> tuple[float, float]:
    """Return the values shown black and white.

    Parameters
    ----------
    values
        The picture, before it is grey.
    method
        ``zscale`` (the algorithm of IRAF, as in astropy), or how many percent
        of the values, the central ones, are to be within the limits.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    if method == "zscale":
        from astropy.visualization import ZScaleInterval

        low, high = ZScaleInterval().get_limits(finite)
    else:
        tail = (100 - float(method)) / 2
        low, high = np.percentile(finite, [tail, 100 - tail])
    low, high = float(low), float(high)
    return (low, high) if low < high else (low, low + (abs(low) or 1.0) * 1e-6)


def grey_levels(values: NDArray[np.float32], low: float, high: float, stretch: Stretch) -> NDArray[np.uint8]:
    """Return values as grey levels, 0 at ``low`` and below, 255 at ``high`` and above."""
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.clip((np.nan_to_num(values, nan=low) - low) / (high - low), 0, 1)
    return np.rint(255 * _STRETCHES[stretch](share.astype(np.float32))).astype(np.uint8)
