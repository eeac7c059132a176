"""The sky of the survey: stars, galaxies, variable stars and transients.

The sky is made tile by tile, each from random numbers of its own, so that a
larger survey sees the same sky and more of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lenticular.pipelines.cerro.camera import BANDS
from lenticular.pipelines.cerro.streams import Stream, stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astropy.table import Table
    from numpy.typing import NDArray

__all__ = ["FIELD_DEC", "FIELD_RA", "SURVEY_START_MJD", "Kind", "Sky"]

FIELD_RA, FIELD_DEC = 53.1, -28.1
"""Centre of the field [deg]."""

SURVEY_START_MJD = 61345.5
"""Begin of the first day of observation, 2026-11-01 12:00 TAI."""

STARS_PER_DEG2 = 80_000
GALAXIES_PER_DEG2 = 90_000
TRANSIENTS_PER_DEG2 = 3_000

_TILE = 0.05  # [deg]
_TILES_ACROSS = 1000
_IDS_PER_TILE, _IDS_PER_KIND = 100_000, 20_000

_COLUMNS = np.dtype(
    [
        ("id", "i8"),
        ("kind", "i2"),
        ("ra", "f8"),
        ("dec", "f8"),
        *((f"{band}_mag", "f8") for band in BANDS),
        ("radius", "f8"),
        ("axis_ratio", "f8"),
        ("position_angle", "f8"),
        ("amplitude", "f8"),
        ("period", "f8"),
        ("start_mjd", "f8"),
        ("rise", "f8"),
        ("decay", "f8"),
        ("phase", "f8"),
        ("host_id", "i8"),
    ]
)


class Kind(IntEnum):
    """What a source is."""

    STAR = 0
    GALAXY = 1
    VARIABLE = 2
    TRANSIENT = 3


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """Sources of the sky.

    `table` has the columns ``id``, ``kind`` (`Kind`), ``ra``, ``dec`` [deg],
    ``g_mag``, ``r_mag``, ``i_mag`` (AB; the mean of a variable, the peak of a
    transient), of galaxies ``radius`` (half-light [arcsec]), ``axis_ratio`` and
    ``position_angle`` (from North through East [deg]), of variables
    ``amplitude`` (from mean to peak [mag]), ``period`` [day] and ``phase``
    [rad], of transients ``start_mjd``, ``rise`` and ``decay`` [day] and
    ``host_id`` (zero without a host).
    """

    table: NDArray[np.void]

    @classmethod
    def around(cls, seed: int, ra: float, dec: float, radius: float) -> Sky:
        """Return the sources near a direction.

        Parameters
        ----------
        seed
            Seed of the survey.
        ra, dec
            Direction [deg].
        radius
            Half the side of the square to return, larger by up to a tile [deg].

        Returns
        -------
        Sky
            In the order of the tiles.
        """
        x, y = (ra - FIELD_RA) * math.cos(math.radians(FIELD_DEC)), dec - FIELD_DEC
        # Tiles are equal in this cylindrical map about the field's centre.
        parts = [
            _tile(seed, column, row)
            for row in range(math.floor((y - radius) / _TILE), math.floor((y + radius) / _TILE) + 1)
            for column in range(math.floor((x - radius) / _TILE), math.floor((x + radius) / _TILE) + 1)
        ]
        return cls(np.concatenate(parts))

    @classmethod
    def union(cls, skies: Iterable[Sky]) -> Sky:
        """Return the sources of several skies, each once, in the order of their IDs."""
        table = np.concatenate([np.zeros(0, _COLUMNS), *(sky.table for sky in skies)])
        _, first = np.unique(table["id"], return_index=True)
        return cls(table[first])

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Sky:
        return Sky(self.table[chosen])

    def magnitude(self, band: str, mjd: float) -> NDArray[np.float64]:
        """Return the magnitudes at a moment.

        Parameters
        ----------
        band
            ``g``, ``r`` or ``i``.
        mjd
            The moment [day, TAI].

        Returns
        -------
        (n,)
            AB magnitudes; infinite for a transient that has not begun.
        """
        table = self.table
        magnitude: NDArray[np.float64] = table[f"{band}_mag"].copy()
        variable = table["kind"] == Kind.VARIABLE
        some = table[variable]
        angle = 2 * np.pi * (mjd - SURVEY_START_MJD) / some["period"] + some["phase"]
        # Brightest in the blue, and steeper on the way up, as pulsating stars are.
        size = some["amplitude"] * {"g": 1.2, "r": 1.0, "i": 0.85}[band]
        magnitude[variable] -= size * np.sin(angle + 0.4 * np.sin(angle))
        transient = table["kind"] == Kind.TRANSIENT
        with np.errstate(divide="ignore"):  # no light is an infinite magnitude
            magnitude[transient] -= 2.5 * np.log10(_light_curve(table[transient], mjd))
        return magnitude

    def to_astropy(self) -> Table:
        """Return the table as an `astropy.table.Table`, with units."""
        from astropy.table import Table

        table = Table(self.table)
        units = {"deg": ("ra", "dec", "position_angle"), "arcsec": ("radius",), "rad": ("phase",)}
        units |= {"d": ("period", "start_mjd", "rise", "decay"), "mag": ("amplitude",)}
        units["mag(AB)"] = tuple(f"{band}_mag" for band in BANDS)
        for unit, names in units.items():
            for name in names:
                table[name].unit = unit
        return table

    def _repr_html_(self) -> str:
        names = ("stars", "galaxies", "variable stars", "transients")
        counts = [int((self.table["kind"] == kind).sum()) for kind in Kind]
        shown = ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True))
        return f"<b>Sky</b>: {shown}"


def _light_curve(some: NDArray[np.void], mjd: float) -> NDArray[np.float64]:
    """Return flux relative to the peak: an exponential rise and decay, zero before the start."""
    since = np.maximum(mjd - some["start_mjd"], 0)
    shape = (1 - np.exp(-since / some["rise"])) * np.exp(-since / some["decay"])
    peak_age = some["rise"] * np.log1p(some["decay"] / some["rise"])
    peak = (1 - np.exp(-peak_age / some["rise"])) * np.exp(-peak_age / some["decay"])
    relative: NDArray[np.float64] = shape / peak
    return relative


@lru_cache(maxsize=512)
def _tile(seed: int, column: int, row: int) -> NDArray[np.void]:
    # Entropy has to be positive; tiles are counted from one corner of the map.
    place = (column + _TILES_ACROSS // 2, row + _TILES_ACROSS // 2)
    stars = _stars(seed, place)
    galaxies = _galaxies(seed, place)
    transients = _transients(seed, place, galaxies)
    for index, part in enumerate((stars, galaxies, transients)):
        first = (place[1] * _TILES_ACROSS + place[0]) * _IDS_PER_TILE + index * _IDS_PER_KIND
        part["id"] = first + np.arange(1, len(part) + 1)
    # Host indices were relative to the tile until IDs existed.
    hosted = transients["host_id"] >= 0
    transients["host_id"][hosted] = galaxies["id"][transients["host_id"][hosted]]
    transients["host_id"][~hosted] = 0
    tile: NDArray[np.void] = np.concatenate([stars, galaxies, transients])
    tile["ra"] = FIELD_RA + (column * _TILE + tile["ra"]) / math.cos(math.radians(FIELD_DEC))
    tile["dec"] += FIELD_DEC + row * _TILE
    tile.flags.writeable = False
    return tile


def _empty(n: int, kind: Kind, rng: np.random.Generator) -> NDArray[np.void]:
    """Return n sources anywhere in a tile, relative to its corner."""
    part = np.zeros(n, _COLUMNS)
    part["kind"] = kind
    part["ra"], part["dec"] = _TILE * rng.random(n), _TILE * rng.random(n)
    part["axis_ratio"] = 1
    return part


def _magnitudes(
    n: int, slope: float, bright: float, faint: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw magnitudes whose numbers grow as 10^(slope m)."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    drawn: NDArray[np.float64] = np.log10(low + rng.random(n) * (high - low)) / slope
    return drawn


def _set_colours(part: NDArray[np.void], r: NDArray[np.float64], g_r: NDArray[np.float64]) -> None:
    part["g_mag"], part["r_mag"], part["i_mag"] = r + g_r, r, r - 0.4 * g_r


def _stars(seed: int, place: tuple[int, int]) -> NDArray[np.void]:
    rng = stream(seed, Stream.STARS, *place)
    n = rng.poisson(STARS_PER_DEG2 * _TILE**2)
    stars = _empty(n, Kind.STAR, rng)
    r = _magnitudes(n, 0.2, 14, 25, rng)
    _set_colours(stars, r, np.clip(rng.normal(0.7, 0.35, n), 0, 1.6))
    rng = stream(seed, Stream.VARIABLES, *place)
    variable = (rng.random(n) < 0.04) & (r < 22.5)  # noqa: PLR2004 - fainter ones would not be noticed
    stars["kind"][variable] = Kind.VARIABLE
    stars["amplitude"] = np.where(variable, rng.uniform(0.1, 0.6, n), 0)
    stars["period"] = np.where(variable, 10 ** rng.uniform(-0.7, 1.2, n), 0)
    stars["phase"] = np.where(variable, rng.uniform(0, 2 * np.pi, n), 0)
    return stars


def _galaxies(seed: int, place: tuple[int, int]) -> NDArray[np.void]:
    rng = stream(seed, Stream.GALAXIES, *place)
    n = rng.poisson(GALAXIES_PER_DEG2 * _TILE**2)
    galaxies = _empty(n, Kind.GALAXY, rng)
    r = _magnitudes(n, 0.4, 17, 25, rng)
    _set_colours(galaxies, r, np.clip(rng.normal(0.6, 0.3, n), 0, 1.5))
    galaxies["radius"] = np.clip(10 ** rng.normal(-0.35 - 0.07 * (r - 22), 0.18), 0.15, 3)
    galaxies["axis_ratio"] = rng.uniform(0.3, 1, n)
    galaxies["position_angle"] = rng.uniform(0, 180, n)
    return galaxies


def _transients(seed: int, place: tuple[int, int], galaxies: NDArray[np.void]) -> NDArray[np.void]:
    """Draw transients that begin after the first night, most of them in a galaxy.

    Half of them begin before the second night, the others later, so that
    the shortest survey has some and the longest has new ones.
    """
    rng = stream(seed, Stream.TRANSIENTS, *place)
    n = rng.poisson(TRANSIENTS_PER_DEG2 * _TILE**2)
    transients = _empty(n, Kind.TRANSIENT, rng)
    _set_colours(transients, _magnitudes(n, 0.25, 18.5, 23.5, rng), rng.normal(0.1, 0.2, n))
    early = rng.random(n) < 0.5  # noqa: PLR2004 - half
    transients["start_mjd"] = SURVEY_START_MJD + 1 + rng.random(n) * np.where(early, 1.5, 12)
    transients["rise"], transients["decay"] = rng.uniform(0.5, 2, n), rng.uniform(8, 30, n)
    transients["host_id"] = -1
    hosts = np.flatnonzero(galaxies["r_mag"] < 23.5)  # noqa: PLR2004 - those that can be seen
    if len(hosts):
        hosted = rng.random(n) < 0.8  # noqa: PLR2004 - the others have none that can be seen
        chosen = rng.choice(hosts, n)
        offset = 0.8 * galaxies["radius"][chosen] / 3600
        for name in ("ra", "dec"):
            near = galaxies[name][chosen] + offset * rng.standard_normal(n)
            transients[name] = np.where(hosted, near, transients[name])
        transients["host_id"] = np.where(hosted, chosen, -1)
    return transients
