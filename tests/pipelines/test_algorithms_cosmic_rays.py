"""Cosmic rays are found, stars are spared."""

from __future__ import annotations

import numpy as np
import pytest

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.cosmic_rays import find_cosmic_rays, gaussian_psf

SHAPE = (256, 256)
SKY = 400.0


def _sky_and_stars(rng: np.random.Generator, fwhm: float, n_stars: int) -> np.ndarray:
    """Return the expected electrons above the sky."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    light = np.zeros(SHAPE)
    sigma = fwhm / 2.355
    for _ in range(n_stars):
        y0, x0 = rng.uniform(5, SHAPE[0] - 5, 2)
        flux = 10 ** rng.uniform(3, 5.5)
        light += flux / (2 * np.pi * sigma**2) * np.exp(-0.5 * ((y - y0) ** 2 + (x - x0) ** 2) / sigma**2)
    return light


def _tracks(rng: np.random.Generator, n: int) -> np.ndarray:
    hit = np.zeros(SHAPE)
    for _ in range(n):
        y0, x0, angle = rng.uniform(10, 240), rng.uniform(10, 240), rng.uniform(0, np.pi)
        for step in np.arange(0, rng.uniform(2, 20), 0.5):
            y, x = int(y0 + step * np.sin(angle)), int(x0 + step * np.cos(angle))
            if 0 <= y < SHAPE[0] and 0 <= x < SHAPE[1]:
                hit[y, x] += 400
    return hit


def _exposure(seed: int, fwhm: float, n_tracks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    expected, hits = _sky_and_stars(rng, fwhm, 40), _tracks(rng, n_tracks)
    electrons = rng.poisson(expected + SKY) + rng.normal(0, 6, SHAPE) + hits
    return (electrons - SKY).astype(np.float32), (np.maximum(electrons, 0) + 36).astype(np.float32), hits > 0


@pytest.mark.parametrize("fwhm", [3.0, 3.6, 4.6])
def test_stars_alone_hold_no_cosmic_rays(fwhm: float) -> None:
    image, variance, _ = _exposure(7, fwhm, 0)
    assert find_cosmic_rays(image, variance, gaussian_psf(2.6)).n_pixels <= 2


@pytest.mark.parametrize("fwhm", [3.6, 4.6])
def test_most_pixels_of_tracks_are_found(fwhm: float) -> None:
    image, variance, truth = _exposure(8, fwhm, 25)
    found = find_cosmic_rays(image, variance, gaussian_psf(2.6))
    assert (found.mask & truth).sum() > 0.9 * truth.sum()
    assert (found.mask & ~truth).sum() <= 10
    assert str(found.n_pixels) in found._repr_html_()


def test_the_image_is_not_changed() -> None:
    image, variance, _ = _exposure(9, 4.0, 10)
    before = image.copy()
    find_cosmic_rays(image, variance, gaussian_psf(2.6))
    np.testing.assert_array_equal(image, before)


def test_masked_pixels_and_those_not_finite_are_not_reported() -> None:
    image, variance, truth = _exposure(10, 4.0, 10)
    image[0, :5] = np.nan
    mask = truth.copy()
    found = find_cosmic_rays(image, variance, gaussian_psf(2.6), mask=mask)
    assert not (found.mask & mask).any()
    assert not found.mask[0, :5].any()


def test_a_hit_at_the_corner_is_found() -> None:
    image, variance = np.zeros((20, 20), np.float32), np.full((20, 20), 400, np.float32)
    image[10, 10] = image[0, 0] = 2000
    found = find_cosmic_rays(image, variance, gaussian_psf(2.6))
    assert found.mask[10, 10]
    assert found.n_pixels == 2
    assert found.n_iterations >= 2


def test_a_wider_psf_stamp_serves_as_well() -> None:
    image, variance, _ = _exposure(11, 4.0, 10)
    y, x = np.mgrid[-7:8, -7:8]
    stamp = 0.03 * np.exp(-0.5 * (x * x + y * y) / (2.6 / 2.3548) ** 2)
    wide = find_cosmic_rays(image, variance, stamp).mask
    np.testing.assert_array_equal(wide, find_cosmic_rays(image, variance, gaussian_psf(2.6)).mask)


@pytest.mark.parametrize("psf", [np.ones((1, 1)), np.zeros((3, 3)), np.full((5, 5), np.nan)])
def test_a_psf_without_a_peak_is_refused(psf: np.ndarray) -> None:
    with pytest.raises(MeasurementError, match="no peak"):
        find_cosmic_rays(np.zeros((9, 9), np.float32), np.ones((9, 9), np.float32), psf)


def test_a_psf_without_a_width_is_refused() -> None:
    with pytest.raises(MeasurementError, match="width"):
        gaussian_psf(0)
