"""Crosstalk is measured from ghosts."""

from __future__ import annotations

import numpy as np
import pytest

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.crosstalk import collect_ghosts, fit_crosstalk

TRUTH = np.array([[0, 3e-4, 1e-4], [2e-4, 0, 0], [5e-4, 1e-4, 0]])


def _amplifiers(seed: int, n_spots: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    images = rng.normal(300, 5, (3, 128, 128))
    clean = np.zeros_like(images)
    for image in clean:
        for _ in range(n_spots):
            y, x = rng.integers(2, 125, 2)
            image[y - 1 : y + 2, x - 1 : x + 2] += rng.uniform(10_000, 50_000)
    images += clean
    images += np.tensordot(TRUTH, clean, 1)
    return [image.astype(np.float32) for image in images]


def _masks() -> list[np.ndarray]:
    return [np.zeros((128, 128), bool)] * 3


def test_the_matrix_is_found_within_its_errors() -> None:
    fit = fit_crosstalk([collect_ghosts(_amplifiers(seed), _masks()) for seed in range(6)])
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_array_equal(np.diag(fit.matrix), 0)
    assert np.abs(fit.matrix - TRUTH)[off].max() < 2e-5
    pulls = ((fit.matrix - TRUTH) / fit.error)[off]
    assert np.abs(pulls).max() < 4
    assert min(fit.n_pixels) > 500


def test_an_amplifier_that_is_never_bright_stays_unknown() -> None:
    images = _amplifiers(1)
    images[2] = np.random.default_rng(2).normal(300, 5, (128, 128)).astype(np.float32)
    fit = fit_crosstalk([collect_ghosts(images, _masks())])
    np.testing.assert_array_equal(fit.matrix[:, 2], 0)
    assert np.isinf(fit.error[:2, 2]).all()
    assert np.isfinite(fit.error[2, :2]).all()


def test_without_a_bright_source_nothing_is_known() -> None:
    dark = [np.random.default_rng(k).normal(0, 5, (64, 64)).astype(np.float32) for k in range(2)]
    fit = fit_crosstalk([collect_ghosts(dark, [np.zeros((64, 64), bool)] * 2)])
    np.testing.assert_array_equal(fit.matrix, 0)
    assert fit.n_pixels == (0, 0)


def test_sources_of_the_victim_itself_do_not_bias() -> None:
    images = _amplifiers(3)
    victim = np.argwhere((images[1] > 9000) & (images[0] < 1000))
    y, x = victim[len(victim) // 2]
    images[0][y - 3 : y + 4, x - 3 : x + 4] += 400  # a faint star under a ghost
    fit = fit_crosstalk([collect_ghosts(images, _masks())])
    assert fit.matrix[0, 1] == pytest.approx(TRUTH[0, 1], abs=5e-5)


def test_masked_pixels_are_left_out() -> None:
    samples = collect_ghosts(_amplifiers(4), [np.ones((128, 128), bool)] * 3)
    assert [sample.victim.size for sample in samples] == [0, 0, 0]


def test_no_exposure_is_refused() -> None:
    with pytest.raises(MeasurementError, match="no exposure"):
        fit_crosstalk([])
