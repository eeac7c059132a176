"""Each effect of the detector is undone exactly, and wrong input is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.detector_effects import (
    correct_crosstalk,
    divide_flat,
    linearize,
    subtract_dark,
    to_electrons,
    variance_plane,
)

SIGNALS = st.floats(-50, 60_000, width=32)


@given(
    images=hnp.arrays(np.float32, (3, 4, 5), elements=SIGNALS),
    matrix=hnp.arrays(np.float64, (3, 3), elements=st.floats(-5e-3, 5e-3)),
)
def test_crosstalk_is_inverted_exactly(images: np.ndarray, matrix: np.ndarray) -> None:
    np.fill_diagonal(matrix, 0)
    mixed = images + np.tensordot(matrix, images, 1)
    corrected = correct_crosstalk(list(mixed.astype(np.float32)), matrix)
    np.testing.assert_allclose(np.stack(corrected), images, atol=0.05)


def test_crosstalk_of_zero_changes_nothing() -> None:
    images = list(np.arange(8, dtype=np.float32).reshape(2, 2, 2))
    for before, after in zip(images, correct_crosstalk(images, np.zeros((2, 2))), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("shapes", "matrix", "complaint"),
    [
        ([(2, 2), (2, 2)], np.zeros((3, 3)), "crosstalk matrix has shape"),
        ([(2, 2), (2, 3)], np.full((2, 2), 1e-3), "different sizes"),
        ([(2, 2), (2, 2)], np.array([[0.0, -1.0], [-1.0, 0.0]]), "singular"),
    ],
)
def test_crosstalk_that_cannot_be_corrected_is_refused(
    shapes: list[tuple[int, int]], matrix: np.ndarray, complaint: str
) -> None:
    with pytest.raises(MeasurementError, match=complaint):
        correct_crosstalk([np.ones(shape, np.float32) for shape in shapes], matrix)


@given(
    true=hnp.arrays(np.float64, 8, elements=st.floats(0, 100_000)),
    coefficient=st.floats(0, 5e-7),
)
def test_linearity_is_inverted(true: np.ndarray, coefficient: float) -> None:
    measured = (2 * true / (1 + np.sqrt(1 + 4 * coefficient * true))).astype(np.float32)
    linearize(measured, coefficient)
    np.testing.assert_allclose(measured, true, rtol=2e-6, atol=1e-3)


def test_the_gain_multiplies_in_place() -> None:
    adu = np.array([[2, 4]], np.float32)
    to_electrons(adu, 1.5)
    np.testing.assert_array_equal(adu, [[3, 6]])


def test_the_variance_is_that_of_photons_and_readout() -> None:
    electrons = np.array([[-5, 0, 100]], np.float32)
    np.testing.assert_allclose(variance_plane(electrons, 6.0), [[36, 36, 136]])


def test_the_dark_grows_with_time() -> None:
    electrons = np.full((2, 2), 10, np.float32)
    subtract_dark(electrons, np.full((2, 2), 0.1, np.float32), 30)
    np.testing.assert_allclose(electrons, 7)


@given(
    response=hnp.arrays(np.float32, (3, 3), elements=st.floats(0.125, 2, width=32)), level=st.floats(1, 1e5)
)
def test_a_flat_leaves_even_light_and_its_relative_noise(response: np.ndarray, level: float) -> None:
    electrons = (level * response).astype(np.float32)
    variance = (level * response).astype(np.float32)
    assert not divide_flat(electrons, variance, response).any()
    np.testing.assert_allclose(electrons, level, rtol=1e-5)
    np.testing.assert_allclose(variance, level / response, rtol=1e-5)


def test_pixels_without_response_are_reported_and_left_alone() -> None:
    electrons, variance = np.full((1, 4), 3, np.float32), np.full((1, 4), 3, np.float32)
    dead = divide_flat(electrons, variance, np.array([[0, -1, np.nan, 0.5]], np.float32))
    np.testing.assert_array_equal(dead, [[True, True, True, False]])
    np.testing.assert_allclose(electrons, [[3, 3, 3, 6]])


@pytest.mark.parametrize("name", ["dark", "flat"])
def test_a_calibration_of_another_shape_is_refused(name: str) -> None:
    image, other = np.ones((2, 2), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(MeasurementError, match=f"the {name} has shape"):
        subtract_dark(image, other, 1.0) if name == "dark" else divide_flat(image, image, other)
