"""The truth about a survey, as tables.

===================  =====================================================================
table                one row per
===================  =====================================================================
``sources``          source that is on a detector in any exposure; see `Sky`
``source_fluxes``    exposure, detector and source: place, flux (zero before a transient), PSF
``exposures``        science exposure and detector: WCS, zero point, PSF, sky
``trails``           science exposure, detector and satellite trail that crosses it
``amplifiers``       amplifier: gain, noise, full well, linearity, crosstalk
===================  =====================================================================

Maps (flat field, dark current, bias structure, defects) are in
`SurveyPlan.detector_truth`, cosmic rays in `cosmic_ray_mask`.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import DataError, NotFoundError
from lenticular.pipelines.cerro.camera import detector_throughput
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.sky import Sky
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from astropy.table import Table
    from numpy.typing import NDArray

    from lenticular.pipelines.cerro.schedule import PlannedExposure, SkyConditions

__all__ = ["NJY_MAGNITUDE", "read_plan", "truth_tables", "write_truth"]

NJY_MAGNITUDE = 31.4
"""AB magnitude of one nanojansky."""

PLAN_FILE = "survey.json"


def write_truth(plan: SurveyPlan, folder: Path | str) -> dict[str, Path]:
    """Write the truth about a survey: its tables as Parquet, its plan as JSON.

    Parameters
    ----------
    plan
        The survey.
    folder
        Where to write; it is made if it does not exist. Files are replaced.

    Returns
    -------
    dict
        Path of each table by its name, and of the plan as ``survey``.

    Raises
    ------
    OSError
        If a file cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, table in truth_tables(plan).items():
        paths[name] = folder / f"{name}.parquet"
        _write(paths[name], partial(table.write, format="parquet"))
    settings = {"seed": plan.seed, "size": asdict(plan.size), "effects": asdict(plan.effects)}
    paths["survey"] = folder / PLAN_FILE
    _write(paths["survey"], lambda path: path.write_text(json.dumps(settings, indent=1) + "\n"))
    return paths


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file such that under its name it is always complete."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.unlink(missing_ok=True)
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_plan(folder: Path | str) -> SurveyPlan:
    """Return the plan of a survey whose truth was written to a folder.

    Parameters
    ----------
    folder
        What was given to `write_truth`.

    Returns
    -------
    SurveyPlan
        Equal to the one that was written.

    Raises
    ------
    NotFoundError
        If there is no plan in the folder.
    DataError
        If it cannot be understood.
    """
    path = Path(folder) / PLAN_FILE
    try:
        settings = json.loads(path.read_text())
        size: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings["size"].items()
        }
        return SurveyPlan.make(SurveySize(**size), settings["seed"], Effects(**settings["effects"]))
    except FileNotFoundError as error:
        hint = "write_truth writes it."
        raise NotFoundError("There is no plan of a survey", where=path, hint=hint) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "Write it again with write_truth."
        raise DataError(f"The plan of a survey is damaged: {error}", where=path, hint=hint) from error


def truth_tables(plan: SurveyPlan) -> dict[str, Table]:
    """Return the truth about a survey.

    Parameters
    ----------
    plan
        The survey.

    Returns
    -------
    dict
        `astropy.table.Table` by name: ``sources``, ``source_fluxes``,
        ``exposures``, ``trails`` and ``amplifiers``; columns have units.
    """
    skies: list[Sky] = []
    fluxes: list[NDArray[np.void]] = []
    exposures: list[tuple[Any, ...]] = []
    trails: list[tuple[Any, ...]] = []
    for exposure in plan.science:
        for detector in plan.detector_ids:
            sky, rows = _fluxes(plan, exposure, detector)
            skies.append(sky)
            fluxes.append(rows)
            exposures.append(_exposure_row(plan, exposure, detector))
            trails.extend(_trail_rows(plan, exposure, detector))
    return {
        "sources": Sky.union(skies).to_astropy(),
        "source_fluxes": _table(_FLUXES, np.concatenate([np.zeros(0, _dtype(_FLUXES)), *fluxes])),
        "exposures": _table(_EXPOSURES, exposures),
        "trails": _table(_TRAILS, trails),
        "amplifiers": _table(
            _AMPLIFIERS, [row for k in plan.detector_ids for row in _amplifier_rows(plan, k)]
        ),
    }


type _Columns = dict[str, tuple[str, str]]

_WHERE: _Columns = {"exposure": ("i8", ""), "detector": ("i4", "")}

_FLUXES: _Columns = _WHERE | {
    "id": ("i8", ""),
    "kind": ("i2", ""),
    "x": ("f8", "pix"),
    "y": ("f8", "pix"),
    "flux": ("f8", "nJy"),
    "electrons": ("f8", "electron"),
    "psf_fwhm": ("f8", "pix"),
}

_EXPOSURES: _Columns = _WHERE | {
    "band": ("U1", ""),
    "mid_mjd": ("f8", "d"),
    "ra": ("f8", "deg"),
    "dec": ("f8", "deg"),
    "rotation": ("f8", "deg"),
    "distortion": ("f8", "1 / pix2"),
    "nominal_ra": ("f8", "deg"),
    "nominal_dec": ("f8", "deg"),
    "nominal_rotation": ("f8", "deg"),
    "nominal_distortion": ("f8", "1 / pix2"),
    "crpix1": ("f8", "pix"),
    "crpix2": ("f8", "pix"),
    "zero_point": ("f8", "mag(AB)"),
    "njy_per_electron": ("f8", "nJy / electron"),
    "extinction": ("f8", "mag"),
    "psf_fwhm": ("f8", "pix"),
    "psf_e1": ("f8", ""),
    "psf_e2": ("f8", ""),
    "sky_level": ("f8", "electron / pix"),
    "n_trails": ("i4", ""),
}

_TRAILS: _Columns = _WHERE | {
    "x": ("f8", "pix"),
    "y": ("f8", "pix"),
    "angle": ("f8", "rad"),
    "sigma": ("f8", "pix"),
    "brightness": ("f8", "electron / pix"),
}

_AMPLIFIERS: _Columns = {
    "detector": ("i4", ""),
    "amplifier": ("U3", ""),
    "gain": ("f8", "electron / adu"),
    "read_noise": ("f8", "electron"),
    "full_well": ("f8", "electron"),
    "linearity": ("f8", "1 / electron"),
    "bias_level": ("f8", "adu"),
    "throughput": ("f8", ""),
    "crosstalk": ("4f8", ""),
}


def _dtype(columns: _Columns) -> np.dtype[np.void]:
    return np.dtype([(name, kind) for name, (kind, _) in columns.items()])


def _table(columns: _Columns, rows: NDArray[np.void] | list[tuple[Any, ...]]) -> Table:
    from astropy.table import Table

    table = Table(np.array(rows, dtype=_dtype(columns)))
    for name, (_, unit) in columns.items():
        if unit:
            table[name].unit = unit
    return table


def _conditions(exposure: PlannedExposure) -> SkyConditions:
    if exposure.sky is None:
        raise DataError(f"Exposure {exposure.id} is a {exposure.kind}, which shows no sky")
    return exposure.sky


def _zero_point(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> float:
    """Return the AB magnitude of one electron in this detector, its flat field divided out."""
    model = plan.camera.detector(detector_id)
    throughput = detector_throughput(model, plan.seed) if plan.effects.flat else 1.0
    return _conditions(exposure).zero_point + 2.5 * math.log10(throughput)


def _fluxes(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> tuple[Sky, NDArray[np.void]]:
    """Return the sources whose centres are on a detector, and what they do there."""
    conditions, model = _conditions(exposure), plan.camera.detector(detector_id)
    sky = plan.sky_of(exposure, detector_id)
    x, y = conditions.pointing.to_pixel(model, sky.table["ra"], sky.table["dec"])
    column, row = np.rint(x), np.rint(y)
    inside = (column >= 0) & (column < model.n_x) & (row >= 0) & (row < model.n_y)
    sky, x, y = sky[inside], x[inside], y[inside]
    magnitude = sky.magnitude(exposure.band, exposure.mid_mjd)
    rows = np.zeros(len(sky), _dtype(_FLUXES))
    rows["exposure"], rows["detector"] = exposure.id, detector_id
    rows["id"], rows["kind"] = sky.table["id"], sky.table["kind"]
    rows["x"], rows["y"] = x, y
    rows["flux"] = 10 ** (-0.4 * (magnitude - NJY_MAGNITUDE))
    rows["electrons"] = 10 ** (-0.4 * (magnitude - _zero_point(plan, exposure, detector_id)))
    rows["psf_fwhm"] = conditions.psf.fwhm_at(*model.to_focal_plane(x, y))
    return sky, rows


def _exposure_row(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> tuple[Any, ...]:
    conditions, model = _conditions(exposure), plan.camera.detector(detector_id)
    place = (np.array([model.focal_plane_x_mm]), np.array([model.focal_plane_y_mm]))
    xx, yy, xy = (float(moment[0]) for moment in conditions.psf.second_moments(*place))
    zero_point = _zero_point(plan, exposure, detector_id)
    slope = np.dot(conditions.sky_gradient, (model.focal_plane_x_mm, model.focal_plane_y_mm))
    true, nominal = (astuple(p)[:4] for p in (conditions.pointing, conditions.nominal_pointing))
    crpix = (coordinate + 1 for coordinate in model.boresight_pixel())
    return (
        *(exposure.id, detector_id, exposure.band, exposure.mid_mjd),
        *true,
        *nominal,
        *crpix,
        zero_point,
        10 ** (0.4 * (NJY_MAGNITUDE - zero_point)),
        conditions.extinction,
        float(conditions.psf.fwhm_at(*place)[0]),
        *((xx - yy) / (xx + yy), 2 * xy / (xx + yy)),
        conditions.sky_level * (1 + slope) * 10 ** (0.4 * (zero_point - conditions.zero_point)),
        len(conditions.trails),
    )


def _trail_rows(plan: SurveyPlan, exposure: PlannedExposure, detector_id: int) -> Iterator[tuple[Any, ...]]:
    """Yield the trails that cross a detector, each by a point near the detector's centre."""
    model = plan.camera.detector(detector_id)
    x_0, y_0 = model.boresight_pixel()
    for trail in _conditions(exposure).trails:
        x, y = x_0 + trail.x_mm / model.pixel_size_mm, y_0 + trail.y_mm / model.pixel_size_mm
        cosine, sine = math.cos(trail.angle), math.sin(trail.angle)
        along = (model.centre[0] - x) * cosine + (model.centre[1] - y) * sine
        corners = [(cx - x) * sine - (cy - y) * cosine for cx in (0, model.n_x) for cy in (0, model.n_y)]
        if min(corners) < 0 < max(corners):
            brightness = trail.brightness * 10 ** (
                0.4 * (_zero_point(plan, exposure, detector_id) - _conditions(exposure).zero_point)
            )
            near = (x + along * cosine, y + along * sine)
            yield (exposure.id, detector_id, *near, trail.angle, trail.sigma, brightness)


def _amplifier_rows(plan: SurveyPlan, detector_id: int) -> Iterator[tuple[Any, ...]]:
    truth = plan.detector_truth(detector_id)
    for k, amplifier in enumerate(truth.model.amplifiers):
        values = (truth.gain, truth.read_noise, truth.full_well, truth.linearity, truth.bias_level)
        measured = (float(value[k]) for value in values)
        yield (detector_id, amplifier.name, *measured, truth.throughput, truth.crosstalk[k])
