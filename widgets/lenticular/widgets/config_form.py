"""A form for the fields of a task's configuration.

Values travel as typed values: what is typed is parsed by the field's type and
tried on a copy of the configuration. Nothing that is typed is ever executed.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from lenticular.butler.errors import ConfigError
from lenticular.widgets.colours import BLOCKED, LINE
from lenticular.widgets.look import button, html, notice, show, styled, text_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from lenticular.pipelines.graph import ConfigField

__all__ = ["FieldRow", "parse_value", "value_text"]

_NONE = "(none)"


def parse_value(field: ConfigField, text: str) -> Any:
    """Return the value that a person typed for a field.

    Parameters
    ----------
    field
        The field; its type says how to read the text.
    text
        What was typed.

    Raises
    ------
    ConfigError
        Raised if the text is no value of that type.
    """
    stripped = text.strip()
    if field.optional and stripped in ("", "None", "null"):
        return None
    readers: dict[str, Callable[[str], Any]] = {"int": _whole, "float": _number, "str": str, "bool": _truth}
    reader = readers.get(field.type)
    if reader is None and field.type.startswith(("list", "choices")):
        reader = _list
    try:
        return (reader or json.loads)(text if field.type == "str" else stripped)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{text!r} is not a value for {field.name}", hint=f"It wants {_wanted(field)}."
        ) from error


def value_text(value: Any) -> str:
    """Return a value as `parse_value` reads it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | list | dict) else str(value)


class FieldRow:
    """One field: its name and meaning, a control, and what is wrong with its value.

    Parameters
    ----------
    field
        The field.
    value
        Value that the control begins with.
    changed
        Called with the parsed value when a person changes it; a `ConfigError`
        that it raises is shown beside the field.
    post
        Runs a change on the page's thread; see `View`.
    """

    def __init__(
        self,
        field: ConfigField,
        value: Any,
        changed: Callable[[Any], None],
        post: Callable[[Callable[[], object]], None],
    ) -> None:
        self.field = field
        self._changed = changed
        self._label = html(margin=(6, 6))
        self._fault = html(visible=False)
        self._control = self._make_control(value)
        self._reset = button("Reset", visible=False, width=64)
        self._quiet = False
        self._control.param.watch(lambda _: post(self._typed), "value")
        self._reset.on_click(lambda _: post(self._back))
        # What is wrong stands above the control: below, the form's edge may hide it.
        self.panel = pn.Column(
            self._fault,
            pn.Row(
                self._label,
                pn.Row(self._control, self._reset, align="center", width=290, sizing_mode="fixed"),
                sizing_mode="stretch_width",
            ),
            sizing_mode="stretch_width",
            css_classes=[f"lenticular-field-{field.name.replace('.', '-')}"],
            styles={"border-bottom": f"1px solid {LINE}"},
        )
        """What stands in the form."""
        self.set(value)

    def set(self, value: Any) -> None:
        """Show a value, which is taken to be good."""
        self._quiet = True
        try:
            self._control.value = self._shown(value)
        finally:
            self._quiet = False
        show(self._fault, "")
        self._mark(value)

    def _make_control(self, value: Any) -> Any:
        # Named for those who cannot see the label beside it.
        options: dict[str, Any] = {"width": 190, "name": "", "align": "center"}
        if not self.field.editable:
            return text_input(**options | {"disabled": True, "placeholder": "set in the pipeline file"})
        if self.field.type == "bool" and not self.field.optional:
            return styled(pn.widgets.Checkbox, **options | {"name": "on", "value": bool(value)})
        if self.field.choices and self.field.type != "choices":
            names = [name for name, _ in self.field.choices]
            return styled(
                pn.widgets.Select, options=[_NONE, *names] if self.field.optional else names, **options
            )
        return text_input(**options | {"placeholder": "none" if self.field.optional else ""})

    def _shown(self, value: Any) -> Any:
        if isinstance(self._control, pn.widgets.Checkbox):
            return bool(value)
        if isinstance(self._control, pn.widgets.Select):
            return _NONE if value is None else str(value)
        return value_text(value)

    def _typed(self) -> None:
        if self._quiet:
            return
        entered = self._control.value
        try:
            if isinstance(self._control, pn.widgets.Checkbox):
                value: Any = bool(entered)
            elif entered == _NONE and isinstance(self._control, pn.widgets.Select):
                value = None
            else:
                value = parse_value(self.field, entered)
            self._changed(value)
        except ConfigError as error:
            show(self._fault, notice(error.what, hint=error.hint))
        else:
            show(self._fault, "")
            self._mark(value)

    def _back(self) -> None:
        self.set(self.field.value)
        self._changed(self.field.value)

    def _mark(self, value: Any) -> None:
        field, differs = self.field, value != self.field.value
        self._reset.visible = differs
        origin = f"default {escape(value_text(field.default) or 'none')}"
        if field.changed:
            origin += f"; this pipeline {escape(value_text(field.value) or 'none')}"
        dot = f'<span style="color: {BLOCKED}" title="changed here">&#9679;</span> ' if differs else ""
        old = (
            f' <span class="lv-sub">deprecated: {escape(field.deprecated)}</span>' if field.deprecated else ""
        )
        within = f" within {escape(field.range)}" if field.range else ""
        meanings = "".join(
            f"<div><code>{escape(name)}</code>: {escape(meaning)}</div>"
            for name, meaning in field.choices
            if meaning and name == self._shown(value)
        )
        show(
            self._label,
            f'{dot}<code><b>{escape(field.name)}</b></code> <span class="lv-sub">{escape(field.type)}'
            f'{within}, {origin}</span>{old}<div class="lv-sub">{escape(field.doc)}</div>'
            f'<div class="lv-sub">{meanings}</div>',
        )


def _whole(text: str) -> int:
    return int(text)


def _number(text: str) -> float:
    return float(text)


def _truth(text: str) -> bool:
    words = {"true": True, "false": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _list(text: str) -> list[Any]:
    """Read a JSON list, or what stands between commas."""
    if text.startswith("["):
        found = json.loads(text)
        if not isinstance(found, list):
            raise ValueError(text)
        return found
    return [_scalar(part.strip()) for part in text.split(",") if part.strip()]


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _wanted(field: ConfigField) -> str:
    if field.choices:
        return f"one of {', '.join(name for name, _ in field.choices)}"
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "dict": "a JSON object"}
    wanted = words.get(field.type, f"a {field.type}")
    return f"{wanted} within {field.range}" if field.range else wanted
