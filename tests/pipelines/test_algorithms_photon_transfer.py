"""Gain, noise, full well and linearity from ideal and from simulated flats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.photon_transfer import (
    PairStatistics,
    fit_linearity,
    fit_transfer,
    pair_statistics,
)

LEVELS = np.array([1e3, 4e3, 1e4, 2.5e4, 4.5e4, 7e4])


def _pairs(gain: float, noise: float, c: float = 0.0, n: int = 100_000) -> list[PairStatistics]:
    """Return what infinitely many pixels would give: the expectation to first order in c."""
    mean = LEVELS / gain * (1 - c * LEVELS)
    variance = noise**2 + LEVELS / gain**2 * (1 - 2 * c * LEVELS) ** 2
    return [PairStatistics(m, v, n) for m, v in zip(mean, variance, strict=True)]


@given(gain=st.floats(0.3, 8), noise=st.floats(0, 10))
def test_the_gain_of_an_ideal_curve_is_exact(gain: float, noise: float) -> None:
    fit = fit_transfer(_pairs(gain, noise), noise)
    assert fit.gain == pytest.approx(gain, rel=1e-6)
    assert fit.full_well is None
    assert fit.n_pairs == LEVELS.size


@given(c=st.floats(0, 3e-7))
def test_non_linearity_bends_the_curve_but_spares_the_gain(c: float) -> None:
    fit = fit_transfer(_pairs(1.5, 4.0, c), 4.0)
    assert fit.gain == pytest.approx(1.5, rel=2e-3)
    assert fit.curvature == pytest.approx(-3 * c, abs=0.1 * c + 1e-12)


def test_the_gain_is_within_its_error_of_the_truth() -> None:
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(40):
        pairs = [
            PairStatistics(p.mean, p.variance * rng.normal(1, np.sqrt(2 / 5000)), 5000)
            for p in _pairs(1.5, 4)
        ]
        fit = fit_transfer(pairs, 4.0)
        pulls.append((fit.gain - 1.5) / fit.gain_error)
    assert 0.7 < np.std(pulls) < 1.35
    assert abs(np.mean(pulls)) < 0.6


def test_a_full_well_is_seen_and_left_out() -> None:
    pairs = _pairs(1.5, 4.0)
    pairs += [PairStatistics(55_000.0, 900.0, 100_000), PairStatistics(55_001.0, 20.0, 100_000)]
    fit = fit_transfer(pairs, 4.0)
    assert fit.full_well == 55_000
    assert fit.gain == pytest.approx(1.5, rel=1e-6)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(MeasurementError, match="2 pairs of flats"):
        fit_transfer(_pairs(1.5, 4.0)[:2], 4.0)


def test_a_curve_that_does_not_rise_is_refused() -> None:
    flat = [PairStatistics(level, 16.0, 1000) for level in LEVELS]
    with pytest.raises(MeasurementError, match="does not grow"):
        fit_transfer(flat, 4.1)


def test_a_pair_gives_mean_and_variance_without_its_pattern() -> None:
    rng = np.random.default_rng(5)
    pattern = 20_000 * (1 + 0.05 * rng.standard_normal((300, 300)))
    first, second = ((rng.poisson(lamp * pattern) / 1.5).astype(np.float32) for lamp in (1.0, 1.03))
    found = pair_statistics(first, second)
    assert found.mean / found.variance == pytest.approx(1.5, rel=0.015)
    assert found.mean == pytest.approx(20_000 / 1.5 * np.sqrt(1.03), rel=1e-3)


def test_cosmic_rays_and_masked_pixels_do_not_count() -> None:
    rng = np.random.default_rng(6)
    first, second = (rng.normal(5000, 50, (200, 200)).astype(np.float32) for _ in range(2))
    first[::20, ::20] = 40_000
    mask = np.zeros((200, 200), bool)
    mask[:, 100:] = True
    second[:, 100:] = np.nan
    found = pair_statistics(first, second, mask=mask)
    assert found.variance == pytest.approx(2500, rel=0.04)
    assert 19_000 < found.n_pixels < 20_001


def test_flats_without_light_are_refused() -> None:
    dark = np.random.default_rng(7).normal(-1, 0.1, (20, 20)).astype(np.float32)
    with pytest.raises(MeasurementError, match="no light"):
        pair_statistics(dark, dark)


def test_flats_of_different_shapes_are_refused() -> None:
    with pytest.raises(MeasurementError, match="second flat has shape"):
        pair_statistics(np.ones((2, 2), np.float32), np.ones((2, 3), np.float32))


def test_flats_wholly_masked_are_refused() -> None:
    image = np.ones((2, 2), np.float32)
    with pytest.raises(MeasurementError, match="fewer than two pixels"):
        pair_statistics(image, image, mask=np.ones((2, 2), bool))


@given(c=st.floats(-3e-7, 3e-7), rate=st.floats(100, 10_000))
def test_linearity_of_an_ideal_ramp_is_exact(c: float, rate: float) -> None:
    seconds = LEVELS / rate
    measured = 2 * LEVELS / (1 + np.sqrt(1 + 4 * c * LEVELS))
    fit = fit_linearity(seconds, measured)
    assert fit.coefficient == pytest.approx(c, abs=1e-13)
    assert fit.rate == pytest.approx(rate, rel=1e-6)
    assert fit.residual < 1e-6


def test_points_at_the_full_well_can_be_left_out() -> None:
    seconds = np.append(LEVELS, [9e4, 1e5])
    measured = np.append(LEVELS, [8e4, 8e4])
    fit = fit_linearity(seconds, measured, maximum=7.5e4)
    assert fit.coefficient == pytest.approx(0, abs=1e-13)
    assert fit.maximum == 7e4


def test_a_ramp_of_two_exposure_times_is_refused() -> None:
    with pytest.raises(MeasurementError, match="2 exposure times"):
        fit_linearity(np.array([1.0, 1.0, 2.0]), np.array([10.0, 10.0, 20.0]))
