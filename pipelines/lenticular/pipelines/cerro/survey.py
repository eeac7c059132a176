"""The plan of a survey: every exposure, and the conditions it is taken under.

::

    plan = SurveyPlan.make("tiny", seed=42)
    simulate_survey(plan, folder)    # lenticular.pipelines.cerro.exposures
    write_truth(plan, folder)        # lenticular.pipelines.cerro.truth

A larger survey of the same seed begins with the exposures of a smaller one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import ConfigError, NotFoundError
from lenticular.pipelines.cerro.camera import (
    BANDS,
    DETECTOR_COUNT,
    DETECTOR_SIZE,
    NOMINAL_FULL_WELL,
    DetectorTruth,
    cerro_camera,
)
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.schedule import PlannedExposure, calibration_exposures, science_exposures
from lenticular.pipelines.cerro.sky import Kind, Sky

if TYPE_CHECKING:
    from typing import Self

    from lenticular.pipelines.camera import CameraModel

__all__ = ["SurveyPlan", "SurveySize"]

_MOST_IN_SERIES = 99
_MOST_FLATS = 30
_MOST_POINTINGS = 150
_MOST_VISITS = 1000


@dataclass(frozen=True, slots=True)
class SurveySize:
    """How much a survey takes."""

    name: str
    """Name of the size."""

    n_detectors: int
    """Detectors, from the optical axis outwards."""

    n_visits: int
    """Visits of each pointing in each band, one every three nights."""

    bands: tuple[str, ...] = BANDS
    """Bands."""

    n_pointings: int = 1
    """Directions that are visited, side by side."""

    n_bias: int = 5
    """Bias exposures."""

    n_dark: int = 3
    """Dark exposures of 300 s."""

    n_flat: int = 3
    """Flat-field exposures in each band."""

    flat_pair_levels: tuple[float, ...] = (1_000, 4_000, 10_000, 25_000, 45_000, 70_000)
    """Levels at which two equal flats are taken, for photon transfer and linearity [electron]."""

    detector_size: int = DETECTOR_SIZE
    """Rows and columns of a detector; less than 1024 leaves few stars [pixel]."""

    def __post_init__(self) -> None:
        limits = {
            "n_detectors": (1, DETECTOR_COUNT),
            "n_visits": (0, _MOST_VISITS),
            "n_pointings": (1, _MOST_POINTINGS),
            "n_bias": (0, _MOST_IN_SERIES),
            "n_dark": (0, _MOST_IN_SERIES),
            "n_flat": (0, _MOST_FLATS),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}", where=self.name, hint=f"It may be {low} to {high}."
                )
        if unknown := sorted(set(self.bands) - set(BANDS)):
            raise ConfigError(
                f"No such band: {', '.join(unknown)}", where=self.name, hint=f"Bands are {', '.join(BANDS)}."
            )
        bright = max(self.flat_pair_levels, default=0)
        if len(self.flat_pair_levels) > _MOST_IN_SERIES // 2 or not 0 <= bright < NOMINAL_FULL_WELL:
            raise ConfigError(
                "The levels of flat pairs cannot be taken",
                where=self.name,
                hint=f"At most {_MOST_IN_SERIES // 2} levels, below {NOMINAL_FULL_WELL:.0f} electrons.",
            )

    @classmethod
    def named(cls, name: str) -> SurveySize:
        """Return one of the sizes ``tiny``, ``demo`` and ``workshop``.

        Raises
        ------
        NotFoundError
            If there is no size of this name.
        """
        for size in _SIZES:
            if size.name == name:
                return size
        names = ", ".join(size.name for size in _SIZES)
        raise NotFoundError(f"There is no survey size {name!r}", hint=f"Sizes are {names}.")


_SIZES = (
    SurveySize("tiny", n_detectors=2, n_visits=2),
    SurveySize("demo", n_detectors=2, n_visits=3),
    SurveySize(
        "workshop",
        n_detectors=4,
        n_visits=5,
        n_bias=10,
        n_dark=5,
        n_flat=5,
        flat_pair_levels=(500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 50_000, 65_000, 75_000),
    ),
)


@dataclass(frozen=True, slots=True)
class SurveyPlan:
    """Everything that determines a simulated survey, down to the last bit."""

    size: SurveySize
    """How much it takes."""

    seed: int
    """Seed of all random numbers."""

    effects: Effects
    """What is simulated."""

    exposures: tuple[PlannedExposure, ...]
    """Calibrations first, then science, in the order of time."""

    @classmethod
    def make(cls, size: SurveySize | str, seed: int, effects: Effects | None = None) -> Self:
        """Plan a survey.

        Parameters
        ----------
        size
            A size, or the name of one: ``tiny``, ``demo``, ``workshop``.
        seed
            Seed of all random numbers, zero or more.
        effects
            What to simulate; everything by default.

        Returns
        -------
        SurveyPlan
            The same for the same arguments.

        Raises
        ------
        ConfigError
            If the seed is negative.
        NotFoundError
            If there is no size of this name.
        """
        if seed < 0:
            raise ConfigError(f"A seed of {seed}", hint="Seeds are whole numbers from zero.")
        chosen = SurveySize.named(size) if isinstance(size, str) else size
        included = effects or Effects()
        exposures = (*calibration_exposures(chosen), *science_exposures(chosen, seed, included))
        return cls(chosen, seed, included, exposures)

    @property
    def camera(self) -> CameraModel:
        """The whole camera, of which the survey may use the first detectors only."""
        return cerro_camera(DETECTOR_COUNT, self.size.detector_size)

    @property
    def detector_ids(self) -> tuple[int, ...]:
        """Detectors that the survey uses."""
        return tuple(range(self.size.n_detectors))

    @property
    def science(self) -> tuple[PlannedExposure, ...]:
        """Exposures of the sky."""
        return tuple(exposure for exposure in self.exposures if exposure.sky is not None)

    def exposure(self, exposure_id: int) -> PlannedExposure:
        """Return an exposure by its ID.

        Raises
        ------
        NotFoundError
            If the plan has no such exposure.
        """
        for exposure in self.exposures:
            if exposure.id == exposure_id:
                return exposure
        raise NotFoundError(
            f"There is no exposure {exposure_id}",
            where=f"survey {self.size.name}",
            hint="SurveyPlan.exposures lists them.",
        )

    def detector_truth(self, detector_id: int) -> DetectorTruth:
        """Return what a detector is really like; a few are kept in memory.

        Raises
        ------
        NotFoundError
            If the survey does not use this detector.
        """
        self.check_detector(detector_id)
        return _truth(self.size.detector_size, detector_id, self.seed)

    def check_detector(self, detector_id: int) -> None:
        """Make sure that the survey uses a detector.

        Raises
        ------
        NotFoundError
            If it does not.
        """
        if detector_id not in self.detector_ids:
            raise NotFoundError(
                f"The survey {self.size.name} does not use detector {detector_id}",
                hint=f"It uses 0 to {self.size.n_detectors - 1}.",
            )

    def sky_of(self, exposure: PlannedExposure, detector_id: int, margin: float = 0.02) -> Sky:
        """Return the sources on a detector in an exposure, and those around it.

        Parameters
        ----------
        exposure
            An exposure of the sky.
        detector_id
            A detector of the survey.
        margin
            How far beyond the detector's circumscribed circle to go at least [deg].

        Returns
        -------
        Sky
            Of every kind that `effects` includes, transients before their
            beginning as well.

        Raises
        ------
        ConfigError
            If the exposure is not one of the sky.
        """
        if exposure.sky is None:
            raise ConfigError(f"Exposure {exposure.id} is a {exposure.kind}, which shows no sky")
        detector = self.camera.detector(detector_id)
        x, y = detector.centre
        ra, dec = (float(c) for c in exposure.sky.pointing.wcs(detector).all_pix2world(x, y, 0))
        radius = 0.75 * max(detector.shape) * self.camera.pixel_scale / 3600 + margin
        return self._included(Sky.around(self.seed, ra, dec, radius))

    def _included(self, sky: Sky) -> Sky:
        wanted = {
            Kind.STAR: self.effects.stars,
            Kind.VARIABLE: self.effects.stars,
            Kind.GALAXY: self.effects.galaxies,
            Kind.TRANSIENT: self.effects.transients,
        }
        return sky[np.isin(sky.table["kind"], [kind for kind, included in wanted.items() if included])]

    def _repr_html_(self) -> str:
        counts = Counter(exposure.kind for exposure in self.exposures)
        kinds = ", ".join(f"{n} {kind}" for kind, n in counts.items())
        return (
            f"<b>Survey {self.size.name}</b>, seed {self.seed}: {self.size.n_detectors} detectors of "
            f"{self.size.detector_size} × {self.size.detector_size} pixels; exposures: {kinds}"
        )


@lru_cache(maxsize=2)
def _truth(detector_size: int, detector_id: int, seed: int) -> DetectorTruth:
    return DetectorTruth.make(cerro_camera(DETECTOR_COUNT, detector_size).detector(detector_id), seed)
