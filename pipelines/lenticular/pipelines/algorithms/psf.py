"""The point-spread function: its stars, its model, its fast evaluation.

Stars for the model lie on the stellar locus, the narrow ridge of half-light radii that
all point sources share. The model is fitted by the `piff` library (Jarvis et al. 2021,
MNRAS 501, 1282): an elliptical Moffat profile, or a grid of pixels under a Lanczos
interpolant, whose parameters are polynomials of the position.

To evaluate the model often, see `~lenticular.pipelines.algorithms.psf_sampler`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import MeasurementError

if TYPE_CHECKING:
    import numpy.typing as npt
    import piff

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = [
    "FWHM_PER_SIGMA",
    "PsfFit",
    "fit_psf",
    "gaussian_kernel",
    "select_psf_stars",
    "stellar_locus",
]

FWHM_PER_SIGMA = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))
"""Full width at half maximum of a Gaussian of unit standard deviation."""

_MAX_STAR_SIGNAL_TO_NOISE = 400.0
"""Cap on the weight of one star, lest the brightest few decide alone."""

_MIN_STARS = 6
_MAX_ITERATIONS = 6
_GRID_SIZE = 11
_GRID_SPACING = 0.46


def gaussian_kernel(fwhm: float, size: int = 15) -> npt.NDArray[np.float64]:
    """Make a round Gaussian of unit sum, centred on the middle pixel.

    Parameters
    ----------
    fwhm
        Full width at half maximum, pixels.
    size
        Side of the kernel, pixels, odd.

    Returns
    -------
    numpy.ndarray
        Kernel, shape (size, size).
    """
    offset = np.arange(size) - size // 2
    profile = np.exp(-0.5 * np.square(offset / (fwhm / FWHM_PER_SIGMA)))
    kernel = np.outer(profile, profile)
    return np.asarray(kernel / kernel.sum(), dtype=np.float64)


def stellar_locus(radius: npt.NDArray[np.floating], half_width: float = 0.07) -> float:
    """Find the half-light radius that point sources share.

    The locus is the ridge at the small end of the distribution: the smallest
    radius around which at least 0.6 times as many sources gather, within
    ``half_width``, as around the most popular one. Galaxies cannot pull it,
    for none is smaller than a star, and neither can a few defects.

    Parameters
    ----------
    radius
        Half-light radii of well-measured sources, pixels, shape (n,).
    half_width
        Half the width of the ridge, as a fraction of the radius.

    Returns
    -------
    float
        Half-light radius of a point source, pixels.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if no radius is finite and positive.
    """
    ordered = np.sort(radius[np.isfinite(radius) & (radius > 0)])
    if len(ordered) == 0:
        raise MeasurementError(
            "No source is measured well enough to tell the size of a star",
            where="psf",
            hint="Look at the image: is it blank, or saturated?",
        )
    low = np.searchsorted(ordered, ordered * (1 - half_width), side="left")
    high = np.searchsorted(ordered, ordered * (1 + half_width), side="right")
    count = high - low
    centre = float(ordered[np.flatnonzero(count >= 0.6 * count.max())[0]])
    for _ in range(5):
        centre = float(np.median(ordered[np.abs(ordered - centre) <= half_width * centre]))
    return centre


def select_psf_stars(
    radius: npt.NDArray[np.floating],
    signal_to_noise: npt.NDArray[np.floating],
    usable: BoolImage,
    *,
    locus: float,
    min_signal_to_noise: float = 30.0,
    tolerance: float = 0.12,
    max_stars: int = 80,
) -> npt.NDArray[np.intp]:
    """Choose the stars from which the point-spread function is measured.

    Parameters
    ----------
    radius
        Half-light radii, pixels, shape (n,).
    signal_to_noise
        Signal to noise of the sources, shape (n,).
    usable
        True for sources that are isolated, unsaturated and away from the
        border, shape (n,).
    locus
        Half-light radius of a point source, pixels.
    min_signal_to_noise
        Least signal to noise of a star.
    tolerance
        Largest relative distance from the locus.
    max_stars
        The brightest of this number are kept.

    Returns
    -------
    numpy.ndarray
        Indices of the stars, brightest first.
    """
    with np.errstate(invalid="ignore"):
        chosen = (
            usable & (signal_to_noise > min_signal_to_noise) & (np.abs(radius - locus) < tolerance * locus)
        )
    index = np.flatnonzero(chosen)
    return index[np.argsort(-signal_to_noise[index], kind="stable")][:max_stars]


@dataclass(frozen=True, slots=True, eq=False)
class PsfFit:
    """A fitted point-spread function and what went into it.

    Attributes
    ----------
    psf
        Piff's model; its coordinates are pixels from the first of the array.
    used
        Indices, into the stars that were offered, of those the fit kept.
    order
        Order of the polynomial in position.
    """

    psf: piff.PSF
    used: npt.NDArray[np.intp]
    order: int

    def draw(
        self, x: float, y: float, /, *, offset: tuple[float, float], size: int
    ) -> npt.NDArray[np.float64]:
        """Draw the model for position (x, y); see `~..psf_sampler.DrawPsf`."""
        stamp = self.psf.draw(x, y, stamp_size=size, center=True, offset=offset)
        return np.asarray(stamp.array, dtype=np.float64)

    def __repr__(self) -> str:
        return f"PsfFit({type(self.psf.model).__name__}, order={self.order}, {len(self.used)} stars)"


def fit_psf(
    image: FloatImage,
    variance: FloatImage,
    mask: BoolImage,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    fwhm: float,
    model: str = "pixelgrid",
    order: int = 2,
    moffat_beta: float = 3.5,
) -> PsfFit:
    """Fit the point-spread function to stars.

    The grid of ``pixelgrid`` has 11 x 11 samples of 0.46 FWHM, so that it
    spans five FWHM whatever the seeing.

    Parameters
    ----------
    image
        Background-subtracted pixels, shape (ny, nx).
    variance
        Their variance, shape (ny, nx).
    mask
        True where a pixel must not be used, shape (ny, nx).
    x, y
        Positions of the stars, pixels, shape (n,).
    fwhm
        Approximate full width at half maximum, pixels.
    model
        Profile: ``pixelgrid`` or ``moffat``.
    order
        Order of the polynomial in position. It is lowered until there are
        four stars per coefficient.
    moffat_beta
        Exponent of the Moffat profile.

    Returns
    -------
    PsfFit
        The model.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are fewer than six stars, or Piff cannot fit them.
    """
    import galsim
    import piff

    if len(x) < _MIN_STARS:
        raise MeasurementError(
            f"There are {len(x)} stars for the point-spread function, {_MIN_STARS} are needed",
            where="psf",
            hint="Lower psfMinSignalToNoise, or look whether the image is in focus.",
        )
    order = min(order, _allowed_order(len(x)))
    spacing = _GRID_SPACING * fwhm
    size = 2 * int(np.ceil(0.5 * spacing * _GRID_SIZE)) + 1
    if model == "moffat":
        profile: Any = piff.Moffat(beta=moffat_beta, include_pixel=False)
        interpolant: Any = piff.Polynomial(order=order)
    else:
        profile = piff.PixelGrid(spacing, _GRID_SIZE, interp="Lanczos(3)")
        interpolant = piff.BasisPolynomial(order, solver="cpp")
    outliers = piff.ChisqOutliers(nsigma=5, max_remove=0.05)
    psf = piff.SimplePSF(profile, interpolant, outliers=outliers, max_iter=_MAX_ITERATIONS)
    stars = _stars(image, variance, mask, x, y, size)
    try:
        psf.fit(stars, {0: galsim.PixelScale(1.0)}, None)
    except Exception as error:
        # Piff and galsim raise what they like: RuntimeError, GalSimError, LinAlgError ...
        raise MeasurementError(
            f"Piff cannot fit {len(x)} stars: {error}",
            where="psf",
            hint="Try psfModel 'moffat' or a lower psfOrder.",
        ) from error
    offered = {(star.image_pos.x, star.image_pos.y): k for k, star in enumerate(stars)}
    used = [offered[star.image_pos.x, star.image_pos.y] for star in psf.stars if not star.is_flagged]
    return PsfFit(psf, np.array(sorted(used), dtype=np.intp), order)


def _allowed_order(n_stars: int) -> int:
    """Highest order of polynomial with at least four stars per coefficient."""
    order = 0
    while n_stars >= 2 * (order + 2) * (order + 3):
        order += 1
    return order


def _stars(
    image: FloatImage,
    variance: FloatImage,
    mask: BoolImage,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    size: int,
) -> list[piff.Star]:
    """Cut stars out as Piff wants them, and cap their weight."""
    import galsim
    import piff

    half = size // 2
    pixels = np.pad(image, half)
    usable = np.pad(~mask & (variance > 0) & np.isfinite(image), half)
    scatter = np.pad(variance, half, constant_values=1.0)
    stars = []
    for star_x, star_y in zip(x.tolist(), y.tolist(), strict=True):
        column, row = round(star_x), round(star_y)
        cut = np.s_[row : row + size, column : column + size]
        where = {"xmin": column - half, "ymin": row - half, "scale": 1.0}
        weight = np.where(usable[cut], 1.0 / scatter[cut].astype(np.float64), 0.0)
        values = np.where(usable[cut], pixels[cut], 0.0).astype(np.float64)
        signal_to_noise = np.sqrt(max(float((np.square(values) * weight).sum()), 1.0))
        weight *= min(1.0, (_MAX_STAR_SIGNAL_TO_NOISE / signal_to_noise) ** 2)
        data = piff.StarData(
            galsim.Image(values, **where),
            galsim.PositionD(star_x, star_y),
            weight=galsim.Image(weight, **where),
        )
        stars.append(piff.Star(data, None))
    return stars
