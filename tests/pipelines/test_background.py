"""The sky level and its noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsst.images import Box
from lsst.images.fields import SplineField

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.background import estimate_background
from tests.pipelines.starfield import make_star_field

SHAPE = (300, 340)
CLEAN = np.zeros(SHAPE, dtype=np.bool_)


def _noise(sky: float, sigma: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(sky, sigma, SHAPE).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(sky=st.floats(0, 3000), sigma=st.floats(2, 60))
def test_level_and_noise_of_an_empty_sky(sky: float, sigma: float) -> None:
    background = estimate_background(_noise(sky, sigma), CLEAN, mesh=64)
    assert abs(background.median_level - sky) < 0.05 * sigma
    assert background.median_noise == pytest.approx(sigma, rel=0.05)


def test_stars_do_not_raise_the_sky() -> None:
    field = make_star_field()
    blank = np.zeros(field.image.shape, dtype=np.bool_)
    background = estimate_background(field.image, blank, mesh=64)
    assert abs(background.median_level - field.sky) < 0.03 * field.noise[0, 0]


def test_known_sources_replace_the_first_pass() -> None:
    image = _noise(100.0, 5.0)
    sources = CLEAN.copy()
    sources[100:200, 100:200] = True
    image[sources] += 1000
    background = estimate_background(image, CLEAN, mesh=64, sources=sources)
    assert abs(background.level[150, 150] - 100.0) < 3.0


def test_a_gradient_is_followed() -> None:
    slope = np.linspace(0, 60, SHAPE[1], dtype=np.float32)
    background = estimate_background(_noise(200.0, 5.0) + slope, CLEAN, mesh=64)
    assert np.abs(background.level - 200 - slope)[:, 20:-20].max() < 5.0


def test_pixels_that_are_not_finite_are_left_out() -> None:
    image = _noise(100.0, 5.0)
    image[50:80, 60:90] = np.nan
    image[5, 5] = np.inf
    background = estimate_background(image, CLEAN, mesh=64)
    assert np.isfinite(background.level).all()
    assert abs(background.median_level - 100.0) < 0.5


def test_the_image_is_not_changed() -> None:
    image = _noise(100.0, 5.0)
    before = image.copy()
    estimate_background(image, CLEAN, mesh=64)
    assert np.array_equal(image, before)


def test_nodes_carry_the_level() -> None:
    slope = np.linspace(0, 60, SHAPE[1], dtype=np.float32)
    background = estimate_background(_noise(200.0, 5.0) + slope, CLEAN, mesh=64)
    y, x, level = background.nodes()
    field = SplineField(Box.from_shape(SHAPE), level, y=y, x=x)
    assert np.abs(field.render().array - background.level).max() < 0.5


def test_noise_is_positive_where_half_the_image_is_masked() -> None:
    mask = CLEAN.copy()
    mask[:, :170] = True
    background = estimate_background(_noise(100.0, 5.0), mask, mesh=32)
    assert (background.noise > 0).all()


def test_no_usable_pixel_is_a_clear_error() -> None:
    with pytest.raises(MeasurementError, match="usable"):
        estimate_background(_noise(100.0, 5.0), ~CLEAN)


def test_a_constant_image_is_a_clear_error() -> None:
    with pytest.raises(MeasurementError, match="no noise"):
        estimate_background(np.full(SHAPE, 7.0, dtype=np.float32), CLEAN)
