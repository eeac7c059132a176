"""Statistics of a calibrated detector: Rubin's summary statistics, and metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from lsst.images import ObservationSummaryStats
from scipy.spatial import cKDTree

from lenticular.pipelines.algorithms.arrays import robust_sigma
from lenticular.pipelines.algorithms.psf import FWHM_PER_SIGMA
from lenticular.pipelines.algorithms.shapes import adaptive_moments
from lenticular.pipelines.metrics import Measurement, MetricBundle

if TYPE_CHECKING:
    from astropy.table import Table

    from lenticular.pipelines.tasks.calibrate_image_data import Calibration, Planes, PsfResult, Sources

__all__ = ["calibration_metrics", "summary_statistics"]

_GRID = 5
"""Places along each axis at which the variation of the point-spread function is looked at."""

_LIMIT = 5.0
"""Signal to noise of the limiting magnitude."""


def summary_statistics(
    planes: Planes, sources: Sources, psf: PsfResult, calibration: Calibration, *, exposure_time: float
) -> ObservationSummaryStats:
    """Summarize a calibrated detector.

    Parameters
    ----------
    planes
        The pixels.
    sources
        The measured sources.
    psf
        The point-spread function.
    calibration
        What ties them to sky and flux.
    exposure_time
        Exposure time, seconds.

    Returns
    -------
    lsst.images.ObservationSummaryStats
        Sky level and noise are in the unit of the calibrated image, nJy;
        what was not measured is NaN.
    """
    scale = calibration.zero_point.scale
    height, width = planes.shape
    wcs, fit = calibration.wcs_fit.wcs, calibration.wcs_fit
    centre = wcs.all_pix2world((width - 1) / 2, (height - 1) / 2, 0)
    across, along = [-0.5, width - 0.5, width - 0.5, -0.5], [-0.5, -0.5, height - 0.5, height - 0.5]
    corners = wcs.all_pix2world(across, along, 0)
    offset = np.stack([fit.residual_ra[fit.kept], fit.residual_dec[fit.kept]]) / 1000.0
    values: dict[str, Any] = {
        "nPsfStar": len(psf.star_x),
        "raCorners": tuple(map(float, corners[0])),
        "decCorners": tuple(map(float, corners[1])),
        "ra": float(centre[0]),
        "dec": float(centre[1]),
        "pixelScale": 3600.0 * math.sqrt(abs(float(np.linalg.det(wcs.wcs.cd)))),
        "expTime": exposure_time,
        "zeroPoint": calibration.zero_point.magnitude,
        "skyBg": sources.detected.background.median_level * scale,
        "skyNoise": sources.detected.background.median_noise * scale,
        "meanVar": float(planes.variance[~planes.unusable].mean()) * scale**2,
        "astromOffsetMean": float(np.hypot(*offset.mean(axis=1))),
        "astromOffsetStd": float(np.hypot(*offset.std(axis=1))),
        "magLim": _limiting_magnitude(sources, psf, calibration),
    }
    values |= _psf_statistics(planes, psf, calibration)
    values |= _star_statistics(sources, psf)
    return ObservationSummaryStats(**values)


def _limiting_magnitude(sources: Sources, psf: PsfResult, calibration: Calibration) -> float:
    """Magnitude of a star of signal to noise 5 (SMTN-002, section 2)."""
    area = 1.0 / float(np.square(psf.kernel).sum())
    noise = area * sources.detected.background.median_noise**2
    electrons = 0.5 * _LIMIT**2 + math.sqrt(0.25 * _LIMIT**4 + _LIMIT**2 * noise)
    return calibration.zero_point.magnitude - 2.5 * math.log10(electrons)


def _psf_statistics(planes: Planes, psf: PsfResult, calibration: Calibration) -> dict[str, float]:
    """Size and shape of the point-spread function, and how they vary over the detector."""
    height, width = planes.shape
    grid = np.meshgrid(np.linspace(0, width - 1, _GRID), np.linspace(0, height - 1, _GRID))
    x, y = (axis.ravel() for axis in grid)
    kernels = np.concatenate([psf.kernel[None], psf.sampled.kernels(x, y)])
    moments = adaptive_moments(kernels, guess=psf.fwhm / FWHM_PER_SIGMA)
    offset = np.arange(psf.sampled.size) - psf.sampled.size // 2
    aperture = np.hypot(offset[:, None], offset) < max(2.0, 3.0 * psf.fwhm / FWHM_PER_SIGMA)
    within = (kernels[1:] * aperture).sum(axis=(1, 2))
    correction = np.asarray(calibration.correction_field(x=x, y=y))
    distance, _ = cKDTree(np.column_stack([psf.star_x, psf.star_y])).query(np.column_stack([x, y]))
    sigma = psf.fwhm / FWHM_PER_SIGMA
    return {
        "psfSigma": sigma,
        "psfArea": 1.0 / float(np.square(psf.kernel).sum()),
        "psfIxx": float(moments.xx[0]),
        "psfIyy": float(moments.yy[0]),
        "psfIxy": float(moments.xy[0]),
        "psfTraceRadiusDelta": float(np.ptp(moments.trace_radius[1:])),
        "psfApFluxDelta": float(np.ptp(within)),
        "psfApCorrSigmaScaledDelta": float(np.ptp(correction)) / sigma,
        "maxDistToNearestPsf": float(np.max(distance)),
    }


def _star_statistics(sources: Sources, psf: PsfResult) -> dict[str, float]:
    """How the stars of the point-spread function differ from it."""
    found = sources.found
    distance, index = cKDTree(np.column_stack([found.x, found.y])).query(
        np.column_stack([psf.star_x, psf.star_y])
    )
    stars = np.unique(np.asarray(index)[np.asarray(distance) < 1.0])
    stars = stars[np.isfinite(sources.size_ratio[stars])]
    if len(stars) == 0:
        return {}
    e1, e2 = (value[stars] for value in sources.moments.ellipticity)
    psf_e1, psf_e2 = (value[stars] for value in sources.psf_moments.ellipticity)
    size = sources.moments.determinant_radius[stars] - sources.psf_moments.determinant_radius[stars]
    scaled = size / sources.psf_moments.determinant_radius[stars] ** 2
    return {
        "psfStarDeltaE1Median": float(np.median(e1 - psf_e1)),
        "psfStarDeltaE2Median": float(np.median(e2 - psf_e2)),
        "psfStarDeltaE1Scatter": robust_sigma(e1 - psf_e1),
        "psfStarDeltaE2Scatter": robust_sigma(e2 - psf_e2),
        "psfStarDeltaSizeMedian": float(np.median(size)),
        "psfStarDeltaSizeScatter": robust_sigma(size),
        "psfStarScaledDeltaSizeScatter": robust_sigma(scaled),
        "starEMedian": float(np.median(np.hypot(e1, e2))),
    }


def calibration_metrics(
    summary: ObservationSummaryStats,
    sources: Sources,
    psf: PsfResult,
    calibration: Calibration,
    matches: Table,
    *,
    identifier: str,
) -> MetricBundle:
    """Collect the metrics of a calibrated detector.

    Parameters
    ----------
    summary
        Summary statistics.
    sources
        The measured sources.
    psf
        The point-spread function.
    calibration
        What ties them to sky and flux.
    matches
        Table of the matches.
    identifier
        Name of the dataset.

    Returns
    -------
    lenticular.pipelines.metrics.MetricBundle
        Metrics of the point-spread function, the search, the WCS, the zero
        point and the sky.
    """
    fit, zero = calibration.wcs_fit, calibration.zero_point
    residuals = np.concatenate([fit.residual_ra[fit.kept], fit.residual_dec[fit.kept]])
    count = len(sources.found)
    return MetricBundle(
        dataset_identifier=identifier,
        measurements={
            "psf": (
                _metric("psf_fwhm", psf.fwhm * summary.pixelScale, "arcsec", "FWHM of an equal Gaussian"),
                _metric("psf_ellipticity", _ellipticity(summary), "", "Distortion in the middle"),
                _metric("psf_star_count", summary.nPsfStar, "ct", "Stars in the model"),
                _metric("psf_size_scatter", summary.psfStarDeltaSizeScatter, "pix", "Stars less model"),
            ),
            "detection": (
                _metric("source_count", count, "ct", "Sources"),
                _metric("hidden_count", sources.detected.n_hidden, "ct", "Candidates of the second search"),
                _metric("limiting_magnitude", summary.magLim, "mag(AB)", "Star of signal to noise 5"),
            ),
            "astrometry": (
                _metric("match_count", int(fit.kept.sum()), "ct", "Stars in the fit"),
                _metric("astrometric_scatter", robust_sigma(residuals), "mas", "Per axis"),
                _metric("astrometric_prediction", fit.predicted_rms, "mas", "Each star from the others"),
                _metric("pointing_offset", _pointing(calibration, summary), "arcsec", "Error of the header"),
                _metric("distortion_degree", fit.degree, "", "Degree of the correction"),
            ),
            "photometry": (
                _metric("zero_point", zero.magnitude, "mag(AB)", "One electron"),
                _metric("photometric_scatter", 1000 * zero.scatter, "mmag", "Against the references"),
                _metric("zero_point_star_count", int(matches["photometry_used"].sum()), "ct", "Stars"),
            ),
            "sky": (
                _metric("sky_level", summary.skyBg, "nJy", "Median, per pixel"),
                _metric("sky_noise", summary.skyNoise, "nJy", "Median, per pixel"),
            ),
        },
    )


def _metric(name: str, value: float, unit: str, description: str) -> Measurement:
    return Measurement(metric=name, value=float(value), unit=unit, description=description)


def _ellipticity(summary: ObservationSummaryStats) -> float:
    trace = summary.psfIxx + summary.psfIyy
    return math.hypot(summary.psfIxx - summary.psfIyy, 2 * summary.psfIxy) / trace


def _pointing(calibration: Calibration, summary: ObservationSummaryStats) -> float:
    return math.hypot(*calibration.matches.offset) * summary.pixelScale
