"""Fluxes of point sources, in apertures, and their scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.apertures import choose_ratio_fit, measure_apertures
from lenticular.pipelines.algorithms.children import cut_children
from lenticular.pipelines.algorithms.photocal import fit_zero_point
from lenticular.pipelines.algorithms.photometry import PsfPhotometry, fit_psf_fluxes
from lenticular.pipelines.algorithms.psf_sampler import SampledPsf

SHAPE = (160, 180)
CLEAN = np.zeros(SHAPE, dtype=np.bool_)
SIGMA = 1.7
SKY = 20.0
NOISE = np.full(SHAPE, SKY, dtype=np.float32)


def _stamp(x: float, y: float, shape: tuple[int, int]) -> np.ndarray:
    row, column = np.ogrid[: shape[0], : shape[1]]
    radius2 = (column - x) ** 2 + (row - y) ** 2
    return np.asarray(np.exp(-0.5 * radius2 / SIGMA**2) / (2 * np.pi * SIGMA**2))


def _draw(_x: float, _y: float, /, *, offset: tuple[float, float], size: int) -> np.ndarray:
    return _stamp(size // 2 + offset[0], size // 2 + offset[1], (size, size))


PSF = SampledPsf.from_draw(_draw, SHAPE, size=27, n_nodes=2)


def _image(x: np.ndarray, y: np.ndarray, flux: np.ndarray, seed: int | None = None) -> np.ndarray:
    image = np.zeros(SHAPE)
    for place_x, place_y, brightness in zip(x, y, flux, strict=True):
        image += brightness * _stamp(place_x, place_y, SHAPE)
    if seed is not None:
        rng = np.random.default_rng(seed)
        image += rng.normal(0, SKY, SHAPE) + rng.poisson(image) - image
    return image.astype(np.float32)


def _fit(image: np.ndarray, x: np.ndarray, y: np.ndarray, **options: int) -> PsfPhotometry:
    return fit_psf_fluxes(image, NOISE, CLEAN, PSF, x, y, **options)


@settings(max_examples=20, deadline=None)
@given(x=st.floats(5, 170), y=st.floats(5, 150), off=st.floats(-0.9, 0.9), flux=st.floats(1e3, 1e6))
def test_a_star_without_noise_is_measured_exactly(x: float, y: float, off: float, flux: float) -> None:
    image = _image(np.array([x]), np.array([y]), np.array([flux]))
    found = _fit(image, np.array([x + off]), np.array([y - off]), n_recentre=4)
    assert found.flux[0] == pytest.approx(flux, rel=2e-3)
    assert found.x[0] == pytest.approx(x, abs=0.01)
    assert found.y[0] == pytest.approx(y, abs=0.01)


@settings(max_examples=20, deadline=None)
@given(distance=st.floats(3.5, 12), contrast=st.floats(1, 50))
def test_blended_stars_are_parted(distance: float, contrast: float) -> None:
    x, y = np.array([80.3, 80.3 + distance]), np.array([70.2, 70.2])
    flux = np.array([5e4, 5e4 / contrast])
    found = _fit(_image(x, y, flux), x + 0.2, y - 0.1, n_recentre=5)
    assert found.flux == pytest.approx(flux, rel=0.02)
    assert np.abs(found.residual).max() < 5


def test_errors_are_those_of_repeated_measurements() -> None:
    x, y, flux = np.array([40.3, 120.6]), np.array([50.1, 90.4]), np.array([4e3, 8e4])
    runs = [_fit(_image(x, y, flux, seed), x, y) for seed in range(60)]
    for name, truth, error in (("flux", flux, "flux_err"), ("x", x, "x_err"), ("y", y, "y_err")):
        pulls = np.array([(getattr(run, name) - truth) / getattr(run, error) for run in runs])
        assert pulls.std(axis=0) == pytest.approx([1, 1], abs=0.25)
        assert np.abs(pulls.mean(axis=0)).max() < 0.5


def test_the_error_of_a_blend_is_larger() -> None:
    x, y, flux = np.array([80.0, 83.0]), np.array([70.0, 70.0]), np.array([1e4, 1e4])
    together = _fit(_image(x, y, flux), x, y).flux_err[0]
    alone = _fit(_image(x[:1], y[:1], flux[:1]), x[:1], y[:1]).flux_err[0]
    assert together > 1.05 * alone


def test_masked_pixels_do_not_count() -> None:
    x, y, flux = np.array([80.3]), np.array([70.2]), np.array([5e4])
    image = _image(x, y, flux)
    mask = CLEAN.copy()
    mask[60:80, 81] = True
    image[mask] = 1e6
    found = fit_psf_fluxes(image, NOISE, mask, PSF, x, y)
    assert found.flux[0] == pytest.approx(5e4, rel=2e-3)


def test_a_source_under_the_mask_has_no_flux() -> None:
    x, y = np.array([40.0, 120.0]), np.array([50.0, 90.0])
    mask = CLEAN.copy()
    mask[30:70, 20:60] = True
    found = fit_psf_fluxes(_image(x, y, np.array([1e4, 1e4])), NOISE, mask, PSF, x, y)
    assert np.isnan(found.flux).tolist() == [True, False]
    assert np.isnan(found.flux_err).tolist() == [True, False]


def test_no_source_is_no_problem() -> None:
    found = _fit(_image(np.empty(0), np.empty(0), np.empty(0), seed=1), np.empty(0), np.empty(0))
    assert len(found) == 0
    assert found.residual.shape == SHAPE


def test_two_sources_in_one_place_do_not_break_the_fit() -> None:
    x, y = np.array([80.0, 80.0]), np.array([70.0, 70.0])
    found = _fit(_image(x[:1], y[:1], np.array([1e4])), x, y)
    assert found.flux.sum() == pytest.approx(1e4, rel=0.01)


def test_a_source_does_not_run_away() -> None:
    image = _image(np.array([90.0]), np.array([70.0]), np.array([1e5]))
    found = _fit(image, np.array([80.0]), np.array([70.0]))
    assert abs(found.x[0] - 80.0) <= 1.5


def test_apertures_hold_what_a_gaussian_has() -> None:
    x, y, flux = np.array([80.3, 20.0]), np.array([70.2, 30.0]), np.array([5e4, 3e3])
    measured = measure_apertures(_image(x, y, flux), NOISE**2, CLEAN, x, y, radii=(4.0, 10.0))
    for k, radius in enumerate((4.0, 10.0)):
        assert measured.flux[k] == pytest.approx(flux * (1 - np.exp(-0.5 * (radius / SIGMA) ** 2)), rel=0.01)
    assert measured.half_light_radius == pytest.approx([SIGMA * np.sqrt(2 * np.log(2))] * 2, rel=0.03)
    assert measured.flux_err[1] == pytest.approx(SKY * np.sqrt(np.pi) * 10, rel=0.02)


def test_an_aperture_without_light_has_no_radius() -> None:
    dark = np.full(SHAPE, -1.0, dtype=np.float32)
    measured = measure_apertures(dark, NOISE**2, CLEAN, np.array([50.0]), np.array([50.0]), radii=(5.0,))
    assert np.isnan(measured.half_light_radius[0])


def test_children_are_free_of_their_neighbours() -> None:
    x, y, flux = np.array([80.3, 88.0]), np.array([70.2, 71.0]), np.array([5e4, 2e5])
    found = _fit(_image(x, y, flux), x, y)
    children = cut_children(found, PSF, NOISE**2, CLEAN)
    assert children.apertures((3.0, 12.0)).flux[1] == pytest.approx(flux, rel=0.01)
    assert children.moments(1.7).trace_radius == pytest.approx([SIGMA, SIGMA], rel=0.02)


def test_a_child_at_the_border_is_masked_beyond_it() -> None:
    x, y = np.array([1.0, 179.4]), np.array([80.0, 159.4])
    found = _fit(_image(x, y, np.array([1e4, 1e4])), x, y)
    children = cut_children(found, PSF, NOISE**2, CLEAN)
    assert children.mask[0, :, :12].all()
    assert not children.mask[0, :, 12:].any()
    assert children.mask[1, 14:, :].all()


def _ratios(slope: float, seed: int = 0, n: int = 40) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1000, (2, n))
    error = np.full(n, 0.004)
    return 1.02 + slope * x / 1000 + rng.normal(0, error), error, x, y


def test_a_sloping_ratio_is_fitted_by_a_slope() -> None:
    assert choose_ratio_fit(*_ratios(0.05), max_degree=2).degree == 1


def test_most_flat_ratios_are_fitted_by_a_constant() -> None:
    chosen = [choose_ratio_fit(*_ratios(0.0, seed), max_degree=2).degree for seed in range(20)]
    assert chosen.count(0) >= 12


def test_outliers_among_ratios_are_left_out() -> None:
    ratio, error, x, y = _ratios(0.0)
    ratio[[3, 7]] = 1.5, np.nan
    used = choose_ratio_fit(ratio, error, x, y, max_degree=1).used
    assert not used[[3, 7]].any()
    assert used.sum() >= 35


def test_too_few_ratios_are_a_clear_error() -> None:
    few = np.ones(3)
    with pytest.raises(MeasurementError, match="3 stars"):
        choose_ratio_fit(few, 0.01 * few, few, few, max_degree=1)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_the_zero_point_survives_variables(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    flux = 10 ** rng.uniform(3, 6, 50)
    reference = scale * flux * 10 ** (-0.4 * rng.normal(0, 0.01, 50))
    reference[:6] *= 10 ** rng.uniform(0.1, 1.0, 6)
    zero = fit_zero_point(flux, 0.003 * flux, reference, 0.005 * reference)
    assert zero.scale == pytest.approx(scale, rel=0.008)
    assert zero.magnitude == pytest.approx(31.4 - 2.5 * np.log10(scale), abs=0.008)
    assert zero.used.sum() >= 35
    assert zero.scatter == pytest.approx(0.01, abs=0.006)


def test_a_zero_point_of_unusable_stars_is_a_clear_error() -> None:
    flux = np.array([1.0, 2.0, np.nan, -1.0, 5.0, 6.0])
    with pytest.raises(MeasurementError, match="zero point"):
        fit_zero_point(flux, 0.1 * flux, np.full(6, np.nan), np.ones(6))
