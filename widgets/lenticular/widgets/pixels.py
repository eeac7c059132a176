"""From the pixels of a plane to those of a screen: windows, bins and contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = ["Contrast", "Tile", "Window", "cut", "limits_of", "mask_colours", "warp_palette"]

_SAMPLE = 40_000
"""Pixels from which limits are estimated."""


class Window(NamedTuple):
    """A rectangle of pixels; the ends do not belong to it."""

    x0: int
    y0: int
    x1: int
    y1: int

    def clipped(self, shape: tuple[int, int]) -> Window:
        """Return the part within an array of this shape (y, x)."""
        return Window(max(0, self.x0), max(0, self.y0), min(shape[1], self.x1), min(shape[0], self.y1))

    @property
    def is_empty(self) -> bool:
        """Whether it has no pixel."""
        return self.x0 >= self.x1 or self.y0 >= self.y1


@dataclass(frozen=True, slots=True)
class Tile:
    """A binned part of a plane."""

    values: NDArray[Any]
    """Means (or, of a mask, unions) of the bins, shape (y, x)."""

    window: Window
    """What it covers, in pixels of the array."""

    factor: int
    """Pixels on the side of a bin."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """How values become grey levels."""

    low: float
    """Value shown darkest."""

    high: float
    """Value shown brightest."""


def cut(plane: NDArray[Any], window: Window, most: int, *, union: bool = False) -> Tile:
    """Cut a part out of a plane, in bins if it is large.

    Parameters
    ----------
    plane
        The plane, shape (y, x).
    window
        What is wanted; what lies outside is left out.
    most
        Pixels of the result along its longer side, at most twice that.
    union
        Whether bits are united, as in a mask, rather than averaged.

    Returns
    -------
    Tile
        Bins lie on a grid that does not move with the window, so that a
        picture does not shimmer when it is shifted. NaN pixels are left out
        of the means.
    """
    shape = (plane.shape[0], plane.shape[1])
    inside = window.clipped(shape)
    side = max(inside.x1 - inside.x0, inside.y1 - inside.y0)
    factor = 1
    while side / factor > most:
        factor *= 2
    aligned = Window(
        inside.x0 // factor * factor,
        inside.y0 // factor * factor,
        -(-inside.x1 // factor) * factor,
        -(-inside.y1 // factor) * factor,
    )
    part = plane[aligned.y0 : aligned.y1, aligned.x0 : aligned.x1]
    if factor == 1:
        return Tile(np.ascontiguousarray(part), aligned, 1)
    return Tile(_union(part, factor) if union else _mean(part, factor), aligned, factor)


def _blocks(part: NDArray[np.generic], factor: int, fill: float) -> NDArray[np.generic]:
    """Return the part as an array (y, factor, x, factor); the last bins may be filled up."""
    missing = [(0, -size % factor) for size in part.shape]
    padded = np.pad(part, missing, constant_values=fill) if any(end for _, end in missing) else part
    return padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)


def _mean(part: NDArray[np.generic], factor: int) -> NDArray[np.float32]:
    blocks = _blocks(part.astype(np.float32, copy=False), factor, np.nan)
    good = np.isfinite(blocks)
    number = good.sum(axis=(1, 3), dtype=np.float32)
    total = np.where(good, blocks, 0).sum(axis=(1, 3), dtype=np.float32)
    return np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)


def _union(part: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    blocks = _blocks(part, factor, 0)
    united: NDArray[np.generic] = np.bitwise_or.reduce(np.bitwise_or.reduce(blocks, axis=3), axis=1)
    return united


def limits_of(plane: NDArray[np.floating], method: str) -> Contrast:
    """Return between which values a plane is best shown.

    Parameters
    ----------
    plane
        The plane; every pixel counts up to 40 000 of them, else a regular
        sample does.
    method
        ``zscale`` (the algorithm of IRAF, as in astropy), or a percentage
        such as ``99.5 %``: the central part of the values.
    """
    step = max(1, int(np.sqrt(plane.size / _SAMPLE)))
    sample = plane[::step, ::step]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return Contrast(0.0, 1.0)
    if method == "zscale":
        from astropy.visualization import ZScaleInterval

        low, high = ZScaleInterval().get_limits(sample)
    else:
        tail = (100 - float(method.rstrip(" %"))) / 2
        low, high = np.percentile(sample, [tail, 100 - tail])
    if not low < high:
        high = low + (abs(low) or 1.0) * 1e-6
    return Contrast(float(low), float(high))


def warp_palette(palette: Sequence[str], stretch: str, entries: int = 2048) -> list[str]:
    """Return a palette for a linear scale that looks like another stretch.

    Sent in place of stretched pixels: the page keeps true values, and a new
    stretch costs a palette instead of an image.

    Parameters
    ----------
    palette
        Colours of evenly spaced grey levels.
    stretch
        ``linear``, ``sqrt``, ``asinh`` (softening 0.1 of the range, Lupton et
        al. 2004) or ``log`` (of 1 + 1000 x).
    entries
        Colours of the result.
    """
    curves: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
        "linear": lambda x: x,
        "sqrt": lambda x: x**0.5,
        "asinh": lambda x: np.arcsinh(x / 0.1) / np.arcsinh(10.0),
        "log": lambda x: np.log1p(1000 * x) / np.log(1001.0),
    }
    index = np.rint(curves[stretch](np.linspace(0.0, 1.0, entries)) * (len(palette) - 1)).astype(int)
    return [palette[i] for i in index]


def mask_colours(bits: NDArray[np.integer], colours: Sequence[tuple[int, str]]) -> NDArray[np.uint32]:
    """Paint mask planes.

    Parameters
    ----------
    bits
        Mask values.
    colours
        Bit value and ``#rrggbb`` of each plane to be shown; where several are
        set, the last is seen.

    Returns
    -------
    numpy.ndarray
        Pixels as little-endian RGBA, transparent where no plane is set.
    """
    painted = np.zeros(bits.shape, np.uint32)
    for bit, colour in colours:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        painted[(bits & bit) != 0] = red | green << 8 | blue << 16 | 0x99 << 24
    return painted
