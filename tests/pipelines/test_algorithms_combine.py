"""The clipped mean of many frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.combine import combine_frames

if TYPE_CHECKING:
    from collections.abc import Iterator


def _noise(n: int, seed: int = 1, shape: tuple[int, int] = (50, 60)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(1000, 3, shape).astype(np.float32) for _ in range(n)]


@given(frame=hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e5, width=32)), n=st.integers(1, 6))
def test_equal_frames_give_themselves(frame: np.ndarray, n: int) -> None:
    combined = combine_frames(lambda: [frame] * n)
    np.testing.assert_allclose(combined.mean, frame, rtol=1e-6, atol=1e-6)
    assert combined.n_clipped == 0
    assert combined.n_frames == n


@pytest.mark.parametrize("n", [3, 5, 12])
def test_noise_alone_is_hardly_clipped(n: int) -> None:
    frames = _noise(n)
    combined = combine_frames(lambda: frames)
    assert combined.n_clipped < 0.004 * n * frames[0].size
    assert combined.noise == pytest.approx(3, rel=0.05)
    assert combined.mean.std() == pytest.approx(3 / np.sqrt(n), rel=0.06)
    assert combined.mean.mean() == pytest.approx(1000, abs=0.1)


@pytest.mark.parametrize("n", [3, 4, 10])
def test_one_outlier_in_a_pixel_leaves_no_trace(n: int) -> None:
    frames = _noise(n, seed=2)
    rng = np.random.default_rng(3)
    struck = rng.random((n, 50, 60)) < 0.02
    struck &= np.cumsum(struck, axis=0) == 1
    for frame, hit in zip(frames, struck, strict=True):
        frame[hit] += 4000
    combined = combine_frames(lambda: frames)
    np.testing.assert_allclose(combined.mean, 1000, atol=3 * 6)
    assert (combined.count[struck.any(axis=0)] < n).all()


def test_of_two_frames_none_is_clipped() -> None:
    combined = combine_frames(lambda: [np.zeros((2, 2), np.float32), np.full((2, 2), 100, np.float32)])
    np.testing.assert_allclose(combined.mean, 50)


def test_pixels_that_are_not_finite_are_left_out() -> None:
    frames = [np.full((2, 2), value, np.float32) for value in (1, 1, 1)]
    frames[0][0, 0] = np.nan
    for frame in frames:
        frame[1, 1] = np.nan
    combined = combine_frames(lambda: frames)
    np.testing.assert_array_equal(combined.count, [[2, 3], [3, 0]])
    assert combined.mean[0, 0] == 1
    assert np.isnan(combined.mean[1, 1])


def test_one_frame_at_a_time_is_held() -> None:
    alive = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal alive
        for frame in _noise(4):
            alive += 1
            yield frame

    combine_frames(frames)
    assert alive == 8  # each of the four twice


def test_no_frame_is_refused() -> None:
    with pytest.raises(MeasurementError, match="no frame"):
        combine_frames(list)


def test_an_iterator_instead_of_a_function_is_refused() -> None:
    once = iter(_noise(3))
    with pytest.raises(MeasurementError, match="second pass has 0 frames"):
        combine_frames(lambda: once)


def test_frames_of_different_shapes_are_refused() -> None:
    with pytest.raises(MeasurementError, match="a frame has shape"):
        combine_frames(lambda: [np.zeros((2, 2), np.float32), np.zeros((2, 3), np.float32)])


def test_a_combined_frame_tells_about_itself() -> None:
    assert "Mean of 3 frames" in combine_frames(lambda: _noise(3))._repr_html_()
