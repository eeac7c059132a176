"""The pieces that HTML displays are made of, in notebooks and wherever else an object is shown.

A display has a title, tables of names and values, and tables of records.
Whatever comes in as text is escaped and has its credentials masked. No colour
is named: rules and texts of second rank are shades of the page's own ink, so a
display suits every theme, light or dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Piece", "display", "grouped", "labels", "pairs", "rows", "shown_size"]

_FONT = 'system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif'
_LINE = "color-mix(in srgb, currentColor 16%, transparent)"
_RAISED = "color-mix(in srgb, currentColor 5%, transparent)"
_MUTED = "color-mix(in srgb, currentColor 68%, transparent)"
_STYLE = f"""<style>
.lv-display {{ font-family: {_FONT}; font-size: 13px; line-height: 1.45;
  color: var(--lv-ink, var(--jp-ui-font-color1, inherit)); max-width: 900px; overflow-x: auto; }}
.lv-display .lv-kind {{ color: {_MUTED}; font-weight: 400; margin-right: 8px; }}
.lv-display .lv-name {{ font-weight: 600; overflow-wrap: anywhere; margin-bottom: 4px; }}
.lv-display table {{ border-collapse: collapse; margin: 2px 0 6px; font-size: 13px; color: inherit;
  font-variant-numeric: tabular-nums; }}
.lv-display table tr th, .lv-display table tr td {{ padding: 3px 16px 3px 0; text-align: left;
  vertical-align: top; background: transparent; border: none;
  border-bottom: 1px solid {_LINE}; max-width: 620px; }}
.lv-display table tbody tr:nth-child(n), .lv-display table tbody tr:nth-child(n):hover {{
  background: transparent; }}
.lv-display table tr th {{ color: {_MUTED}; font-weight: 400; white-space: nowrap; }}
.lv-display table tr td {{ overflow-wrap: anywhere; white-space: normal; }}
.lv-display table tr .lv-n {{ text-align: right; white-space: nowrap; }}
.lv-display .lv-chip {{ display: inline-block; padding: 0 8px; margin: 0 4px 3px 0; background: {_RAISED};
  border: 1px solid {_LINE}; border-radius: 10px; font-size: 12px; }}
.lv-display .lv-muted {{ color: {_MUTED}; }}
</style>"""

_MOST_LABELS = 40
_THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
_THOUSAND = 1000
_TENS = 10


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


def rows(columns: Sequence[str], lines: Iterable[Sequence[object]], *, total: int | None = None) -> Piece:
    """Return a table with a head.

    Parameters
    ----------
    columns
        Heads of the columns.
    lines
        Values of each line. A column of whole numbers, some of which may be
        missing (`None`), is set to the right with thousands set apart.
    total
        Number of lines that there are, if not all of them are given; how many
        more there are is said below.
    """
    body = [list(line) for line in lines]
    numeric = [_is_numeric([line[i] for line in body]) for i in range(len(columns))]
    kinds = [' class="lv-n"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{kind}>{_text(name)}</th>" for name, kind in zip(columns, kinds, strict=True))
    inner = "".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{_cell(value, number=bool(kind))}</td>"
            for value, kind in zip(line, kinds, strict=True)
        )
        + "</tr>"
        for line in body
    )
    more = 0 if total is None else total - len(body)
    rest = f'<div class="lv-muted">and {grouped(more)} more</div>' if more > 0 else ""
    return Piece(f"<table><tr>{head}</tr>{inner}</table>{rest}")


def labels(names: Iterable[str]) -> Piece:
    """Return names as a row of labels, of many only the first."""
    given = list(names)
    shown = "".join(f'<span class="lv-chip">{_text(name)}</span>' for name in given[:_MOST_LABELS])
    more = len(given) - _MOST_LABELS
    return Piece(shown + (f'<span class="lv-muted">and {grouped(more)} more</span>' if more > 0 else ""))


def grouped(number: int) -> str:
    """Return a whole number with its thousands set apart by a thin space.

    Examples
    --------
    >>> grouped(1234567).split()
    ['1', '234', '567']
    """
    return f"{number:,}".replace(",", _THIN_SPACE)


def shown_size(size: int) -> str:
    """Return a number of bytes as people say it, in powers of a thousand.

    Parameters
    ----------
    size
        Bytes.

    Examples
    --------
    >>> shown_size(0), shown_size(1234), shown_size(56_700_000)
    ('0 B', '1.2 kB', '57 MB')
    """
    value, units = float(size), iter(("B", "kB", "MB", "GB", "TB", "PB", "EB"))
    unit = next(units)
    for larger in units:
        # What would be rounded up to a thousand is said in the larger unit.
        if abs(value) < _THOUSAND - 0.5:
            break
        value, unit = value / _THOUSAND, larger
    small = unit != "B" and abs(value) < _TENS - 0.05
    return f"{value:.1f} {unit}" if small else f"{value:.0f} {unit}"


def _is_numeric(values: Sequence[object]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, int) and not isinstance(value, bool) for value in given)


def _cell(value: object, *, number: bool) -> str:
    if value is None:
        return ""
    return grouped(value) if number and isinstance(value, int) else _text(value)


def _text(value: object) -> str:
    return value if isinstance(value, Piece) else escape(redact(value))
