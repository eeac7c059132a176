"""Simulated raws: their pixels against the truth, their headers, their files."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from lenticular.butler.errors import ConfigError, NotFoundError
from lenticular.pipelines.cerro import exposures as module
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.exposures import (
    cosmic_ray_mask,
    exposure_path,
    raw_header,
    simulate_exposure,
    simulate_pixels,
    simulate_survey,
)
from lenticular.pipelines.cerro.optics import PSF_VARIANCES, PSF_WEIGHTS
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize
from lenticular.pipelines.cerro.truth import truth_tables

SMALL = SurveySize(
    "small",
    n_detectors=2,
    n_visits=2,
    n_bias=1,
    n_dark=1,
    n_flat=1,
    flat_pair_levels=(10_000,),
    detector_size=256,
)
PLAN = SurveyPlan.make(SMALL, 8)
BIAS, DARK = PLAN.exposures[:2]
FLAT = next(exposure for exposure in PLAN.exposures if exposure.band == "g" and exposure.kind == "flat")
TRAILED = PLAN.science[4]  # r, second night


def _pixels(
    effects: Effects, exposure_id: int = TRAILED.id, detector: int = 0, size: int = 256
) -> np.ndarray:
    plan = SurveyPlan.make(replace(SMALL, detector_size=size), 8, effects)
    return simulate_pixels(plan, plan.exposure(exposure_id), detector).raw.astype(float)


def _star_field(band: str) -> tuple[SurveyPlan, np.ndarray, Table]:
    """Return the light of stars alone on a full detector, and their truth."""
    size = SurveySize("stars", n_detectors=1, n_visits=1, n_bias=0, n_dark=0, n_flat=0, bands=(band,))
    plan = SurveyPlan.make(size, 21, Effects.only("stars", "psf_variation", "distortion", "pointing_error"))
    light = simulate_pixels(plan, plan.science[0], 0).light.astype(float)
    return plan, light, truth_tables(plan)["source_fluxes"]


def _isolated(truth: Table, *, reach: float) -> Table:
    """Return the bright stars whose neighbours, all together, have little light."""
    chosen = []
    for row in truth:
        near = np.hypot(truth["x"] - row["x"], truth["y"] - row["y"]) < 2 * reach
        faint = truth["electrons"][near].sum() - row["electrons"] < 3e-4 * row["electrons"]
        inside = all(2 * reach < row[axis] < 1023 - 2 * reach for axis in ("x", "y"))
        if faint and inside and row["electrons"] > 1e4:
            chosen.append(row)
    return Table(rows=chosen, names=truth.colnames)


@pytest.fixture(scope="module")
def star_field() -> tuple[SurveyPlan, np.ndarray, Table]:
    return _star_field("r")


@pytest.mark.slow
def test_stars_have_the_flux_the_place_and_the_width_of_the_truth(
    star_field: tuple[SurveyPlan, np.ndarray, Table],
) -> None:
    _, light, truth = star_field
    stars = _isolated(truth, reach=18)
    assert len(stars) >= 5
    y, x = np.mgrid[-22:23, -22:23].astype(float)
    for star in stars:
        row, column = round(star["y"]), round(star["x"])
        square = (x - star["x"] + column) ** 2 + (y - star["y"] + row) ** 2
        stamp = light[row - 22 : row + 23, column - 22 : column + 23] * (square < 18**2)
        assert stamp.sum() == pytest.approx(star["electrons"], rel=2e-3)
        core = np.hypot(x, y) < 8
        centroid = [(stamp * c)[core].sum() / stamp[core].sum() for c in (x, y)]
        np.testing.assert_allclose(centroid, (star["x"] - column, star["y"] - row), atol=0.03)
        variance = (stamp * square).sum() / stamp.sum() / 2
        width = np.sqrt(variance / (PSF_WEIGHTS * PSF_VARIANCES).sum())
        assert width == pytest.approx(star["psf_fwhm"], rel=0.03)


@pytest.mark.slow
def test_the_true_wcs_leads_to_the_stars_and_the_nominal_one_nearly(
    star_field: tuple[SurveyPlan, np.ndarray, Table],
) -> None:
    plan, _, truth = star_field
    tables = truth_tables(plan)
    sources = tables["sources"]
    order = np.searchsorted(sources["id"], truth["id"])
    conditions = plan.science[0].sky
    assert conditions is not None
    model = plan.camera.detector(0)
    x, y = conditions.pointing.wcs(model).all_world2pix(sources["ra"][order], sources["dec"][order], 0)
    np.testing.assert_allclose([x, y], [truth["x"], truth["y"]], atol=1e-3)
    nominal = WCS(raw_header(plan, plan.science[0], 0))
    x, y = nominal.all_world2pix(sources["ra"][order], sources["dec"][order], 0)
    offset = np.hypot(x - truth["x"], y - truth["y"]) * 0.2
    assert offset.min() > 0.05
    assert offset.max() < 3 * np.hypot(3, 3) + 1


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    for exposure in (BIAS, DARK, FLAT, TRAILED):
        one = simulate_exposure(PLAN, exposure, 1, tmp_path / "one")
        two = simulate_exposure(SurveyPlan.make(SMALL, 8), exposure, 1, tmp_path / "two")
        assert one.read_bytes() == two.read_bytes()


def test_a_larger_survey_does_not_change_an_exposure(tmp_path: Path) -> None:
    larger = SurveyPlan.make(replace(SMALL, n_detectors=4, n_visits=5, n_bias=7), 8)
    one = simulate_exposure(PLAN, TRAILED, 0, tmp_path / "one")
    two = simulate_exposure(larger, larger.exposure(TRAILED.id), 0, tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()


def test_another_seed_another_exposure_and_another_detector_differ() -> None:
    raw = simulate_pixels(PLAN, BIAS, 0).raw
    other = SurveyPlan.make(replace(SMALL, n_bias=2), 9)
    for plan, exposure, detector in (
        (other, other.exposures[0], 0),
        (other, other.exposures[1], 0),
        (PLAN, BIAS, 1),
    ):
        assert (simulate_pixels(plan, exposure, detector).raw != raw).mean() > 0.5


@pytest.mark.parametrize("name", [field.name for field in fields(Effects) if field.name != "pointing_error"])
def test_every_effect_matters_and_can_be_switched_off(name: str) -> None:
    with_all, without = _pixels(Effects()), _pixels(Effects().without(name))
    assert (with_all != without).any()


def test_a_pointing_error_is_in_the_header_and_not_in_the_pixels() -> None:
    exact = SurveyPlan.make(SMALL, 8, Effects().without("pointing_error"))
    one, two = raw_header(PLAN, TRAILED, 0), raw_header(exact, exact.exposure(TRAILED.id), 0)
    assert one["CRVAL1"] != two["CRVAL1"]
    assert (_pixels(Effects()) == _pixels(Effects().without("pointing_error"))).all()


def test_an_effect_leaves_the_random_numbers_of_the_others_alone() -> None:
    quiet = Effects.only("sky", "photon_noise", "read_noise", "bias_drift")
    plan = SurveyPlan.make(SMALL, 8, replace(quiet, cosmic_rays=True))
    struck = simulate_pixels(plan, plan.exposure(DARK.id), 0)
    without = _pixels(quiet, DARK.id)
    changed = struck.raw != without
    hit = sum(np.count_nonzero(struck.cosmic_rays[a.bbox.slices]) for a in plan.camera.detector(0).amplifiers)
    assert 0 < np.count_nonzero(changed) <= hit


def test_cosmic_rays_are_known_without_simulating() -> None:
    assert (cosmic_ray_mask(PLAN, DARK, 0) == simulate_pixels(PLAN, DARK, 0).cosmic_rays).all()
    assert cosmic_ray_mask(PLAN, DARK, 0).any()


def test_a_bias_has_no_light_and_no_cosmic_rays() -> None:
    pixels = simulate_pixels(PLAN, BIAS, 0)
    assert not pixels.light.any()
    assert not pixels.cosmic_rays.any()


def test_a_flat_has_the_light_of_the_lamp_times_the_response() -> None:
    truth = PLAN.detector_truth(0)
    raw = _pixels(Effects.only("flat"), FLAT.id)
    amplifier = truth.model.amplifiers[3]
    found = truth.gain[3] * (raw[amplifier.raw_data_bbox.slices] - truth.bias_level[3])
    expected = 40_000 * truth.throughput * truth.response["g"][amplifier.bbox.slices]
    np.testing.assert_allclose(found, expected, atol=1.5)


def test_a_pair_of_flats_gives_the_gain() -> None:
    one, two = (exposure for exposure in PLAN.exposures if exposure.reason == "ptc")
    truth = PLAN.detector_truth(1)
    effects = Effects.only("photon_noise", "flat")
    first, second = (_pixels(effects, exposure.id, detector=1) for exposure in (one, two))
    for k, amplifier in enumerate(truth.model.amplifiers):
        data = amplifier.raw_data_bbox.slices
        mean = (first[data] + second[data]).mean() / 2 - truth.bias_level[k]
        variance = (first[data] - second[data]).var() / 2
        assert mean / variance == pytest.approx(truth.gain[k], rel=0.04)


def test_a_trail_is_where_the_truth_says() -> None:
    plan = SurveyPlan.make(SMALL, 8, Effects.only("trails"))
    light = simulate_pixels(plan, plan.exposure(TRAILED.id), 0).light
    trails = truth_tables(plan)["trails"]
    trails = trails[(trails["exposure"] == TRAILED.id) & (trails["detector"] == 0)]
    assert len(trails) == len(plan.exposure(TRAILED.id).sky.trails) > 0  # type: ignore[union-attr]  # science
    y, x = np.mgrid[:256, :256]
    expected = np.zeros((256, 256))
    for trail in trails:
        across = (x - trail["x"]) * np.sin(trail["angle"]) - (y - trail["y"]) * np.cos(trail["angle"])
        profile = np.exp(-0.5 * (across / trail["sigma"]) ** 2) / (np.sqrt(2 * np.pi) * trail["sigma"])
        expected += trail["brightness"] * profile
    assert expected.max() > 50
    np.testing.assert_allclose(light, expected, atol=1e-3 * expected.max())


def test_other_visits_have_no_trail() -> None:
    plan = SurveyPlan.make(SMALL, 8, Effects.only("trails"))
    quiet = [exposure for exposure in plan.science if exposure.sky and not exposure.sky.trails]
    assert not simulate_pixels(plan, quiet[0], 0).light.any()


def test_bright_stars_saturate() -> None:
    size = SurveySize("one", n_detectors=1, n_visits=1, n_bias=0, n_dark=0, n_flat=0, bands=("r",))
    plan = SurveyPlan.make(size, 21, Effects.only("stars", "saturation"))
    pixels = simulate_pixels(plan, plan.science[0], 0)
    truth = plan.detector_truth(0)
    for k, amplifier in enumerate(truth.model.amplifiers):
        full = pixels.saturated[amplifier.bbox.slices]
        raw = pixels.raw[amplifier.raw_data_bbox.slices].astype(float)
        level = truth.full_well[k] / truth.gain[k] + truth.bias_level[k]
        assert raw.max() <= level + 1
        np.testing.assert_allclose(raw[full], level, atol=1)
    assert pixels.saturated.sum() > 20


def test_the_header_tells_what_the_observatory_knows() -> None:
    header = raw_header(PLAN, TRAILED, 1)
    assert header["INSTRUME"] == "CerroCam"
    assert header["EXPID"] == TRAILED.id
    assert (header["DETNUM"], header["DETNAME"]) == (1, "S01")
    assert (header["OBSTYPE"], header["FILTER"], header["EXPTIME"]) == ("science", "r_01", 30)
    assert (header["DAYOBS"], header["SEQNUM"]) == (20261104, 402)
    assert header["DATE-OBS"].startswith("2026-11-05T")
    assert header["REASON"] == "survey"
    assert WCS(header).wcs.ctype[0] == "RA---TAN-SIP"
    assert header["RATEL"] == header["CRVAL1"]
    assert "CRVAL1" not in raw_header(PLAN, DARK, 1)
    assert raw_header(PLAN, DARK, 1)["DARKTIME"] == 302


def test_a_file_has_the_raw_in_its_first_extension(tmp_path: Path) -> None:
    path = simulate_exposure(PLAN, TRAILED, 1, tmp_path)
    assert path == exposure_path(TRAILED, 1, tmp_path)
    with fits.open(path, disable_image_compression=True) as hdus:
        assert hdus[1].header["ZCMPTYPE"] == "RICE_1"
    with fits.open(path) as hdus:
        assert hdus[1].data.dtype == np.uint16
        assert (hdus[1].data == simulate_pixels(PLAN, TRAILED, 1).raw).all()
        assert hdus[1].header["EXPID"] == TRAILED.id


def _count_simulations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    simulated: list[int] = []

    def counted(*arguments: object) -> module.SimulatedPixels:
        simulated.append(1)
        return simulate_pixels(*arguments)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(module, "simulate_pixels", counted)
    return simulated


def test_a_complete_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate_exposure(PLAN, BIAS, 0, tmp_path)
    simulated = _count_simulations(monkeypatch)
    simulate_exposure(PLAN, BIAS, 0, tmp_path)
    assert not simulated


@pytest.mark.parametrize("content", [b"", b"not a FITS file", None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    path = simulate_exposure(PLAN, BIAS, 0, tmp_path)
    good = path.read_bytes()
    path.write_bytes(good[:2880] if content is None else content)
    simulate_exposure(PLAN, BIAS, 0, tmp_path)
    assert path.read_bytes() == good


def test_a_file_of_another_plan_is_replaced(tmp_path: Path) -> None:
    other = SurveyPlan.make(SMALL, 9)
    path = simulate_exposure(other, other.exposures[0], 0, tmp_path)
    assert simulate_exposure(PLAN, BIAS, 0, tmp_path) == path
    assert fits.getheader(path, 1)["SIMSEED"] == 8


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        simulate_exposure(PLAN, BIAS, 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_detector_that_is_not_used_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not use detector 5"):
        simulate_exposure(PLAN, BIAS, 5, tmp_path)
    with pytest.raises(NotFoundError, match="does not use detector 5"):
        cosmic_ray_mask(PLAN, BIAS, 5)


def test_a_survey_is_simulated_with_progress_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = SurveyPlan.make(replace(SMALL, n_visits=1, bands=("r",), n_flat=0, flat_pair_levels=()), 8)
    reports: list[tuple[int, int, Path]] = []
    paths = simulate_survey(plan, tmp_path, progress=lambda *report: reports.append(report))
    assert len(paths) == len(set(paths)) == 2 * len(plan.exposures)
    assert [report[:2] for report in reports] == [(k + 1, 6) for k in range(6)]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    paths[2].unlink()
    simulated = _count_simulations(monkeypatch)
    assert simulate_survey(plan, tmp_path) == paths
    assert len(simulated) == 1


@pytest.mark.slow
def test_more_workers_give_the_same_files(tmp_path: Path) -> None:
    plan = SurveyPlan.make(replace(SMALL, n_visits=1, bands=("r",), n_flat=0, flat_pair_levels=()), 8)
    alone = simulate_survey(plan, tmp_path / "alone")
    together = simulate_survey(plan, tmp_path / "together", workers=2)
    assert [path.name for path in alone] == [path.name for path in together]
    assert [path.read_bytes() for path in alone] == [path.read_bytes() for path in together]


def test_no_worker_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="0 workers"):
        simulate_survey(PLAN, tmp_path, workers=0)
