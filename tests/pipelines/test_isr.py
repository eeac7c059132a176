"""The task isr: against the truth, in each of its switches, and with bad data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from lsst.images import Image, Mask
from lsst.pex.config import FieldValidationError
from lsst.pipe.base import AlgorithmError, UnprocessableDataError
from scipy.ndimage import binary_dilation

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.calibrations import DEFECT_SCHEMA
from lenticular.pipelines.cerro.exposures import raw_header
from lenticular.pipelines.tasks.exposure import ExposureFacts
from lenticular.pipelines.tasks.isr import IsrConfig, IsrError, IsrTask
from tests.pipelines.calibration_support import measured, pixels, plan

# mypy: allow-untyped-calls
# The fields and configurations of lsst.pex.config have untyped constructors.

if TYPE_CHECKING:
    from lsst.pipe.base import Struct

SURVEY = plan(256, seed=29)
SCIENCE = next(e for e in SURVEY.exposures if e.kind == "science")
SWITCHES = ["doBias", "doCrosstalk", "doPtc", "doLinearize", "doDark", "doFlat", "doDefect"]


def _inputs(**changes: Any) -> dict[str, Any]:
    """Return the inputs of the task for the science exposure, calibrations as copies."""
    found = measured(SURVEY)
    known = found.known
    assert known.bias is not None
    assert known.dark is not None
    mask = Mask(0, shape=known.detector.shape, schema=DEFECT_SCHEMA)
    mask.set("BAD", found.defects)
    header = dict(raw_header(SURVEY, SCIENCE, 0).items())
    return {
        "ccdExposure": Image(pixels(SURVEY, SCIENCE.id).raw.copy(), unit=u.adu, metadata=header),
        "camera": SURVEY.camera,
        "bias": Image(known.bias.copy(), unit=u.adu),
        "crosstalk": known.crosstalk,
        "ptc": known.transfer,
        "linearizer": known.linearity,
        "dark": Image(known.dark.copy(), unit=u.electron / u.s),
        "flat": Image(found.flat.copy()),
        "defects": mask,
    } | changes


def _run(config: dict[str, Any] | None = None, **changes: Any) -> Struct:
    chosen = IsrConfig()
    chosen.update(**(config or {}))
    chosen.validate()
    return IsrTask(config=chosen).run(**_inputs(**changes))


def _raw(array: np.ndarray) -> Image:
    return Image(array, unit=u.adu, metadata=dict(raw_header(SURVEY, SCIENCE, 0).items()))


def test_what_is_left_is_light_and_its_noise() -> None:
    truth, exposure = pixels(SURVEY, SCIENCE.id), _run().outputExposure
    masked = [exposure.mask.get(plane) for plane in ("BAD", "SATURATED", "COSMIC_RAY")]
    good = ~np.logical_or.reduce([*masked, truth.cosmic_rays])
    pull = ((exposure.image.array - truth.light) / np.sqrt(exposure.variance.array))[good]
    assert pull.std() == pytest.approx(1, abs=0.04)
    assert abs(pull.mean()) < 0.05
    assert exposure.image.array.dtype == np.float32
    assert exposure.image.unit == u.electron
    assert exposure.variance.unit == u.electron**2


def test_cosmic_rays_are_found_and_interpolated() -> None:
    truth, exposure = pixels(SURVEY, SCIENCE.id), _run().outputExposure
    found = exposure.mask.get("COSMIC_RAY")
    hit = truth.cosmic_rays & ~exposure.mask.get("BAD") & ~truth.saturated
    assert hit.sum() > 5
    assert (found & hit).sum() >= 0.85 * hit.sum()
    assert (found & ~binary_dilation(truth.cosmic_rays)).sum() <= 5
    assert exposure.mask.get("INTERPOLATED")[found].all()
    left = (exposure.image.array - truth.light)[found & hit]
    assert np.abs(np.median(left)) < 40


def test_bad_pixels_are_marked_and_interpolated() -> None:
    exposure = _run().outputExposure
    defects = measured(SURVEY).defects
    assert exposure.mask.get("BAD")[defects].all()
    assert exposure.mask.get("INTERPOLATED")[defects].all()
    left = (exposure.image.array - pixels(SURVEY, SCIENCE.id).light)[defects]
    assert np.abs(np.median(left)) < 10


def test_interpolation_can_be_switched_off() -> None:
    exposure = _run({"doInterpolate": False}).outputExposure
    assert exposure.mask.get("COSMIC_RAY").any()
    assert not exposure.mask.get("INTERPOLATED").any()


def test_saturated_stars_are_marked_with_their_surroundings() -> None:
    raw = pixels(SURVEY, SCIENCE.id).raw.copy()
    amplifier = SURVEY.camera.detector(0).amplifiers[0]
    raw[amplifier.raw_data_bbox.slices][40:43, 50] = 65535
    mask = _run({"growSaturation": 2}, ccdExposure=_raw(raw)).outputExposure.mask
    saturated = mask.get("SATURATED")
    assert saturated[38:45, 50].all()
    assert saturated[41, 48:53].all()
    assert not saturated[37, 50]
    assert not mask.get("INTERPOLATED")[41, 50]


def test_every_saturated_pixel_is_marked_and_few_others() -> None:
    truth, mask = pixels(SURVEY, SCIENCE.id).saturated, _run().outputExposure.mask
    assert truth.sum() > 10
    assert mask.get("SATURATED")[truth].all()
    assert mask.get("SATURATED").sum() < 4 * truth.sum()


def test_the_projection_is_that_of_the_header_and_its_cards_are_gone() -> None:
    exposure = _run().outputExposure
    nominal = SCIENCE.sky.nominal_pointing if SCIENCE.sky else None
    assert nominal is not None
    model = SURVEY.camera.detector(0)
    x, y = nominal.to_pixel(model, np.array([nominal.ra]), np.array([nominal.dec]))
    found = exposure.sky_projection.sky_to_pixel(exposure.sky_projection.pixel_to_sky(x=100.0, y=50.0))
    assert (found.x, found.y) == (pytest.approx(100, abs=1e-3), pytest.approx(50, abs=1e-3))
    place = exposure.sky_projection.pixel_to_sky(x=float(x[0]), y=float(y[0]))
    assert place.dec.deg == pytest.approx(nominal.dec, abs=1e-6)
    assert exposure.metadata["EXPID"] == SCIENCE.id
    assert not {"CRVAL1", "CTYPE1", "NAXIS1", "A_ORDER"} & set(exposure.metadata)


def test_statistics_and_metadata_tell_what_was_done() -> None:
    task = IsrTask(config=IsrConfig())
    statistics = task.run(**_inputs()).outputStatistics
    truth = SURVEY.detector_truth(0)
    for noise, values in zip(truth.read_noise, statistics["amplifiers"].values(), strict=True):
        assert values["measured_read_noise"] == pytest.approx(noise, rel=0.06)
    assert statistics["n_bad"] >= measured(SURVEY).defects.sum()
    assert statistics["sky_median"] == pytest.approx(np.median(pixels(SURVEY, SCIENCE.id).light), rel=0.02)
    assert set(task.metadata["seconds"].to_dict()) >= {"overscan", "cosmic_rays"}
    assert task.metadata["counts"].to_dict()["n_cosmic_ray"] == statistics["n_cosmic_ray"]


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_correction_that_is_off_needs_no_calibration(switch: str) -> None:
    connection = dict(
        zip(SWITCHES, ["bias", "crosstalk", "ptc", "linearizer", "dark", "flat", "defects"], strict=True)
    )[switch]
    config = IsrConfig()
    setattr(config, switch, False)
    assert connection not in config.connections.ConnectionsClass(config=config).prerequisiteInputs
    result = IsrTask(config=config).run(**_inputs(**{connection: None}))
    assert np.isfinite(result.outputExposure.image.array).all()


def test_a_calibration_that_is_missing_is_named() -> None:
    with pytest.raises(IsrError, match=r"doDark, doFlat.*exposure 61101402 detector 0"):
        _run(dark=None, flat=None)


@pytest.mark.parametrize(
    ("card", "complaint"),
    [("DETNUM", "no card 'DETNUM'"), ("OBSTYPE", "no card 'OBSTYPE'"), ("CRVAL1", "no WCS")],
)
def test_a_missing_card_is_named(card: str, complaint: str) -> None:
    header = dict(raw_header(SURVEY, SCIENCE, 0).items())
    del header[card]
    raw = Image(pixels(SURVEY, SCIENCE.id).raw, unit=u.adu, metadata=header)
    with pytest.raises(IsrError, match=complaint):
        _run(ccdExposure=raw)


def test_a_card_of_the_wrong_type_is_told() -> None:
    with pytest.raises(IsrError, match="cannot be read"):
        ExposureFacts.from_header(dict(raw_header(SURVEY, SCIENCE, 0)) | {"DARKTIME": "long"})


def test_an_exposure_not_of_the_sky_needs_no_wcs() -> None:
    flat = next(e for e in SURVEY.exposures if e.kind == "flat" and e.level > 30_000)
    header = dict(raw_header(SURVEY, flat, 0).items())
    raw = Image(pixels(SURVEY, flat.id).raw, unit=u.adu, metadata=header)
    exposure = _run(ccdExposure=raw).outputExposure
    assert exposure.sky_projection is None
    assert np.median(exposure.image.array) == pytest.approx(flat.level, rel=0.1)


def test_a_raw_of_the_wrong_shape_is_an_algorithm_error_with_a_hint() -> None:
    with pytest.raises(IsrError, match="raw image has shape") as caught:
        _run(ccdExposure=_raw(pixels(SURVEY, SCIENCE.id).raw[:-3]))
    assert isinstance(caught.value, AlgorithmError)
    assert isinstance(caught.value, MeasurementError)
    assert "truncated" in caught.value.metadata["hint"]


@pytest.mark.parametrize("connection", ["bias", "dark", "flat"])
def test_a_calibration_of_another_shape_is_told(connection: str) -> None:
    with pytest.raises(IsrError, match=f"the {connection} has shape"):
        _run(None, **{connection: Image(np.ones((9, 9), np.float32))})


def test_a_table_of_another_camera_is_told() -> None:
    ptc = measured(SURVEY).known.transfer
    assert ptc is not None
    with pytest.raises(IsrError, match="PhotonTransfer has amplifiers"):
        _run(ptc=ptc.model_copy(update={"amplifiers": ("A", "B", "C", "D")}))


def test_pixels_that_are_nan_are_told() -> None:
    raw = pixels(SURVEY, SCIENCE.id).raw.astype(np.float32)
    raw[100:110, 60] = np.nan
    with pytest.raises(IsrError, match="10 pixels that are not finite"):
        _run(ccdExposure=_raw(raw))


def test_a_saturated_detector_is_unprocessable() -> None:
    raw = pixels(SURVEY, SCIENCE.id).raw.copy()
    for amplifier in SURVEY.camera.detector(0).amplifiers:
        raw[amplifier.raw_data_bbox.slices] = 65535
    with pytest.raises(UnprocessableDataError, match="100 % of the detector is saturated"):
        _run(ccdExposure=_raw(raw))


def test_a_dead_amplifier_is_marked_and_the_others_are_reduced() -> None:
    raw = pixels(SURVEY, SCIENCE.id).raw.copy()
    amplifier = SURVEY.camera.detector(0).amplifiers[1]
    raw[amplifier.raw_bbox.slices] = 0
    exposure = _run({"doCrosstalk": False}, ccdExposure=_raw(raw)).outputExposure
    dead = exposure.mask.get("NO_DATA")
    assert dead[amplifier.bbox.slices].all()
    assert dead.sum() == 128 * 128
    assert exposure.mask.get("BAD")[dead].all()
    assert not exposure.mask.get("INTERPOLATED")[dead].any()
    sky = np.median(pixels(SURVEY, SCIENCE.id).light)
    assert np.median(exposure.image.array[~dead]) == pytest.approx(sky, rel=0.02)


def test_thresholds_that_contradict_are_refused() -> None:
    config = IsrConfig()
    config.suspectFraction = 0.99
    with pytest.raises(FieldValidationError, match="below a saturated"):
        config.validate()


def test_an_unknown_plane_cannot_be_interpolated() -> None:
    config = IsrConfig()
    with pytest.raises(FieldValidationError, match="interpolatedPlanes"):
        config.interpolatedPlanes = ["NONSENSE"]
