"""Looking at how good the exposures of a run are."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import panel as pn
import param
from bokeh.models import ColumnDataSource, FactorRange, HoverTool
from bokeh.models.annotations import Title
from bokeh.plotting import figure

from lenticular.widgets.copying import call, literal, python
from lenticular.widgets.look import BAND_COLOURS, FIGURE_CSS, fill, html, notice, plain_table, show, table
from lenticular.widgets.metrics_source import COLUMNS, SUMMARY_TYPE, read_bundle, read_summaries
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os

    from lenticular.butler import Repository

__all__ = ["MetricsView"]

_PLOTTED = ("fwhm", "zero_point", "astrometry")
_PAGE = 8
_LABELLED = 24
"""Visits that are named on the axis; of more, only the cursor tells."""


class MetricsView(View):
    """Image quality, zero point and astrometry of each detector of each visit.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `collections` and `data_id` to begin with.
    """

    heading: ClassVar[str] = "Metrics"

    collections = param.List(default=[], item_type=str, allow_refs=True, doc="Collections to search.")
    data_id = param.Dict(
        default=None,
        allow_None=True,
        doc="Visit and detector whose metrics are listed in full; the row ticked.",
    )

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**params)
        self.repository = opened(repository)
        self._summaries = pd.DataFrame()
        self._table = table(pd.DataFrame(), selectable=1)
        self._plots = pn.FlexBox(gap="8px")
        self._key = html(visible=False)
        self._note = html(visible=False)
        self._bundle = html()
        self._listen(self._table, "selection", self._row_chosen)
        self._watch(self.refresh, ["collections"])
        self._watch(self._show_bundle, ["data_id"])
        self.refresh()

    def refresh(self) -> None:
        """Read the summaries again."""
        names = list(self.collections)
        if names:
            self._work(
                "Reading the visit summaries",
                self.repository,
                lambda: read_summaries(self.repository, names),
                self._show_summaries,
            )

    def as_python(self) -> str:
        """Return Python that reads the summaries of all visits."""
        lines = [
            f"repository = {call('Repository.open', literal(self.repository.name))}",
            f"collections = {literal(list(self.collections))}",
            f"visits = repository.datasets({literal(SUMMARY_TYPE)}, collections)",
            'for visit in visits["visit"].to_pylist():',
            "    summary = repository.butler.get(",
            f"        {literal(SUMMARY_TYPE)},",
            f"        instrument={literal(self._instrument())},",
            "        visit=visit,",
            "        collections=collections,",
            "    )",
            "    print(summary)",
        ]
        return python({"lenticular.butler": ["Repository"]}, *lines)

    def _instrument(self) -> str:
        return "" if self._summaries.empty else str(self._summaries["instrument"].iloc[0])

    def _body(self) -> list[Any]:
        return [self._note, self._key, self._plots, self._table, self._bundle]

    def _show_summaries(self, summaries: pd.DataFrame) -> None:
        self._summaries = summaries
        if summaries.empty:
            hint = "They appear when a run with consolidateVisitSummary has ended."
            show(
                self._note,
                notice("There are no visit summaries in these collections", hint=hint, kind="note"),
            )
            self._table.value = pd.DataFrame()
            self._plots.clear()
            show(self._key, "")
            show(self._bundle, "")
            return
        show(self._note, "")
        measured = [name for name in COLUMNS if summaries[name].notna().any()]
        shown = summaries[["visit", "detector", "band", *measured]].copy()
        for name in measured:
            shown[name] = shown[name].round(1 if name in ("astrometry", "noise") else 3)
        if "stars" in measured:
            shown["stars"] = shown["stars"].astype(int)
        shown.columns = ["visit", "detector", "band", *(COLUMNS[name] for name in measured)]
        fill(self._table, shown, page=_PAGE)
        self._plots[:] = [
            pn.pane.Bokeh(_plot(summaries, name), margin=(4, 2)) for name in _PLOTTED if name in measured
        ]
        show(self._key, _legend(sorted(summaries["band"].unique())))
        if self.data_id is None:
            self.data_id = self._identifier(0)
        else:
            self._show_bundle()

    def _identifier(self, row: int) -> dict[str, Any]:
        record = self._summaries.iloc[row]
        return {
            "instrument": str(record["instrument"]),
            "visit": int(record["visit"]),
            "detector": int(record["detector"]),
        }

    def _row_chosen(self) -> None:
        if self._table.selection and self._table.selection[0] < len(self._summaries):
            self.data_id = self._identifier(self._table.selection[0])

    def _show_bundle(self) -> None:
        identifier, names = self.data_id, list(self.collections)
        if identifier is None or self._summaries.empty:
            return
        matching = self._summaries.index[
            (self._summaries["visit"] == identifier.get("visit"))
            & (self._summaries["detector"] == identifier.get("detector"))
        ]
        if len(matching) and list(self._table.selection) != [int(matching[0])]:
            self._table.selection = [int(matching[0])]
        if not len(matching):
            return

        def describe(rows: list[tuple[str, str, str, str]]) -> None:
            title = f"visit {identifier['visit']}, detector {identifier['detector']}"
            body = (
                plain_table(("action", "metric", "value", ""), rows)
                if rows
                else "No metrics are stored for it."
            )
            show(self._bundle, f'<div class="lv-label" style="margin-top: 8px">{title}</div>{body}')

        self._work(
            "Reading the metrics",
            self.repository,
            lambda: read_bundle(self.repository, identifier, names),
            describe,
            slot="bundle",
        )


def _legend(bands: list[str]) -> str:
    """Return which colour stands for which band."""
    return "".join(
        f'<span style="margin-right: 14px"><span style="display: inline-block; width: 9px; height: 9px; '
        f'border-radius: 5px; background: {BAND_COLOURS.get(band, "#5b6775")}; margin-right: 5px"></span>'
        f"{escape(band) or 'no band'}</span>"
        for band in bands
    )


def _plot(summaries: pd.DataFrame, name: str) -> Any:
    """Plot one quantity against the visits, a point per detector."""
    visits = [str(visit) for visit in sorted(summaries["visit"].unique())]
    plot = figure(
        x_range=FactorRange(factors=visits),
        width=330,
        height=260,
        title=Title(text=COLUMNS[name], text_font_size="12px"),
        tools="pan,wheel_zoom,box_zoom,reset,save",
        toolbar_location=None,
        stylesheets=[FIGURE_CSS],
    )
    for band, group in summaries.groupby("band"):
        source = ColumnDataSource(
            {
                "visit": [str(visit) for visit in group["visit"]],
                "detector": group["detector"].tolist(),
                "value": group[name].tolist(),
            }
        )
        colour = BAND_COLOURS.get(str(band), "#5b6775")
        plot.scatter("visit", "value", source=source, size=9, alpha=0.8, color=colour, line_color="white")
    plot.add_tools(
        HoverTool(tooltips=[("visit", "@visit"), ("detector", "@detector"), ("", "@value{0.000}")])
    )
    plot.xaxis.major_label_orientation = 0.9
    plot.xaxis.visible = len(visits) <= _LABELLED
    plot.xgrid.visible = False
    plot.axis.minor_tick_line_color = None
    return plot
