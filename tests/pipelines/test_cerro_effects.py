"""What a detector does to light, one effect at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenticular.butler.errors import ConfigError
from lenticular.pipelines.cerro.camera import DetectorTruth, cerro_camera
from lenticular.pipelines.cerro.effects import (
    Effects,
    add_trail,
    collect,
    cosmic_rays,
    overflow,
    photon_noise,
    read_out,
)

TRUTH = DetectorTruth.make(cerro_camera(4, 256).detector(0), 11)
NONE = Effects.only()
SHAPE = TRUTH.model.shape


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _read(electrons: np.ndarray, effects: Effects = NONE, seed: int = 0) -> np.ndarray:
    raw = read_out(
        electrons.astype(np.float32), TRUTH, effects=effects, noise=_rng(seed), drift=_rng(seed + 1)
    )
    return raw.astype(float)


def _signal(raw: np.ndarray, k: int) -> np.ndarray:
    """Return an amplifier's data above its bias level, in readout order [adu]."""
    amplifier = TRUTH.model.amplifiers[k]
    return amplifier.to_readout_order(raw[amplifier.raw_data_bbox.slices] - TRUTH.bias_level[k])


def test_without_effects_the_raw_is_bias_level_and_signal_over_gain() -> None:
    raw = _read(np.full(SHAPE, 1000.0))
    for k, amplifier in enumerate(TRUTH.model.amplifiers):
        np.testing.assert_allclose(_signal(raw, k), 1000 / TRUTH.gain[k], atol=0.5)
        overscan = raw[amplifier.raw_serial_overscan_bbox.slices]
        np.testing.assert_allclose(overscan, TRUTH.bias_level[k], atol=0.5)
        assert (raw[amplifier.raw_parallel_overscan_bbox.slices] == overscan[0, 0]).all()
        assert (raw[amplifier.raw_prescan_bbox.slices] == overscan[0, 0]).all()


def test_every_pixel_of_the_detector_is_read_in_its_place() -> None:
    electrons = _rng().uniform(100, 20_000, SHAPE)
    raw = _read(electrons)
    for k, amplifier in enumerate(TRUTH.model.amplifiers):
        found = TRUTH.gain[k] * (raw[amplifier.raw_data_bbox.slices] - TRUTH.bias_level[k])
        np.testing.assert_allclose(found, electrons[amplifier.bbox.slices], atol=1)


def test_mean_and_variance_of_flat_light_give_the_gain() -> None:
    electrons = photon_noise(np.full(SHAPE, 20_000, np.float32), _rng())
    raw = _read(electrons)
    for k in range(4):
        signal = _signal(raw, k)
        # 128 x 128 pixels know a variance to one percent; this is three of them.
        assert signal.mean() / signal.var() == pytest.approx(TRUTH.gain[k], rel=0.033)


@settings(max_examples=8, deadline=None)
@given(mean=st.sampled_from([0.5, 20, 400, 600, 5_000, 60_000]), seed=st.integers(0, 1000))
def test_photon_noise_has_poissons_mean_variance_and_skewness(mean: float, seed: int) -> None:
    drawn = photon_noise(np.full((300, 300), mean, np.float32), _rng(seed)).astype(float)
    n = drawn.size
    assert drawn.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / n))
    assert drawn.var() == pytest.approx(mean, rel=5 * np.sqrt((2 + 1 / mean) / n))
    skewness = ((drawn - drawn.mean()) ** 3).mean() / drawn.std() ** 3
    assert skewness == pytest.approx(mean**-0.5, abs=5 * np.sqrt(6 / n) * (1 + 2 / np.sqrt(mean)))


def test_faint_pixels_among_bright_ones_get_whole_electrons() -> None:
    expected = np.full((100, 100), 1000, np.float32)
    expected[:10] = 2
    drawn = photon_noise(expected, _rng())
    assert (drawn[:10] == np.rint(drawn[:10])).all()
    assert drawn[:10].mean() == pytest.approx(2, abs=0.25)


def test_no_light_makes_no_electrons() -> None:
    assert not photon_noise(np.zeros((5, 5), np.float32), _rng()).any()


def test_read_noise_is_in_the_overscan_and_in_the_data() -> None:
    raw = _read(np.zeros(SHAPE), Effects.only("read_noise"))
    for k, amplifier in enumerate(TRUTH.model.amplifiers):
        expected = np.hypot(TRUTH.read_noise[k] / TRUTH.gain[k], 12**-0.5)
        for section in (amplifier.raw_serial_overscan_bbox, amplifier.raw_data_bbox):
            assert raw[section.slices].std() == pytest.approx(expected, rel=0.06)


def test_bias_structure_is_in_the_data_alone() -> None:
    raw = _read(np.zeros(SHAPE), Effects.only("bias_structure"))
    for k, amplifier in enumerate(TRUTH.model.amplifiers):
        found = raw[amplifier.raw_data_bbox.slices] - TRUTH.bias_level[k]
        np.testing.assert_allclose(found, TRUTH.bias_structure[amplifier.bbox.slices], atol=0.51)
        assert np.ptp(raw[amplifier.raw_serial_overscan_bbox.slices]) == 0


def test_bias_drift_is_the_same_along_a_row_and_differs_between_exposures() -> None:
    effects = Effects.only("bias_drift")
    one, two = _read(np.zeros(SHAPE), effects, 1), _read(np.zeros(SHAPE), effects, 2)
    amplifier = TRUTH.model.amplifiers[0]
    section = one[amplifier.raw_bbox.slices]
    assert np.ptp(section, axis=1).max() == 0
    assert np.ptp(section[:, 0]) > 1
    assert (one != two).mean() > 0.5


def test_amplifiers_report_less_than_they_got() -> None:
    electrons = np.full(SHAPE, 60_000.0)
    raw = _read(electrons, Effects.only("nonlinearity"))
    for k in range(4):
        measured = _signal(raw, k) * TRUTH.gain[k]
        assert measured.max() < 59_900
        np.testing.assert_allclose(measured + TRUTH.linearity[k] * measured**2, 60_000, atol=2)


def test_crosstalk_comes_from_the_pixel_read_at_the_same_time() -> None:
    electrons = np.zeros(SHAPE)
    source = TRUTH.model.amplifiers[1]
    source.to_readout_order(electrons[source.bbox.slices])[30, 40] = 80_000
    raw = _read(electrons, Effects.only("crosstalk"))
    for victim in (0, 2, 3):
        signal = _signal(raw, victim)
        expected = TRUTH.crosstalk[victim, 1] * 80_000 / TRUTH.gain[1]
        assert expected > 2
        assert signal[30, 40] == pytest.approx(expected, abs=1)
        assert np.count_nonzero(np.abs(signal) > 1) == 1


def test_a_full_well_bleeds_along_its_column_and_loses_nothing() -> None:
    electrons = np.zeros(SHAPE, np.float32)
    well = np.float32(TRUTH.full_well[0])
    electrons[60, 50] = 4.5 * well
    full = overflow(electrons, TRUTH)
    column = electrons[:, 50]
    assert electrons.sum(dtype=float) == pytest.approx(4.5 * well, rel=1e-6)
    assert (column[[59, 60, 61]] == well).all()
    np.testing.assert_allclose(column[[58, 62]], 0.75 * well, rtol=1e-5)
    assert full.sum() == 3
    assert not np.delete(electrons, 50, axis=1).any()


def test_bleeding_fills_wells_on_top_of_what_they_hold() -> None:
    electrons = np.full(SHAPE, 1000, np.float32)
    well = TRUTH.full_well[0]
    electrons[60, 50] += 2 * well
    overflow(electrons, TRUTH)
    assert (electrons <= np.float32(well)).all()
    assert electrons[:128, 50].sum(dtype=float) == pytest.approx(128 * 1000 + 2 * well, rel=1e-6)


def test_bleeding_ends_at_the_middle_of_the_detector() -> None:
    electrons = np.zeros(SHAPE, np.float32)
    electrons[126, 50] = 100 * TRUTH.full_well[0]
    overflow(electrons, TRUTH)
    assert (electrons[126:128, 50] == np.float32(TRUTH.full_well[0])).all()
    assert not electrons[128:].any()


def test_two_bright_pixels_in_one_column_keep_their_charge() -> None:
    electrons = np.zeros(SHAPE, np.float32)
    electrons[[40, 44, 45], 50] = 3 * TRUTH.full_well[0]
    overflow(electrons, TRUTH)
    assert electrons.sum(dtype=float) == pytest.approx(9 * TRUTH.full_well[0], rel=1e-6)
    assert electrons.max() == np.float32(TRUTH.full_well[0])


def test_a_full_well_reads_below_the_largest_number() -> None:
    raw = _read(np.broadcast_to(TRUTH.full_well.max(), SHAPE))
    assert raw.max() < 65535


def test_light_beyond_the_largest_number_is_clipped() -> None:
    assert _read(np.full(SHAPE, 1e6)).max() == 65535


def test_the_flat_field_and_nothing_else_shapes_even_light() -> None:
    light = np.full(SHAPE, 1000, np.float32)
    held = collect(light, TRUTH, band="g", dark_time=30, effects=Effects.only("flat"))
    np.testing.assert_allclose(held, 1000 * TRUTH.response["g"], rtol=1e-6)


def test_dark_current_grows_with_time() -> None:
    dark = np.zeros(SHAPE, np.float32)
    held = collect(dark, TRUTH, band="g", dark_time=300, effects=Effects.only("dark_current"))
    np.testing.assert_allclose(held, 300 * TRUTH.dark_current, rtol=1e-6)
    assert held.min() / 300 >= 0.02
    assert held.max() / 300 <= 0.0301


def test_bad_pixels_are_dim_or_hot() -> None:
    light = np.full(SHAPE, 1000, np.float32)
    effects = Effects.only("bad_pixels", "dark_current")
    held = collect(light, TRUTH, band="g", dark_time=30, effects=effects)
    ordinary = np.abs(held - 1000 - 30 * TRUTH.dark_current) < 1e-2
    assert (ordinary == ~TRUTH.defects).all()


def test_nothing_is_collected_without_light_and_effects() -> None:
    light = np.full(SHAPE, 7, np.float32)
    held = collect(light, TRUTH, band="g", dark_time=30, effects=NONE)
    assert (held == 7).all()
    assert held is not light


def test_cosmic_rays_come_at_their_rate_and_stay_inside() -> None:
    counts = []
    for seed in range(20):
        image = cosmic_rays((512, 512), 60, _rng(seed))
        assert image.min() >= 0
        counts.append(np.count_nonzero(image))
    # 7.5 tracks of some 8 to 12 pixels each.
    assert 40 < np.mean(counts) < 130


def test_no_time_no_cosmic_rays() -> None:
    assert not cosmic_rays((512, 512), 0, _rng()).any()


@settings(max_examples=20, deadline=None)
@given(angle=st.floats(0, 3.14), sigma=st.floats(1.2, 4))
def test_a_trail_has_its_brightness_and_width_across(angle: float, sigma: float) -> None:
    image = np.zeros((101, 101), np.float32)
    add_trail(image, x=50, y=50, angle=angle, sigma=sigma, brightness=1000)
    y, x = np.mgrid[:101, :101] - 50.0
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    part = np.abs(along) < 25
    light = image[part].astype(float)
    assert light.sum() == pytest.approx(50 * 1000, rel=0.05)
    assert np.sqrt((light * across[part] ** 2).sum() / light.sum()) == pytest.approx(sigma, rel=0.03)


def test_effects_are_chosen_by_name() -> None:
    assert Effects.only("flat").flat
    assert not Effects.only("flat").crosstalk
    assert not Effects().without("flat").flat
    assert Effects().without("flat").crosstalk


def test_an_unknown_effect_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="No such effect: fringes"):
        Effects.only("fringes", "flat")
    with pytest.raises(ConfigError, match="No such effect: fringes"):
        Effects().without("fringes")
