"""The sky level of an image, and its noise.

The level is a mesh of clipped modes joined by a bicubic spline, as in SExtractor
(Bertin & Arnouts 1996, A&AS 117, 393), computed by the `sep` library (Barbary 2016,
JOSS 1, 58). Faint wings of stars and galaxies raise such a mesh, so that a second
pass is made with the sources of the first masked and their masks grown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.saturation import grow

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["Background", "estimate_background"]

_MIN_GOOD_FRACTION = 0.05
"""Below this fraction of usable pixels a sky level is not worth the name."""


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """The sky level of an image and its noise, pixel by pixel.

    Attributes
    ----------
    level
        Sky level, shape (ny, nx), float32, in the unit of the image.
    noise
        Standard deviation of the sky, shape (ny, nx), float32, in the unit of
        the image.
    mesh
        Side of the square cells of the mesh, pixels.
    """

    level: FloatImage
    noise: FloatImage
    mesh: int

    @property
    def median_level(self) -> float:
        """Median of the sky level, in the unit of the image."""
        return float(np.median(self.level))

    @property
    def median_noise(self) -> float:
        """Median of the sky's standard deviation, in the unit of the image."""
        return float(np.median(self.noise))

    def nodes(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Sample the level on a grid twice as fine as the mesh.

        Returns
        -------
        y, x, level
            Pixel coordinates of the rows and of the columns of the grid
            (1-d, float64), and the level there, shape (len(y), len(x)).
            The grid reaches from the first pixel to the last.
        """
        y, x = (
            np.unique(np.rint(np.linspace(0, n - 1, max(2, 2 * round(n / self.mesh) + 1))).astype(np.intp))
            for n in self.level.shape
        )
        return y.astype(np.float64), x.astype(np.float64), self.level[np.ix_(y, x)].astype(np.float64)

    def __repr__(self) -> str:
        return (
            f"Background(median_level={self.median_level:.2f}, median_noise={self.median_noise:.2f}, "
            f"mesh={self.mesh})"
        )


def estimate_background(
    image: FloatImage,
    mask: BoolImage,
    *,
    mesh: int = 128,
    source_threshold: float = 3.0,
    source_growth: int = 5,
    sources: BoolImage | None = None,
) -> Background:
    """Measure the sky level and its noise.

    Parameters
    ----------
    image
        Pixels, shape (ny, nx).
    mask
        True where a pixel must not be used, shape (ny, nx). Pixels that are
        not finite are masked as well.
    mesh
        Side of a cell of the mesh, pixels.
    source_threshold
        Pixels above this many standard deviations, in groups of five and
        more, are taken for sources in the first pass.
    source_growth
        Number of pixels by which the masks of the sources grow.
    sources
        Footprints of sources known already, shape (ny, nx); the first pass is
        not needed then.

    Returns
    -------
    Background
        Level and noise of the sky; the noise is positive everywhere.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if hardly any pixel is usable.
    """
    import sep

    bad = mask | ~np.isfinite(image)
    if bad.mean() > 1 - _MIN_GOOD_FRACTION:
        raise MeasurementError(
            f"Only {1 - bad.mean():.1%} of the pixels are usable, too few for a sky level",
            where="background",
            hint="Look at the mask planes of the image.",
        )
    pixels = np.where(bad, np.float32(0), image).astype(np.float32)
    if sources is None:
        first = sep.Background(pixels, mask=bad, bw=mesh, bh=mesh)
        noise = first.rms()
        sources = _bright_groups(pixels - first.back(), noise, bad, source_threshold)
    covered = bad | grow(sources, source_growth)
    if covered.mean() > 1 - _MIN_GOOD_FRACTION:
        # A field so full that the sky between its sources is not seen: what
        # the first pass gives is the best there is.
        covered = bad
    second = sep.Background(pixels, mask=covered, bw=mesh, bh=mesh)
    noise = second.rms(dtype=np.float32)
    positive = noise > 0
    if not positive.any():
        raise MeasurementError(
            "The sky has no noise at all", where="background", hint="Is the image blank or constant?"
        )
    # The spline of a mesh with empty cells can dip below zero between them.
    noise[~positive] = noise[positive].min()
    return Background(second.back(dtype=np.float32), noise, mesh)


def _bright_groups(
    image: FloatImage,
    noise: FloatImage,
    bad: BoolImage,
    threshold: float,
    min_area: int = 5,
) -> BoolImage:
    """Mark connected groups of pixels above a threshold, shape (ny, nx)."""
    above = (image > threshold * noise) & ~bad
    labels, count = ndimage.label(above)
    if count == 0:
        return np.asarray(above, dtype=np.bool_)
    large = np.bincount(labels.ravel(), minlength=count + 1) >= min_area
    large[0] = False
    return np.asarray(large[labels], dtype=np.bool_)
