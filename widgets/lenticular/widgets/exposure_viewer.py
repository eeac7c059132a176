"""Looking at an exposure that lies in a repository's object store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import panel as pn
import param

from lenticular.butler.errors import LenticularError, NotFoundError
from lenticular.widgets.copying import call, literal, python
from lenticular.widgets.exposure_figure import PALETTES, ExposureFigure
from lenticular.widgets.exposure_source import ExposureSource
from lenticular.widgets.look import PLANE_COLOURS, html, show, styled
from lenticular.widgets.pixels import Contrast, Window, cut, limits_of, mask_colours
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os

    from lenticular.butler import Repository
    from lenticular.widgets.exposure_source import MaskData, SkyGrid, Stars

__all__ = ["ExposureViewer"]

_SCREEN = 800
"""Pixels that are sent along the longer side of a picture, at most."""

_MARGIN = 0.25
"""How much more than is seen is sent, as a share of it: small shifts show pixels at once."""

_LISTED = 500
_STARS, _MASK = "Mark stars", "Show mask planes"
_DATA_ID = ("instrument", "exposure", "visit", "tract", "patch", "band", "detector", "physical_filter")


class ExposureViewer(View):
    """An exposure: zoom, stretch, mask planes, stars, and the sky under the cursor.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `collections`, `dataset_type` and `data_id` to begin with; the first
        exposure found by default.
    """

    heading: ClassVar[str] = "Exposure"

    collections = param.List(default=[], item_type=str, allow_refs=True, doc="Collections to search.")
    dataset_type = param.String(default="preliminary_visit_image", doc="Dataset type of the exposures.")
    data_id = param.Dict(default=None, allow_None=True, doc="Data ID of the exposure shown.")
    stretch: Any = param.Selector(
        default="asinh", objects=["linear", "sqrt", "asinh", "log"], doc="Transfer curve."
    )
    limits: Any = param.Selector(
        default="99.5 %",
        objects=["zscale", "90 %", "99 %", "99.5 %", "99.9 %"],
        doc="What sets the darkest and the brightest value.",
    )
    colours: Any = param.Selector(default="grey", objects=list(PALETTES), doc="Colour map.")
    planes = param.List(default=[], item_type=str, doc="Mask planes painted over the picture.")
    stars = param.Boolean(default=False, doc="Whether the stars measured are marked.")
    region = param.Parameter(
        default=None, constant=True, doc="What is seen, (x0, y0, x1, y1) in pixel coordinates, or None."
    )

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**params)
        self.repository = opened(repository)
        self._source: ExposureSource | None = None
        self._contrasts: dict[str, Contrast] = {}
        self._mask: MaskData | None = None
        self._refs: list[dict[str, Any]] = []
        self._origin = (0.0, 0.0)
        self._drawn: tuple[Window, int] | None = None
        self._figure = ExposureFigure(lambda *ranges: self._background.post(lambda: self._moved(*ranges)))
        self._picture = pn.pane.Bokeh(self._figure.model, autodispatch=False)
        self._make_widgets()
        self._watch(self.refresh, ["collections", "dataset_type"])
        self._watch(self._open, ["data_id"])
        self._watch(self._show_contrast, ["stretch", "limits", "colours"])
        self._watch(self._show_mask, ["planes"])
        self._watch(self._show_stars, ["stars"])
        self.refresh()

    def refresh(self) -> None:
        """List the exposures again."""
        names, kind = list(self.collections), self.dataset_type

        def ask() -> list[dict[str, Any]]:
            if not names:
                return []
            found: list[dict[str, Any]] = self.repository.datasets(kind, names, limit=_LISTED).to_pylist()
            return found

        self._work("Reading the registry", self.repository, ask, self._show_exposures)

    def as_python(self) -> str:
        """Return Python that reads what is seen: the part of the image, with its mask."""
        if self.data_id is None:
            raise LenticularError("No exposure is shown", hint="Choose one first.")
        identifier = {key: value for key, value in self.data_id.items() if key not in _IMPLIED}
        lines = [f"repository = {call('Repository.open', literal(self.repository.name))}"]
        imports = {"lenticular.butler": ["Repository"]}
        options: dict[str, Any] = {"collections": list(self.collections)}
        arguments = [literal(self.dataset_type), literal(identifier)]
        if self._drawn is not None and self.region is not None:
            x0, y0, x1, y1 = self._seen()
            imports["lsst.images"] = ["Box"]
            lines.append(f"region = Box.factory[{y0}:{y1}, {x0}:{x1}]")
            arguments.append('parameters={"bbox": region}')
        lines += [f"exposure = {call('repository.butler.get', *arguments, **options)}", "print(exposure)"]
        return python(imports, *lines)

    def _make_widgets(self) -> None:
        self._choice = styled(pn.widgets.Select, name="Exposure", options={"none found": None}, width=300)
        self._listen(self._choice, "value", self._exposure_chosen)
        self._selects = {
            name: styled(pn.widgets.Select, name=label, options=list(self.param[name].objects), width=width)
            for name, label, width in (
                ("stretch", "Stretch", 90),
                ("limits", "Limits", 90),
                ("colours", "Colours", 120),
            )
        }
        for name, widget in self._selects.items():
            widget.value = getattr(self, name)
            self._listen(widget, "value", partial(self._select, name))
        self._planes = styled(pn.widgets.CheckBoxGroup, options=[], inline=False)
        self._listen(self._planes, "value", lambda: self.param.update(planes=list(self._planes.value)))
        # A group, since the label of a single checkbox does nothing when clicked.
        self._overlays = styled(
            pn.widgets.CheckBoxGroup, options=[_STARS, _MASK], value=[_STARS] if self.stars else []
        )
        self._listen(self._overlays, "value", self._overlays_ticked)
        self._key = html(visible=False)
        self._catalogue = html(visible=False)

    def _body(self) -> list[Any]:
        controls = pn.FlexBox(self._choice, *self._selects.values(), gap="6px", align_items="end")
        side = pn.Column(
            html('<div class="lv-label">Overlays</div>'),
            self._overlays,
            self._catalogue,
            self._planes,
            self._key,
            width=230,
        )
        return [controls, pn.FlexBox(self._picture, side, gap="10px")]

    def _select(self, name: str) -> None:
        self.param.update(**{name: self._selects[name].value})

    def _show_exposures(self, found: list[dict[str, Any]]) -> None:
        self._refs = [{key: row[key] for key in _DATA_ID if row.get(key) is not None} for row in found]
        self._refs.sort(key=lambda identifier: [str(value) for value in identifier.values()])
        options: dict[str, int | None] = {_title(ref): number for number, ref in enumerate(self._refs)}
        self._choice.options = options or {"none found": None}
        if self.data_id is not None:
            self._open()
        elif self._refs:
            self.data_id = self._refs[0]
        elif self.collections:
            self.error = NotFoundError(
                f"There is no {self.dataset_type} in {', '.join(self.collections)}",
                where=self.repository.name,
                hint="Choose the output collection of a run that has ended.",
            )

    def _exposure_chosen(self) -> None:
        if self._choice.value is not None and self._refs[self._choice.value] != self.data_id:
            self.data_id = self._refs[self._choice.value]

    def _open(self) -> None:
        if self.data_id is None or not self.collections:
            return
        wanted = self.data_id
        for number, ref in enumerate(self._refs):
            if all(ref.get(key) == value for key, value in wanted.items()) and self._choice.value != number:
                self._choice.value = number
        source = ExposureSource(self.repository, self.dataset_type, wanted, self.collections)

        def read() -> tuple[ExposureSource, SkyGrid | None]:
            source.image()
            return source, source.sky_grid()

        self._work("Reading the exposure", self.repository, read, self._show_exposure)

    def _show_exposure(self, read: tuple[ExposureSource, SkyGrid | None]) -> None:
        self._source, grid = read
        plane, (x0, y0), unit = self._source.image()
        # The centre of a pixel has its whole-numbered coordinates.
        self._origin = (x0 - 0.5, y0 - 0.5)
        self._contrasts = {}
        self._mask = None
        self._figure.frame(*self._origin, plane.shape[1], plane.shape[0])
        self._figure.show_meta(unit, grid)
        self._drawn = None
        with param.edit_constant(self):
            self.region = None
        self._draw(Window(0, 0, plane.shape[1], plane.shape[0]))
        self._show_contrast()
        self._show_stars()
        if _MASK in self._overlays.value or self.planes:
            self._mask_wanted()

    def _moved(self, x0: float, y0: float, x1: float, y1: float) -> None:
        if self._source is None:
            return
        with param.edit_constant(self):
            self.region = (x0, y0, x1, y1)
        seen = Window(*(round(edge - self._origin[i % 2]) for i, edge in enumerate((x0, y0, x1, y1))))
        shape = self._source.image()[0].shape
        inside = seen.clipped((shape[0], shape[1]))
        if inside.is_empty:
            return
        mx, my = (round(_MARGIN * size) for size in (inside.x1 - inside.x0, inside.y1 - inside.y0))
        wider = Window(inside.x0 - mx, inside.y0 - my, inside.x1 + mx, inside.y1 + my)
        if self._drawn is not None and self._covers(inside, wider):
            return
        self._draw(wider)

    def _covers(self, inside: Window, wider: Window) -> bool:
        """Tell whether what is on the page serves this window as well as new pixels would."""
        assert self._drawn is not None  # noqa: S101  the caller has looked
        drawn, factor = self._drawn
        side = max(wider.x1 - wider.x0, wider.y1 - wider.y0)
        sharp = factor == 1 or side > _SCREEN * factor / 2
        within = (
            drawn.x0 <= inside.x0
            and drawn.y0 <= inside.y0
            and drawn.x1 >= inside.x1
            and drawn.y1 >= inside.y1
        )
        return sharp and within

    def _draw(self, window: Window) -> None:
        if self._source is None:
            return
        tile = cut(self._source.image()[0], window, _SCREEN)
        self._drawn = (tile.window, tile.factor)
        self._figure.show_image(tile, *self._origin)
        self._paint_mask()
        self._push()

    def _seen(self) -> tuple[int, int, int, int]:
        """Return the part of the exposure that is seen, in its own pixel coordinates."""
        assert self._source is not None  # noqa: S101  the caller has looked
        plane, (x0, y0), _ = self._source.image()
        left, low, right, high = (round(edge + 0.5) for edge in self.region)
        return (
            max(left, x0),
            max(low, y0),
            min(right, x0 + plane.shape[1]),
            min(high, y0 + plane.shape[0]),
        )

    def _show_contrast(self) -> None:
        for name, widget in self._selects.items():
            if widget.value != getattr(self, name):
                widget.value = getattr(self, name)
        if self._source is None:
            return
        if self.limits not in self._contrasts:
            self._contrasts[self.limits] = limits_of(self._source.image()[0], self.limits)
        self._figure.show_contrast(self._contrasts[self.limits], self.colours, self.stretch)
        self._push()

    def _overlays_ticked(self) -> None:
        self.stars = _STARS in self._overlays.value
        if _MASK not in self._overlays.value:
            self._hide_mask()
        elif self._mask is None:
            self._mask_wanted()

    def _tick(self, overlay: str, *, ticked: bool) -> None:
        """Bring the boxes up to what Python has set."""
        others = [name for name in self._overlays.value if name != overlay]
        wanted = [name for name in (_STARS, _MASK) if name in others or (name == overlay and ticked)]
        if wanted != self._overlays.value:
            self._overlays.value = wanted

    def _mask_wanted(self) -> None:
        if self._source is not None:
            self._work("Reading the mask", self.repository, self._source.mask, self._show_planes, slot="mask")

    def _hide_mask(self) -> None:
        if self._mask is None:
            return
        self._mask = None
        self._planes.options = []
        self.planes = []
        show(self._key, "")
        self._paint_mask()
        self._push()

    def _show_planes(self, mask: MaskData) -> None:
        self._mask = mask
        self._tick(_MASK, ticked=True)
        held = {f"{name}  ({count:,})": name for name, count in mask.counts.items() if count}
        self._planes.options = held
        self._planes.value = [name for name in self.planes if name in mask.planes]
        empty = len(mask.counts) - len(held)
        show(self._key, f'<span class="lv-sub">{empty} planes have no pixel set</span>' if empty else "")
        self._show_mask()

    def _show_mask(self) -> None:
        if self._mask is None:
            if self.planes:
                self._mask_wanted()
            return
        if list(self._planes.value) != [name for name in self.planes if name in self._mask.planes]:
            self._planes.value = [name for name in self.planes if name in self._mask.planes]
        colours = "".join(
            f'<div><span style="display: inline-block; width: 10px; height: 10px; background: {colour}; '
            f'margin-right: 6px"></span>{name}</div>'
            for name, colour in self._colours()
        )
        show(self._key, colours)
        self._paint_mask()
        self._push()

    def _colours(self) -> list[tuple[str, str]]:
        spare = list(PLANE_COLOURS.values())
        return [
            (name, PLANE_COLOURS.get(name, spare[number % len(spare)]))
            for number, name in enumerate(self.planes)
        ]

    def _paint_mask(self) -> None:
        if self._mask is None or not self.planes or self._drawn is None:
            self._figure.show_mask(None, None, *self._origin)
            return
        tile = cut(self._mask.bits, self._drawn[0], _SCREEN, union=True)
        bits = [
            (self._mask.planes[name], colour) for name, colour in self._colours() if name in self._mask.planes
        ]
        self._figure.show_mask(tile, mask_colours(tile.values, bits), *self._origin)

    def _show_stars(self) -> None:
        self._tick(_STARS, ticked=self.stars)
        source = self._source
        if source is None or not self.stars:
            self._draw_stars(None)
        else:
            self._work("Reading the stars", self.repository, source.stars, self._draw_stars, slot="stars")

    def _draw_stars(self, stars: Stars | None) -> None:
        self._figure.show_stars(stars)
        if self.stars:
            count = "no catalogue found" if stars is None else f"{len(stars.x):,} stars"
            show(self._catalogue, f'<span class="lv-sub">{count}</span>')
        else:
            show(self._catalogue, "")
        self._push()

    def _push(self) -> None:
        # Panel sends its own models' changes to a notebook, not those of a figure.
        pn.io.push_notebook(self._picture)


_IMPLIED = ("band", "physical_filter")


def _title(identifier: dict[str, Any]) -> str:
    shown = [
        f"{key} {value}"
        for key, value in identifier.items()
        if key not in ("instrument", "band", "physical_filter")
    ]
    band = f" ({identifier['band']})" if "band" in identifier else ""
    return ", ".join(shown) + band
