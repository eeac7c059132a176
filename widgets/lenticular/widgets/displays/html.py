"""The pieces of a display. Whatever comes in as text is escaped and has its credentials masked."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lenticular.butler.redact import redact
from lenticular.widgets.colours import INK, LINE, MUTED, RAISED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Piece", "display", "labels", "pairs", "rows"]

_FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_STYLE = f"""<style>
.lv-display {{ font-family: {_FONT}; font-size: 13px; line-height: 1.45; color: {INK};
  max-width: 900px; overflow-x: auto; }}
.lv-display .lv-kind {{ color: {MUTED}; font-weight: 400; margin-right: 8px; }}
.lv-display .lv-name {{ font-weight: 600; overflow-wrap: anywhere; margin-bottom: 4px; }}
.lv-display table {{ border-collapse: collapse; margin: 2px 0 6px; font-size: 13px; color: inherit;
  font-variant-numeric: tabular-nums; }}
.lv-display table tr th, .lv-display table tr td {{ padding: 3px 16px 3px 0; text-align: left;
  vertical-align: top; background: transparent; border: none;
  border-bottom: 1px solid {LINE}; max-width: 620px; }}
.lv-display table tbody tr:nth-child(n), .lv-display table tbody tr:nth-child(n):hover {{
  background: transparent; }}
.lv-display table tr th {{ color: {MUTED}; font-weight: 400; white-space: nowrap; }}
.lv-display table tr td {{ overflow-wrap: anywhere; white-space: normal; }}
.lv-display table tr .lv-n {{ text-align: right; }}
.lv-display .lv-chip {{ display: inline-block; padding: 0 8px; margin: 0 4px 3px 0; background: {RAISED};
  border: 1px solid {LINE}; border-radius: 10px; font-size: 12px; }}
.lv-display .lv-muted {{ color: {MUTED}; }}
</style>"""

_MOST_LABELS = 40


class Piece(str):
    """HTML that is finished: it is not escaped again."""

    __slots__ = ()


def display(kind: str, name: str, *parts: Piece) -> str:
    """Return a whole display.

    Parameters
    ----------
    kind
        What is shown, such as "Dataset type".
    name
        Its name; may be empty.
    *parts
        What is told of it.
    """
    title = f'<div class="lv-name"><span class="lv-kind">{_text(kind)}</span>{_text(name)}</div>'
    return f'{_STYLE}<div class="lv-display">{title}{"".join(parts)}</div>'


def pairs(entries: Iterable[tuple[str, object]]) -> Piece:
    """Return a table of names and values; entries whose value is `None` or empty are left out."""
    lines = "".join(
        f"<tr><th>{_text(name)}</th><td>{_text(value)}</td></tr>"
        for name, value in entries
        if value is not None and value != ""
    )
    return Piece(f"<table>{lines}</table>" if lines else "")


def rows(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> Piece:
    """Return a table with a head; whole numbers are set to the right."""
    body = [list(line) for line in lines]
    numeric = [bool(body) and all(isinstance(line[i], int) for line in body) for i in range(len(columns))]
    kinds = [' class="lv-n"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{kind}>{_text(name)}</th>" for name, kind in zip(columns, kinds, strict=True))
    inner = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{_cell(value)}</td>" for value, kind in zip(line, kinds, strict=True))
        + "</tr>"
        for line in body
    )
    return Piece(f"<table><tr>{head}</tr>{inner}</table>")


def labels(names: Iterable[str]) -> Piece:
    """Return names as a row of labels, of many only the first."""
    given = list(names)
    shown = "".join(f'<span class="lv-chip">{_text(name)}</span>' for name in given[:_MOST_LABELS])
    more = len(given) - _MOST_LABELS
    return Piece(shown + (f'<span class="lv-muted">and {more:,} more</span>' if more > 0 else ""))


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, Piece) else escape(redact(value))
