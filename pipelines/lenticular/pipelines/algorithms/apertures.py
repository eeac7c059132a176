"""Fluxes in circular apertures, and the correction from one kind of flux to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import robust_sigma
from lenticular.pipelines.algorithms.polynomials import n_terms, powers, predicted_rms

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

    type _Vector = npt.NDArray[np.float64]

__all__ = ["Apertures", "RatioFit", "choose_ratio_fit", "measure_apertures"]

_MIN_STARS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Apertures:
    """Fluxes in circular apertures.

    Attributes
    ----------
    radii
        Radii, pixels, shape (k,).
    flux, flux_err
        Fluxes and standard deviations, in the unit of the image, shape (k, n).
    half_light_radius
        Radius that holds half the flux of the largest aperture, pixels, shape
        (n,); NaN where that flux is not positive.
    """

    radii: tuple[float, ...]
    flux: npt.NDArray[np.float64]
    flux_err: npt.NDArray[np.float64]
    half_light_radius: npt.NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Apertures(radii={self.radii}, {self.flux.shape[1]} sources)"


def measure_apertures(
    image: FloatImage,
    variance: FloatImage,
    mask: BoolImage,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    radii: tuple[float, ...],
) -> Apertures:
    """Measure fluxes in circular apertures, and half-light radii.

    Apertures are exact to a fifth of a pixel (`sep`, subsampling 5). A masked
    pixel counts with the mean of the rest of its aperture.

    Parameters
    ----------
    image
        Background-subtracted pixels, shape (ny, nx).
    variance
        Their variance, shape (ny, nx).
    mask
        True where a pixel must not be used, shape (ny, nx).
    x, y
        Positions, pixels, shape (n,).
    radii
        Radii, pixels, ascending.

    Returns
    -------
    Apertures
        Fluxes and half-light radii.
    """
    import sep

    flux, error = np.empty((2, len(radii), len(x)))
    deviation = np.sqrt(variance)
    for k, radius in enumerate(radii):
        flux[k], error[k], _ = sep.sum_circle(image, x, y, radius, err=deviation, mask=mask, subpix=5)
    whole = np.where(flux[-1] > 0, flux[-1], np.nan)
    half, _ = sep.flux_radius(
        image,
        x,
        y,
        np.full(len(x), radii[-1]),
        0.5,
        normflux=np.nan_to_num(whole, nan=1.0),
        mask=mask,
        subpix=5,
    )
    good = np.isfinite(whole) & (half > 0)
    return Apertures(radii, flux, error, np.where(good, half, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class RatioFit:
    """A ratio of two kinds of flux as a function of position.

    Attributes
    ----------
    degree
        Degree of the polynomial.
    used
        True for the stars that were used, shape (n,).
    """

    degree: int
    used: npt.NDArray[np.bool_]


def choose_ratio_fit(
    ratio: _Vector, error: _Vector, x: _Vector, y: _Vector, *, max_degree: int, n_sigma: float = 4.0
) -> RatioFit:
    """Choose stars and degree for a polynomial through ratios of fluxes.

    Parameters
    ----------
    ratio, error
        Ratios of fluxes of bright stars and their standard deviations, shape
        (n,).
    x, y
        Their positions, pixels, shape (n,).
    max_degree
        Highest degree; a lower one is taken if it predicts better.
    n_sigma
        Stars further off than this many robust standard deviations are left
        out.

    Returns
    -------
    RatioFit
        The choice.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are too few stars.
    """
    sound = np.isfinite(ratio) & (ratio > 0) & np.isfinite(error)
    if sound.sum() < _MIN_STARS:
        raise MeasurementError(
            f"There are {sound.sum()} stars for the aperture correction, {_MIN_STARS} are needed",
            where="aperture correction",
            hint="Lower apertureCorrectionMinSignalToNoise.",
        )
    weight = np.where(sound, 1.0 / np.where(sound, error, 1.0), 0.0)
    safe = np.where(sound, ratio, 1.0)
    used, best = sound, 0
    for _ in range(3):
        degrees = [d for d in range(max_degree + 1) if used.sum() >= 2 * n_terms(d) + 2]
        scores = [predicted_rms(powers(x, y, 0, d)[used], safe[used], weight[used]) for d in degrees]
        best = degrees[int(np.argmin(scores))]
        terms = powers(x, y, 0, best)
        root = weight[used]
        solution = np.linalg.lstsq(terms[used] * root[:, None], safe[used] * root, rcond=None)[0]
        pull = (safe - terms @ solution) * weight
        inside = sound & (np.abs(pull) < n_sigma * max(robust_sigma(pull[used]), 1.0))
        if inside.sum() < _MIN_STARS or np.array_equal(inside, used):
            break
        used = inside
    return RatioFit(best, used)
