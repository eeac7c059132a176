"""Dead, deaf, hot and stuck pixels, and the arrays module they stand on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import clipped_mean, require_finite, robust_sigma, smooth_median
from lenticular.pipelines.algorithms.defects import find_dark_defects, find_flat_defects, join_columns


def _flat() -> np.ndarray:
    y, x = np.mgrid[:200, :150]
    pattern: np.ndarray = 1 - 0.1 * ((x - 75) ** 2 + (y - 100) ** 2) / 100**2
    pattern *= np.random.default_rng(1).normal(1, 0.007, pattern.shape)
    return pattern.astype(np.float32, copy=False)


def test_dead_and_bright_pixels_of_a_vignetted_flat_are_found_and_no_others() -> None:
    flat, truth = _flat(), np.zeros((200, 150), bool)
    truth[3, 3] = truth[100:160, 40] = truth[50, 60] = True
    flat[3, 3], flat[100:160, 40], flat[50, 60] = 0.3, 0.5, 1.6
    np.testing.assert_array_equal(find_flat_defects(flat), truth)


def test_a_flat_that_is_not_finite_is_a_defect() -> None:
    flat = _flat()
    flat[10, 10] = np.nan
    assert find_flat_defects(flat)[10, 10]


def test_a_flat_without_light_is_refused() -> None:
    with pytest.raises(MeasurementError, match="no light"):
        find_flat_defects(np.zeros((64, 64), np.float32))


def test_hot_pixels_stand_out_of_a_glow() -> None:
    dark = np.random.default_rng(2).normal(0.02, 0.01, (128, 128)).astype(np.float32)
    dark += np.linspace(0, 0.1, 128, dtype=np.float32)
    dark[5, 5], dark[9, 9], dark[7, 7] = 3.0, 0.3, np.nan
    found = find_dark_defects(dark, threshold=0.5)
    assert set(zip(*np.nonzero(found), strict=True)) == {(5, 5), (7, 7)}


def test_gaps_in_bad_columns_are_closed_and_single_pixels_left_alone() -> None:
    defects = np.zeros((100, 10), bool)
    defects[10:60, 4] = True
    defects[[20, 21, 40], 4] = False
    defects[[10, 12], 7] = True
    joined = join_columns(defects)
    assert joined[10:60, 4].all()
    assert joined.sum() == 50 + 2


@pytest.mark.parametrize("stride", [1, 2])
def test_the_smooth_median_follows_a_slope_and_ignores_stars(stride: int) -> None:
    y, x = np.mgrid[:256, :192]
    slope = (100 + 0.05 * x + 0.02 * y).astype(np.float32)
    image = slope.copy()
    image[::9, ::9] += 5000
    inner = np.s_[40:-40, 40:-40]
    np.testing.assert_allclose(smooth_median(image, 32, stride=stride)[inner], slope[inner], atol=0.3)


@given(n_y=st.integers(1, 70), n_x=st.integers(1, 70), level=st.floats(-1e3, 1e3, width=32))
def test_the_smooth_median_of_a_constant_is_the_constant(n_y: int, n_x: int, level: float) -> None:
    smooth = smooth_median(np.full((n_y, n_x), level, np.float32), 16)
    assert smooth.shape == (n_y, n_x)
    np.testing.assert_allclose(smooth, level, rtol=1e-5, atol=1e-6)


def test_a_block_with_nan_counts_as_typical() -> None:
    image = np.full((64, 64), 5, np.float32)
    image[0, 0] = np.nan
    np.testing.assert_allclose(smooth_median(image, 16), 5)


def test_clipping_leaves_out_what_is_far_and_says_how_many_are_left() -> None:
    values = np.random.default_rng(3).normal(10, 2, 50_000)
    values[::100] = 1000
    mean, width, n = clipped_mean(values)
    assert mean == pytest.approx(10, abs=0.05)
    assert width == pytest.approx(2, rel=0.02)
    assert n == 49_500


def test_quantised_values_are_not_all_clipped() -> None:
    mean, _, n = clipped_mean(np.array([5.0] * 90 + [6.0] * 10))
    assert mean == pytest.approx(5.1)
    assert n == 100


def test_the_robust_width_of_a_gaussian_is_its_own() -> None:
    values = np.random.default_rng(4).normal(0, 3, 20_000)
    assert robust_sigma(values) == pytest.approx(3, rel=0.03)


def test_pixels_that_are_not_finite_are_counted() -> None:
    with pytest.raises(MeasurementError, match="the dark has 2 pixels"):
        require_finite("the dark", np.array([1.0, np.nan, np.inf]))
