"""Calibrations against the simulator's truth, and in a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from lsst.daf.butler import Butler, CollectionType, Config, DataCoordinate, DatasetType, Timespan
from lsst.pipe.base.simple_pipeline_executor import SimplePipelineExecutor

from lenticular.butler.errors import MeasurementError, NotFoundError
from lenticular.pipelines import calibrations
from lenticular.pipelines.calibration import MAX_CROSSTALK
from lenticular.pipelines.calibration_frames import CalibrationFrame, DetectorCalibration
from lenticular.pipelines.calibration_products import (
    flat_pairs,
    measure_bias,
    measure_crosstalk,
    measure_dark,
    measure_transfer,
)
from lenticular.pipelines.calibrations import CALIBRATIONS, build_calibrations
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.exposures import simulate_survey
from lenticular.pipelines.cerro.instrument import CerroCam
from lenticular.pipelines.cerro.repository import register_camera
from lenticular.pipelines.ingest import ingest_raws
from lenticular.pipelines.storage import repository_config
from lenticular.pipelines.tasks.exposure import ExposureFacts, IsrError
from lenticular.pipelines.tasks.isr import IsrTask
from tests.pipelines.calibration_support import frames, measured, plan

if TYPE_CHECKING:
    from pathlib import Path

    from lenticular.pipelines.calibrations import CalibrationReport

ELECTRONICS = plan(
    512, effects=Effects.only("photon_noise", "read_noise", "nonlinearity"), n_dark=0, n_visits=0
)
EVERYTHING = plan(256)


def _known() -> DetectorCalibration:
    return DetectorCalibration(EVERYTHING.camera.name, EVERYTHING.camera.detector(0))


def _frame(exposure: int, physical_filter: str, seconds: float) -> CalibrationFrame:
    return CalibrationFrame(exposure, "flat", physical_filter, seconds, seconds, lambda: np.zeros((2, 2)))


def test_gain_noise_and_linearity_agree_with_the_truth() -> None:
    truth = ELECTRONICS.detector_truth(0)
    known = DetectorCalibration("CerroCam", truth.model)
    measure_bias(known, frames(ELECTRONICS, "bias"))
    transfer, linearity = measure_transfer(known, frames(ELECTRONICS, "flat"))
    np.testing.assert_allclose(transfer.gain, truth.gain, rtol=0.01)
    np.testing.assert_array_less(
        np.abs(np.array(transfer.gain) - truth.gain), 4 * np.array(transfer.gain_error)
    )
    np.testing.assert_allclose(transfer.read_noise, truth.read_noise, rtol=0.03)
    assert set(transfer.n_pairs) == {7}
    electrons = np.geomspace(100, 80_000, 30)
    for true, found in zip(truth.linearity, linearity.coefficient, strict=True):
        reported = 2 * electrons / (1 + np.sqrt(1 + 4 * true * electrons))
        np.testing.assert_allclose(reported + found * reported**2, electrons, rtol=1e-3)


def test_every_calibration_agrees_with_the_truth_when_all_effects_act_together() -> None:
    truth, found = EVERYTHING.detector_truth(0), measured(EVERYTHING)
    known, good = found.known, ~truth.defects
    assert known.bias is not None
    assert known.dark is not None
    assert known.transfer is not None
    assert known.crosstalk is not None
    noise = (truth.read_noise / truth.gain).mean()
    assert (known.bias - truth.bias_structure)[good].std() < 1.2 * noise / np.sqrt(4)
    assert abs((known.bias - truth.bias_structure)[good].mean()) < 0.1
    np.testing.assert_allclose(known.transfer.gain, truth.gain, rtol=0.025)
    assert abs(np.median((known.dark - truth.dark_current)[good])) < 0.002
    assert found.flat[good].mean() == pytest.approx(1, abs=1e-3)
    residual = found.flat / truth.response["r"]
    for amplifier, gain, true in zip(truth.model.amplifiers, known.transfer.gain, truth.gain, strict=True):
        # An error of the gain is in the flat too, so that it cancels in the image.
        residual[amplifier.bbox.slices] *= true / gain
    assert residual[good].std() < 0.003
    assert residual[good].mean() == pytest.approx(1, abs=0.01)
    error = np.array(known.crosstalk.error)
    off = ~np.eye(4, dtype=bool)
    assert np.abs((known.crosstalk.as_array() - truth.crosstalk)[off] / error[off]).max() < 5


def test_defects_are_found_and_few_good_pixels_are_lost() -> None:
    truth, found = EVERYTHING.detector_truth(0).defects, measured(EVERYTHING).defects
    assert (found & truth).sum() >= 0.99 * truth.sum()
    assert (found & ~truth).sum() < 2e-4 * truth.size


def test_saturated_stars_and_hot_pixels_show_the_full_well() -> None:
    truth, known = EVERYTHING.detector_truth(0), measured(EVERYTHING).known
    assert known.transfer is not None
    for well, true, seen in zip(known.transfer.saturation, truth.full_well, known.full_wells, strict=True):
        expected = known.detector.amplifiers[0].saturation if seen is None else true
        assert well == pytest.approx(expected, rel=0.025)


def test_pairs_are_of_one_filter_and_one_time() -> None:
    flats = [_frame(k, "r", t) for k, t in enumerate([1, 2, 2, 1, 4, 2, 3])]
    flats += [_frame(10 + k, "g", 5) for k in range(8)]
    pairs = flat_pairs(flats)
    assert [(a.exposure, b.exposure) for a, b in pairs] == [(0, 3), (1, 2)]
    assert flat_pairs([]) == []


def test_without_bright_spots_the_crosstalk_is_unknown() -> None:
    crosstalk = measure_crosstalk(_known(), [])
    assert crosstalk.origin == "nominal"
    assert not crosstalk.as_array().any()
    assert crosstalk.error[0][1] == MAX_CROSSTALK


def test_products_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(MeasurementError, match="photon transfer curve has not been measured"):
        measure_dark(_known(), frames(EVERYTHING, "dark"))
    with pytest.raises(MeasurementError, match="bias has not been measured"):
        measure_transfer(_known(), frames(EVERYTHING, "flat"))


def test_a_dark_that_took_no_time_is_refused() -> None:
    with pytest.raises(MeasurementError, match="took no time"):
        measure_dark(_known(), [_frame(1, "r", 0.0)])


@pytest.fixture(scope="module")
def raws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of raws and a camera, without calibrations."""
    folder = tmp_path_factory.mktemp("calibrations")
    levels = (2000, 10_000, 60_000)
    survey = plan(128, bands=("g", "r"), n_visits=0, n_bias=2, n_dark=2, n_flat=2, flat_pair_levels=levels)
    root = folder / "repository"
    Butler.makeRepo(str(root), config=Config(repository_config()))
    with Butler.from_config(str(root), writeable=True) as butler:
        CerroCam().register(butler.registry)
        register_camera(butler, survey.camera)
        ingest_raws(butler, simulate_survey(survey, folder / "raws"), instrument=CerroCam())
    return root


def _build(butler: Butler, prefix: str, **options: Any) -> CalibrationReport:
    """Build into a chain of collections of their own, so that tests do not meet."""
    collection = f"{prefix}/collection"
    kind = DatasetType(
        "camera", ("instrument",), "CameraModel", universe=butler.dimensions, isCalibration=True
    )
    butler.collections.register(collection, CollectionType.CALIBRATION)
    camera = butler.find_dataset(kind, instrument="CerroCam", collections="CerroCam/calib/unbounded")
    certified = list(butler.registry.queryDatasetAssociations(kind, collections=[collection]))
    if camera is not None and not certified:
        butler.registry.certify(collection, [camera], Timespan(None, None))
    return build_calibrations(
        butler,
        CerroCam(),
        collections="CerroCam/raw/all",
        output_run_prefix=prefix,
        calibration_collection=collection,
        **options,
    )


def test_all_calibrations_are_stored_once_and_valid_from_the_first_raw_on(raws: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with Butler.from_config(str(raws), writeable=True) as butler:
        report = _build(butler, "all", progress=lambda *step: told.append(step))
        assert sorted(ref.datasetType.name for ref in report.built) == sorted([*CALIBRATIONS, "flat"])
        assert told == [("build calibrations", 0, 1), ("build calibrations", 1, 1)]
        assert "8 calibrations built" in report._repr_html_()
        exposure = max(r.id for r in butler.query_dimension_records("exposure", instrument="CerroCam"))
        data_id = {"instrument": "CerroCam", "exposure": exposure, "detector": 0}
        for name in CALIBRATIONS:
            assert butler.get(name, data_id, collections="all/collection") is not None
        assert butler.get("bias", data_id, collections="all/collection").unit == "adu"
        defects = butler.get("defects", data_id, collections="all/collection")
        assert 0 < defects.get("BAD").sum() < 1000
        again = _build(butler, "all")
        assert (again.built, again.n_kept) == ((), 8)


def test_isr_runs_on_them_as_a_quantum_and_takes_its_facts_from_the_registry(raws: Path) -> None:
    with Butler.from_config(str(raws), writeable=True) as butler:
        _build(butler, "all")
        exposure = min(
            r.id
            for r in butler.query_dimension_records("exposure", instrument="CerroCam")
            if r.observation_type == "dark"
        )
    inputs = ["CerroCam/raw/all", "all/collection"]
    butler = SimplePipelineExecutor.prep_butler(str(raws), inputs, "u/test")
    where = f"instrument='CerroCam' AND exposure={exposure} AND detector=0"
    executor = SimplePipelineExecutor.from_task_class(IsrTask, where=where, butler=butler)
    (quantum,) = executor.run(register_dataset_types=True)
    (ref,) = quantum.outputs["post_isr_image"]
    assert abs(np.median(butler.get(ref).image.array)) < 2  # the dark current of 302 s is gone
    statistics = butler.get("isr_statistics", ref.dataId)
    assert statistics["exposure"] == exposure
    with pytest.raises(IsrError, match="no exposure record"):
        ExposureFacts.from_data_id(
            DataCoordinate.standardize(ref.dataId.required, universe=butler.dimensions)
        )
    butler.close()


def test_an_interrupted_build_is_completed(raws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MeasurementError("the power failed")

    with Butler.from_config(str(raws), writeable=True) as butler:
        with monkeypatch.context() as patch:
            patch.setattr(calibrations, "measure_dark", fail)
            with pytest.raises(MeasurementError, match=r"power.*detector 0"):
                _build(butler, "broken")
        report = _build(butler, "broken")
        assert report.n_kept == 4
        assert {ref.datasetType.name for ref in report.built} == {"dark", "flat", "defects"}
        assert butler.find_dataset(
            "bias",
            instrument="CerroCam",
            detector=0,
            collections="broken/collection",
            timespan=Timespan(None, None),
        )


def test_a_repository_without_raws_or_camera_says_so(raws: Path) -> None:
    common: dict[str, Any] = {"output_run_prefix": "none", "calibration_collection": "none/collection"}
    with Butler.from_config(str(raws), writeable=True) as butler:
        butler.collections.register("empty")
        with pytest.raises(NotFoundError, match="no raws of CerroCam"):
            build_calibrations(butler, "CerroCam", collections="empty", **common)
        with pytest.raises(NotFoundError, match="no camera of CerroCam"):
            build_calibrations(butler, "CerroCam", collections=["CerroCam/raw/all"], **common)
