"""How views look: one set of colours, one type scale, a few building blocks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd
import panel as pn
from bokeh.models.widgets.tables import NumberFormatter

from lenticular.widgets.colours import (
    ACCENT,
    BLOCKED,
    FAILED,
    FAINT,
    INK,
    LINE,
    MUTED,
    ON_ACCENT,
    PAPER,
    RAISED,
    SUCCEEDED,
    tint,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "BAND_COLOURS",
    "CSS",
    "FIGURE_CSS",
    "PLANE_COLOURS",
    "STATE_COLOURS",
    "TABS_CSS",
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

STATE_COLOURS = {
    "succeeded": SUCCEEDED,
    "running": ACCENT,
    "waiting": LINE,
    "failed": FAILED,
    "blocked": BLOCKED,
    "cancelled": "#8a94a0",
}
"""Colour of each state of a quantum, as CSS."""

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
  border-radius: 10px; background: {RAISED}; font-size: 12px; }}
.lv-error {{ border-left: 3px solid {FAILED}; background: {tint(FAILED, 9)}; padding: 8px 12px;
  overflow-wrap: anywhere; }}
.lv-note {{ border-left: 3px solid {ACCENT}; background: {tint(ACCENT, 9)}; padding: 8px 12px;
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
pre {{ margin: 0; padding: 10px 12px; color: {INK}; background: {RAISED};
  border: 1px solid {LINE}; border-radius: 4px;
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
.bk-input {{ font-size: 13px; border-color: {FAINT}; color: {INK}; background-color: {PAPER}; }}
.bk-input:focus {{ border-color: {ACCENT}; box-shadow: 0 0 0 2px {tint(ACCENT, 25)}; }}
select:not([multiple]).bk-input {{ appearance: auto; background-image: none;
  padding-right: 2px; }}
.bk-btn {{ font-size: 13px; }}
:host(.outline) .bk-btn.bk-btn-default {{ color: {INK}; background-color: transparent;
  border-color: {FAINT}; }}
:host(.outline) .bk-btn.bk-btn-default:hover {{ border-color: {ACCENT}; }}
:host(.outline) .bk-btn.bk-btn-default.bk-active {{ color: {ON_ACCENT}; background-color: {ACCENT};
  border-color: {ACCENT}; box-shadow: none; }}
:host(.solid) .bk-btn.bk-btn-primary {{ color: {ON_ACCENT}; background-color: {ACCENT};
  border-color: {ACCENT}; }}
.bk-btn[disabled], .bk-btn[disabled]:hover {{ opacity: .55; }}
.choices__inner {{ border-color: {FAINT}; background-color: {PAPER}; color: {INK}; }}
.choices__list--dropdown, .choices__list--dropdown .choices__item--selectable {{
  background-color: {RAISED}; color: {INK}; border-color: {FAINT}; }}
.bk-btn:focus-visible {{ outline: 2px solid {ACCENT}; outline-offset: 1px; }}
label {{ font-size: 12px; color: {MUTED}; }}
"""
"""Style sheet of every input."""

TABS_CSS = f"""
:host {{ font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }}
:host(.bk-above) .bk-header {{ border-bottom: 1px solid {LINE}; }}
:host .bk-header .bk-tab {{ color: {MUTED}; background: transparent; border: none; font-size: 13px;
  border-bottom: 2px solid transparent; border-radius: 0; padding: 6px 12px; }}
:host .bk-header .bk-tab:hover {{ color: {INK}; }}
:host .bk-header .bk-tab.bk-active {{ color: {INK}; font-weight: 600; border-bottom-color: {ACCENT}; }}
:host .bk-header .bk-tab:focus, :host .bk-header .bk-tab:active {{ outline: none; }}
:host .bk-header .bk-tab:focus-visible {{ outline: 2px solid {ACCENT}; outline-offset: -2px; }}
"""
"""Style sheet of a row of tabs."""

_TABLE_CSS = f"""
:host {{ font-family: system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }}
:host .tabulator {{ font-size: 13px; color: {INK}; background: {PAPER}; border: 1px solid {LINE}; }}
:host .tabulator .tabulator-header,
:host .tabulator .tabulator-header .tabulator-col,
:host .tabulator .tabulator-header .tabulator-col.tabulator-sortable:hover,
:host .tabulator .tabulator-footer {{ color: {INK}; background: {RAISED}; border-color: {LINE};
  font-weight: 600; }}
:host .tabulator .tabulator-header .tabulator-col-title {{ font-size: 12px; color: {MUTED}; }}
:host .tabulator .tabulator-footer .tabulator-page {{ color: {INK}; background: {PAPER};
  border-color: {FAINT}; }}
:host .tabulator .tabulator-footer .tabulator-page.active {{ color: {ACCENT}; }}
:host .tabulator .tabulator-tableholder .tabulator-table,
:host .tabulator .tabulator-row,
:host .tabulator .tabulator-row.tabulator-row-even {{ color: {INK}; background: {PAPER};
  border-color: {LINE}; }}
:host .tabulator .tabulator-row .tabulator-cell {{ padding: 4px 8px; border-color: {LINE}; }}
:host .tabulator .tabulator-header .tabulator-frozen.tabulator-frozen-left,
:host .tabulator-row .tabulator-cell.tabulator-frozen.tabulator-frozen-left {{
  border-right: 1px solid {LINE}; }}
:host .tabulator .tabulator-row.tabulator-selectable:hover {{ color: {INK}; background: {RAISED}; }}
:host .tabulator .tabulator-row.tabulator-selected,
:host .tabulator .tabulator-row.tabulator-selected:hover {{ color: {INK};
  background: {tint(ACCENT, 16)}; }}
"""

FIGURE_CSS = f"""
:host {{
  --bk-background-fill-color: {PAPER}; --bk-border-fill-color: {PAPER};
  --bk-outline-line-color: {LINE}; --bk-grid-line-color: {LINE};
  --bk-axis-line-color: {FAINT}; --bk-major-tick-line-color: {FAINT};
  --bk-major-label-text-color: {MUTED}; --bk-axis-label-text-color: {MUTED}; --bk-text-color: {INK};
}}
"""
"""Style sheet of a Bokeh figure, whose canvas takes its colours from these variables."""


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
