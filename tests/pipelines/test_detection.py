"""The search for sources."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.deblending import find_hidden
from lenticular.pipelines.algorithms.detection import detect, nearest_neighbour, signal_to_noise_map
from lenticular.pipelines.algorithms.photometry import fit_psf_fluxes
from lenticular.pipelines.algorithms.psf import gaussian_kernel
from lenticular.pipelines.algorithms.psf_sampler import SampledPsf

SHAPE = (256, 300)
KERNEL = gaussian_kernel(4.0, 17)
CLEAN = np.zeros(SHAPE, dtype=np.bool_)
SIGMA = np.broadcast_to(np.linspace(5, 20, SHAPE[1], dtype=np.float32), SHAPE).copy()


def _sky(seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(SHAPE) * SIGMA).astype(np.float32)


def _add(image: np.ndarray, x: float, y: float, flux: float, fwhm: float = 4.0) -> None:
    row, column = np.ogrid[: image.shape[0], : image.shape[1]]
    sigma = fwhm / 2.3548
    radius2 = (column - x) ** 2 + (row - y) ** 2
    image += (flux / (2 * np.pi * sigma**2) * np.exp(-0.5 * radius2 / sigma**2)).astype(np.float32)


def _flux(signal_to_noise: float, x: float) -> float:
    sigma = float(np.interp(x, [0, SHAPE[1] - 1], [5, 20]))
    return signal_to_noise * sigma / float(np.sqrt(np.square(KERNEL).sum()))


def test_the_map_of_pure_noise_has_unit_variance() -> None:
    ratio = signal_to_noise_map(_sky(), SIGMA, CLEAN, KERNEL)[20:-20, 20:-20]
    assert ratio.std() == pytest.approx(1.0, abs=0.05)
    assert abs(ratio.mean()) < 0.05


def test_pure_noise_of_varying_strength_gives_no_source() -> None:
    # sep's own matched filter finds hundreds here, for it wrongly weights by
    # the array of noise.
    assert sum(len(detect(_sky(seed), SIGMA, CLEAN, KERNEL)) for seed in range(5)) <= 1


def test_the_map_gives_a_star_its_signal_to_noise() -> None:
    image = np.zeros(SHAPE, dtype=np.float32)
    _add(image, 150, 100, _flux(30, 150))
    assert signal_to_noise_map(image, SIGMA, CLEAN, KERNEL).max() == pytest.approx(30, rel=0.02)


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(1e-3, 1e3))
def test_units_do_not_matter(factor: float) -> None:
    image = _sky()
    _add(image, 150.3, 100.2, _flux(12, 150))
    scaled = detect((image * factor).astype(np.float32), (SIGMA * factor).astype(np.float32), CLEAN, KERNEL)
    plain = detect(image, SIGMA, CLEAN, KERNEL)
    assert len(scaled) == len(plain)
    assert np.allclose(scaled.x, plain.x, atol=0.01)


def test_a_star_of_ten_sigma_is_found_where_it_is() -> None:
    image = _sky()
    _add(image, 200.4, 120.7, _flux(10, 200))
    found = detect(image, SIGMA, CLEAN, KERNEL)
    assert len(found) == 1
    assert np.hypot(found.x - 200.4, found.y - 120.7)[0] < 1.0
    assert found.footprint[found.peak_y[0], found.peak_x[0]] == 1


def test_nothing_is_found_under_the_mask() -> None:
    image = _sky()
    image[100:140, 100:140] = 1e5
    mask = CLEAN.copy()
    mask[98:142, 98:142] = True
    assert len(detect(image, SIGMA, mask, KERNEL)) == 0


def test_nan_under_the_mask_does_no_harm() -> None:
    image, mask = _sky(), CLEAN.copy()
    image[50, 50] = np.nan
    mask[50, 50] = True
    assert np.isfinite(signal_to_noise_map(image, SIGMA, mask, KERNEL)).all()


def test_too_many_sources_are_a_clear_error() -> None:
    import sep

    before = sep.get_extract_pixstack()
    sep.set_extract_pixstack(100)
    try:
        with pytest.raises(MeasurementError, match="search for sources failed"):
            detect(_sky(), SIGMA, CLEAN, KERNEL, threshold=0.5)
    finally:
        sep.set_extract_pixstack(before)


def test_neighbours() -> None:
    distance = nearest_neighbour(np.array([0.0, 3.0, 10.0]), np.array([0.0, 4.0, 4.0]))
    assert distance == pytest.approx([5, 5, 7])
    assert nearest_neighbour(np.array([1.0]), np.array([1.0])) == pytest.approx([np.inf])
    assert len(nearest_neighbour(np.empty(0), np.empty(0))) == 0


def _draw(_x: float, _y: float, /, *, offset: tuple[float, float], size: int) -> np.ndarray:
    stamp = np.zeros((size, size), dtype=np.float32)
    _add(stamp, size // 2 + offset[0], size // 2 + offset[1], 1.0)
    return stamp


def _hidden(image: np.ndarray, x: list[float], y: list[float], *, extended: bool) -> np.ndarray:
    psf = SampledPsf.from_draw(_draw, SHAPE, size=25, n_nodes=2)
    noise = np.full(SHAPE, 8.0, dtype=np.float32)
    found = fit_psf_fluxes(image, noise, CLEAN, psf, np.array(x), np.array(y))
    new_x, new_y = find_hidden(image, noise, CLEAN, CLEAN, KERNEL, found, np.full(len(x), extended), fwhm=4.0)
    return np.column_stack([new_x, new_y])


def test_a_faint_star_beside_a_bright_one_is_found_in_the_residual() -> None:
    image = np.random.default_rng(1).normal(0, 8, SHAPE).astype(np.float32)
    _add(image, 100, 100, 3e4)
    _add(image, 107, 102, 4e3)
    hidden = _hidden(image, [100.0], [100.0], extended=False)
    assert len(hidden) == 1
    assert np.hypot(*(hidden[0] - [107, 102])) < 1.5


def test_the_residual_of_a_galaxy_is_no_source() -> None:
    image = np.random.default_rng(1).normal(0, 8, SHAPE).astype(np.float32)
    _add(image, 100, 100, 3e4, fwhm=9.0)
    assert len(_hidden(image, [100.0], [100.0], extended=True)) == 0


def test_a_star_alone_hides_nothing() -> None:
    image = np.random.default_rng(2).normal(0, 8, SHAPE).astype(np.float32)
    _add(image, 100, 100, 3e4)
    assert len(_hidden(image, [100.0], [100.0], extended=False)) == 0
