"""The steps of ``calibrateImage`` that tie sources to the sky and to the scale of fluxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from lsst.images.fields import ChebyshevField

from lenticular.pipelines.algorithms.apertures import choose_ratio_fit
from lenticular.pipelines.algorithms.astrometry import fit_wcs
from lenticular.pipelines.algorithms.matching import match_to_references
from lenticular.pipelines.algorithms.photocal import fit_zero_point
from lenticular.pipelines.tasks.calibrate_image_data import Calibration

if TYPE_CHECKING:
    import numpy.typing as npt
    from astropy.table import Table
    from astropy.wcs import WCS
    from lsst.images import Box

    from lenticular.pipelines.algorithms.astrometry import WcsFit
    from lenticular.pipelines.algorithms.matching import Matches
    from lenticular.pipelines.algorithms.photocal import ZeroPoint
    from lenticular.pipelines.tasks.calibrate_image_config import CalibrateImageConfig
    from lenticular.pipelines.tasks.calibrate_image_data import Planes, Sources

    type _Index = npt.NDArray[np.intp]
    type _Vector = npt.NDArray[np.float64]

__all__ = ["calibrate"]

_INNER_RADIUS = 1.5
"""Radius, in FWHM, near which the aperture lies whose ratio to the PSF flux is mapped."""

_MODEL_ERROR = 0.003
"""Relative error of bright stars' fluxes by the flat field and the PSF, not by photons."""


def calibrate(
    planes: Planes,
    sources: Sources,
    references: Table,
    *,
    nominal: WCS,
    bbox: Box,
    band: str,
    fwhm: float,
    config: CalibrateImageConfig,
) -> Calibration:
    """Measure aperture correction, WCS and zero point.

    Parameters
    ----------
    planes
        The pixels.
    sources
        The measured sources.
    references
        Reference catalogue with the columns ``ra`` and ``dec`` [deg],
        ``BAND_flux`` and, if there is one, ``BAND_fluxErr`` [nJy].
    nominal
        WCS of the header.
    bbox
        Box of the detector.
    band
        Name of the band.
    fwhm
        Full width at half maximum of the point-spread function, pixels.
    config
        What to do.

    Returns
    -------
    Calibration
        What was measured.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are too few stars for one of them.
    """
    found = sources.found
    clean = ~planes.near_unusable(found.x, found.y)
    stellar = clean & ~sources.extended
    field, corrected = _aperture_correction(planes, sources, stellar, bbox, fwhm, config)
    correction = np.asarray(field(x=found.x, y=found.y), dtype=np.float64)
    flux = found.flux * correction
    matches, wcs_fit = _astrometry(planes, sources, clean, references, nominal, band, config)
    bright = stellar & (found.signal_to_noise > config.photometryMinSignalToNoise)
    for_photometry = np.flatnonzero(wcs_fit.kept & bright[matches.source])
    zero_point = _zero_point(flux, found.flux_err * correction, matches, for_photometry, references, band)
    photometry_used = np.zeros(len(found), dtype=np.bool_)
    photometry_used[matches.source[for_photometry[zero_point.used]]] = True
    return Calibration(field, correction, corrected, matches, wcs_fit, zero_point, photometry_used)


def _aperture_correction(
    planes: Planes,
    sources: Sources,
    stellar: npt.NDArray[np.bool_],
    bbox: Box,
    fwhm: float,
    config: CalibrateImageConfig,
) -> tuple[ChebyshevField, npt.NDArray[np.bool_]]:
    """Fit the ratio of the largest aperture's flux to the PSF flux; says which stars were used.

    How the ratio changes over the detector is seen in a small aperture, where
    the sky adds little noise; from there to the largest aperture all stars
    grow alike (the curve of growth of Stetson 1990, PASP 102, 932).
    """
    found, apertures = sources.found, sources.apertures
    whole = planes.inside(found.x, found.y, config.apertureRadii[-1] + 1)
    bright = found.signal_to_noise > config.apertureCorrectionMinSignalToNoise
    stars = np.flatnonzero(stellar & whole & bright)
    x, y = found.x[stars], found.y[stars]
    inner = int(np.argmin(np.abs(np.array(apertures.radii) - _INNER_RADIUS * fwhm)))
    flux, error = apertures.flux[:, stars], apertures.flux_err[:, stars]
    ratio = flux[inner] / found.flux[stars]
    ratio_err = np.hypot(error[inner] / found.flux[stars], _MODEL_ERROR)
    choice = choose_ratio_fit(ratio, ratio_err, x, y, max_degree=config.apertureCorrectionOrder)
    kept = choice.used
    growth, growth_err = flux[-1] / flux[inner], np.hypot(error[-1] / flux[inner], _MODEL_ERROR)
    grown = choose_ratio_fit(growth, growth_err, x, y, max_degree=0).used
    whole_flux = float(np.average(growth[grown], weights=growth_err[grown] ** -2))
    field = ChebyshevField.fit(
        bbox, ratio[kept] * whole_flux, choice.degree, x=x[kept], y=y[kept], weight=1 / ratio_err[kept]
    )
    used = np.zeros(len(found), dtype=np.bool_)
    used[stars[kept]] = True
    return field, used


def _column(references: Table, name: str) -> _Vector:
    """Take a column of the reference catalogue as plain numbers; NaN where masked."""
    values = np.ma.asarray(references[name]).astype(np.float64)
    return np.asarray(np.ma.filled(values, np.nan), dtype=np.float64)


def _astrometry(
    planes: Planes,
    sources: Sources,
    clean: npt.NDArray[np.bool_],
    references: Table,
    nominal: WCS,
    band: str,
    config: CalibrateImageConfig,
) -> tuple[Matches, WcsFit]:
    """Match bright sources with the references and refit the WCS."""
    found = sources.found
    bright = np.flatnonzero(clean & (found.signal_to_noise > config.astrometryMinSignalToNoise))
    ra, dec = _column(references, "ra"), _column(references, "dec")
    matches = match_to_references(
        found.x[bright],
        found.y[bright],
        found.flux[bright],
        ra,
        dec,
        _column(references, f"{band}_flux"),
        nominal=nominal,
        shape=planes.shape,
        max_offset=config.astrometryMaxOffset,
        min_matches=config.astrometryMinMatches,
    ).of(bright)
    source = matches.source
    error = np.sqrt(0.5 * (found.x_err[source] ** 2 + found.y_err[source] ** 2))
    wcs_fit = fit_wcs(
        found.x[source],
        found.y[source],
        error,
        ra[matches.reference],
        dec[matches.reference],
        nominal=nominal,
        shape=planes.shape,
        max_degree=config.astrometryMaxDegree,
    )
    return matches, wcs_fit


def _zero_point(
    flux: _Vector, flux_err: _Vector, matches: Matches, chosen: _Index, references: Table, band: str
) -> ZeroPoint:
    """Fit the zero point to chosen matches."""
    source, reference = matches.source[chosen], matches.reference[chosen]
    name = f"{band}_fluxErr"
    known = _column(references, name) if name in references.colnames else np.zeros(len(references))
    return fit_zero_point(
        flux[source],
        flux_err[source],
        _column(references, f"{band}_flux")[reference],
        known[reference],
    )
