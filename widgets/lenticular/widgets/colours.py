"""The colours of views and displays, as CSS that follows the theme of the page.

A colour is an expression such as ``var(--lv-ink, var(--jp-ui-font-color1,
#1d2733))``: what a page of ours says (see `page_style`), else JupyterLab's own
variable, whatever its theme is, else a value for white paper. Variables cross
the borders of shadow roots, so one rule serves every view on a page.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ACCENT",
    "BLOCKED",
    "FAILED",
    "FAINT",
    "INK",
    "LINE",
    "MUTED",
    "ON_ACCENT",
    "PAPER",
    "RAISED",
    "SUCCEEDED",
    "page_style",
    "tint",
]


class _Colour(NamedTuple):
    lab: str
    """JupyterLab's variable of the same meaning."""
    light: str
    dark: str


_COLOURS = {
    "ink": _Colour("--jp-ui-font-color1", "#1d2733", "#e3e6e9"),
    "muted": _Colour("--jp-ui-font-color2", "#5b6775", "#9ba4ae"),
    "faint": _Colour("--jp-border-color1", "#c8d0d9", "#5a616a"),
    "line": _Colour("--jp-border-color2", "#dfe4ea", "#3a3f45"),
    "paper": _Colour("--jp-layout-color0", "#ffffff", "#111111"),
    "raised": _Colour("--jp-cell-editor-background", "#f6f8fa", "#1e2124"),
    "accent": _Colour("--jp-brand-color1", "#1f5fa8", "#64a8f0"),
    "on-accent": _Colour("--jp-ui-inverse-font-color0", "#ffffff", "#10151b"),
    "succeeded": _Colour("--jp-success-color1", "#2c7a4b", "#58b37c"),
    "failed": _Colour("--jp-error-color1", "#b3261e", "#f2746b"),
    "blocked": _Colour("--jp-warn-color1", "#c77700", "#f0a63c"),
}


def _expression(name: str) -> str:
    colour = _COLOURS[name]
    return f"var(--lv-{name}, var({colour.lab}, {colour.light}))"


INK = _expression("ink")
"""Text."""

MUTED = _expression("muted")
"""Text of second rank."""

FAINT = _expression("faint")
"""Edges of what can be typed or clicked into."""

LINE = _expression("line")
"""Rules of tables, and what waits."""

PAPER = _expression("paper")
"""What everything stands on."""

RAISED = _expression("raised")
"""Heads of tables, labels, code."""

ACCENT = _expression("accent")
"""What can be clicked, what is chosen, what runs."""

ON_ACCENT = _expression("on-accent")
"""Text on `ACCENT`."""

SUCCEEDED = _expression("succeeded")
"""What went well."""

FAILED = _expression("failed")
"""What went wrong."""

BLOCKED = _expression("blocked")
"""What is held up, or was changed."""


def tint(colour: str, percent: int) -> str:
    """Return a colour thinned out, for surfaces behind text.

    Parameters
    ----------
    colour
        A CSS colour.
    percent
        How much of it is left.
    """
    return f"color-mix(in srgb, {colour} {percent}%, transparent)"


def page_style() -> str:
    """Return the style sheet of a page of ours, light and dark.

    The root element says by its attribute ``data-theme`` which of them holds.
    The variables of Panel's own widgets follow.
    """
    light = "".join(f"--lv-{name}: {colour.light}; " for name, colour in _COLOURS.items())
    dark = "".join(f"--lv-{name}: {colour.dark}; " for name, colour in _COLOURS.items())
    panel = {
        "--design-background-color": "var(--lv-paper)",
        "--design-background-text-color": "var(--lv-ink)",
        "--design-surface-color": "var(--lv-raised)",
        "--design-surface-text-color": "var(--lv-ink)",
        "--design-primary-color": "var(--lv-accent)",
        "--design-primary-text-color": "var(--lv-on-accent)",
    }
    widgets = "".join(f"{name}: {value}; " for name, value in panel.items())
    return (
        f":root {{ color-scheme: light; {light}{widgets}}}\n"
        f':root[data-theme="dark"] {{ color-scheme: dark; {dark}}}\n'
        "html { background: var(--lv-paper); color: var(--lv-ink); }\n"
    )
