"""The tasks ``calibrateImage`` and ``consolidateVisitSummary``, on a small field of stars."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import pytest
from lsst.images import VisitImage
from lsst.pex.config import FieldValidationError
from lsst.pipe.base import AlgorithmError, NoWorkFound, Pipeline, Struct

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.tasks.calibrate_image import (
    CalibrateImageConfig,
    CalibrateImageError,
    CalibrateImageTask,
)
from lenticular.pipelines.tasks.consolidate_visit_summary import (
    ConsolidateVisitSummaryConfig,
    ConsolidateVisitSummaryTask,
)
from lenticular.pipelines.tasks.star_table import source_ids
from tests.pipelines.definitions import SINGLE_VISIT
from tests.pipelines.starfield import FACTS, NJY_PER_ELECTRON, StarField, make_star_field

if TYPE_CHECKING:
    from pathlib import Path

    from lsst.images import MaskedImage


@pytest.fixture(scope="module")
def field() -> StarField:
    return make_star_field()


def _task(**options: Any) -> CalibrateImageTask:
    config = CalibrateImageConfig()
    config.update(backgroundMesh=64, **options)
    config.validate()
    return CalibrateImageTask(config=config)


def _run(
    field: StarField, exposure: MaskedImage | None = None, task: CalibrateImageTask | None = None
) -> Struct:
    return (task or _task()).run(
        exposure=field.exposure() if exposure is None else exposure,
        camera=field.camera,
        references=[field.references()],
        facts=FACTS,
    )


@pytest.fixture(scope="module")
def result(field: StarField) -> Struct:
    return _run(field)


def _found(field: StarField, stars: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the bright, isolated true stars, and the row of each in the table."""
    apart = np.hypot(field.x[:, None] - field.x, field.y[:, None] - field.y)
    np.fill_diagonal(apart, np.inf)
    edge = np.minimum.reduce([field.x, field.y, 511 - field.x, 511 - field.y])
    true = np.flatnonzero((field.flux > 2e4) & (edge > 15) & (apart.min(axis=1) > 12))
    distance = np.hypot(
        np.asarray(stars["x"]) - field.x[true, None], np.asarray(stars["y"]) - field.y[true, None]
    )
    assert distance.min(axis=1).max() < 0.3
    return true, distance.argmin(axis=1)


def test_positions_on_the_sky_are_true(field: StarField, result: Struct) -> None:
    true, row = _found(field, result.stars)
    east = (result.stars["ra"][row] - field.ra[true]) * np.cos(np.radians(2.0)) * 3.6e6
    north = (result.stars["dec"][row] - field.dec[true]) * 3.6e6
    assert np.median(np.hypot(east, north)) < 10


def test_fluxes_are_true(field: StarField, result: Struct) -> None:
    true, row = _found(field, result.stars)
    for name in ("psfFlux", "ap12Flux"):
        ratio = result.stars[name][row] / (field.flux[true] * NJY_PER_ELECTRON)
        assert np.median(ratio) == pytest.approx(1.0, abs=0.005)


def test_the_image_is_in_njy_without_its_sky(field: StarField, result: Struct) -> None:
    image: VisitImage = result.exposure
    assert image.unit == u.nJy
    dark = image.image.array[~image.mask.get("DETECTED")]
    assert abs(np.median(dark)) < 0.1 * image.summary_stats.skyNoise
    assert image.photometric_scaling is not None
    scale = float(image.photometric_scaling(x=np.array([9.0]), y=np.array([9.0]))[0])
    assert scale == pytest.approx(NJY_PER_ELECTRON, rel=0.005)
    sky = image.backgrounds["initial"].field.render().array
    assert np.median(sky) / scale == pytest.approx(field.sky, rel=0.01)
    assert np.median(image.variance.array) == pytest.approx(np.median(field.variance) * scale**2, rel=1e-3)


def test_the_image_carries_all_its_parts(result: Struct) -> None:
    image: VisitImage = result.exposure
    assert image.band == "r"
    assert image.obs_info.physical_filter == "r_01"
    assert image.detector.bbox == image.bbox
    assert image.psf.compute_kernel_image(x=200.0, y=100.0).array.shape == (27, 27)
    assert 0.9 < image.aperture_corrections["base_PsfFlux"](x=np.array([9.0]), y=np.array([9.0]))[0] < 1.1
    stats = image.summary_stats
    assert stats.nPsfStar >= 6
    assert stats.pixelScale == pytest.approx(0.2, rel=0.01)
    assert 22 < stats.magLim < 27
    assert image.mask.get("DETECTED").any()


def test_the_image_can_be_written_and_read(result: Struct, tmp_path: Path) -> None:
    path = tmp_path / "visit.fits"
    result.exposure.write(path)
    again = VisitImage.read(path)
    kernels = [image.psf.compute_kernel_image(x=50.0, y=60.0).array for image in (result.exposure, again)]
    assert np.allclose(kernels[0], kernels[1])
    assert again.summary_stats == result.exposure.summary_stats
    assert np.allclose(again.image.array, result.exposure.image.array)


def test_columns_have_units_and_descriptions(result: Struct) -> None:
    for table in (result.stars, result.astrometry_matches):
        assert all(table[name].description for name in table.colnames)
    stars = result.stars
    assert stars["psfFlux"].unit == u.nJy
    assert stars["ra"].unit == u.deg
    assert stars["ixx"].unit == u.pix**2
    assert result.astrometry_matches["raResidual"].unit == u.mas


def test_stars_are_flagged_as_used(result: Struct) -> None:
    stars = result.stars
    for name in ("psf", "apCorr", "astrometry", "photometry"):
        assert stars[f"calib_{name}_used"].sum() >= 6
    assert stars["calib_psf_used"].sum() == result.exposure.summary_stats.nPsfStar
    bright = stars["snr"] > 100
    assert np.nanmean(stars["extendedness"][bright]) < 0.2


def test_source_ids_are_unique(result: Struct) -> None:
    assert len(np.unique(result.stars["sourceId"])) == len(result.stars)
    assert not set(source_ids(1, 255, 2**20 - 1)[-2:]) & set(source_ids(2, 0, 2))


def test_metrics_agree_with_the_outputs(result: Struct) -> None:
    metrics = result.metrics
    assert metrics.get("source_count").value == len(result.stars)
    assert metrics.get("match_count").value == result.astrometry_matches["astrometry_used"].sum()
    assert metrics.get("zero_point").value == result.exposure.summary_stats.zeroPoint
    assert metrics.get("psf_fwhm").unit == "arcsec"


def test_the_task_tells_its_times_and_counts(field: StarField) -> None:
    task = _task()
    _run(field, task=task)
    assert {"background", "psf", "sources", "calibration"} <= set(task.metadata["seconds"].names())
    assert task.metadata["counts"]["n_source"] > 50


def test_the_same_image_gives_the_same_result(field: StarField, result: Struct) -> None:
    again = _run(field)
    assert np.array_equal(again.exposure.image.array, result.exposure.image.array)
    for name in result.stars.colnames:
        assert np.array_equal(again.stars[name], result.stars[name], equal_nan=name != "band")


def test_the_exposure_is_not_changed(field: StarField) -> None:
    exposure = field.exposure()
    _run(field, exposure)
    assert np.array_equal(exposure.image.array, field.image)
    assert not exposure.mask.get("DETECTED").any()


def test_pixels_without_a_value_stay_so_and_harm_nobody(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[100:130, 200:260] = np.nan
    exposure.variance.array[300, 300] = -1.0
    found = _run(field, exposure)
    assert np.isnan(found.exposure.image.array[110, 210])
    assert np.isfinite(found.exposure.image.array).sum() == 512 * 512 - 30 * 60
    assert np.isfinite(found.stars["ra"]).all()
    assert np.isfinite(found.exposure.summary_stats.skyBg)


def test_half_a_detector_is_calibrated(field: StarField) -> None:
    dead = np.zeros((512, 512), dtype=np.bool_)
    dead[:, :180] = True
    found = _run(field, field.exposure(NO_DATA=dead))
    assert (found.stars["x"] > 160).all()
    assert len(found.astrometry_matches) >= 10


def test_a_new_cosmic_ray_is_found_and_mended(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[250, 240:260] += 4000
    found = _run(field, exposure)
    hit = found.exposure.mask.get("COSMIC_RAY")[250, 240:260]
    assert hit.mean() > 0.8
    assert found.exposure.mask.get("INTERPOLATED")[250, 240:260].mean() > 0.8
    assert found.exposure.image.array[250, 245] < 1000


def test_without_references_the_error_is_clear(field: StarField) -> None:
    task = _task()
    with pytest.raises(CalibrateImageError, match="no reference") as caught:
        task.run(exposure=field.exposure(), camera=field.camera, references=[], facts=FACTS)
    assert isinstance(caught.value, AlgorithmError)
    assert caught.value.metadata["where"] == f"{FACTS}, step reference catalogue"


def test_a_step_that_fails_leaves_the_times_behind(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[...] = 400.0
    task = _task()
    with pytest.raises(CalibrateImageError):
        _run(field, exposure, task)
    assert {"references", "background"} <= set(task.metadata["seconds"].names())


def test_references_of_elsewhere_are_a_clear_error(field: StarField) -> None:
    other = field.references()
    other["ra"] = other["ra"] + 1.0
    with pytest.raises(CalibrateImageError, match="references to match"):
        _task().run(exposure=field.exposure(), camera=field.camera, references=[other], facts=FACTS)


def test_a_catalogue_without_the_band_is_a_clear_error(field: StarField) -> None:
    table = field.references()
    table.remove_column("r_flux")
    with pytest.raises(CalibrateImageError, match="no column r_flux"):
        _task().run(exposure=field.exposure(), camera=field.camera, references=[table], facts=FACTS)


def test_a_masked_detector_is_no_work(field: StarField) -> None:
    with pytest.raises(NoWorkFound, match="No pixel"):
        _run(field, field.exposure(NO_DATA=np.ones((512, 512), dtype=np.bool_)))


def test_a_detector_of_nan_is_no_work(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[...] = np.nan
    with pytest.raises(NoWorkFound):
        _run(field, exposure)


def test_a_blank_sky_is_a_clear_error(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[...] = np.random.default_rng(0).normal(400, 20, (512, 512))
    with pytest.raises(CalibrateImageError, match="size of a star"):
        _run(field, exposure)


def test_a_constant_image_is_a_clear_error(field: StarField) -> None:
    exposure = field.exposure()
    exposure.image.array[...] = 400.0
    with pytest.raises(CalibrateImageError, match="no noise"):
        _run(field, exposure)


def test_few_stars_are_a_clear_error() -> None:
    few = make_star_field(n=4)
    with pytest.raises(CalibrateImageError, match=r"stars? "):
        _run(few)


def test_an_exposure_without_wcs_is_a_clear_error(field: StarField) -> None:
    from lsst.images import MaskedImage

    exposure = field.exposure()
    bare = MaskedImage(
        exposure.image.view(sky_projection=None),
        mask=exposure.mask.view(sky_projection=None),
        variance=exposure.variance.view(sky_projection=None),
    )
    with pytest.raises(CalibrateImageError, match="no nominal WCS"):
        _run(field, bare)


def test_the_error_survives_a_process_border() -> None:
    error = CalibrateImageError("It failed", where="here", hint="Try.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in this line
    assert isinstance(again, CalibrateImageError)
    assert (again.what, again.where, again.hint) == ("It failed", "here", "Try.")
    assert isinstance(again, MeasurementError)


def test_the_moffat_model_works_too(field: StarField) -> None:
    found = _run(field, task=_task(psfModel="moffat", psfOrder=0))
    true, row = _found(field, found.stars)
    ratio = found.stars["psfFlux"][row] / (field.flux[true] * NJY_PER_ELECTRON)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"apertureRadii": [6.0, 3.0]}, "ascend"),
        ({"psfStampSize": 28}, "odd"),
        ({"apertureRadii": [3.0, 20.0]}, "does not fit"),
        ({"psfOrder": 9}, "psfOrder"),
        ({"psfModel": "gaussian"}, "psfModel"),
    ],
)
def test_contradictory_configurations_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(FieldValidationError, match=what):
        _task(**options)


def test_a_visit_summary_has_a_row_per_detector(result: Struct) -> None:
    task = ConsolidateVisitSummaryTask(config=ConsolidateVisitSummaryConfig())
    stats = result.exposure.summary_stats
    table = task.run(statistics={3: stats, 1: stats}, visit=9, band="r").summary
    assert table["detector"].tolist() == [1, 3]
    assert table["zeroPoint"].unit == u.mag
    assert table["psfSigma"].description
    assert table["raCorners"].shape == (2, 4)
    assert table["nPsfStar"].tolist() == [stats.nPsfStar] * 2


def test_a_visit_without_detectors_is_no_work() -> None:
    task = ConsolidateVisitSummaryTask(config=ConsolidateVisitSummaryConfig())
    with pytest.raises(NoWorkFound, match="Visit 9"):
        task.run(statistics={}, visit=9, band="r")


def test_the_pipeline_has_described_steps() -> None:
    pipeline = Pipeline.from_uri(str(SINGLE_VISIT))
    graph = pipeline.to_graph()
    assert list(graph.tasks) == ["isr", "calibrateImage", "consolidateVisitSummary"]
    assert all(subset.description for subset in graph.task_subsets.values())
    assert pipeline.getInstrument() == "lenticular.pipelines.cerro.instrument.CerroCam"
