"""Stamps of single sources, freed of their neighbours.

A source's stamp is the image without any source, plus the model of the source itself: what
the model does not explain stays in, the neighbours do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.pipelines.algorithms.apertures import Apertures, measure_apertures
from lenticular.pipelines.algorithms.shapes import Moments, adaptive_moments

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.algorithms.photometry import PsfPhotometry
    from lenticular.pipelines.algorithms.psf_sampler import SampledPsf

__all__ = ["Children", "cut_children"]


@dataclass(frozen=True, slots=True, eq=False)
class Children:
    """Stamps of single sources.

    Attributes
    ----------
    value
        Pixels, shape (n, size, size), float32.
    variance
        Their variance, same shape.
    mask
        True where a pixel must not be used, or lies beyond the image; same
        shape.
    x, y
        Positions of the sources from the first pixel of their stamp, pixels,
        shape (n,).
    """

    value: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.value)

    def apertures(self, radii: tuple[float, ...]) -> Apertures:
        """Measure fluxes in circular apertures, and half-light radii.

        Parameters
        ----------
        radii
            Radii, pixels, ascending; the last must fit into the stamp.
        """
        size = self.value.shape[-1]
        # One above the other, the stamps are an image as sep wants it.
        strip = (len(self) * size, size)
        return measure_apertures(
            self.value.reshape(strip),
            self.variance.reshape(strip),
            self.mask.reshape(strip),
            self.x,
            self.y + size * np.arange(len(self)),
            radii=radii,
        )

    def moments(self, guess: float) -> Moments:
        """Measure adaptive second moments.

        Parameters
        ----------
        guess
            Standard deviation to start from, pixels.
        """
        return adaptive_moments(self.value, guess=guess, usable=~self.mask)

    def __repr__(self) -> str:
        return f"Children({len(self)} stamps of {self.value.shape[-1]} pixels)"


def cut_children(found: PsfPhotometry, psf: SampledPsf, variance: FloatImage, mask: BoolImage) -> Children:
    """Cut out every source, its neighbours subtracted.

    Parameters
    ----------
    found
        The sources, all on the image, and the image without them.
    psf
        The point-spread function they were fitted with.
    variance
        Variance of the pixels, shape (ny, nx).
    mask
        True where a pixel must not be used, shape (ny, nx).

    Returns
    -------
    Children
        In the order of the sources.
    """
    half = psf.size // 2
    column = np.floor(found.x + 0.5).astype(np.intp)
    row = np.floor(found.y + 0.5).astype(np.intp)
    offset = np.arange(psf.size)
    window = np.s_[row[:, None, None] + offset[:, None], column[:, None, None] + offset]
    value, _, _ = psf.stamps(found.x, found.y)
    own = np.nan_to_num(found.flux)[:, None, None] * value
    return Children(
        value=(np.pad(found.residual, half)[window] + own).astype(np.float32),
        variance=np.pad(variance, half)[window],
        mask=np.pad(mask, half, constant_values=True)[window],
        x=found.x - column + half,
        y=found.y - row + half,
    )
