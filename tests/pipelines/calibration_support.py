"""Simulated exposures of one small detector, and its calibrations measured from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from lenticular.pipelines.calibration_frames import CalibrationFrame, DetectorCalibration
from lenticular.pipelines.calibration_products import (
    measure_bias,
    measure_crosstalk,
    measure_dark,
    measure_defects,
    measure_flat,
    measure_transfer,
)
from lenticular.pipelines.cerro.exposures import SimulatedPixels, simulate_pixels
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize

if TYPE_CHECKING:
    import numpy as np

    from lenticular.pipelines.cerro.effects import Effects

__all__ = ["Measured", "frames", "measured", "pixels", "plan"]


def plan(
    detector_size: int = 256,
    *,
    effects: Effects | None = None,
    seed: int = 5,
    bands: tuple[str, ...] = ("r",),
    **size: Any,
) -> SurveyPlan:
    """Return a survey of one small detector."""
    numbers = {"n_detectors": 1, "n_visits": 1, "n_bias": 4, "n_dark": 3, "n_flat": 3} | size
    return SurveyPlan.make(
        SurveySize("test", bands=bands, detector_size=detector_size, **numbers), seed, effects
    )


@cache
def pixels(survey: SurveyPlan, exposure: int) -> SimulatedPixels:
    """Return what detector 0 of an exposure holds."""
    return simulate_pixels(survey, next(e for e in survey.exposures if e.id == exposure), 0)


def _raw(survey: SurveyPlan, exposure: int) -> np.ndarray:
    return pixels(survey, exposure).raw


def frames(survey: SurveyPlan, kind: str) -> list[CalibrationFrame]:
    """Return all exposures of a kind."""
    return [
        CalibrationFrame(
            e.id, e.kind, e.physical_filter, e.exposure_time, e.dark_time, partial(_raw, survey, e.id)
        )
        for e in survey.exposures
        if e.kind == kind
    ]


@dataclass(frozen=True, slots=True)
class Measured:
    """A detector with all its calibrations."""

    known: DetectorCalibration
    flat: np.ndarray
    defects: np.ndarray


@cache
def measured(survey: SurveyPlan) -> Measured:
    """Measure everything about detector 0 of a survey in one band."""
    known = DetectorCalibration(survey.camera.name, survey.camera.detector(0))
    measure_bias(known, frames(survey, "bias"))
    measure_crosstalk(known, frames(survey, "dark") + frames(survey, "science"))
    measure_transfer(known, frames(survey, "flat"))
    measure_dark(known, frames(survey, "dark"))
    flat = measure_flat(known, frames(survey, "flat")).mean
    return Measured(known, flat, measure_defects(known, [flat]))
