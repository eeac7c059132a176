"""The steps of ``calibrateImage`` that find and measure sources, on arrays.

They are functions of arrays and of the configuration, without butler or log, so
that a step can be tried alone in a notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.apertures import measure_apertures
from lenticular.pipelines.algorithms.background import estimate_background
from lenticular.pipelines.algorithms.children import cut_children
from lenticular.pipelines.algorithms.cosmic_rays import find_cosmic_rays
from lenticular.pipelines.algorithms.deblending import find_hidden
from lenticular.pipelines.algorithms.detection import detect, nearest_neighbour
from lenticular.pipelines.algorithms.interpolation import interpolate
from lenticular.pipelines.algorithms.photometry import fit_psf_fluxes
from lenticular.pipelines.algorithms.psf import (
    FWHM_PER_SIGMA,
    fit_psf,
    gaussian_kernel,
    select_psf_stars,
    stellar_locus,
)
from lenticular.pipelines.algorithms.psf_sampler import SampledPsf
from lenticular.pipelines.algorithms.shapes import adaptive_moments
from lenticular.pipelines.tasks.calibrate_image_data import EXTENDED, Detected, PsfResult, Sources

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import FloatImage
    from lenticular.pipelines.algorithms.background import Background
    from lenticular.pipelines.algorithms.photometry import PsfPhotometry
    from lenticular.pipelines.tasks.calibrate_image_config import CalibrateImageConfig
    from lenticular.pipelines.tasks.calibrate_image_data import Planes

__all__ = ["find_cosmic_rays_with_psf", "find_sources", "measure_psf", "measure_sources"]

_HALF_LIGHT_PER_FWHM = 0.62
"""Half-light radius of a Moffat profile of exponent 3.5, in units of its FWHM."""

_MIN_KEPT = 3.0
"""Sources that come out of the fit with less signal to noise are dropped."""

_ISOLATION = 2.5
"""A star counts as isolated when its nearest neighbour is so many FWHM away."""

_MIN_SEPARATION = 0.5
"""Sources that the fit brings closer than so many pixels are one."""


def measure_psf(planes: Planes, background: Background, config: CalibrateImageConfig) -> PsfResult:
    """Find bright stars and fit the point-spread function to them.

    Parameters
    ----------
    planes
        The pixels.
    background
        Sky level and noise.
    config
        What to do.

    Returns
    -------
    PsfResult
        The point-spread function.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are too few stars or they cannot be fitted.
    """
    import sep

    image = planes.image - background.level
    star_x, star_y, fwhm = _find_psf_stars(image, planes, background, config)
    sigma = np.full(len(star_x), fwhm / FWHM_PER_SIGMA)
    x, y, _ = sep.winpos(image, star_x, star_y, sigma)
    fit = fit_psf(
        image,
        planes.variance,
        planes.unusable,
        x,
        y,
        fwhm=fwhm,
        model=config.psfModel,
        order=config.psfOrder,
        moffat_beta=config.psfMoffatBeta,
    )
    sampled = SampledPsf.from_draw(fit.draw, planes.shape, size=config.psfStampSize, n_nodes=fit.order + 2)
    kernel = sampled.kernel((planes.shape[1] - 1) / 2, (planes.shape[0] - 1) / 2)
    radius = adaptive_moments(kernel[None], guess=fwhm / FWHM_PER_SIGMA).determinant_radius[0]
    if not np.isfinite(radius):
        raise MeasurementError(
            "The fitted point-spread function has no measurable size",
            where="psf",
            hint="Try psfModel 'moffat' or a lower psfOrder.",
        )
    return PsfResult(fit, sampled, kernel, float(FWHM_PER_SIGMA * radius), x[fit.used], y[fit.used])


def _find_psf_stars(
    image: FloatImage, planes: Planes, background: Background, config: CalibrateImageConfig
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Find the stars for the point-spread function, and its approximate FWHM, pixels."""
    guess = config.initialPsfFwhm
    bright = detect(
        image,
        background.noise,
        planes.unusable,
        gaussian_kernel(guess, 2 * round(1.5 * guess) + 3),
        threshold=config.psfDetectionThreshold,
        deblend_contrast=0.005,
    )
    measured = measure_apertures(
        image, planes.variance, planes.unusable, bright.x, bright.y, radii=(2.5 * guess,)
    )
    signal_to_noise = measured.flux[0] / measured.flux_err[0]
    half_light = measured.half_light_radius
    locus = stellar_locus(half_light[signal_to_noise > 1.5 * config.psfMinSignalToNoise])
    fwhm = locus / _HALF_LIGHT_PER_FWHM
    usable = (
        (nearest_neighbour(bright.x, bright.y) > _ISOLATION * fwhm)
        & planes.inside(bright.x, bright.y, np.ceil(2.5 * fwhm))
        & ~planes.near_unusable(bright.x, bright.y)
    )
    stars = select_psf_stars(
        half_light,
        signal_to_noise,
        usable,
        locus=locus,
        min_signal_to_noise=config.psfMinSignalToNoise,
        max_stars=config.psfMaxStars,
    )
    return bright.x[stars], bright.y[stars], fwhm


def find_cosmic_rays_with_psf(
    planes: Planes, background: Background, psf: PsfResult, config: CalibrateImageConfig
) -> int:
    """Find cosmic rays that the known point-spread function gives away, and interpolate them.

    Parameters
    ----------
    planes
        The pixels; image, ``unusable`` and ``cosmic_rays`` are changed.
    background
        Sky level and noise.
    psf
        The point-spread function.
    config
        What to do.

    Returns
    -------
    int
        Number of pixels hit.
    """
    height, width = planes.shape
    y, x = (axis.ravel() for axis in np.meshgrid([0.0, height / 2, height], [0.0, width / 2, width]))
    kernels = psf.sampled.kernels(x, y)
    middle = config.psfStampSize // 2
    sharpest = kernels[int(kernels[:, middle, middle].argmax())]
    hits = find_cosmic_rays(
        planes.image - background.level,
        planes.variance,
        sharpest,
        mask=planes.unusable,
        n_sigma=config.cosmicRaySigma,
    )
    interpolate(planes.image, hits.mask)
    planes.cosmic_rays |= hits.mask
    planes.unusable |= hits.mask
    return hits.n_pixels


def find_sources(planes: Planes, first: Background, psf: PsfResult, config: CalibrateImageConfig) -> Detected:
    """Find all sources and fit their positions and fluxes.

    Parameters
    ----------
    planes
        The pixels.
    first
        Sky level and noise, before the sources are known.
    psf
        The point-spread function.
    config
        What to do.

    Returns
    -------
    Detected
        The sources; there may be none.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if the image has no usable sky.
    """
    threshold = config.detectionThreshold
    seen = detect(planes.image - first.level, first.noise, planes.unusable, psf.kernel, threshold=threshold)
    footprint = seen.footprint > 0
    background = estimate_background(
        planes.image, planes.unusable, mesh=config.backgroundMesh, sources=footprint, source_growth=3
    )
    image = planes.image - background.level
    to_fit = (image, background.noise, planes.unusable)
    found = fit_psf_fluxes(*to_fit, psf.sampled, seen.x, seen.y, n_recentre=2)
    n_hidden = 0
    if config.doFindHidden and len(found):
        x, y = find_hidden(
            *to_fit,
            planes.saturated,
            psf.kernel,
            found,
            _broader_than_star(image, planes, psf, found),
            fwhm=psf.fwhm,
            threshold=threshold,
        )
        n_hidden = len(x)
        if n_hidden:
            x, y = np.concatenate([found.x, x]), np.concatenate([found.y, y])
            found = fit_psf_fluxes(*to_fit, psf.sampled, x, y, n_recentre=2)
    kept = _credible(found, planes)
    if not kept.all():
        found = fit_psf_fluxes(*to_fit, psf.sampled, found.x[kept], found.y[kept], n_recentre=0)
    return Detected(background, image, footprint, found, n_hidden)


def _broader_than_star(
    image: FloatImage, planes: Planes, psf: PsfResult, found: PsfPhotometry
) -> npt.NDArray[np.bool_]:
    """Tell which sources are broader than a star, by their half-light radii, shape (n,)."""
    radii = (1.5 * psf.fwhm,)
    middle = np.array([psf.kernel.shape[0] // 2], dtype=np.float64)
    blank = np.zeros(psf.kernel.shape, dtype=np.bool_)
    stamp = psf.kernel.astype(np.float32)
    star = measure_apertures(stamp, np.ones_like(stamp), blank, middle, middle, radii=radii)
    measured = measure_apertures(image, planes.variance, planes.unusable, found.x, found.y, radii=radii)
    ratio = measured.half_light_radius / star.half_light_radius[0]
    return np.asarray(np.nan_to_num(ratio, nan=1.0) > EXTENDED, dtype=np.bool_)


def _credible(found: PsfPhotometry, planes: Planes) -> npt.NDArray[np.bool_]:
    """Tell which sources to keep: significant, on the image, and not one of two in one place."""
    signal_to_noise = np.nan_to_num(found.signal_to_noise, nan=0.0)
    kept = (signal_to_noise > _MIN_KEPT) & planes.inside(found.x, found.y, 0.0)
    close = cKDTree(np.column_stack([found.x, found.y])).query_pairs(_MIN_SEPARATION, output_type="ndarray")
    fainter = np.where(signal_to_noise[close[:, 0]] < signal_to_noise[close[:, 1]], close[:, 0], close[:, 1])
    kept[fainter] = False
    return np.asarray(kept, dtype=np.bool_)


def measure_sources(
    planes: Planes, detected: Detected, psf: PsfResult, config: CalibrateImageConfig
) -> Sources:
    """Measure aperture fluxes and shapes, each source freed of its neighbours.

    Parameters
    ----------
    planes
        The pixels.
    detected
        The sources.
    psf
        The point-spread function.
    config
        What to do.

    Returns
    -------
    Sources
        In the order of ``detected``.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there is no source.
    """
    found = detected.found
    if not len(found):
        raise MeasurementError(
            "No source was found", where="detection", hint="Lower detectionThreshold, or look at the image."
        )
    children = cut_children(found, psf.sampled, planes.variance, planes.unusable)
    sigma = psf.fwhm / FWHM_PER_SIGMA
    return Sources(
        detected,
        children.apertures(tuple(config.apertureRadii)),
        children.moments(sigma),
        adaptive_moments(psf.sampled.kernels(found.x, found.y), guess=sigma),
    )
