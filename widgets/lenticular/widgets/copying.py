"""Code to take away: what was clicked, as Python or as a command."""

from __future__ import annotations

import json
import shlex
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from lenticular.butler.errors import LenticularError
from lenticular.widgets.look import button, html, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lenticular.pipelines.graph import ConfigOverride

__all__ = ["CodeDrawer", "call", "literal", "overrides_source", "python", "shell_word"]

_COPY = """
// The text may not have arrived yet: take it when it has.
const copy = () => {
  const text = new DOMParser().parseFromString(source.text, "text/html").body.textContent;
  const page = new DOMParser().parseFromString(text, "text/html");
  const code = (page.querySelector("pre") ?? page.body).textContent;
  if (navigator.clipboard) navigator.clipboard.writeText(code).catch(() => {});
};
setTimeout(copy, 400);
"""


class CodeDrawer:
    """Buttons that copy code, and the drawer in which it appears.

    Parameters
    ----------
    as_python
        Gives Python for the present state.
    as_command
        Gives a command line, or `None`.
    """

    def __init__(self, as_python: Callable[[], str], as_command: Callable[[], str | None]) -> None:
        self._shown = ""
        self.drawer = html(visible=False)
        """Where the code appears."""

        self.buttons = pn.Row(align="start", margin=0)
        """One button, or two."""

        self._add("Copy as Python", as_python)
        try:
            if as_command() is not None:
                self._add("Copy as command", as_command)
        except LenticularError:
            # It has one, though not yet: something is still to be chosen.
            self._add("Copy as command", as_command)

    def _add(self, name: str, make: Callable[[], str | None]) -> None:
        control = button(name)
        control.on_click(lambda _: self._toggle(name, make))
        control.jscallback(clicks=_COPY, args={"source": self.drawer})
        self.buttons.append(control)

    def _toggle(self, name: str, make: Callable[[], str | None]) -> None:
        if self._shown == name:
            self._shown = ""
            show(self.drawer, "")
            return
        self._shown = name
        try:
            code = make() or ""
        except LenticularError as error:
            code = f"# {error}"
        show(self.drawer, f"<pre>{escape(code)}</pre>")


def literal(value: Any) -> str:
    """Return a value as source code, strings in double quotes."""
    if isinstance(value, str):
        # What JSON escapes in a string, Python reads the same way.
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def call(name: str, *arguments: str, **options: Any) -> str:
    """Return a call as source code; options that are `None` or empty are left out.

    Parameters
    ----------
    name
        What is called.
    *arguments
        Source code of the positional arguments.
    **options
        Values of the named ones.
    """
    named = [f"{key}={literal(value)}" for key, value in options.items() if value not in (None, "", (), [])]
    parts = [*arguments, *named]
    inline = f"{name}({', '.join(parts)})"
    if len(inline) <= 88:  # noqa: PLR2004  a line that fits most screens
        return inline
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def python(imports: Mapping[str, Iterable[str]], *lines: str) -> str:
    """Return a piece of Python: imports, then statements.

    Parameters
    ----------
    imports
        Names by module.
    *lines
        The statements.
    """
    head = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(imports.items())]
    return "\n".join([*head, "", *lines]) + "\n"


def shell_word(text: str) -> str:
    """Return a text as one word of a command line, in the quotes a person would use."""
    if "'" in text and not set(text) & set('"$`!\\'):
        return f'"{text}"'
    return shlex.quote(text)


def overrides_source(overrides: tuple[ConfigOverride, ...]) -> str:
    """Return configuration values as source code."""
    if not overrides:
        return "()"
    lines = [
        f"    ConfigOverride({literal(o.task)}, {literal(o.field)}, {literal(o.value)}),\n" for o in overrides
    ]
    return "(\n" + "".join(lines) + ")"
