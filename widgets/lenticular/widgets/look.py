"""How views look: one set of colours, one type scale, a few building blocks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import panel as pn
from bokeh.models.widgets.tables import NumberFormatter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BAND_COLOURS",
    "CSS",
    "PLANE_COLOURS",
    "STATE_COLOURS",
    "button",
    "chips",
    "fill",
    "html",
    "key_values",
    "notice",
    "plain_table",
    "show",
    "styled",
    "table",
    "text_input",
]

INK, MUTED, LINE, ACCENT = "#1d2733", "#5b6775", "#dfe4ea", "#1f5fa8"

STATE_COLOURS = {
    "succeeded": "#2c7a4b",
    "running": "#1f5fa8",
    "waiting": "#dfe4ea",
    "failed": "#b3261e",
    "blocked": "#c77700",
    "cancelled": "#8a94a0",
}
"""Colour of each state of a quantum."""

BAND_COLOURS = {
    # Rubin's plotting palette for light backgrounds (RTN-045).
    "u": "#0c71ff",
    "g": "#49be61",
    "r": "#c61c00",
    "i": "#ffc200",
    "z": "#f341a2",
    "y": "#5d0000",
}
"""Colour of each band in plots."""

PLANE_COLOURS = {
    "BAD": "#d62728",
    "SATURATED": "#2ca02c",
    "INTERPOLATED": "#ff7f0e",
    "COSMIC_RAY": "#e377c2",
    "DETECTED": "#1f77b4",
    "DETECTION_EDGE": "#bcbd22",
    "SUSPECT": "#8c564b",
    "NO_DATA": "#7f7f7f",
    "CROSSTALK": "#9467bd",
}
"""Colour of each mask plane; others are given one of these in turn."""

CSS = f"""
:host {{ font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; font-size: 13px;
  line-height: 1.45; color: {INK}; }}
.lv-title {{ font-size: 16px; font-weight: 600; }}
.lv-sub {{ color: {MUTED}; }}
.lv-label {{ font-size: 11px; font-weight: 600; letter-spacing: .04em; text-transform: uppercase;
  color: {MUTED}; margin: 2px 0 4px; }}
.lv-figure {{ font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; }}
.lv-chip {{ display: inline-block; padding: 0 8px; margin: 0 4px 4px 0; border: 1px solid {LINE};
  border-radius: 10px; background: #f6f8fa; font-size: 12px; }}
.lv-error {{ border-left: 3px solid {STATE_COLOURS["failed"]}; background: #fdf3f2; padding: 8px 12px;
  overflow-wrap: anywhere; }}
.lv-note {{ border-left: 3px solid {ACCENT}; background: #f1f6fc; padding: 8px 12px;
  overflow-wrap: anywhere; }}
.lv-error b, .lv-note b {{ font-weight: 600; }}
.lv-hint {{ margin-top: 2px; }}
.lv-busy {{ color: {MUTED}; }}
.lv-busy::before {{ content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 7px;
  border: 2px solid {LINE}; border-top-color: {ACCENT}; border-radius: 50%; vertical-align: -1px;
  animation: lv-turn .8s linear infinite; }}
@keyframes lv-turn {{ to {{ transform: rotate(360deg); }} }}
code, pre {{ font-family: ui-monospace, "SFMono-Regular", Menlo, "DejaVu Sans Mono", monospace;
  font-size: 12px; }}
pre {{ margin: 0; padding: 10px 12px; background: #f6f8fa; border: 1px solid {LINE}; border-radius: 4px;
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 320px; overflow-y: auto; }}
table.lv {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
table.lv th {{ text-align: left; font-weight: 600; color: {MUTED}; font-size: 12px;
  white-space: nowrap; }}
table.lv th, table.lv td {{ padding: 4px 14px 4px 0; border-bottom: 1px solid {LINE}; vertical-align: top; }}
table.lv .n {{ text-align: right; }}
table.lv td {{ overflow-wrap: break-word; }}
table.lv td.n {{ white-space: nowrap; }}
ol.lv {{ margin: 0; padding-left: 20px; }}
td .lv-bar {{ margin-top: 6px; }}
.lv-bar {{ display: flex; height: 8px; border-radius: 4px; overflow: hidden; background: {LINE};
  min-width: 80px; }}
details summary {{ cursor: pointer; color: {ACCENT}; }}
"""
"""Style sheet of every piece of text in a view."""

_WIDGET_CSS = f"""
:host {{ font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; --font-size: 13px; }}
.bk-input {{ font-size: 13px; border-color: #c8d0d9; }}
.bk-input:focus {{ border-color: {ACCENT}; box-shadow: 0 0 0 2px rgba(31, 95, 168, .2); }}
.bk-btn {{ font-size: 13px; }}
.bk-btn:focus-visible {{ outline: 2px solid {ACCENT}; outline-offset: 1px; }}
label {{ font-size: 12px; color: {MUTED}; }}
"""
"""Style sheet of every input."""

_TABLE_CSS = """
:host { font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
:host .tabulator { font-size: 13px; border: 1px solid #dfe4ea; }
:host .tabulator .tabulator-header { background: #f6f8fa; font-weight: 600; }
:host .tabulator .tabulator-header .tabulator-col-title { font-size: 12px; color: #5b6775; }
:host .tabulator .tabulator-row .tabulator-cell { padding: 4px 8px; }
:host .tabulator .tabulator-row.tabulator-selected,
:host .tabulator .tabulator-row.tabulator-selected:hover { background: #e3eefb; color: inherit; }
"""


def html(text: str = "", **options: Any) -> pn.pane.HTML:
    """Return a piece of text in the views' style.

    Parameters
    ----------
    text
        HTML; whatever comes from data must have been escaped.
    **options
        Options of `panel.pane.HTML`.
    """
    sizing = "fixed" if "width" in options else "stretch_width"
    return pn.pane.HTML(text, **{"stylesheets": [CSS], "sizing_mode": sizing, "margin": (2, 6)} | options)


def button(name: str, *, primary: bool = False, **options: Any) -> pn.widgets.Button:
    """Return a button; a view has one primary one at most."""
    kind = {"button_type": "primary"} if primary else {"button_type": "default", "button_style": "outline"}
    return pn.widgets.Button(name=name, **{"stylesheets": [_WIDGET_CSS], "margin": (4, 6)} | kind | options)


def text_input(name: str, **options: Any) -> pn.widgets.TextInput:
    """Return a field for one line of text."""
    return pn.widgets.TextInput(name=name, **{"stylesheets": [_WIDGET_CSS], "margin": (4, 6)} | options)


def styled[Widget: pn.widgets.Widget](kind: type[Widget], **options: Any) -> Widget:
    """Return a widget of any kind in the views' style."""
    return kind(**{"stylesheets": [_WIDGET_CSS], "margin": (4, 6)} | options)


def table(frame: Any, **options: Any) -> pn.widgets.Tabulator:
    """Return a table that sorts, pages and, if told so, selects."""
    defaults: dict[str, Any] = {
        "disabled": True,
        "show_index": False,
        "layout": "fit_columns",
        "widths": {"visit": 120},
        "configuration": {"columnDefaults": {"headerWordWrap": True, "minWidth": 84}},
        "stylesheets": [_TABLE_CSS],
        "sizing_mode": "stretch_width",
        "margin": (4, 6),
    }
    return pn.widgets.Tabulator(frame, **defaults | options)


def fill(table: pn.widgets.Tabulator, frame: pd.DataFrame, *, page: int) -> None:
    """Put rows into a table; pages appear only when there are several.

    Parameters
    ----------
    table
        The table.
    frame
        The rows. Whole numbers are identifiers and are shown as they are
        written, without separators.
    page
        Rows of a page.
    """
    whole = [str(name) for name in frame.columns if pd.api.types.is_integer_dtype(frame[name])]
    table.param.update(
        formatters={name: NumberFormatter(format="0", text_align="right") for name in whole},
        pagination="local" if len(frame) > page else None,
        page_size=page,
        value=frame,
    )


def show(pane: pn.pane.HTML, text: str) -> None:
    """Put a text into a pane, and take an empty one away from the page."""
    pane.param.update(object=text, visible=bool(text))


def notice(what: str, *, hint: str | None = None, kind: str = "error") -> str:
    """Return a box that says what happened and what to do.

    Parameters
    ----------
    what
        One sentence, not escaped yet.
    hint
        What the reader can do, not escaped yet.
    kind
        ``error`` or ``note``.
    """
    advice = f'<div class="lv-hint">{escape(hint)}</div>' if hint else ""
    return f'<div class="lv-{kind}" role="status"><b>{escape(what)}</b>{advice}</div>'


def chips(names: Iterable[str]) -> str:
    """Return names as a row of labels."""
    return "".join(f'<span class="lv-chip">{escape(name)}</span>' for name in names)


def key_values(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a two-column table of names and texts."""
    rows = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in pairs)
    return f'<table class="lv">{rows}</table>'


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a static table; numbers are set to the right."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="n">{value:,}</td>' if isinstance(value, int) else f"<td>{escape(str(value))}</td>"
            for value in row
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="lv"><tr>{head}</tr>{body}</table>'
