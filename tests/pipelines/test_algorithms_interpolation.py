"""Interpolation follows smooth light, keeps a record and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.interpolation import interpolate

Y, X = np.mgrid[:40, :40].astype(np.float64)


def _star(fwhm: float) -> np.ndarray:
    star: np.ndarray = 1000 * np.exp(-0.5 * ((X - 20.3) ** 2 + (Y - 19.6) ** 2) / (fwhm / 2.355) ** 2)
    return star.astype(np.float32, copy=False)


@settings(max_examples=30)
@given(
    bad=hnp.arrays(bool, (12, 15), elements=st.booleans(), fill=st.just(value=False)), seed=st.integers(0, 99)
)
def test_good_pixels_stay_and_bad_ones_stay_in_range(bad: np.ndarray, seed: int) -> None:
    bad[0, 0] = False
    image = np.random.default_rng(seed).normal(100, 5, bad.shape).astype(np.float32)
    before = image.copy()
    record = interpolate(image, bad)
    np.testing.assert_array_equal(image[~bad], before[~bad])
    np.testing.assert_array_equal(record.interpolated, bad)
    assert record.n_fitted + record.n_nearest == bad.sum()
    spread = np.ptp(before[~bad])
    assert np.all(image >= before[~bad].min() - spread - 1e-3)
    assert np.all(image <= before[~bad].max() + spread + 1e-3)


def test_a_plane_is_continued_across_a_column() -> None:
    image = (3 * X + 2 * Y).astype(np.float32)
    bad = np.zeros(image.shape, bool)
    bad[:, 20] = True
    expected = image.copy()
    image[bad] = -999
    interpolate(image, bad)
    np.testing.assert_allclose(image[3:-3, 20], expected[3:-3, 20], atol=0.2)


def test_a_column_through_a_star_keeps_nearly_all_of_its_light() -> None:
    image, bad = _star(4.0), np.zeros((40, 40), bool)
    bad[:, 20] = True
    expected = image.copy()
    image[bad] = 0
    interpolate(image, bad)
    assert image.sum() == pytest.approx(expected.sum(), rel=0.015)
    assert image[20, 20] == pytest.approx(expected[20, 20], rel=0.1)


def test_neighbours_that_are_not_finite_are_not_used() -> None:
    image, bad = np.full((9, 9), 5, np.float32), np.zeros((9, 9), bool)
    bad[4, 4], image[4, 5] = True, np.nan
    interpolate(image, bad)
    assert image[4, 4] == pytest.approx(5)


def test_the_middle_of_a_hole_repeats_the_nearest_pixel() -> None:
    image, bad = np.full((40, 40), 7, np.float32), np.zeros((40, 40), bool)
    bad[10:30, 10:30], image[10:30, 10:30] = True, -1e6
    record = interpolate(image, bad)
    np.testing.assert_allclose(image, 7, rtol=1e-5)
    assert record.n_nearest > 0
    assert "nearest" in record._repr_html_()


def test_nothing_to_do_is_fine() -> None:
    image = np.ones((4, 4), np.float32)
    assert interpolate(image, np.zeros((4, 4), bool)).n_fitted == 0


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_an_image_without_a_good_pixel_is_refused(value: float) -> None:
    bad = np.ones((4, 4), bool)
    if np.isnan(value):
        bad[0] = False
    with pytest.raises(MeasurementError, match="no good pixel"):
        interpolate(np.full((4, 4), value, np.float32), bad)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(MeasurementError, match="shape"):
        interpolate(np.ones((4, 4), np.float32), np.zeros((4, 5), bool))
