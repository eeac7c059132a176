"""The Bokeh figure of an exposure: picture, mask, stars, and a readout that needs no server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.events import MouseLeave, MouseMove, RangesUpdate
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LinearColorMapper, Range1d
from bokeh.models.widgets import Div
from bokeh.palettes import Cividis256, Greys256, Inferno256, Magma256, Viridis256
from bokeh.plotting import figure

from lenticular.widgets.colours import INK
from lenticular.widgets.look import FIGURE_CSS
from lenticular.widgets.pixels import warp_palette

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lenticular.widgets.exposure_source import SkyGrid, Stars
    from lenticular.widgets.pixels import Contrast, Tile

__all__ = ["PALETTES", "ExposureFigure"]

PALETTES = {
    "grey": tuple(Greys256),
    "grey, inverted": tuple(reversed(Greys256)),
    "viridis": tuple(Viridis256),
    "inferno": tuple(Inferno256),
    "magma": tuple(Magma256),
    "cividis": tuple(Cividis256),
}
"""Colour maps by name."""

_FRAME = 600
"""Side of the picture on the screen [px]; square, so that pixels are."""

_EMPTY_GRID: dict[str, list[float]] = {"x": [], "y": [], "v": []}

_READOUT = """
const image = source.data.image[0];
const [x0, y0, dw, dh] = ["x", "y", "dw", "dh"].map((name) => source.data[name][0]);
if (!image) return;
const [ny, nx] = image.shape;
const i = Math.floor((cb_obj.x - x0) / dw * nx), j = Math.floor((cb_obj.y - y0) / dh * ny);
const inside = i >= 0 && j >= 0 && i < nx && j < ny;
let text = `x ${cb_obj.x.toFixed(1)} &nbsp; y ${cb_obj.y.toFixed(1)}`;
if (inside) {
  const value = (image.data ?? image)[j * nx + i];
  const bin = Math.round(dw / nx);
  const of = bin > 1 ? ` <span style="opacity:.7">mean of ${bin} &times; ${bin}</span>` : "";
  text += ` &nbsp; <b>${Number.isFinite(value) ? value.toPrecision(5) : "no value"}</b> ${meta.unit}${of}`;
}
const {x: gx, y: gy, v} = meta.grid;
if (inside && gx.length > 1) {
  const cell = (g, p) => Math.min(g.length - 2, Math.max(0, Math.floor((p - g[0]) / (g[1] - g[0]))));
  const a = cell(gx, cb_obj.x), b = cell(gy, cb_obj.y);
  const s = (cb_obj.x - gx[a]) / (gx[1] - gx[0]), t = (cb_obj.y - gy[b]) / (gy[1] - gy[0]);
  const at = (r, c, k) => v[(r * gx.length + c) * 3 + k];
  const u = [0, 1, 2].map((k) => (1 - t) * ((1 - s) * at(b, a, k) + s * at(b, a + 1, k))
    + t * ((1 - s) * at(b + 1, a, k) + s * at(b + 1, a + 1, k)));
  const ra = (Math.atan2(u[1], u[0]) * 180 / Math.PI + 360) % 360;
  const dec = Math.atan2(u[2], Math.hypot(u[0], u[1])) * 180 / Math.PI;
  const sign = dec >= 0 ? "+" : "&minus;";
  text += `<br>RA ${ra.toFixed(6)}&deg; &nbsp; Dec ${sign}${Math.abs(dec).toFixed(6)}&deg;`;
}
readout.text = text;
"""


class ExposureFigure:
    """What is drawn, and how it changes.

    Parameters
    ----------
    moved
        Called with the ranges (x0, y0, x1, y1), in pixel coordinates, when a
        person has zoomed or shifted the picture. It may come on any thread.
    """

    def __init__(self, moved: Callable[[float, float, float, float], None]) -> None:
        self._image = ColumnDataSource(_image_data(np.full((1, 1), np.nan, np.float32), 0, 0, 1, 1))
        self._mask = ColumnDataSource(_image_data(np.zeros((1, 1), np.uint32), 0, 0, 1, 1))
        self._stars = ColumnDataSource({"x": [], "y": [], "mag": []})
        self._mapper = LinearColorMapper(palette=list(PALETTES["grey"]), low=0, high=1, nan_color="#dfe4ea")
        self._readout = Div(text=_HINT, styles=_READOUT_STYLE, width=_FRAME, height=38)
        self._plot = self._make_plot()
        self._script = CustomJS(
            args={"source": self._image, "readout": self._readout, "meta": {"unit": "", "grid": _EMPTY_GRID}},
            code=_READOUT,
        )
        self._plot.js_on_event(MouseMove, self._script)
        clear = CustomJS(args={"readout": self._readout}, code=f"readout.text = {_HINT!r};")
        self._plot.js_on_event(MouseLeave, clear)
        self._plot.on_event(RangesUpdate, lambda event: moved(event.x0, event.y0, event.x1, event.y1))
        self.model = column(self._plot, self._readout)
        """What is put on the page."""

    def frame(self, x0: float, y0: float, width: int, height: int) -> None:
        """Let the picture show an exposure of this size whole, pixels square."""
        side = max(width, height)
        left, low = x0 - (side - width) / 2, y0 - (side - height) / 2
        for axis, start in ((self._plot.x_range, left), (self._plot.y_range, low)):
            axis.update(start=start, end=start + side, reset_start=start, reset_end=start + side)

    def show_image(self, tile: Tile, x0: float, y0: float) -> None:
        """Draw pixels; (x0, y0) is the outer corner of the plane's first pixel."""
        self._image.data = _tile_data(tile, x0, y0)

    def show_mask(self, tile: Tile | None, colours: NDArray[np.uint32] | None, x0: float, y0: float) -> None:
        """Draw painted mask planes over the picture, or none."""
        if tile is None or colours is None:
            self._mask.data = _image_data(np.zeros((1, 1), np.uint32), x0, y0, 1, 1)
        else:
            self._mask.data = _tile_data(tile, x0, y0) | {"image": [colours]}

    def show_stars(self, stars: Stars | None) -> None:
        """Draw circles around stars, or none."""
        if stars is None:
            self._stars.data = {"x": [], "y": [], "mag": []}
        else:
            self._stars.data = {"x": stars.x, "y": stars.y, "mag": stars.magnitude}

    def show_contrast(self, contrast: Contrast, palette: str, stretch: str) -> None:
        """Set which values are darkest and brightest, and the colours between."""
        self._mapper.update(
            low=contrast.low, high=contrast.high, palette=warp_palette(PALETTES[palette], stretch)
        )

    def show_meta(self, unit: str, grid: SkyGrid | None) -> None:
        """Tell the readout the unit of the pixels and where they are in the sky."""
        places: Any = _EMPTY_GRID
        if grid is not None:
            places = {"x": grid.x.tolist(), "y": grid.y.tolist(), "v": grid.vectors.ravel().tolist()}
        self._script.args = {**self._script.args, "meta": {"unit": unit, "grid": places}}

    def _make_plot(self) -> Any:
        plot: Any = figure(
            x_range=Range1d(start=0, end=1),
            y_range=Range1d(start=0, end=1),
            frame_width=_FRAME,
            frame_height=_FRAME,
            tools="pan,wheel_zoom,box_zoom,reset,save",
            active_scroll="wheel_zoom",
            toolbar_location="above",
            x_axis_label="x / pixel",
            y_axis_label="y / pixel",
            stylesheets=[FIGURE_CSS],
        )
        plot.toolbar.logo = None
        plot.grid.visible = False
        for axis in (plot.xaxis, plot.yaxis):
            axis.minor_tick_line_color = None
            axis.axis_label_text_font_style = "normal"
        where = {"x": "x", "y": "y", "dw": "dw", "dh": "dh"}
        plot.image(image="image", source=self._image, color_mapper=self._mapper, **where)
        plot.image_rgba(image="image", source=self._mask, **where)
        stars = plot.scatter(
            "x", "y", source=self._stars, size=13, fill_color=None, line_color="#ffb000", line_width=1.4
        )
        plot.add_tools(HoverTool(renderers=[stars], tooltips=[("star", "@mag{0.00} mag AB")]))
        return plot


_HINT = '<span style="opacity:.7">Point at a pixel to read it; scroll to zoom, drag to shift.</span>'
_READOUT_STYLE: Any = {
    "font-family": "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
    "font-size": "13px",
    "color": INK,
    "font-variant-numeric": "tabular-nums",
    "padding-left": "50px",
}


def _image_data(pixels: NDArray[Any], x: float, y: float, width: float, height: float) -> dict[str, Any]:
    return {"image": [pixels], "x": [x], "y": [y], "dw": [width], "dh": [height]}


def _tile_data(tile: Tile, x0: float, y0: float) -> dict[str, Any]:
    window = tile.window
    height, width = (size * tile.factor for size in tile.values.shape)
    return _image_data(tile.values, x0 + window.x0, y0 + window.y0, width, height)
