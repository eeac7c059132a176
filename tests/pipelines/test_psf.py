"""The point-spread function: its stars, its model, its fast evaluation, its moments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.psf import fit_psf, gaussian_kernel, select_psf_stars, stellar_locus
from lenticular.pipelines.algorithms.psf_sampler import SampledPsf
from lenticular.pipelines.algorithms.shapes import adaptive_moments, adaptive_sigma_of_mixture
from lenticular.pipelines.cerro.optics import PSF_VARIANCES, PSF_WEIGHTS
from tests.pipelines.starfield import StarField, make_star_field

SHAPE = (200, 240)


@pytest.fixture(scope="module")
def field() -> StarField:
    return make_star_field(n=70)


def _bright(field: StarField) -> tuple[np.ndarray, np.ndarray]:
    inside = (field.x > 20) & (field.x < 490) & (field.y > 20) & (field.y < 490)
    apart = np.hypot(field.x[:, None] - field.x, field.y[:, None] - field.y)
    np.fill_diagonal(apart, np.inf)
    chosen = inside & (field.flux > 2e4) & (apart.min(axis=1) > 15)
    return field.x[chosen], field.y[chosen]


def _gaussian(_x: float, _y: float, /, *, offset: tuple[float, float], size: int) -> np.ndarray:
    place = np.arange(size) - size // 2
    sigma = 1.5 + 0.001 * _x
    profile = [np.exp(-0.5 * ((place - d) / sigma) ** 2) for d in offset]
    stamp = np.outer(profile[1], profile[0])
    return np.asarray(stamp / (2 * np.pi * sigma**2))


@pytest.mark.parametrize("model", ["pixelgrid", "moffat"])
def test_the_model_has_the_size_of_the_stars(field: StarField, model: str) -> None:
    x, y = _bright(field)
    blank = np.zeros(field.image.shape, dtype=np.bool_)
    fit = fit_psf(field.signal, field.variance, blank, x, y, fwhm=field.fwhm, model=model, order=0)
    stamp = fit.draw(256.0, 256.0, offset=(0.0, 0.0), size=25)
    radius = adaptive_moments(stamp[None], guess=1.7).determinant_radius[0]
    expected = adaptive_sigma_of_mixture(PSF_WEIGHTS, PSF_VARIANCES) * field.fwhm
    assert radius == pytest.approx(expected, rel=0.01)
    assert 0 < len(fit.used) <= len(x)


def test_few_stars_lower_the_order(field: StarField) -> None:
    x, y = (values[:10] for values in _bright(field))
    blank = np.zeros(field.image.shape, dtype=np.bool_)
    assert fit_psf(field.signal, field.variance, blank, x, y, fwhm=4.0, order=2).order == 0


def test_too_few_stars_are_a_clear_error(field: StarField) -> None:
    blank = np.zeros(field.image.shape, dtype=np.bool_)
    few = np.array([100.0, 200.0])
    with pytest.raises(MeasurementError, match="2 stars"):
        fit_psf(field.signal, field.variance, blank, few, few, fwhm=4.0)


def test_stars_that_are_all_masked_are_a_clear_error(field: StarField) -> None:
    x, y = _bright(field)
    masked = np.ones(field.image.shape, dtype=np.bool_)
    with pytest.raises(MeasurementError, match="Piff cannot fit"):
        fit_psf(field.signal, field.variance, masked, x, y, fwhm=4.0)


def test_the_fit_is_the_same_twice(field: StarField) -> None:
    x, y = _bright(field)
    blank = np.zeros(field.image.shape, dtype=np.bool_)
    stamps = [
        fit_psf(field.signal, field.variance, blank, x, y, fwhm=4.0).draw(50, 60, offset=(0, 0), size=21)
        for _ in range(2)
    ]
    assert np.array_equal(stamps[0], stamps[1])


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.2, 20), n_galaxies=st.integers(0, 60), seed=st.integers(0, 1000))
def test_galaxies_do_not_pull_the_locus(scale: float, n_galaxies: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stars = 2.0 * (1 + 0.02 * rng.standard_normal(60))
    galaxies = rng.uniform(2.4, 8.0, n_galaxies)
    assert stellar_locus(scale * np.concatenate([stars, galaxies])) == pytest.approx(2.0 * scale, rel=0.03)


def test_a_locus_of_nothing_is_a_clear_error() -> None:
    with pytest.raises(MeasurementError, match="size of a star"):
        stellar_locus(np.array([np.nan, -1.0]))


def test_selection_is_by_locus_and_brightness() -> None:
    radius = np.array([2.0, 2.05, 3.0, 2.0, np.nan, 1.98])
    ratio = np.array([50.0, 100.0, 200.0, 10.0, 500.0, 70.0])
    usable = np.array([True, True, True, True, True, False])
    assert select_psf_stars(radius, ratio, usable, locus=2.0).tolist() == [1, 0]
    assert select_psf_stars(radius, ratio, usable, locus=2.0, max_stars=1).tolist() == [1]


@settings(max_examples=30, deadline=None)
@given(x=st.floats(0, 239), y=st.floats(0, 199))
def test_the_sampled_psf_is_the_drawn_one(x: float, y: float) -> None:
    psf = SampledPsf.from_draw(_gaussian, SHAPE, size=21)
    value, _, _ = psf.stamps(np.array([x]), np.array([y]))
    offset = (x - np.floor(x + 0.5), y - np.floor(y + 0.5))
    expected = _gaussian(x, y, offset=offset, size=21)
    assert np.abs(value[0] - expected).max() < 3e-4 * expected.max()


def test_slopes_are_those_of_finite_differences() -> None:
    psf = SampledPsf.from_draw(_gaussian, SHAPE, size=21)
    x, y, step = np.array([100.2]), np.array([80.3]), 1e-4
    _, by_x, by_y = psf.stamps(x, y)
    # The change of the profile with position is left out of the slope on purpose; it is small.
    numeric_x = (psf.stamps(x + step, y)[0] - psf.stamps(x - step, y)[0]) / (2 * step)
    numeric_y = (psf.stamps(x, y + step)[0] - psf.stamps(x, y - step)[0]) / (2 * step)
    assert np.abs(by_x - numeric_x).max() < 0.01 * np.abs(by_x).max()
    assert np.abs(by_y - numeric_y).max() < 0.01 * np.abs(by_y).max()


def test_kernels_are_centred_and_of_unit_sum() -> None:
    psf = SampledPsf.from_draw(_gaussian, SHAPE, size=21)
    kernels = psf.kernels(np.array([10.0, 230.0]), np.array([5.0, 150.0]))
    assert kernels.sum(axis=(1, 2)) == pytest.approx([1, 1])
    assert np.allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-6)
    assert kernels[0, 10, 10] > kernels[1, 10, 10]


@settings(max_examples=20, deadline=None)
@given(e1=st.floats(-0.3, 0.3), e2=st.floats(-0.3, 0.3), sigma=st.floats(1.5, 3.0))
def test_moments_of_a_gaussian_are_its_own(e1: float, e2: float, sigma: float) -> None:
    y, x = np.mgrid[-15:16, -15:16]
    xx, yy, xy = sigma**2 * (1 + e1), sigma**2 * (1 - e1), sigma**2 * e2
    det = xx * yy - xy**2
    stamp = np.exp(-0.5 * (yy * x**2 - 2 * xy * x * y + xx * y**2) / det)
    moments = adaptive_moments(stamp[None], guess=2.0)
    assert moments.xx[0] == pytest.approx(xx, rel=0.01)
    assert moments.yy[0] == pytest.approx(yy, rel=0.01)
    assert moments.xy[0] == pytest.approx(xy, abs=0.01 * sigma**2)


def test_moments_that_cannot_be_measured_are_nan() -> None:
    stamps = np.zeros((3, 21, 21))
    stamps[1] = np.nan
    stamps[2] = gaussian_kernel(4.0, 21)
    masks = np.ones(stamps.shape, dtype=np.bool_)
    assert np.isfinite(adaptive_moments(stamps, guess=1.7, usable=masks).xx).tolist() == [False, False, True]
    masks[2] = False
    assert np.isnan(adaptive_moments(stamps, guess=1.7, usable=masks).xx).all()


def test_the_sigma_of_one_gaussian_is_its_own() -> None:
    assert adaptive_sigma_of_mixture(np.array([1.0]), np.array([4.0])) == pytest.approx(2.0)


def test_the_sigma_of_a_mixture_is_the_measured_one() -> None:
    weights, variances = np.array([0.7, 0.3]), np.array([3.0, 9.0])
    radius2 = np.add.outer(np.arange(-25, 26) ** 2, np.arange(-25, 26) ** 2)
    profile = np.exp(-0.5 * radius2[..., None] / variances) / (2 * np.pi * variances)
    measured = adaptive_moments((profile @ weights)[None], guess=2.0).determinant_radius[0]
    assert adaptive_sigma_of_mixture(weights, variances) == pytest.approx(measured, rel=1e-3)
