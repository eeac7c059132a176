"""The tables that ``calibrateImage`` writes: stars, and matches with the references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, Table

if TYPE_CHECKING:
    import numpy.typing as npt
    from lsst.images import Mask

    from lenticular.pipelines.tasks.calibrate_image_config import CalibrateImageConfig
    from lenticular.pipelines.tasks.calibrate_image_data import Calibration, Planes, PsfResult, Sources

__all__ = ["match_table", "source_ids", "star_table"]

_SOURCE_BITS = 20
_DETECTOR_BITS = 8
_EXTENDED = 1.1
"""Radius, in units of a star's, above which a source is called extended in the table."""

_FLAG_PLANES = {
    "saturatedCenter": ("SATURATED", "Saturated pixel within the core."),
    "suspectCenter": ("SUSPECT", "Pixel near saturation within the core."),
    "crCenter": ("COSMIC_RAY", "Cosmic ray within the core."),
    "badCenter": ("BAD", "Bad pixel within the core."),
    "interpolatedCenter": ("INTERPOLATED", "Interpolated pixel within the core."),
}

type _Columns = dict[str, tuple[npt.NDArray[Any], str, str]]
"""Values, unit and description of each column."""


def _table(columns: _Columns, meta: dict[str, Any]) -> Table:
    table = Table(meta=meta)
    for name, (values, unit, description) in columns.items():
        table[name] = Column(values, unit=unit or None, description=description)
    return table


def source_ids(visit: int, detector: int, n: int) -> npt.NDArray[np.int64]:
    """Give numbers to sources such that no two of an instrument share one.

    Parameters
    ----------
    visit, detector
        The data ID; the detector less than 256.
    n
        Number of sources, less than 2**20.

    Returns
    -------
    numpy.ndarray
        Shape (n,): visit, detector and running number from 1, in one number.
    """
    start = (visit << (_DETECTOR_BITS + _SOURCE_BITS)) | (detector << _SOURCE_BITS)
    return np.arange(1, n + 1, dtype=np.int64) + start


def star_table(
    planes: Planes,
    mask: Mask,
    sources: Sources,
    psf: PsfResult,
    calibration: Calibration,
    *,
    visit: int,
    detector: int,
    band: str,
    config: CalibrateImageConfig,
) -> Table:
    """Make the table of sources.

    Parameters
    ----------
    planes
        The pixels.
    mask
        Mask of the calibrated image.
    sources
        The measured sources.
    psf
        The point-spread function.
    calibration
        What ties them to sky and flux.
    visit, detector, band
        The data ID.
    config
        What was done.

    Returns
    -------
    astropy.table.Table
        One row per source; columns have units and descriptions and, where
        there is one, the name of Rubin's source tables.
    """
    n = len(sources.found)
    columns: _Columns = {
        "sourceId": (source_ids(visit, detector, n), "", "Number of the source, unique in the instrument."),
        "visit": (np.full(n, visit, dtype=np.int64), "", "Visit."),
        "detector": (np.full(n, detector, dtype=np.int16), "", "Detector."),
        "band": (np.full(n, band), "", "Band."),
    }
    columns |= _positions(sources, calibration)
    columns |= _fluxes(sources, calibration, config)
    columns |= _shapes(sources)
    columns |= _flags(planes, mask, sources, psf, calibration)
    return _table(columns, {"visit": visit, "detector": detector, "band": band})


def _positions(sources: Sources, calibration: Calibration) -> _Columns:
    found, wcs = sources.found, calibration.wcs_fit.wcs
    ra, dec = wcs.all_pix2world(found.x, found.y, 0)
    # Errors of the centroid, rotated to the sky; those of the WCS are common to the detector.
    scale = np.asarray(wcs.wcs.cd)
    variance = np.stack([found.x_err**2, found.y_err**2])
    ra_err, dec_err = np.sqrt(np.square(scale) @ variance)
    return {
        "x": (found.x, "pix", "Column of the fitted position; the first pixel's centre is 0."),
        "y": (found.y, "pix", "Row of the fitted position; the first pixel's centre is 0."),
        "xErr": (found.x_err, "pix", "Standard deviation of x."),
        "yErr": (found.y_err, "pix", "Standard deviation of y."),
        "ra": (ra, "deg", "Right ascension, ICRS."),
        "dec": (dec, "deg", "Declination, ICRS."),
        "raErr": (
            ra_err,
            "deg",
            "Standard deviation along right ascension, times cos(dec), of the centroid.",
        ),
        "decErr": (dec_err, "deg", "Standard deviation along declination, of the centroid."),
    }


def _fluxes(sources: Sources, calibration: Calibration, config: CalibrateImageConfig) -> _Columns:
    found, scale = sources.found, calibration.zero_point.scale
    total = scale * calibration.correction
    columns: _Columns = {
        "psfFlux": (found.flux * total, "nJy", "PSF flux, aperture-corrected."),
        "psfFluxErr": (found.flux_err * total, "nJy", "Standard deviation of psfFlux, by photons and sky."),
        "psfFlux_apCorr": (calibration.correction, "", "Aperture correction within psfFlux."),
        "snr": (found.signal_to_noise, "", "Signal to noise of psfFlux."),
    }
    pairs = zip(sources.apertures.flux, sources.apertures.flux_err, strict=True)
    for radius, (flux, error) in zip(config.apertureRadii, pairs, strict=True):
        name = f"ap{radius:04.1f}".replace(".0", "").replace(".", "p")
        columns[f"{name}Flux"] = (flux * scale, "nJy", f"Flux within {radius:g} pixels.")
        columns[f"{name}FluxErr"] = (error * scale, "nJy", f"Standard deviation of {name}Flux.")
    background = sources.detected.background.level[_nearest(sources)] * scale
    columns["sky"] = (background.astype(np.float64), "nJy", "Sky level under the source, per pixel.")
    return columns


def _shapes(sources: Sources) -> _Columns:
    ratio = sources.size_ratio
    extended = np.where(np.isfinite(ratio), ratio > _EXTENDED, np.nan).astype(np.float32)
    columns: _Columns = {
        "halfLightRadius": (
            sources.apertures.half_light_radius,
            "pix",
            "Radius that holds half the flux of the largest aperture.",
        ),
        "sizeRatio": (ratio, "", "Trace radius of the source over that of the point-spread function."),
        "extendedness": (extended, "", "1 for sources broader than a star, 0 for stars, NaN if unknown."),
    }
    for suffix, moments in (("", sources.moments), ("PSF", sources.psf_moments)):
        of = "the source" if not suffix else "the point-spread function there"
        for axes in ("xx", "yy", "xy"):
            values = getattr(moments, axes)
            columns[f"i{axes}{suffix}"] = (values, "pix2", f"Adaptive second moment {axes} of {of}.")
    return columns


def _nearest(sources: Sources) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    shape = sources.detected.image.shape
    row = np.clip(np.floor(sources.found.y + 0.5), 0, shape[0] - 1).astype(np.intp)
    column = np.clip(np.floor(sources.found.x + 0.5), 0, shape[1] - 1).astype(np.intp)
    return row, column


def _flags(
    planes: Planes, mask: Mask, sources: Sources, psf: PsfResult, calibration: Calibration
) -> _Columns:
    found = sources.found
    columns: _Columns = {}
    for name, (plane, description) in _FLAG_PLANES.items():
        padded = np.pad(mask.get(plane), 1)
        row, column = _nearest(sources)
        core = np.zeros(len(found), dtype=np.bool_)
        for j in range(3):
            for i in range(3):
                core |= padded[row + j, column + i]
        columns[f"pixelFlags_{name}"] = (core, "", description)
    edge = ~planes.inside(found.x, found.y, psf.sampled.size // 2)
    columns["pixelFlags_edge"] = (edge, "", "The stamp of the source reaches over the border.")
    for name, used, what in (
        ("calib_psf_used", _closest(found.x, found.y, psf), "the point-spread function"),
        ("calib_apCorr_used", calibration.correction_used, "the aperture correction"),
        ("calib_photometry_used", calibration.photometry_used, "the zero point"),
    ):
        columns[name] = (used, "", f"Used for {what}.")
    astrometry = np.zeros(len(found), dtype=np.bool_)
    astrometry[calibration.astrometry_used] = True
    columns["calib_astrometry_used"] = (astrometry, "", "Used for the WCS.")
    return columns


def _closest(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], psf: PsfResult, radius: float = 1.0
) -> npt.NDArray[np.bool_]:
    """Mark the sources at the positions of the PSF stars, shape (n,)."""
    from scipy.spatial import cKDTree

    used = np.zeros(len(x), dtype=np.bool_)
    distance, index = cKDTree(np.column_stack([x, y])).query(np.column_stack([psf.star_x, psf.star_y]))
    used[np.asarray(index)[np.asarray(distance) < radius]] = True
    return used


def match_table(stars: Table, references: Table, calibration: Calibration, *, band: str) -> Table:
    """Make the table of matches with the reference catalogue.

    Parameters
    ----------
    stars
        The table of sources.
    references
        Reference catalogue.
    calibration
        The matches and the WCS.
    band
        Band of the image.

    Returns
    -------
    astropy.table.Table
        One row per match.
    """
    matches, fit = calibration.matches, calibration.wcs_fit
    chosen, reference = stars[matches.source], references[matches.reference]
    flux = np.asarray(reference[f"{band}_flux"], dtype=np.float64)
    measured = np.asarray(chosen["psfFlux"], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = -2.5 * np.log10(measured / flux)
    columns: _Columns = {
        "refId": (np.asarray(reference["id"]), "", "Number of the reference."),
        "sourceId": (np.asarray(chosen["sourceId"]), "", "Number of the source."),
        "ref_ra": (np.asarray(reference["ra"], dtype=np.float64), "deg", "Right ascension of the reference."),
        "ref_dec": (np.asarray(reference["dec"], dtype=np.float64), "deg", "Declination of the reference."),
        "ref_flux": (flux, "nJy", "Flux of the reference in the band of the image."),
        "raResidual": (
            fit.residual_ra,
            "mas",
            "Source minus reference along right ascension, times cos(dec).",
        ),
        "decResidual": (fit.residual_dec, "mas", "Source minus reference along declination."),
        "magResidual": (difference, "mag", "Source minus reference."),
        "snr": (np.asarray(chosen["snr"]), "", "Signal to noise of the source."),
        "astrometry_used": (fit.kept, "", "Used for the WCS."),
        "photometry_used": (calibration.photometry_used[matches.source], "", "Used for the zero point."),
    }
    return _table(columns, {"band": band})
