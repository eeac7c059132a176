"""Windows, bins, limits and colours of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.widgets.pixels import Window, cut, limits_of, mask_colours, warp_palette

PLANE = np.arange(300 * 200, dtype=np.float32).reshape(300, 200)
edges = st.integers(-50, 350)


@given(
    x0=edges,
    y0=edges,
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    most=st.sampled_from([16, 64, 512]),
)
def test_a_part_is_small_enough_and_covers_what_was_asked(
    x0: int, y0: int, width: int, height: int, most: int
) -> None:
    window = Window(x0, y0, x0 + width, y0 + height)
    inside = window.clipped(PLANE.shape)
    if inside.is_empty:
        return
    tile = cut(PLANE, window, most)
    assert max(tile.values.shape) <= 2 * most
    assert tile.window.x0 <= inside.x0
    assert tile.window.x1 >= inside.x1
    assert tile.window.y0 <= inside.y0
    assert tile.window.y1 >= inside.y1
    assert tile.window.x0 % tile.factor == 0


def test_without_bins_the_pixels_are_the_planes_own() -> None:
    tile = cut(PLANE, Window(10, 20, 40, 60), 512)
    np.testing.assert_array_equal(tile.values, PLANE[20:60, 10:40])


def test_a_bin_is_the_mean_of_its_finite_pixels() -> None:
    plane = np.array([[1, 2, np.nan, np.nan], [3, np.nan, np.nan, np.nan]], np.float32)
    tile = cut(plane, Window(0, 0, 4, 2), 2)
    assert tile.values[0, 0] == pytest.approx(2)
    assert np.isnan(tile.values[0, 1])


def test_a_bin_of_a_mask_has_every_bit_of_its_pixels() -> None:
    tile = cut(np.array([[1, 2], [0, 4]], np.int32), Window(0, 0, 2, 2), 1, union=True)
    assert tile.values.tolist() == [[7]]


@pytest.mark.parametrize("method", ["zscale", "99.5 %", "90 %"])
def test_limits_enclose_the_sky_and_are_never_empty(method: str) -> None:
    sky = np.random.default_rng(5).normal(100, 3, (400, 400)).astype(np.float32)
    sky[:5] = np.nan
    limits = limits_of(sky, method)
    assert limits.low < 100 < limits.high
    for hopeless in (np.full((20, 20), 7, np.float32), np.full((20, 20), np.nan, np.float32)):
        flat = limits_of(hopeless, method)
        assert flat.low < flat.high


@pytest.mark.parametrize("stretch", ["linear", "sqrt", "asinh", "log"])
def test_a_stretched_palette_keeps_its_ends_and_its_order(stretch: str) -> None:
    greys = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    warped = warp_palette(greys, stretch, entries=512)
    assert (warped[0], warped[-1]) == (greys[0], greys[-1])
    assert warped == sorted(warped)


def test_mask_planes_are_painted_where_they_are_set_alone() -> None:
    painted = mask_colours(np.array([[0, 1], [2, 3]]), [(1, "#ff0000"), (2, "#0000ff")])
    assert painted[0, 0] == 0
    assert painted[0, 1] & 0xFFFFFF == 0x0000FF
    assert painted[1, 0] & 0xFFFFFF == 0xFF0000
    assert painted[1, 1] == painted[1, 0]
