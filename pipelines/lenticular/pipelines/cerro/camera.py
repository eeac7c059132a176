"""The camera of the survey, and what its detectors are really like.

`cerro_camera` is what the observatory believes: geometry and nominal values.
`DetectorTruth` is what the simulation uses and the calibration has to find.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import ConfigError
from lenticular.pipelines.camera import AmplifierModel, CameraModel, DetectorModel, Section
from lenticular.pipelines.cerro.streams import Stream, stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BANDS",
    "CAMERA_NAME",
    "DETECTOR_COUNT",
    "DETECTOR_SIZE",
    "PHYSICAL_FILTERS",
    "PIXEL_SCALE",
    "DetectorTruth",
    "cerro_camera",
    "detector_throughput",
]

CAMERA_NAME = "CerroCam"
"""Short name of the instrument."""

BANDS = ("g", "r", "i")
"""Bands, in the order in which a night visits them."""

PHYSICAL_FILTERS = {"g": "g_01", "r": "r_01", "i": "i_01"}
"""Physical filter of each band."""

PIXEL_SCALE = 0.2
"""Scale at the optical axis [arcsec/pixel]."""

PIXEL_SIZE_MM = 0.01
DETECTOR_SIZE = 1024
"""Rows and columns of a detector [pixel]."""

DETECTOR_COUNT = 16
"""Detectors of the camera; a survey may use the first few only."""

GAP = 40
"""Distance between neighbouring detectors [pixel]."""

PRESCAN, SERIAL_OVERSCAN, PARALLEL_OVERSCAN = 8, 32, 16
SKIPPED_OVERSCAN = 4
"""Overscan columns next to the data that are not to be used."""

NOMINAL_GAIN = 1.5
NOMINAL_READ_NOISE = 6.0
NOMINAL_FULL_WELL = 85_000.0


@lru_cache(maxsize=8)
def cerro_camera(n_detectors: int = DETECTOR_COUNT, detector_size: int = DETECTOR_SIZE) -> CameraModel:
    """Return the camera as the observatory knows it.

    Detectors fill the focal plane from the optical axis outwards: 0 to 3 are
    the inner square, 4 to 15 the ring around it. The place of a detector does
    not depend on how many there are.

    Parameters
    ----------
    n_detectors
        Number of detectors.
    detector_size
        Rows and columns of a detector; an even number [pixel].

    Returns
    -------
    CameraModel
        Every amplifier with the same nominal values.

    Raises
    ------
    ConfigError
        If the detectors cannot be made.
    """
    if n_detectors < 1 or detector_size < 64 or detector_size % 2:  # noqa: PLR2004 - said in the hint
        raise ConfigError(
            f"No camera of {n_detectors} detectors of {detector_size} pixels",
            where=CAMERA_NAME,
            hint="It takes one detector or more, of an even number of pixels, 64 at least.",
        )
    amplifiers = _amplifiers(detector_size)
    pitch = (detector_size + GAP) * PIXEL_SIZE_MM
    detectors = tuple(
        DetectorModel(
            id=index,
            name=f"S{index:02d}",
            serial=f"CERRO-{index:03d}",
            n_y=detector_size,
            n_x=detector_size,
            focal_plane_x_mm=x * pitch,
            focal_plane_y_mm=y * pitch,
            pixel_size_mm=PIXEL_SIZE_MM,
            amplifiers=amplifiers,
        )
        for index, (x, y) in enumerate(_places(n_detectors))
    )
    return CameraModel(name=CAMERA_NAME, pixel_scale=PIXEL_SCALE, detectors=detectors)


def _places(n: int) -> list[tuple[float, float]]:
    """Return the centres of n detectors in units of their pitch, innermost first."""
    half = math.ceil(math.sqrt(n) / 2)
    steps = [k + 0.5 for k in range(-half, half)]
    grid = [(x, y) for y in steps for x in steps]
    # Ring by ring; within a ring, row by row: sorting is stable.
    return sorted(grid, key=lambda place: max(abs(place[0]), abs(place[1])))[:n]


def _amplifiers(size: int) -> tuple[AmplifierModel, ...]:
    """Return the four amplifiers of a detector, each read out at its outer corner.

    A row of the raw is: prescan, data, overscan | overscan, data, prescan. The
    parallel overscans of the lower and the upper half meet in the middle.
    """
    half = size // 2
    width, height = PRESCAN + half + SERIAL_OVERSCAN, half + PARALLEL_OVERSCAN
    found = []
    for upper in (False, True):
        data_y = height + PARALLEL_OVERSCAN if upper else 0
        parallel_y = height if upper else half
        for right in (False, True):
            start = width if right else 0
            data_x = width + SERIAL_OVERSCAN if right else PRESCAN
            serial_x = width if right else PRESCAN + half + SKIPPED_OVERSCAN
            prescan_x = 2 * width - PRESCAN if right else 0
            used = SERIAL_OVERSCAN - SKIPPED_OVERSCAN
            found.append(
                AmplifierModel(
                    name=f"C{int(upper)}{int(right)}",
                    bbox=_section(half * upper, half * right, half, half),
                    raw_bbox=_section(height * upper, start, height, width),
                    raw_data_bbox=_section(data_y, data_x, half, half),
                    raw_serial_overscan_bbox=_section(data_y, serial_x, half, used),
                    raw_parallel_overscan_bbox=_section(parallel_y, data_x, PARALLEL_OVERSCAN, half),
                    raw_prescan_bbox=_section(data_y, prescan_x, half, PRESCAN),
                    readout_corner=("UR" if right else "UL") if upper else ("LR" if right else "LL"),
                    gain=NOMINAL_GAIN,
                    read_noise=NOMINAL_READ_NOISE,
                    saturation=NOMINAL_FULL_WELL,
                )
            )
    return tuple(found)


def _section(y: int, x: int, n_y: int, n_x: int) -> Section:
    return Section(y0=y, y1=y + n_y, x0=x, x1=x + n_x)


@dataclass(frozen=True, slots=True, eq=False)
class DetectorTruth:
    """What one detector is really like: the answers that calibration has to find.

    A pixel collects ``Poisson(light x response + dark_current x time)``
    electrons, where the mean of `response` over the good pixels is one. The
    amplifier loses what exceeds `full_well`, reports e' instead of e, with
    ``e = e' + linearity x e'^2``, divides by `gain`, adds `crosstalk` times
    what the other amplifiers read at the same time, and the bias structure.
    """

    model: DetectorModel
    """Geometry and nominal values."""

    gain: NDArray[np.float64]
    """Per amplifier [electron/adu]."""

    read_noise: NDArray[np.float64]
    """Per amplifier [electron]."""

    full_well: NDArray[np.float64]
    """Per amplifier [electron]."""

    linearity: NDArray[np.float64]
    """c of e_true = e + c e^2 per amplifier [1/electron]."""

    crosstalk: NDArray[np.float64]
    """(n_amp, n_amp), victim x source, a ratio of adu, zero on the diagonal."""

    bias_level: NDArray[np.float64]
    """Mean level of the overscan per amplifier [adu]."""

    throughput: float
    """Light of this detector relative to the mean of all, vignetting included."""

    response: dict[str, NDArray[np.float32]]
    """Flat field of each band, without bad pixels: (n_y, n_x), mean one."""

    dark_current: NDArray[np.float32]
    """Without hot pixels: (n_y, n_x) [electron/s]."""

    bias_structure: NDArray[np.float32]
    """Fixed pattern on top of the overscan: (n_y, n_x) [adu]."""

    dead: NDArray[np.float32]
    """Factor on the response: (n_y, n_x), one except in dead pixels and columns."""

    hot: NDArray[np.float32]
    """Additional dark current: (n_y, n_x), zero except in hot pixels [electron/s]."""

    @property
    def defects(self) -> NDArray[np.bool_]:
        """Pixels that are dead or hot: (n_y, n_x)."""
        bad: NDArray[np.bool_] = (self.dead != 1) | (self.hot != 0)
        return bad

    @classmethod
    def make(cls, model: DetectorModel, seed: int) -> DetectorTruth:
        """Return the truth about a detector of a survey; it depends on these two alone.

        Parameters
        ----------
        model
            The detector as the observatory knows it.
        seed
            Seed of the survey.

        Returns
        -------
        DetectorTruth
            About 28 bytes a pixel.
        """
        rng = stream(seed, Stream.AMPLIFIERS, model.id)
        n_amp = len(model.amplifiers)
        nominal = np.array([(a.gain, a.read_noise, a.saturation) for a in model.amplifiers])
        scatter = np.clip(rng.standard_normal((n_amp, 3)), -2.5, 2.5) * [0.04, 0.05, 0.02]
        gain, read_noise, full_well = (nominal * (1 + scatter)).T
        crosstalk = stream(seed, Stream.CROSSTALK, model.id).uniform(0.5e-4, 4e-4, (n_amp, n_amp))
        np.fill_diagonal(crosstalk, 0)
        dead, hot = _bad_pixels(model, seed)
        dark = stream(seed, Stream.DARK_CURRENT, model.id).random(model.shape, dtype=np.float32)
        return cls(
            model=model,
            gain=gain,
            read_noise=read_noise,
            full_well=full_well,
            linearity=rng.uniform(0.6e-7, 2.4e-7, n_amp),
            crosstalk=crosstalk,
            bias_level=rng.normal(1000, 40, n_amp),
            throughput=detector_throughput(model, seed),
            response=_flat_fields(model, seed),
            dark_current=np.float32(0.02) + np.float32(0.01) * dark,
            bias_structure=_bias_structure(model, seed),
            dead=dead,
            hot=hot,
        )


def detector_throughput(model: DetectorModel, seed: int) -> float:
    """Return the light of a detector relative to the mean of all, vignetting included."""
    efficiency = stream(seed, Stream.THROUGHPUT, model.id).normal(1, 0.02)
    return float(efficiency * _vignetting(model).mean())


def _vignetting(model: DetectorModel) -> NDArray[np.float64]:
    y, x = np.ogrid[: model.n_y, : model.n_x]
    x_mm, y_mm = model.to_focal_plane(x.astype(float), y.astype(float))
    shade: NDArray[np.float64] = 1 - 1e-4 * (x_mm**2 + y_mm**2)
    return shade


def _flat_fields(model: DetectorModel, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return the flat field of each band: vignetting, pixels, dust, and a wave of the coating."""
    rng = stream(seed, Stream.RESPONSE, model.id)
    pixels = 1 + np.float32(0.006) * rng.standard_normal(model.shape, dtype=np.float32)
    pixels *= _vignetting(model)
    for _ in range(5):
        _add_dust(pixels, rng)
    y, x = np.ogrid[: model.n_y, : model.n_x]
    patterns = {}
    for band in BANDS:
        phase = rng.uniform(0, 2 * math.pi, 2)
        wave = 0.02 * np.cos(3 * x / model.n_x + phase[0]) * np.sin(2.5 * y / model.n_y + phase[1])
        pattern = pixels * (1 + wave).astype(np.float32)
        patterns[band] = pattern / np.float32(pattern.mean(dtype=np.float64))
    return patterns


def _add_dust(pixels: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Darken a faint ring, the shadow of a speck of dust far out of focus."""
    n_y, n_x = pixels.shape
    radius, depth = rng.uniform(0.015, 0.035) * n_x, rng.uniform(0.005, 0.02)
    y_0, x_0 = rng.uniform(0, n_y), rng.uniform(0, n_x)
    reach = 2 * radius
    rows = slice(max(0, int(y_0 - reach)), int(y_0 + reach))
    columns = slice(max(0, int(x_0 - reach)), int(x_0 + reach))
    window = pixels[rows, columns]
    y, x = np.ogrid[: window.shape[0], : window.shape[1]]
    distance = np.hypot(x + columns.start - x_0, y + rows.start - y_0)
    window *= 1 - depth * np.exp(-0.5 * ((distance - radius) / (0.25 * radius)) ** 2)


def _bias_structure(model: DetectorModel, seed: int) -> NDArray[np.float32]:
    """Return a pattern of columns and pixels, and a glow at the readout corners [adu]."""
    rng = stream(seed, Stream.BIAS_STRUCTURE, model.id)
    pattern = rng.standard_normal(model.shape, dtype=np.float32)
    for amplifier in model.amplifiers:
        n_y, n_x = amplifier.bbox.shape
        y, x = np.ogrid[:n_y, :n_x]
        columns = 3 * np.sin(x / rng.uniform(20, 50) + rng.uniform(0, 6)) + rng.normal(0, 1.5, (1, n_x))
        glow = 12 * np.exp(-(y + x) / 40.0)
        amplifier.to_readout_order(pattern[amplifier.bbox.slices])[...] += (columns + glow).astype(np.float32)
    return pattern


def _bad_pixels(model: DetectorModel, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the factor of dead pixels and the additional dark current of hot ones [electron/s]."""
    rng = stream(seed, Stream.BAD_PIXELS, model.id)
    dead = np.ones(model.shape, np.float32)
    hot = np.zeros(model.shape, np.float32)
    n = max(1, dead.size // 20_000)
    dead[rng.integers(0, model.n_y, n), rng.integers(0, model.n_x, n)] = rng.uniform(0, 0.4, n)
    hot[rng.integers(0, model.n_y, n), rng.integers(0, model.n_x, n)] = rng.uniform(5, 250, n)
    for column in rng.integers(0, model.n_x, 3):
        # A blocked column is dead from the defect to the edge of its amplifier.
        start = int(rng.integers(0, model.n_y // 2))
        dead[start : model.n_y // 2, column] = np.float32(rng.uniform(0.02, 0.3))
    return dead, hot
