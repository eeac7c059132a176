"""Raw exposures: simulated pixels, their headers, and files of them."""

from __future__ import annotations

import hashlib
import math
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import ConfigError
from lenticular.pipelines.cerro.effects import (
    add_trail,
    collect,
    cosmic_rays,
    overflow,
    photon_noise,
    read_out,
)
from lenticular.pipelines.cerro.optics import render
from lenticular.pipelines.cerro.streams import Stream, stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from astropy.io.fits import Header
    from numpy.typing import NDArray

    from lenticular.pipelines.camera import DetectorModel
    from lenticular.pipelines.cerro.optics import Moments
    from lenticular.pipelines.cerro.schedule import PlannedExposure, SkyConditions
    from lenticular.pipelines.cerro.sky import Sky
    from lenticular.pipelines.cerro.survey import SurveyPlan

__all__ = [
    "SimulatedPixels",
    "cosmic_ray_mask",
    "exposure_path",
    "raw_header",
    "simulate_exposure",
    "simulate_pixels",
    "simulate_survey",
]

SIMULATION_VERSION = 1
"""To be raised when the same plan gives other pixels or headers: old files are then replaced."""


TILE_SHAPE = (128, 128)
"""Rows and columns that are compressed together; square, so that a cutout needs few of them."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedPixels:
    """One detector of one exposure, and what happened to it."""

    raw: NDArray[np.uint16]
    """(raw n_y, raw n_x), as it was read out [adu]."""

    light: NDArray[np.float32]
    """(n_y, n_x), the expected electrons of a perfect detector."""

    cosmic_rays: NDArray[np.bool_]
    """(n_y, n_x), pixels that a cosmic ray hit."""

    saturated: NDArray[np.bool_]
    """(n_y, n_x), pixels whose wells are full."""


def simulate_pixels(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> SimulatedPixels:
    """Simulate one detector of one exposure in memory.

    Parameters
    ----------
    plan
        The survey.
    exposure
        One of its exposures.
    detector_id
        One of its detectors.

    Returns
    -------
    SimulatedPixels
        The same for the same arguments.

    Raises
    ------
    NotFoundError
        If the survey does not use this detector.
    """
    truth, effects = plan.detector_truth(detector_id), plan.effects
    model = truth.model

    def rng(purpose: Stream) -> np.random.Generator:
        return stream(plan.seed, purpose, exposure.id, detector_id)

    light = _light(plan, exposure, model, truth.throughput)
    electrons = collect(light, truth, band=exposure.band, dark_time=exposure.dark_time, effects=effects)
    if effects.photon_noise:
        electrons = photon_noise(electrons, rng(Stream.PHOTON_NOISE))
    rays = _cosmic_rays(plan, exposure, model)
    electrons += rays
    full = overflow(electrons, truth) if effects.saturation else np.zeros(model.shape, bool)
    raw = read_out(
        electrons, truth, effects=effects, noise=rng(Stream.READ_NOISE), drift=rng(Stream.BIAS_LEVEL)
    )
    return SimulatedPixels(raw, light, rays > 0, full)


def cosmic_ray_mask(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> NDArray[np.bool_]:
    """Return the pixels that cosmic rays hit, without simulating the rest.

    Parameters
    ----------
    plan
        The survey.
    exposure
        One of its exposures.
    detector_id
        One of its detectors.

    Returns
    -------
    (n_y, n_x)
        The same as `SimulatedPixels.cosmic_rays`.

    Raises
    ------
    NotFoundError
        If the survey does not use this detector.
    """
    plan.check_detector(detector_id)
    return _cosmic_rays(plan, exposure, plan.camera.detector(detector_id)) > 0


def _cosmic_rays(plan: SurveyPlan, exposure: PlannedExposure, model: DetectorModel) -> NDArray[np.float32]:
    if not plan.effects.cosmic_rays:
        return np.zeros(model.shape, np.float32)
    rng = stream(plan.seed, Stream.COSMIC_RAYS, exposure.id, model.id)
    return cosmic_rays(model.shape, exposure.dark_time, rng)


def _light(
    plan: SurveyPlan, exposure: PlannedExposure, model: DetectorModel, throughput: float
) -> NDArray[np.float32]:
    """Return the electrons that a perfect detector would hold."""
    factor = throughput if plan.effects.flat else 1.0
    if exposure.sky is None:
        return np.full(model.shape, exposure.level * factor, np.float32)
    light = _sky_background(exposure.sky, model)
    for trail in exposure.sky.trails:
        x, y = model.boresight_pixel()
        x, y = x + trail.x_mm / model.pixel_size_mm, y + trail.y_mm / model.pixel_size_mm
        add_trail(light, x=x, y=y, angle=trail.angle, sigma=trail.sigma, brightness=trail.brightness)
    _add_sources(light, plan.sky_of(exposure, model.id), exposure, exposure.sky, model)
    light *= np.float32(factor)
    return light


def _sky_background(conditions: SkyConditions, model: DetectorModel) -> NDArray[np.float32]:
    y, x = np.ogrid[: model.n_y, : model.n_x]
    x_mm, y_mm = model.to_focal_plane(x.astype(np.float64), y.astype(np.float64))
    slope_x, slope_y = conditions.sky_gradient
    return (conditions.sky_level * (1 + slope_x * x_mm + slope_y * y_mm)).astype(np.float32)


def _add_sources(
    light: NDArray[np.float32],
    sky: Sky,
    exposure: PlannedExposure,
    conditions: SkyConditions,
    model: DetectorModel,
) -> None:
    x, y = conditions.pointing.to_pixel(model, sky.table["ra"], sky.table["dec"])
    flux = 10 ** (-0.4 * (sky.magnitude(exposure.band, exposure.mid_mjd) - conditions.zero_point))
    psf = conditions.psf.second_moments(*model.to_focal_plane(x, y))
    extended = sky.table["radius"] > 0
    for chosen, disc in ((~extended, None), (extended, _discs(sky[extended], conditions))):
        render(light, x[chosen], y[chosen], flux[chosen], _take(psf, chosen), disc)


def _take(moments: Moments, chosen: NDArray[np.bool_]) -> Moments:
    xx, yy, xy = moments
    return xx[chosen], yy[chosen], xy[chosen]


def _discs(sky: Sky, conditions: SkyConditions) -> Moments:
    """Return the moments of the galaxies' discs in pixels; see `render`."""
    table = sky.table
    major = (table["radius"] / conditions.pointing.pixel_scale) ** 2
    minor = major * table["axis_ratio"] ** 2
    angle = np.radians(90 + table["position_angle"] - conditions.pointing.rotation)
    cosine, sine = np.cos(angle), np.sin(angle)
    return (
        major * cosine**2 + minor * sine**2,
        major * sine**2 + minor * cosine**2,
        (major - minor) * sine * cosine,
    )


def raw_header(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> Header:
    """Return the header of a raw, which tells what the observatory knows.

    Parameters
    ----------
    plan
        The survey.
    exposure
        One of its exposures.
    detector_id
        One of its detectors.

    Returns
    -------
    astropy.io.fits.Header
        Times are TAI. A science exposure has the nominal WCS (TAN-SIP).
    """
    from astropy.io.fits import Header

    model = plan.camera.detector(detector_id)
    cards: dict[str, tuple[Any, str]] = {
        "TELESCOP": ("Cerro Simulated Telescope", "telescope"),
        "INSTRUME": (plan.camera.name, "instrument"),
        "EXPID": (exposure.id, "exposure ID"),
        "OBSID": (exposure.obs_id, "name of the observation"),
        "OBSTYPE": (exposure.kind, "science, bias, dark or flat"),
        "DAYOBS": (exposure.day_obs, "day of observation, changes at 12:00 TAI"),
        "SEQNUM": (exposure.seq_num, "number within the day"),
        "DATE-OBS": (exposure.date_obs, "begin of the exposure"),
        "TIMESYS": ("TAI", "time scale"),
        "MJD-OBS": (exposure.mjd, "[d] begin of the exposure"),
        "EXPTIME": (exposure.exposure_time, "[s] time the shutter was open"),
        "DARKTIME": (exposure.dark_time, "[s] time since the detector was cleared"),
        "FILTER": (exposure.physical_filter, "physical filter"),
        "OBJECT": (exposure.target, "target"),
        "PROGRAM": ("cerro", "observing program"),
        "REASON": (exposure.reason, "why it was taken"),
        "DETNUM": (detector_id, "detector ID"),
        "DETNAME": (model.name, "name of the detector"),
        "DETSER": (model.serial, "serial number of the detector"),
        "SIMSEED": (plan.seed, "seed of the simulation"),
        "SIMKEY": (_key(plan, exposure, detector_id), "what the pixels depend on"),
    }
    header = Header([(name, value, comment) for name, (value, comment) in cards.items()])
    if exposure.sky is not None:
        pointing = exposure.sky.nominal_pointing
        header["ROTANG"] = (pointing.rotation, "[deg] position angle of the y axis, E of N")
        header["RATEL"] = (pointing.ra, "[deg] ICRS, as commanded")
        header["DECTEL"] = (pointing.dec, "[deg] ICRS, as commanded")
        header.update(pointing.header(model))
    return header


def _key(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> str:
    """Return a digest of everything that the pixels depend on."""
    inputs = (SIMULATION_VERSION, plan.seed, plan.effects, plan.size.detector_size, exposure, exposure.sky)
    return hashlib.sha256(repr((*inputs, detector_id)).encode()).hexdigest()[:16]


def exposure_path(exposure: PlannedExposure, detector_id: int, folder: Path | str) -> Path:
    """Return where `simulate_exposure` writes a detector of an exposure."""
    return Path(folder) / f"{exposure.obs_id}_S{detector_id:02d}.fits.fz"


def simulate_exposure(
    plan: SurveyPlan, exposure: PlannedExposure, detector_id: int, folder: Path | str
) -> Path:
    """Write one detector of one exposure as a raw file.

    A file that is there already, complete and of the same plan, is kept.

    Parameters
    ----------
    plan
        The survey.
    exposure
        One of its exposures.
    detector_id
        One of its detectors.
    folder
        Where to write; it is made if it does not exist.

    Returns
    -------
    pathlib.Path
        A FITS file with the raw (16 bit, RICE-compressed) and its header in
        HDU 1. Under its name it is always complete.

    Raises
    ------
    NotFoundError
        If the survey does not use this detector.
    OSError
        If the file cannot be written.
    """
    from astropy.io import fits

    plan.check_detector(detector_id)
    path = exposure_path(exposure, detector_id, folder)
    if _is_current(path, _key(plan, exposure, detector_id)):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = simulate_pixels(plan, exposure, detector_id)
    image = fits.CompImageHDU(
        pixels.raw,
        raw_header(plan, exposure, detector_id),
        compression_type="RICE_1",
        tile_shape=TILE_SHAPE,
    )
    # A name of its own, lest two processes write into the same file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fits.HDUList([fits.PrimaryHDU(), image]).writeto(partial, overwrite=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _is_current(path: Path, key: str) -> bool:
    from astropy.io import fits

    # Whatever cannot be read is not a file of ours and is made anew.
    with suppress(OSError, KeyError, IndexError):
        return bool(fits.getheader(path, 1, disable_image_compression=True)["SIMKEY"] == key)
    return False


def simulate_survey(
    plan: SurveyPlan,
    folder: Path | str,
    *,
    workers: int = 1,
    progress: Callable[[int, int, Path], None] | None = None,
) -> list[Path]:
    """Write all raw files of a survey; those already there are kept.

    Parameters
    ----------
    plan
        The survey.
    folder
        Where to write; it is made if it does not exist.
    workers
        Processes to use. The files do not depend on it.
    progress
        Called after each file with the number of files done, the number of all
        and the file.

    Returns
    -------
    list of pathlib.Path
        Detector by detector, each in the order of the exposures.

    Raises
    ------
    ConfigError
        If there is to be no worker.
    OSError
        If a file cannot be written.
    """
    if workers < 1:
        raise ConfigError(f"{workers} workers", hint="It takes one at least.")
    # Detector by detector: what is known about one is made once.
    jobs = [(exposure, detector) for detector in plan.detector_ids for exposure in plan.exposures]
    if workers == 1:
        return _gather((simulate_exposure(plan, *job, folder) for job in jobs), len(jobs), progress)
    chunk = max(1, math.ceil(len(jobs) / (4 * workers)))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        exposures, detectors = zip(*jobs, strict=True)
        paths = pool.map(
            simulate_exposure, repeat(plan), exposures, detectors, repeat(folder), chunksize=chunk
        )
        try:
            return _gather(paths, len(jobs), progress)
        except BaseException:
            # An interrupted visitor should not wait for what has not begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _gather(paths: Iterable[Path], n: int, progress: Callable[[int, int, Path], None] | None) -> list[Path]:
    done = []
    for path in paths:
        done.append(path)
        if progress is not None:
            progress(len(done), n, path)
    return done
