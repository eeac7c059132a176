"""What the steps of ``calibrateImage`` hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.saturation import grow

if TYPE_CHECKING:
    import numpy.typing as npt
    from lsst.images.fields import ChebyshevField

    from lenticular.pipelines.algorithms.apertures import Apertures
    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.algorithms.astrometry import WcsFit
    from lenticular.pipelines.algorithms.background import Background
    from lenticular.pipelines.algorithms.matching import Matches
    from lenticular.pipelines.algorithms.photocal import ZeroPoint
    from lenticular.pipelines.algorithms.photometry import PsfPhotometry
    from lenticular.pipelines.algorithms.psf import PsfFit
    from lenticular.pipelines.algorithms.psf_sampler import SampledPsf
    from lenticular.pipelines.algorithms.shapes import Moments

    type _Vector = npt.NDArray[np.float64]

__all__ = ["EXTENDED", "Calibration", "Detected", "Planes", "PsfResult", "Sources"]

EXTENDED = 1.15
"""A source broader than a star by this factor is called extended."""

_MASK_MARGIN = 5


@dataclass(slots=True, eq=False)
class Planes:
    """The pixels of one detector while they are worked on.

    Attributes
    ----------
    image
        Electrons, sky included, shape (ny, nx). Cosmic rays found here are
        interpolated in place.
    variance
        Electrons squared, shape (ny, nx).
    unusable
        True where a pixel takes no part in any fit, shape (ny, nx).
    saturated
        Saturated pixels, shape (ny, nx).
    cosmic_rays
        Cosmic rays found here, shape (ny, nx).
    """

    image: FloatImage
    variance: FloatImage
    unusable: BoolImage
    saturated: BoolImage
    cosmic_rays: BoolImage

    @classmethod
    def make(
        cls, image: FloatImage, variance: FloatImage, unusable: BoolImage, saturated: BoolImage
    ) -> Planes:
        """Copy the pixels and make them safe to compute with.

        Parameters
        ----------
        image, variance
            Electrons and electrons squared, shape (ny, nx). Pixels that are
            not finite, or whose variance is not positive, become unusable.
        unusable, saturated
            Masks, shape (ny, nx).

        Raises
        ------
        lenticular.butler.errors.MeasurementError
            Raised if no pixel is usable.
        """
        sound = np.isfinite(image) & np.isfinite(variance) & (variance > 0)
        good = sound & ~unusable
        if not good.any():
            raise MeasurementError(
                "No pixel of the image is usable", where="mask", hint="Leave this detector out."
            )
        return cls(
            image=np.where(sound, image, np.median(image[good])).astype(np.float32),
            variance=np.where(sound, variance, np.median(variance[good])).astype(np.float32),
            unusable=~good,
            saturated=saturated.copy(),
            cosmic_rays=np.zeros_like(saturated),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.shape[0], self.image.shape[1]

    def near_unusable(self, x: _Vector, y: _Vector, margin: int = _MASK_MARGIN) -> npt.NDArray[np.bool_]:
        """Tell which positions are within some pixels of an unusable pixel, shape (n,)."""
        return grow(self.unusable, margin)[self.nearest_pixel(x, y)]

    def nearest_pixel(self, x: _Vector, y: _Vector) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Index the pixels nearest to positions; rows first, within the image."""
        row = np.clip(np.floor(y + 0.5), 0, self.shape[0] - 1).astype(np.intp)
        column = np.clip(np.floor(x + 0.5), 0, self.shape[1] - 1).astype(np.intp)
        return row, column

    def inside(self, x: _Vector, y: _Vector, margin: float) -> npt.NDArray[np.bool_]:
        """Tell which positions lie on the image, some pixels away from its border, shape (n,)."""
        height, width = self.shape
        low = margin - 0.5
        return np.asarray((x > low) & (x < width - 1 - low) & (y > low) & (y < height - 1 - low))


@dataclass(frozen=True, slots=True, eq=False)
class PsfResult:
    """The point-spread function of a detector.

    Attributes
    ----------
    fit
        Piff's model.
    sampled
        The same, quick to evaluate.
    kernel
        The function in the middle of the detector, a stamp of unit sum.
    fwhm
        Full width at half maximum of a Gaussian as broad as it, pixels.
    star_x, star_y
        Positions of the stars that the fit used, pixels, shape (n,).
    """

    fit: PsfFit
    sampled: SampledPsf
    kernel: _Vector
    fwhm: float
    star_x: _Vector
    star_y: _Vector


@dataclass(frozen=True, slots=True, eq=False)
class Detected:
    """The sources of a detector, found and fitted.

    Attributes
    ----------
    background
        Sky level and noise, electrons.
    image
        Background-subtracted pixels, electrons, shape (ny, nx).
    footprint
        True where the search found signal, shape (ny, nx).
    found
        Positions and PSF fluxes.
    n_hidden
        How many the second search added, before the doubtful were dropped.
    """

    background: Background
    image: FloatImage
    footprint: BoolImage
    found: PsfPhotometry
    n_hidden: int


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What was measured of the sources of a detector, in electrons and pixels.

    Attributes
    ----------
    detected
        The sources.
    apertures
        Aperture fluxes, neighbours subtracted.
    moments, psf_moments
        Second moments of the sources, and of the point-spread function there.
    """

    detected: Detected
    apertures: Apertures
    moments: Moments
    psf_moments: Moments

    @property
    def found(self) -> PsfPhotometry:
        """Positions and PSF fluxes."""
        return self.detected.found

    @property
    def size_ratio(self) -> _Vector:
        """Radius of the sources over that of a star, shape (n,); NaN where not measured."""
        return self.moments.trace_radius / self.psf_moments.trace_radius

    @property
    def extended(self) -> npt.NDArray[np.bool_]:
        """True for sources broader than a star, or not measurable, shape (n,)."""
        return np.asarray(~(self.size_ratio <= EXTENDED), dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What ties a detector to the sky and to the scale of fluxes.

    Attributes
    ----------
    correction_field
        Flux in the largest aperture over PSF flux, as a function of position.
    correction
        The same at each source, shape (n,).
    correction_used
        Sources that it was measured on, shape (n,).
    matches
        Pairs of sources and references.
    wcs_fit
        The WCS.
    zero_point
        The scale of fluxes.
    photometry_used
        Sources that the zero point was measured on, shape (n,).
    """

    correction_field: ChebyshevField
    correction: _Vector
    correction_used: npt.NDArray[np.bool_]
    matches: Matches
    wcs_fit: WcsFit
    zero_point: ZeroPoint
    photometry_used: npt.NDArray[np.bool_]

    @property
    def astrometry_used(self) -> npt.NDArray[np.intp]:
        """Indices of the sources that the WCS was fitted to."""
        return self.matches.source[self.wcs_fit.kept]
