"""Electronic offset and noise from the overscan."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.overscan import measure_overscan, subtract_overscan


@given(
    levels=hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 60_000)),
    columns=st.integers(3, 30),
    method=st.sampled_from(["row_mean", "row_median"]),
)
def test_a_drifting_offset_without_noise_is_removed(
    levels: np.ndarray, columns: int, method: Literal["row_mean", "row_median"]
) -> None:
    overscan = measure_overscan(np.repeat(levels[:, None], columns, axis=1), method=method)
    data = np.repeat(levels[:, None], 7, axis=1) + 100
    np.testing.assert_allclose(subtract_overscan(data, overscan), 100, atol=0.02)
    assert overscan.n_clipped == 0


@pytest.mark.parametrize("sigma", [2.0, 4.0, 20.0])
def test_the_noise_is_unbiased_by_offset_and_drift(sigma: float) -> None:
    rng = np.random.default_rng(1)
    drift = np.cumsum(rng.normal(0, 3, 2000))[:, None]
    overscan = measure_overscan(1000 + drift + rng.normal(0, sigma, (2000, 28)))
    assert overscan.noise == pytest.approx(sigma, rel=0.01)


def test_the_level_of_a_row_has_the_noise_of_a_mean() -> None:
    rng = np.random.default_rng(2)
    pixels = 1000 + rng.normal(0, 4, (4000, 28))
    scatter = {
        method: measure_overscan(pixels, method=method).level.std() for method in ("row_mean", "row_median")
    }
    assert scatter["row_mean"] == pytest.approx(4 / np.sqrt(28), rel=0.05)
    assert scatter["row_median"] > 1.15 * scatter["row_mean"]


def test_outliers_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(3)
    pixels = 500 + rng.normal(0, 4, (1000, 28))
    pixels[::10, 5] += 5000
    overscan = measure_overscan(pixels)
    assert overscan.level.mean() == pytest.approx(500, abs=0.1)
    assert overscan.noise == pytest.approx(4, rel=0.02)
    assert 100 <= overscan.n_clipped < 110
    assert "100" in overscan._repr_html_()


def test_a_constant_offset_is_the_same_in_all_rows() -> None:
    pixels = np.random.default_rng(4).normal(300, 5, (50, 20))
    assert np.unique(measure_overscan(pixels, method="constant").level).size == 1


def test_trailing_charge_in_the_first_columns_can_be_skipped() -> None:
    pixels = np.full((10, 12), 100.0)
    pixels[:, :4] += [50, 20, 10, 5]
    np.testing.assert_allclose(measure_overscan(pixels, skip_columns=4).level, 100)


def test_a_dead_amplifier_has_no_noise() -> None:
    assert measure_overscan(np.full((10, 12), 7, np.uint16)).noise == 0


def test_too_narrow_an_overscan_is_refused() -> None:
    with pytest.raises(MeasurementError, match="2 usable columns"):
        measure_overscan(np.zeros((5, 10)), skip_columns=8)


def test_an_overscan_with_nan_is_refused() -> None:
    pixels = np.zeros((5, 10))
    pixels[2, 2] = np.nan
    with pytest.raises(MeasurementError, match="1 pixels that are not finite"):
        measure_overscan(pixels)


def test_an_overscan_of_other_rows_is_refused() -> None:
    overscan = measure_overscan(np.zeros((5, 10)))
    with pytest.raises(MeasurementError, match="6 rows"):
        subtract_overscan(np.zeros((6, 10)), overscan)
