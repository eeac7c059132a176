"""When each exposure is taken, and the conditions of those of the sky.

Everything about an exposure is drawn from random numbers named by its ID, so
that a larger survey of the same seed begins with the exposures of a smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from lenticular.pipelines.cerro.camera import (
    BANDS,
    DETECTOR_SIZE,
    GAP,
    PHYSICAL_FILTERS,
    PIXEL_SCALE,
    PIXEL_SIZE_MM,
)
from lenticular.pipelines.cerro.optics import Pointing, PsfField
from lenticular.pipelines.cerro.sky import FIELD_DEC, FIELD_RA, SURVEY_START_MJD
from lenticular.pipelines.cerro.streams import Stream, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lenticular.pipelines.cerro.effects import Effects
    from lenticular.pipelines.cerro.survey import SurveySize

__all__ = [
    "POINTING_ERROR_ARCSEC",
    "ROTATION_ERROR_DEG",
    "ExposureKind",
    "PlannedExposure",
    "SkyConditions",
    "Trail",
    "calibration_exposures",
    "science_exposures",
]

type ExposureKind = Literal["science", "bias", "dark", "flat"]
"""What an exposure is taken for."""

EXPOSURE_TIME = 30.0
DARK_EXPOSURE_TIME = 300.0
READ_TIME = 2.0
FLAT_RATE = 2500.0
"""Light of the flat-field lamp [electron/s/pixel]."""

FLAT_LEVEL = 40_000.0
"""Level of the exposures from which flat fields are made [electron]."""

ZERO_POINT = {"g": 28.35, "r": 28.20, "i": 27.85}
"""Magnitude that gives one electron per second through a clear sky."""

SKY_MAGNITUDE = {"g": 22.2, "r": 21.2, "i": 20.5}
"""Mean brightness of the night sky [mag/arcsec^2]."""

SEEING = {"g": 1.04, "r": 1.0, "i": 0.97}
"""Seeing relative to that of the r band."""

DISTORTION, DISTORTION_ERROR = 2.0e-9, 0.02
"""True cubic distortion [1/pixel^2], and how much less of it the header tells (a ratio)."""

POINTING_ERROR_ARCSEC = 3.0
"""Standard deviation of the header's pointing in each direction; never beyond three of them."""

ROTATION_ERROR_DEG = 0.02
"""Standard deviation of the header's rotation; never beyond three of them."""

NIGHTS_BETWEEN_VISITS = 3
TRAIL_PROBABILITY = 0.2
LAMP_FILTER = "r"
"""Band of the filter in the beam for exposures that need none, and for pairs of flats."""


@dataclass(frozen=True, slots=True)
class _Series:
    """Exposures taken one after the other on the same day."""

    seq_num: int  # of the first
    hours: float  # after noon, of the first
    cadence: float  # [s]


_BIAS = _Series(1, 0.5, 20)
_DARK = _Series(101, 1.5, DARK_EXPOSURE_TIME + 20)
_FLAT = _Series(201, 10.5, 60)
_PAIR = _Series(301, 12.2, 60)
_SCIENCE = _Series(401, 14.4, 60)
_FLATS_PER_BAND = 30


@dataclass(frozen=True, slots=True)
class Trail:
    """The trail of a satellite, straight across the focal plane."""

    x_mm: float
    """A point of the trail in the focal plane [mm]."""

    y_mm: float
    """A point of the trail in the focal plane [mm]."""

    angle: float
    """Direction, from the x axis towards the y axis [rad]."""

    sigma: float
    """Width of the Gaussian profile [pixel]."""

    brightness: float
    """Light [electron per pixel of length]."""


@dataclass(frozen=True, slots=True)
class SkyConditions:
    """How a science exposure really was."""

    pointing: Pointing
    """Where the telescope really pointed."""

    nominal_pointing: Pointing
    """Where the header says it did."""

    psf: PsfField
    """The point spread function."""

    extinction: float
    """Light lost to clouds [mag]."""

    sky_level: float
    """Sky on the optical axis [electron/pixel]."""

    sky_gradient: tuple[float, float]
    """Relative slope of the sky along x and y [1/mm]."""

    zero_point: float
    """Magnitude (AB) that gives one electron in a detector of throughput one."""

    trails: tuple[Trail, ...]
    """Satellites."""


@dataclass(frozen=True, slots=True)
class PlannedExposure:
    """One exposure of all detectors."""

    id: int
    """Exposure ID, less than 2^31, unique over all kinds."""

    obs_id: str
    """Name of the observation."""

    kind: ExposureKind
    """What it is taken for."""

    day_obs: int
    """Day of observation as YYYYMMDD; it changes at 12:00 TAI."""

    seq_num: int
    """Number within the day."""

    mjd: float
    """Begin of the exposure [day, TAI]."""

    exposure_time: float
    """Time that the shutter was open [s]."""

    dark_time: float
    """Time since the detector was cleared [s]."""

    band: str
    """Band of the filter in the beam."""

    target: str
    """What was looked at."""

    reason: str
    """Why."""

    level: float = 0.0
    """Light of the lamp, for a flat [electron/pixel]."""

    sky: SkyConditions | None = field(default=None, repr=False)
    """Conditions, for a science exposure."""

    @property
    def physical_filter(self) -> str:
        """Filter in the beam."""
        return PHYSICAL_FILTERS[self.band]

    @property
    def date_obs(self) -> str:
        """Begin of the exposure in ISO form, TAI."""
        return _date(self.mjd).replace(tzinfo=None).isoformat(timespec="milliseconds")

    @property
    def mid_mjd(self) -> float:
        """Middle of the exposure [day, TAI]."""
        return self.mjd + self.exposure_time / 2 / 86400


def calibration_exposures(size: SurveySize) -> Iterator[PlannedExposure]:
    """Yield the biases, darks and flats, taken on the first day.

    Parameters
    ----------
    size
        How many of each.

    Yields
    ------
    PlannedExposure
        The reason is ``bias``, ``dark``, ``flat`` (for flat fields, in each
        band) or ``ptc`` (pairs of flats at several levels, in r).
    """
    for index in range(size.n_bias):
        yield _exposure("bias", _BIAS, index, LAMP_FILTER, 0.0, reason="bias")
    for index in range(size.n_dark):
        yield _exposure("dark", _DARK, index, LAMP_FILTER, DARK_EXPOSURE_TIME, reason="dark")
    for band in size.bands:
        for repeat in range(size.n_flat):
            index = BANDS.index(band) * _FLATS_PER_BAND + repeat
            yield _flat(_FLAT, index, band, FLAT_LEVEL, reason="flat")
    for index, level in enumerate(size.flat_pair_levels):
        yield _flat(_PAIR, 2 * index, LAMP_FILTER, level, reason="ptc")
        yield _flat(_PAIR, 2 * index + 1, LAMP_FILTER, level, reason="ptc")


def science_exposures(size: SurveySize, seed: int, effects: Effects) -> Iterator[PlannedExposure]:
    """Yield the exposures of the sky, night by night.

    Parameters
    ----------
    size
        How many visits, pointings and bands.
    seed
        Seed of the survey.
    effects
        ``psf_variation``, ``distortion``, ``pointing_error`` and ``trails`` matter.

    Yields
    ------
    PlannedExposure
        With its `SkyConditions`.
    """
    for visit in range(size.n_visits):
        for pointing in range(size.n_pointings):
            for band in size.bands:
                index = pointing * len(BANDS) + BANDS.index(band)
                bare = _exposure(
                    "science",
                    _SCIENCE,
                    index,
                    band,
                    EXPOSURE_TIME,
                    night=visit * NIGHTS_BETWEEN_VISITS,
                    target=f"cerro{pointing:02d}",
                    reason="survey",
                )
                yield replace(bare, sky=_conditions(bare, pointing, size, seed, effects))


def _exposure(
    kind: ExposureKind,
    series: _Series,
    index: int,
    band: str,
    time: float,
    *,
    night: int = 0,
    target: str = "",
    reason: str,
) -> PlannedExposure:
    mjd = SURVEY_START_MJD + night + series.hours / 24 + index * series.cadence / 86400
    day, seq_num = int(_date(mjd - 0.5).strftime("%Y%m%d")), series.seq_num + index
    return PlannedExposure(
        id=(day - 20_200_000) * 1000 + seq_num,
        obs_id=f"CC_O_{day}_{seq_num:06d}",
        kind=kind,
        day_obs=day,
        seq_num=seq_num,
        mjd=mjd,
        exposure_time=time,
        dark_time=time + READ_TIME if time else 0.0,
        band=band,
        target=target or kind.upper(),
        reason=reason,
    )


def _flat(series: _Series, index: int, band: str, level: float, *, reason: str) -> PlannedExposure:
    return replace(_exposure("flat", series, index, band, level / FLAT_RATE, reason=reason), level=level)


def _conditions(
    exposure: PlannedExposure, pointing: int, size: SurveySize, seed: int, effects: Effects
) -> SkyConditions:
    true, nominal = _pointings(exposure.id, pointing, seed, effects)
    band = exposure.band
    extinction = float(stream(seed, Stream.TRANSPARENCY, exposure.id).uniform(0, 0.15))
    rng = stream(seed, Stream.SKY_LEVEL, exposure.id)
    clear = ZERO_POINT[band] + 2.5 * math.log10(EXPOSURE_TIME)
    sky = SKY_MAGNITUDE[band] + rng.normal(0, 0.15) - 2.5 * math.log10(PIXEL_SCALE**2)
    slopes = rng.normal(0, 0.002, 2)
    psf = _psf(exposure, seed, varies=effects.psf_variation)
    return SkyConditions(
        pointing=true,
        nominal_pointing=nominal,
        psf=psf,
        extinction=extinction,
        sky_level=10 ** (-0.4 * (sky - clear)) if effects.sky else 0.0,
        sky_gradient=(float(slopes[0]), float(slopes[1])),
        zero_point=clear - extinction,
        trails=_trails(exposure, psf, size.detector_size, seed) if effects.trails else (),
    )


def _pointings(exposure: int, index: int, seed: int, effects: Effects) -> tuple[Pointing, Pointing]:
    """Return the true and the nominal pointing of an exposure."""
    column, row = _grid_place(index)
    step = 2 * (DETECTOR_SIZE + GAP) * PIXEL_SCALE / 3600
    rng = stream(seed, Stream.POINTING, exposure)
    # Dithers are wider than the gap between detectors; half of the visits are
    # upside down, so that each star is seen by different amplifiers.
    east, north = np.array([column, row]) * step + rng.uniform(-0.004, 0.004, 2)
    rotation = float(180 * rng.integers(0, 2) + rng.normal(0, 0.3))
    dec = FIELD_DEC + north
    ra = FIELD_RA + east / math.cos(math.radians(FIELD_DEC))
    k = DISTORTION if effects.distortion else 0.0
    true = Pointing(ra, dec, rotation, k, PIXEL_SCALE)
    if not effects.pointing_error:
        return true, true
    error = np.clip(stream(seed, Stream.POINTING_ERROR, exposure).standard_normal(3), -3, 3)
    off_east, off_north = error[:2] * POINTING_ERROR_ARCSEC / 3600
    nominal = Pointing(
        float(ra + off_east / math.cos(math.radians(dec))),
        float(dec + off_north),
        float(rotation + error[2] * ROTATION_ERROR_DEG),
        k * (1 - DISTORTION_ERROR),
        PIXEL_SCALE,
    )
    return true, nominal


def _grid_place(index: int) -> tuple[int, int]:
    """Return the index-th place of a square grid, from its centre outwards, ring by ring."""
    half = math.ceil((math.sqrt(index + 1) - 1) / 2)
    steps = range(-half, half + 1)
    grid = sorted(((x, y) for y in steps for x in steps), key=lambda place: max(map(abs, place)))
    return grid[index]


def _psf(exposure: PlannedExposure, seed: int, *, varies: bool) -> PsfField:
    rng = stream(seed, Stream.SEEING, exposure.id)
    arcsec = float(np.clip(rng.lognormal(math.log(0.78), 0.1), 0.66, 0.95)) * SEEING[exposure.band]
    e1, e2 = rng.normal(0, 0.015, 2)
    # Waves longer than three detectors: what is left within one is nearly a plane.
    width = (DETECTOR_SIZE + GAP) * PIXEL_SIZE_MM
    waves = []
    for _ in range(2):
        k, angle = 2 * math.pi / (width * rng.uniform(3, 6)), rng.uniform(0, math.pi)
        phase, amplitude = rng.uniform(0, 2 * math.pi), rng.uniform(0.004, 0.012)
        waves.append((k * math.cos(angle), k * math.sin(angle), float(phase), float(amplitude)))
    return PsfField(arcsec / PIXEL_SCALE, float(e1), float(e2), tuple(waves), varies=varies)


def _trails(exposure: PlannedExposure, psf: PsfField, size: int, seed: int) -> tuple[Trail, ...]:
    """Draw the satellites of an exposure; each crosses detector 0."""
    rng = stream(seed, Stream.TRAILS, exposure.id)
    # The second night has one for certain in r, so that each survey has some.
    night = int(exposure.mjd - SURVEY_START_MJD)
    certain = exposure.band == LAMP_FILTER and night == NIGHTS_BETWEEN_VISITS
    trails = []
    for _ in range(int(certain) + int(rng.random() < TRAIL_PROBABILITY)):
        x, y = -rng.uniform(0.15, 0.85, 2) * size * PIXEL_SIZE_MM
        # Satellites are near: slightly out of focus.
        sigma = math.hypot(psf.fwhm / 2.355, rng.uniform(0.3, 1.5))
        brightness = 10 ** rng.uniform(2.7, 4.0)
        trails.append(Trail(float(x), float(y), float(rng.uniform(0, math.pi)), sigma, brightness))
    return tuple(trails)


def _date(mjd: float) -> datetime:
    # The zone is a stand-in: datetime knows no TAI, and nothing is converted.
    return datetime(1858, 11, 17, tzinfo=UTC) + timedelta(days=mjd)
