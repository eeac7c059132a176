"""Saturated pixels and the full well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import binary_dilation

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.saturation import find_saturated, grow, measure_full_well


def test_full_wells_and_the_end_of_the_converter_are_found() -> None:
    electrons = np.array([[10, 96_000, 98_000, 20]], np.float32)
    adu = np.array([[8, 60_000, 61_000, 65_535]], np.uint16)
    np.testing.assert_array_equal(
        find_saturated(electrons, 100_000, fraction=0.97, adu=adu), [[False, False, True, True]]
    )


@given(mask=hnp.arrays(bool, (7, 9)), radius=st.integers(0, 4))
def test_growing_is_a_dilation(mask: np.ndarray, radius: int) -> None:
    before = mask.copy()
    expected = binary_dilation(mask, iterations=radius) if radius else mask
    np.testing.assert_array_equal(grow(mask, radius), expected)
    np.testing.assert_array_equal(mask, before)


def test_a_mask_cannot_shrink() -> None:
    with pytest.raises(MeasurementError, match="cannot grow by -1"):
        grow(np.zeros((2, 2), bool), -1)


def test_the_full_well_is_where_pixels_pile_up() -> None:
    rng = np.random.default_rng(5)
    stars = 70_000 * rng.random(300) ** -0.5
    pile = rng.normal(83_210, 60, 200)
    found = measure_full_well(np.concatenate([stars[stars < 83_000], pile]), 85_000)
    assert found == pytest.approx(83_210, rel=1e-3)


@pytest.mark.parametrize("n", [0, 20, 400])
def test_without_a_pile_there_is_no_full_well(n: int) -> None:
    assert measure_full_well(np.random.default_rng(6).uniform(72_500, 97_500, n), 85_000) is None
