"""The WCS, refitted to stars matched with a reference catalogue.

The WCS is a tangent projection with the SIP distortion of Shupe et al. (2005, ASP Conf.
347, 491). The nominal distortion is kept as far as the references allow nothing better:
the plane coordinates are modelled as an affine map of the nominally corrected pixels plus
a polynomial, whose degree the data choose by their predicted residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.pipelines.algorithms.matching import not_matched
from lenticular.pipelines.algorithms.polynomials import UNIT, exponents, n_terms, powers, predicted_rms

if TYPE_CHECKING:
    import numpy.typing as npt
    from astropy.wcs import WCS

    type _Vector = npt.NDArray[np.float64]

__all__ = ["WcsFit", "fit_wcs", "tangent_plane"]

_INVERSE_MARGIN = 100.0
"""The inverse SIP polynomials hold this far beyond the detector, pixels."""


def tangent_plane(ra: _Vector, dec: _Vector, centre: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Project onto the plane that touches the sky at a point (Calabretta & Greisen 2002, 5.1.3).

    Parameters
    ----------
    ra, dec
        Positions, degrees, shape (n,).
    centre
        Right ascension and declination of the point, degrees.

    Returns
    -------
    numpy.ndarray
        Intermediate world coordinates, degrees, shape (n, 2).
    """
    longitude = np.radians(ra - centre[0])
    sine, cosine = np.sin(np.radians(dec)), np.cos(np.radians(dec))
    sine0, cosine0 = np.sin(np.radians(centre[1])), np.cos(np.radians(centre[1]))
    scale = sine * sine0 + cosine * cosine0 * np.cos(longitude)
    xi = cosine * np.sin(longitude) / scale
    eta = (sine * cosine0 - cosine * sine0 * np.cos(longitude)) / scale
    return np.degrees(np.column_stack([xi, eta]))


@dataclass(frozen=True, slots=True, eq=False)
class WcsFit:
    """A fitted WCS.

    Attributes
    ----------
    wcs
        Tangent projection with SIP distortion.
    kept
        True for the matches that the fit used, shape (k,).
    degree
        Degree of the polynomial that was added to the nominal distortion.
    residual_ra, residual_dec
        Star minus reference along right ascension, times cos(dec), and along
        declination, milliarcseconds, shape (k,).
    predicted_rms
        Root mean square of the residuals of the used matches, each predicted
        from all others, both coordinates together, milliarcseconds.
    """

    wcs: WCS
    kept: npt.NDArray[np.bool_]
    degree: int
    residual_ra: _Vector
    residual_dec: _Vector
    predicted_rms: float

    def __repr__(self) -> str:
        return f"WcsFit(degree={self.degree}, {self.kept.sum()} matches, {self.predicted_rms:.1f} mas)"


def fit_wcs(
    x: _Vector,
    y: _Vector,
    error: _Vector,
    ra: _Vector,
    dec: _Vector,
    *,
    nominal: WCS,
    shape: tuple[int, int],
    max_degree: int = 3,
    clip: float = 4.0,
    error_floor: float = 0.01,
) -> WcsFit:
    """Fit a WCS to matched stars.

    Parameters
    ----------
    x, y
        Positions of the stars, pixels, shape (k,).
    error
        Their standard deviations along one axis, pixels, shape (k,).
    ra, dec
        Positions of their references, degrees, shape (k,).
    nominal
        WCS whose SIP distortion, if any, is the starting point.
    shape
        Rows and columns of the detector, where the inverse of the distortion
        must hold.
    max_degree
        Highest degree of the polynomial that corrects the distortion; 1
        leaves it as it is.
    clip
        Matches further off than this many robust standard deviations, given
        their errors, are left out.
    error_floor
        Added to the errors in quadrature, pixels: what the reference
        catalogue and the model of the stars contribute.

    Returns
    -------
    WcsFit
        The WCS and its residuals.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are fewer than six matches.

    Notes
    -----
    Degree and coefficients are found by weighted linear least squares. A degree
    is taken if it lowers the predicted residuals; see
    `~lenticular.pipelines.algorithms.polynomials.predicted_rms`.
    """
    if len(x) < n_terms(1) + 3:
        raise not_matched(f"There are {len(x)} matches to fit", n_terms(1) + 3)
    pixel = np.column_stack([x, y]) - (np.asarray(nominal.wcs.crpix) - 1)
    foc = _undistorted(nominal, pixel)
    weight = 1.0 / np.hypot(error, error_floor)
    centre = (float(nominal.wcs.crval[0]), float(nominal.wcs.crval[1]))
    kept = np.ones(len(x), dtype=np.bool_)
    for _ in range(4):
        plane = tangent_plane(ra, dec, centre)
        degree, _ = _choose_degree(foc, pixel, plane, weight, kept, max_degree)
        terms = _terms(foc, pixel, degree)
        kept = _clip(terms, plane, weight, kept, clip)
        solution = _least_squares(terms, plane, weight, kept)
        centre = _deproject(solution[0], centre)
    plane = tangent_plane(ra, dec, centre)
    degree, press = _choose_degree(foc, pixel, plane, weight, kept, max_degree)
    terms = _terms(foc, pixel, degree)
    solution = _least_squares(terms, plane, weight, kept)
    residual = (terms @ solution - plane) * 3.6e6
    wcs = _assemble(nominal, centre, solution, degree, shape)
    return WcsFit(wcs, kept, degree, residual[:, 0], residual[:, 1], press * 3.6e6)


def _undistorted(wcs: WCS, pixel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pixels relative to the reference pixel, with the SIP distortion taken out."""
    if wcs.sip is None:
        return pixel
    u, v = pixel.T
    return pixel + np.column_stack([_polynomial(wcs.sip.a, u, v), _polynomial(wcs.sip.b, u, v)])


def _polynomial(coefficients: npt.NDArray[np.float64], u: _Vector, v: _Vector) -> _Vector:
    return np.asarray(np.polynomial.polynomial.polyval2d(u, v, coefficients), dtype=np.float64)


def _terms(
    foc: npt.NDArray[np.float64], pixel: npt.NDArray[np.float64], degree: int
) -> npt.NDArray[np.float64]:
    """Design matrix: constant, nominally corrected pixels, higher powers of the pixels."""
    return np.column_stack([np.ones(len(foc)), foc / UNIT, powers(pixel[:, 0], pixel[:, 1], 2, degree)])


def _least_squares(
    terms: npt.NDArray[np.float64],
    plane: npt.NDArray[np.float64],
    weight: _Vector,
    kept: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    w = weight[kept, None]
    return np.asarray(np.linalg.lstsq(terms[kept] * w, plane[kept] * w, rcond=None)[0], dtype=np.float64)


def _choose_degree(
    foc: npt.NDArray[np.float64],
    pixel: npt.NDArray[np.float64],
    plane: npt.NDArray[np.float64],
    weight: _Vector,
    kept: npt.NDArray[np.bool_],
    max_degree: int,
) -> tuple[int, float]:
    """Degree with the smallest weighted predicted residuals, and their r.m.s. in degrees."""
    best = (1, np.inf)
    w = weight[kept]
    for degree in range(1, max_degree + 1):
        if kept.sum() < n_terms(degree) + 3:
            break
        press = predicted_rms(_terms(foc, pixel, degree)[kept], plane[kept], w)
        if press < best[1]:
            best = (degree, press)
    return best


def _clip(
    terms: npt.NDArray[np.float64],
    plane: npt.NDArray[np.float64],
    weight: _Vector,
    kept: npt.NDArray[np.bool_],
    clip: float,
) -> npt.NDArray[np.bool_]:
    """Leave out matches whose residual is large for their error; keeps at least half."""
    solution = _least_squares(terms, plane, weight, kept)
    size = np.hypot(*(terms @ solution - plane).T) * weight
    # The median of the length of a vector of two Gaussians is 1.1774 sigma.
    sigma = float(np.median(size[kept])) / 1.1774
    inside = size <= max(clip * sigma, float(np.median(size)))
    return np.asarray(inside, dtype=np.bool_)


def _deproject(plane: npt.NDArray[np.float64], centre: tuple[float, float]) -> tuple[float, float]:
    """Sky position of a point of the tangent plane, degrees (inverse of `tangent_plane`)."""
    xi, eta = np.radians(plane)
    dec0 = np.radians(centre[1])
    down = np.cos(dec0) - eta * np.sin(dec0)
    ra = centre[0] + np.degrees(np.arctan2(xi, down))
    dec = np.degrees(np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, down)))
    return float(ra % 360.0), float(dec)


def _assemble(
    nominal: WCS,
    centre: tuple[float, float],
    solution: npt.NDArray[np.float64],
    degree: int,
    shape: tuple[int, int],
) -> WCS:
    """Build the WCS: CD matrix, SIP polynomials, and their inverse."""
    from astropy.wcs import WCS, Sip

    cd = solution[1:3].T / UNIT
    order = max(degree, 0 if nominal.sip is None else max(nominal.sip.a_order, nominal.sip.b_order), 2)
    extra = np.linalg.solve(cd, solution[3:].T)
    distortion = []
    for axis in range(2):
        total = np.zeros((order + 1, order + 1))
        if nominal.sip is not None:
            part = (nominal.sip.a, nominal.sip.b)[axis]
            total[: part.shape[0], : part.shape[1]] += part
        for k, (p, q) in enumerate(exponents(2, degree)):
            total[p, q] += extra[axis, k] / UNIT ** (p + q)
        distortion.append(total)
    crpix = np.asarray(nominal.wcs.crpix, dtype=np.float64)
    inverse = _inverse(distortion, crpix, shape, order + 2)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = list(centre)
    wcs.wcs.crpix = list(crpix)
    wcs.wcs.cd = cd
    wcs.sip = Sip(*distortion, *inverse, list(crpix))
    wcs.wcs.set()
    return wcs


def _inverse(
    distortion: list[npt.NDArray[np.float64]],
    crpix: npt.NDArray[np.float64],
    shape: tuple[int, int],
    order: int,
) -> list[npt.NDArray[np.float64]]:
    """Fit the inverse SIP polynomials on a grid over the detector."""
    grid = [np.linspace(-_INVERSE_MARGIN, n + _INVERSE_MARGIN, 4 * order + 4) for n in shape]
    u, v = (
        axis.ravel() - (crpix[k] - 1) for k, axis in enumerate(np.meshgrid(grid[1], grid[0], indexing="xy"))
    )
    shift = np.column_stack([_polynomial(part, u, v) for part in distortion])
    terms = powers(u + shift[:, 0], v + shift[:, 1], 0, order)
    solution = np.linalg.lstsq(terms, -shift, rcond=None)[0]
    result = []
    for axis in range(2):
        total = np.zeros((order + 1, order + 1))
        for k, (p, q) in enumerate(exponents(0, order)):
            total[p, q] = solution[k, axis] / UNIT ** (p + q)
        result.append(total)
    return result
