"""Telescope and atmosphere: where light falls, and how widely.

The point spread function is, by definition, a mixture of four Gaussians close
to a Moffat profile of beta = 3.5 (Moffat 1969, A&A 3, 455). Galaxies are
exponential discs as a mixture of five (the idea of Hogg & Lang 2013, PASP 125,
719), so that a convolved galaxy is again a sum of Gaussians, and every flux is
known exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from lenticular.pipelines.camera import DetectorModel

__all__ = [
    "GALAXY_VARIANCES",
    "GALAXY_WEIGHTS",
    "PSF_VARIANCES",
    "PSF_WEIGHTS",
    "Moments",
    "Pointing",
    "PsfField",
    "render",
]

PSF_WEIGHTS = np.array([0.1092972935, 0.4645024166, 0.3550717077, 0.0711285822])
"""Part of the light in each Gaussian of the PSF; their sum is one."""

PSF_VARIANCES = np.array([0.0920227012, 0.195491147, 0.4605908304, 1.4293694687])
"""Variance of each Gaussian of the PSF, in units of the squared FWHM of the sum."""

GALAXY_WEIGHTS = np.array([0.0017579257, 0.0243088395, 0.1528240085, 0.4545494063, 0.3665598200])
"""Part of the light in each Gaussian of an exponential disc."""

GALAXY_VARIANCES = np.array([0.0050008010, 0.0400987920, 0.1818872195, 0.6358374086, 1.9375811310])
"""Variance of each, in units of the squared half-light radius."""

type Moments = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Second moments xx, yy and xy, one of each per source [pixel^2]."""

_EDGE = 0.2
"""Surface brightness at which a stamp may end [electron/pixel]."""

_STAMP_RADII = np.array([8, 11, 15, 20, 27, 36, 48, 64, 86, 115, 154, 206])
_CHUNK_PIXELS = 400_000


@dataclass(frozen=True, slots=True)
class PsfField:
    """The PSF of one exposure, smoothly changing over the focal plane."""

    fwhm: float
    """Full width at half maximum on the optical axis [pixel]."""

    e1: float
    """Elongation along x against y, everywhere, from tracking and wind."""

    e2: float
    """Elongation along the diagonals, everywhere."""

    waves: tuple[tuple[float, float, float, float], ...]
    """Atmosphere: wave vector [rad/mm] along x and y, phase [rad], amplitude."""

    varies: bool = True
    """Whether it changes over the focal plane at all."""

    def second_moments(self, x_mm: NDArray[np.float64], y_mm: NDArray[np.float64]) -> Moments:
        """Return the squared widths in units in which a round PSF has its FWHM squared.

        Parameters
        ----------
        x_mm, y_mm : arrays of the shape (n,)
            Focal plane coordinates [mm].

        Returns
        -------
        xx, yy, xy : arrays of the shape (n,)
            Second moments of the PSF divided by those of a round PSF with a
            FWHM of one pixel [pixel^2].
        """
        fwhm = self.fwhm_at(x_mm, y_mm)
        e1, e2 = np.full_like(fwhm, self.e1), np.full_like(fwhm, self.e2)
        if self.varies:
            # Astigmatism grows with the distance from the axis, along the radius.
            e1 += 3e-5 * (x_mm**2 - y_mm**2)
            e2 += 6e-5 * x_mm * y_mm
            for k_x, k_y, phase, amplitude in self.waves:
                wave = amplitude * np.cos(k_x * x_mm + k_y * y_mm + phase)
                e1 += wave
                e2 -= 0.7 * wave
        area = fwhm**2 / np.sqrt(1 - e1**2 - e2**2)
        return area * (1 + e1), area * (1 - e1), area * e2

    def fwhm_at(self, x_mm: NDArray[np.float64], y_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the FWHM of the round PSF of equal area [pixel] at places in the focal plane."""
        relative = np.ones(np.broadcast(x_mm, y_mm).shape)
        if self.varies:
            relative += 6e-5 * (x_mm**2 + y_mm**2)
            for k_x, k_y, phase, amplitude in self.waves:
                relative += amplitude * np.sin(k_x * x_mm + k_y * y_mm + phase)
        return self.fwhm * relative

    def image(self, x_mm: float, y_mm: float, *, radius: int = 12) -> NDArray[np.float32]:
        """Return the PSF at a place in the focal plane, for comparison with a model of it.

        Parameters
        ----------
        x_mm, y_mm
            Focal plane coordinates [mm].
        radius
            Half the side of the image [pixel].

        Returns
        -------
        (2 radius + 1, 2 radius + 1)
            Centred on the middle pixel. The light of the whole plane is one.
        """
        moments = self.second_moments(np.array([x_mm]), np.array([y_mm]))
        weights, xx, yy, xy = _mixture(moments, None)
        centre = np.array([float(radius)])
        stamp: NDArray[np.float32] = _stamps(centre, centre, radius, weights, (xx, yy, xy))[0]
        return stamp


@dataclass(frozen=True, slots=True)
class Pointing:
    """Direction of the telescope and its distortion: all that a WCS needs.

    The projection is gnomonic with a cubic radial distortion,
    ``r_ideal = r (1 + distortion r^2)``, r in pixels from the optical axis,
    which SIP polynomials hold exactly (Shupe et al. 2005, ASPC 347, 491).
    """

    ra: float
    """Right ascension of the optical axis [deg]."""

    dec: float
    """Declination of the optical axis [deg]."""

    rotation: float
    """Position angle of the detectors' y axis, from North through East [deg]."""

    distortion: float
    """Cubic coefficient [1/pixel^2]."""

    pixel_scale: float
    """Scale on the optical axis [arcsec/pixel]."""

    def header(self, detector: DetectorModel) -> dict[str, Any]:
        """Return the FITS keywords of the WCS (TAN-SIP, ICRS) of a detector."""
        x, y = detector.boresight_pixel()
        scale = self.pixel_scale / 3600
        cosine, sine = math.cos(math.radians(self.rotation)), math.sin(math.radians(self.rotation))
        sip = "-SIP" if self.distortion else ""
        cards: dict[str, Any] = {
            "WCSAXES": 2,
            "RADESYS": "ICRS",
            "CTYPE1": f"RA---TAN{sip}",
            "CTYPE2": f"DEC--TAN{sip}",
            "CUNIT1": "deg",
            "CUNIT2": "deg",
            "CRVAL1": self.ra,
            "CRVAL2": self.dec,
            "CRPIX1": x + 1,
            "CRPIX2": y + 1,
            "CD1_1": -scale * cosine,
            "CD1_2": scale * sine,
            "CD2_1": scale * sine,
            "CD2_2": scale * cosine,
        }
        return cards | self._sip() if sip else cards

    def _sip(self) -> dict[str, Any]:
        k = self.distortion
        inverse = 3 * k * k  # next term of the series r = R - k R^3 + 3 k^2 R^5 - ...
        return {
            "A_ORDER": 3,
            "A_3_0": k,
            "A_1_2": k,
            "B_ORDER": 3,
            "B_0_3": k,
            "B_2_1": k,
            "AP_ORDER": 5,
            "AP_3_0": -k,
            "AP_1_2": -k,
            "AP_5_0": inverse,
            "AP_3_2": 2 * inverse,
            "AP_1_4": inverse,
            "BP_ORDER": 5,
            "BP_0_3": -k,
            "BP_2_1": -k,
            "BP_0_5": inverse,
            "BP_2_3": 2 * inverse,
            "BP_4_1": inverse,
        }

    def wcs(self, detector: DetectorModel) -> WCS:
        """Return the astropy WCS of a detector."""
        from astropy.io.fits import Header
        from astropy.wcs import WCS

        return WCS(Header(self.header(detector)))

    def to_pixel(
        self, detector: DetectorModel, ra: NDArray[np.float64], dec: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the pixel coordinates of directions, exact to 1e-9 pixel.

        The equations are those of the gnomonic projection; the distortion is
        inverted by Newton's method, not by the polynomials AP and BP.

        Parameters
        ----------
        detector
            The detector whose pixels are meant.
        ra, dec : arrays of the shape (n,)
            Directions, less than 90 degrees from the optical axis [deg].

        Returns
        -------
        x, y : arrays of the shape (n,)
            Pixel coordinates, also outside the detector.
        """
        delta, dec_r, dec_0 = np.radians(ra - self.ra), np.radians(dec), math.radians(self.dec)
        cosine = math.sin(dec_0) * np.sin(dec_r) + math.cos(dec_0) * np.cos(dec_r) * np.cos(delta)
        pixel = math.radians(self.pixel_scale / 3600)
        east = np.cos(dec_r) * np.sin(delta) / cosine / pixel
        north = math.cos(dec_0) * np.sin(dec_r) - math.sin(dec_0) * np.cos(dec_r) * np.cos(delta)
        north = north / cosine / pixel
        c, s = math.cos(math.radians(self.rotation)), math.sin(math.radians(self.rotation))
        u, v = s * north - c * east, s * east + c * north
        ideal = np.hypot(u, v)
        radius = ideal.copy()
        for _ in range(6):
            excess = radius * (1 + self.distortion * radius**2) - ideal
            radius -= excess / (1 + 3 * self.distortion * radius**2)
        shrink = np.divide(radius, ideal, out=np.ones_like(ideal), where=ideal > 0)
        x, y = detector.boresight_pixel()
        return x + u * shrink, y + v * shrink


def render(
    image: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: NDArray[np.float64],
    psf: Moments,
    disc: Moments | None = None,
) -> None:
    """Add sources to an image, in place.

    A stamp ends where the light falls below 0.2 electron per pixel, but never
    before 99.9 % of the flux are within.

    Parameters
    ----------
    image : (n_y, n_x)
        Expected electrons.
    x, y : (n,)
        Pixel coordinates of the sources; they may lie outside the image.
    flux : (n,)
        Electrons of each source.
    psf : three arrays of the shape (n,)
        What `PsfField.second_moments` gives at the sources [pixel^2].
    disc : three arrays of the shape (n,), optional
        xx, yy and xy moments of exponential discs, in units in which a round
        one has its squared half-light radius [pixel^2]. Stars without it.
    """
    weights, xx, yy, xy = _mixture(psf, disc)
    radius = _radius(weights, np.maximum(xx, yy), flux)
    # Sources far outside add nothing; those with equal stamps are drawn together.
    n_y, n_x = image.shape
    near = (x > -radius) & (x < n_x + radius) & (y > -radius) & (y < n_y + radius) & (flux > 0)
    for size in np.unique(radius[near]):
        chosen = np.flatnonzero(near & (radius == size))
        step = max(1, _CHUNK_PIXELS // int(2 * size + 1) ** 2)
        for start in range(0, len(chosen), step):
            part = chosen[start : start + step]
            stamps = _stamps(x[part], y[part], int(size), weights, (xx[part], yy[part], xy[part]))
            stamps *= flux[part, None, None].astype(np.float32)
            for stamp, x_0, y_0 in zip(stamps, _corner(x[part], size), _corner(y[part], size), strict=True):
                _add(image, stamp, x_0, y_0)


def _mixture(
    psf: Moments, disc: Moments | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights (m,) and the moments (n, m) of the Gaussians of n sources."""
    if disc is None:
        xx, yy, xy = (moment[:, None] * PSF_VARIANCES for moment in psf)
        return PSF_WEIGHTS, xx, yy, xy
    weights = np.outer(GALAXY_WEIGHTS, PSF_WEIGHTS).ravel()
    shape = (len(psf[0]), len(weights))
    xx, yy, xy = (
        (inner[:, None, None] * GALAXY_VARIANCES[:, None] + outer[:, None, None] * PSF_VARIANCES).reshape(
            shape
        )
        for inner, outer in zip(disc, psf, strict=True)
    )
    return weights, xx, yy, xy


def _radius(
    weights: NDArray[np.float64], variance: NDArray[np.float64], flux: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return half the side of each source's stamp [pixel]."""
    peak = flux[:, None] * weights / (2 * np.pi * variance)
    to_edge = np.sqrt(2 * np.log(np.maximum(peak / _EDGE, 1)))
    # A Gaussian with little of the light may end earlier.
    enough = np.sqrt(2 * np.log(np.maximum(weights / 2e-4, 1)))
    needed = (np.sqrt(variance) * np.maximum(to_edge, enough)).max(axis=1)
    index = np.minimum(np.searchsorted(_STAMP_RADII, needed), len(_STAMP_RADII) - 1)
    chosen: NDArray[np.int64] = _STAMP_RADII[index]
    return chosen


def _corner(position: NDArray[np.float64], size: int) -> list[int]:
    return [int(centre) - int(size) for centre in np.floor(position + 0.5)]


def _stamps(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    size: int,
    weights: NDArray[np.float64],
    moments: Moments,
) -> NDArray[np.float32]:
    """Return images of unit flux: (n, 2 size + 1, 2 size + 1)."""
    xx, yy, xy = moments
    grid = np.arange(-size, size + 1)
    d_x = (grid - (x - np.floor(x + 0.5))[:, None]).astype(np.float32)[:, None, :]
    d_y = (grid - (y - np.floor(y + 0.5))[:, None]).astype(np.float32)[:, :, None]
    square_x, square_y, product = d_x * d_x, d_y * d_y, d_x * d_y
    stamps = np.zeros(product.shape, np.float32)
    determinant = xx * yy - xy * xy
    height = weights / (2 * np.pi * np.sqrt(determinant))
    for k in range(len(weights)):
        a, b, c = (
            (-0.5 * m[:, k] / determinant[:, k]).astype(np.float32)[:, None, None] for m in (yy, xx, -2 * xy)
        )
        exponent = c * product
        exponent += a * square_x
        exponent += b * square_y
        np.exp(exponent, out=exponent)
        exponent *= height[:, k].astype(np.float32)[:, None, None]
        stamps += exponent
    return stamps


def _add(image: NDArray[np.float32], stamp: NDArray[np.float32], x_0: int, y_0: int) -> None:
    """Add the part of a stamp that lies within the image."""
    n_y, n_x = image.shape
    size = stamp.shape[0]
    top, bottom = max(0, -y_0), min(size, n_y - y_0)
    left, right = max(0, -x_0), min(size, n_x - x_0)
    if top < bottom and left < right:
        image[y_0 + top : y_0 + bottom, x_0 + left : x_0 + right] += stamp[top:bottom, left:right]
