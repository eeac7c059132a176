"""Plans of surveys: what is observed, when, and what grows with the size."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from lenticular.butler.errors import ConfigError, NotFoundError
from lenticular.pipelines.cerro.camera import cerro_camera
from lenticular.pipelines.cerro.effects import Effects
from lenticular.pipelines.cerro.schedule import POINTING_ERROR_ARCSEC, ROTATION_ERROR_DEG
from lenticular.pipelines.cerro.sky import FIELD_DEC, FIELD_RA, SURVEY_START_MJD, Kind, Sky
from lenticular.pipelines.cerro.streams import Stream, stream
from lenticular.pipelines.cerro.survey import SurveyPlan, SurveySize

LARGE = SurveySize("large", n_detectors=4, n_visits=40, n_pointings=3, n_bias=20, n_dark=20, n_flat=10)
PLAN = SurveyPlan.make(LARGE, 5)
TINY = SurveyPlan.make("tiny", 5)


def test_exposure_ids_are_unique_and_small() -> None:
    ids = [exposure.id for exposure in PLAN.exposures]
    assert len(set(ids)) == len(ids)
    assert min(ids) > 0
    assert max(ids) < 2**31


def test_exposures_are_in_the_order_of_time_and_do_not_overlap() -> None:
    for one, two in zip(PLAN.exposures, PLAN.exposures[1:], strict=False):
        assert two.mjd - one.mjd > one.exposure_time / 86400


def test_the_largest_series_do_not_run_into_one_another() -> None:
    full = SurveySize("full", n_detectors=1, n_visits=2, n_pointings=150, n_bias=99, n_dark=99, n_flat=30)
    levels = tuple(range(1000, 50_000, 1000))
    plan = SurveyPlan.make(replace(full, flat_pair_levels=levels), 5)
    ids = [exposure.id for exposure in plan.exposures]
    assert len(set(ids)) == len(ids)
    mjd = [exposure.mjd for exposure in plan.exposures]
    assert mjd == sorted(mjd)


def test_the_day_of_observation_begins_at_noon() -> None:
    for exposure in PLAN.exposures:
        noon = datetime.fromisoformat(exposure.date_obs) - timedelta(hours=12)
        assert int(noon.strftime("%Y%m%d")) == exposure.day_obs
        assert exposure.obs_id == f"CC_O_{exposure.day_obs}_{exposure.seq_num:06d}"


def test_a_plan_is_the_same_each_time() -> None:
    assert SurveyPlan.make(LARGE, 5) == PLAN


def test_another_seed_is_another_survey() -> None:
    one, two = TINY.science[0].sky, SurveyPlan.make("tiny", 6).science[0].sky
    assert one is not None
    assert two is not None
    assert one.pointing != two.pointing
    assert one.psf != two.psf


def test_a_larger_survey_begins_with_the_exposures_of_a_smaller_one() -> None:
    larger = {exposure.id: exposure for exposure in PLAN.exposures}
    assert all(larger[exposure.id] == exposure for exposure in TINY.exposures)


def test_a_band_left_out_changes_nothing_else() -> None:
    fewer = SurveyPlan.make(SurveySize("gi", n_detectors=2, n_visits=2, bands=("g", "i")), 5)
    assert set(fewer.exposures) < set(TINY.exposures)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("tiny", {"science": 6, "bias": 5, "dark": 3, "flat": 21}),
        ("demo", {"science": 9, "bias": 5, "dark": 3, "flat": 21}),
        ("workshop", {"science": 15, "bias": 10, "dark": 5, "flat": 35}),
    ],
)
def test_named_sizes(name: str, kinds: dict[str, int]) -> None:
    plan = SurveyPlan.make(name, 1)
    found = [exposure.kind for exposure in plan.exposures]
    assert {kind: found.count(kind) for kind in set(found)} == kinds
    assert f"{kinds['dark']} dark" in plan._repr_html_()


def test_flats_come_in_pairs_of_equal_level() -> None:
    pairs = [exposure for exposure in TINY.exposures if exposure.reason == "ptc"]
    for one, two in zip(pairs[::2], pairs[1::2], strict=True):
        assert one.level == two.level
        assert one.exposure_time == two.exposure_time == pytest.approx(one.level / 2500)
    assert {exposure.band for exposure in TINY.exposures if exposure.reason == "flat"} == set("gri")


def test_the_header_errs_by_no_more_than_is_stated() -> None:
    offsets = []
    for exposure in PLAN.science:
        assert exposure.sky is not None
        true, nominal = exposure.sky.pointing, exposure.sky.nominal_pointing
        east = (nominal.ra - true.ra) * np.cos(np.radians(true.dec)) * 3600
        offsets.append((east, (nominal.dec - true.dec) * 3600, nominal.rotation - true.rotation))
    largest = np.abs(offsets).max(axis=0)
    assert (largest <= np.array([POINTING_ERROR_ARCSEC] * 2 + [ROTATION_ERROR_DEG]) * 3.001).all()
    spread = np.std(offsets, axis=0) / [POINTING_ERROR_ARCSEC, POINTING_ERROR_ARCSEC, ROTATION_ERROR_DEG]
    np.testing.assert_allclose(spread, 1, atol=0.15)


def test_effects_of_the_plan_can_be_switched_off() -> None:
    effects = Effects().without("pointing_error", "distortion", "trails", "psf_variation", "sky")
    for exposure in SurveyPlan.make("tiny", 5, effects).science:
        assert exposure.sky is not None
        assert exposure.sky.pointing == exposure.sky.nominal_pointing
        assert exposure.sky.pointing.distortion == 0
        assert not exposure.sky.trails
        assert not exposure.sky.psf.varies
        assert exposure.sky.sky_level == 0


def test_some_visits_of_the_smallest_survey_have_a_trail_and_some_have_none() -> None:
    trails = [len(exposure.sky.trails) for exposure in TINY.science if exposure.sky is not None]
    assert max(trails) > 0
    assert min(trails) == 0


def test_pointings_lie_side_by_side() -> None:
    decs = [exposure.sky.pointing.dec for exposure in PLAN.science[:9] if exposure.sky is not None]
    centres = {round(dec - FIELD_DEC, 1) for dec in decs}
    assert centres == {0.0, -0.1}


@pytest.mark.parametrize(
    "settings",
    [
        {"n_detectors": 0},
        {"n_detectors": 17},
        {"n_visits": -1},
        {"n_bias": 100},
        {"bands": ("g", "z")},
        {"flat_pair_levels": (100_000,)},
    ],
)
def test_an_impossible_size_is_a_clear_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(SurveySize.named("tiny"), **settings)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.hint


def test_unknown_names_are_clear_errors() -> None:
    with pytest.raises(NotFoundError, match="tiny, demo, workshop"):
        SurveyPlan.make("huge", 1)
    with pytest.raises(ConfigError, match="seed of -1"):
        SurveyPlan.make("tiny", -1)
    with pytest.raises(NotFoundError, match="no exposure 7"):
        TINY.exposure(7)
    with pytest.raises(NotFoundError, match="does not use detector 2"):
        TINY.detector_truth(2)
    with pytest.raises(ConfigError, match="shows no sky"):
        TINY.sky_of(TINY.exposures[0], 0)


def test_an_exposure_is_found_by_its_id() -> None:
    assert TINY.exposure(TINY.science[3].id) is TINY.science[3]


def test_streams_differ_by_seed_purpose_and_keys() -> None:
    draws = {
        stream(*names).integers(0, 2**62)
        for names in (
            (1, Stream.STARS, 2),
            (2, Stream.STARS, 2),
            (1, Stream.GALAXIES, 2),
            (1, Stream.STARS, 3),
            (1, Stream.STARS),
            (1, Stream.STARS, 2, 0),
        )
    }
    assert len(draws) == 6


def test_a_larger_piece_of_sky_contains_the_smaller() -> None:
    small, large = (Sky.around(3, FIELD_RA, FIELD_DEC, radius).table for radius in (0.04, 0.12))
    assert set(small.tolist()) < set(large.tolist())


def test_sources_have_unique_ids_and_lie_where_asked() -> None:
    sky = Sky.around(3, FIELD_RA + 0.1, FIELD_DEC, 0.06).table
    assert len(np.unique(sky["id"])) == len(sky)
    assert np.abs(sky["dec"] - FIELD_DEC).max() < 0.06 + 0.05


def test_a_detector_holds_enough_stars() -> None:
    camera = cerro_camera()
    exposure = TINY.science[1]
    assert exposure.sky is not None
    sky = TINY.sky_of(exposure, 0)
    x, y = exposure.sky.pointing.to_pixel(camera.detector(0), sky.table["ra"], sky.table["dec"])
    inside = (x > 0) & (x < 1023) & (y > 0) & (y < 1023)
    star = (sky.table["kind"] == Kind.STAR) & (sky.table["r_mag"] > 16) & (sky.table["r_mag"] < 23.5)
    assert 90 < (inside & star).sum() < 220


def test_transients_begin_after_the_first_night_and_some_before_the_second() -> None:
    sky = Sky.around(3, FIELD_RA, FIELD_DEC, 0.1)
    sky = sky[sky.table["kind"] == Kind.TRANSIENT]
    first = TINY.science[0].mid_mjd
    second = TINY.science[-1].mid_mjd
    assert np.isinf(sky.magnitude("r", first)).all()
    visible = np.isfinite(sky.magnitude("r", second)).mean()
    assert 0.4 < visible < 0.9


def test_a_transient_reaches_its_peak_magnitude_and_fades() -> None:
    sky = Sky.around(3, FIELD_RA, FIELD_DEC, 0.1)
    sky = sky[sky.table["kind"] == Kind.TRANSIENT]
    curves = np.array([sky.magnitude("r", SURVEY_START_MJD + day) for day in np.arange(0, 60, 0.1)])
    np.testing.assert_allclose(curves.min(axis=0), sky.table["r_mag"], atol=0.01)
    assert (curves[-1] > sky.table["r_mag"] + 0.5).all()


def test_variable_stars_vary_by_their_amplitude_about_their_mean_and_others_do_not() -> None:
    sky = Sky.around(3, FIELD_RA, FIELD_DEC, 0.1)
    curves = np.array([sky.magnitude("r", SURVEY_START_MJD + day) for day in np.linspace(0, 40, 800)])
    variable = sky.table["kind"] == Kind.VARIABLE
    constant = (sky.table["kind"] == Kind.STAR) | (sky.table["kind"] == Kind.GALAXY)
    assert variable.sum() > 5
    np.testing.assert_allclose(
        np.ptp(curves[:, variable], axis=0), 2 * sky.table["amplitude"][variable], rtol=0.05
    )
    assert np.ptp(curves[:, constant], axis=0).max() == 0


def test_hosts_are_galaxies_near_their_transient() -> None:
    sky = Sky.around(3, FIELD_RA, FIELD_DEC, 0.1).table
    place = {int(row["id"]): row for row in sky}
    hosted = [row for row in sky[sky["kind"] == Kind.TRANSIENT] if row["host_id"]]
    assert len(hosted) > 10
    for row in hosted:
        host = place[int(row["host_id"])]
        assert host["kind"] == Kind.GALAXY
        assert abs(host["dec"] - row["dec"]) * 3600 < 5 * host["radius"]


def test_a_union_of_skies_has_each_source_once() -> None:
    one, two = Sky.around(3, FIELD_RA, FIELD_DEC, 0.02), Sky.around(3, FIELD_RA, FIELD_DEC, 0.07)
    assert len(Sky.union([one, two, one])) == len(two)
    assert len(Sky.union([])) == 0


def test_the_sky_shows_itself() -> None:
    sky = Sky.around(3, FIELD_RA, FIELD_DEC, 0.02)
    assert "galaxys" not in sky._repr_html_()
    assert sky.to_astropy()["ra"].unit == "deg"
