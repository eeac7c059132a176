"""Why nothing was found, with a click for each change that finds something."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import panel as pn

from lenticular.widgets.look import button, chips, html, show

if TYPE_CHECKING:
    from collections.abc import Callable

    from lenticular.butler import Explanation
    from lenticular.butler.explain import Relaxation

__all__ = ["EmptyAnswer"]


class EmptyAnswer:
    """What stands where rows would stand if there were any.

    Parameters
    ----------
    use
        Called with a change that a person wants made.
    """

    def __init__(self, use: Callable[[Relaxation], None]) -> None:
        self._use = use
        self._reason = html(visible=False)
        self._changes = pn.Column(margin=0, sizing_mode="stretch_width", visible=False)

    @property
    def parts(self) -> list[Any]:
        """What to put on the page."""
        return [self._reason, self._changes]

    def clear(self) -> None:
        """Say nothing."""
        show(self._reason, "")
        self._changes.param.update(objects=[], visible=False)

    def show(
        self, explanation: Explanation, *, usable: Callable[[Relaxation], bool] = lambda _: True
    ) -> None:
        """Say why there is nothing, and offer what would change that.

        Parameters
        ----------
        explanation
            What was found out.
        usable
            Whether a change can be made by a click; the others are told only.
        """
        if explanation.culprit is None:
            self.clear()
            return
        culprits = (explanation.culprit, *explanation.others)
        said = "".join(f"<div>{escape(one.sentence)}</div>{_near(one.near)}" for one in culprits)
        show(self._reason, f'<div class="lv-note" role="status"><b>Nothing matches</b>{said}</div>')
        self._changes.param.update(
            objects=[self._offer(one, usable=usable(one)) for one in explanation.relaxations],
            visible=bool(explanation.relaxations),
        )

    def _offer(self, relaxation: Relaxation, *, usable: bool) -> Any:
        text = f"{escape(relaxation.sentence)} &nbsp; <b>{escape(str(relaxation.rows))}</b> found"
        words = html(f'{text}<div class="lv-sub">{_changed(relaxation.diff)}</div>', margin=(2, 6))
        if not usable:
            return words
        take = button("Use", width=64)
        take.on_click(lambda _: self._use(relaxation))
        return pn.Row(take, words, sizing_mode="stretch_width", margin=0)


def _changed(diff: str) -> str:
    """Return what goes, struck out, and what comes; the page has the rest of the expression."""
    lines = [(line[:1], escape(line[1:].strip())) for line in diff.splitlines()]
    gone = [f"<s><code>{text}</code></s>" for sign, text in lines if sign == "-"]
    come = [f"<code>{text}</code>" for sign, text in lines if sign == "+"]
    return " &nbsp; ".join([*gone, *come])


def _near(names: tuple[str, ...]) -> str:
    return f'<div class="lv-hint">There are {chips(names)}</div>' if names else ""
