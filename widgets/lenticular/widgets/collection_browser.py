"""Browsing the collections of a repository."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import panel as pn
import param

from lenticular.butler.browse import CollectionKind, flatten, match
from lenticular.widgets.copying import call, literal, python
from lenticular.widgets.look import chips, fill, html, plain_table, show, styled, table, text_input
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from lenticular.butler import CollectionInfo, Repository

__all__ = ["CollectionBrowser"]

_PAGE = 12
_CHIPS = 24
"""Dataset types that are named before the rest is only counted."""


class CollectionBrowser(View):
    """The collections of a repository: what they are, hold and search.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `pattern`, `kinds` and `selected` to begin with.
    """

    heading: ClassVar[str] = "Collections"

    pattern = param.String(default="*", doc="Globs, separated by commas, that names must match.")
    kinds = param.ListSelector(
        default=[],
        objects=[kind.value for kind in CollectionKind],
        doc="Kinds that are listed; none means all.",
    )
    selected = param.List(default=[], item_type=str, doc="Names of the collections chosen, in that order.")
    collections = param.Parameter(
        default=(), constant=True, doc="What the repository has, as a tuple of CollectionInfo."
    )

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**params)
        self.repository = opened(repository)
        self._filter = text_input("Name", placeholder="all; or a glob such as u/*", width=240)
        self._kinds = styled(
            pn.widgets.CheckButtonGroup,
            options=[kind.value for kind in CollectionKind],
            value=list(self.kinds),
            button_type="default",
            button_style="outline",
            align="end",
        )
        self._table = table(pd.DataFrame(), selectable="checkbox", widths={"kind": 125, "dataset types": 110})
        self._details = html()
        self._counts: Mapping[str, Mapping[str, int]] = {}
        self._names: list[str] = []
        if self.pattern != "*":
            self._filter.value = self.pattern
        self._listen(self._filter, "value", self._filter_typed)
        self._listen(self._kinds, "value", lambda: self.param.update(kinds=list(self._kinds.value)))
        self._listen(self._table, "selection", self._rows_ticked)
        self._watch(self._show_list, ["collections", "pattern", "kinds"])
        self._watch(self._show_selected, ["selected"])
        self.refresh()

    def refresh(self) -> None:
        """Read the collections again."""
        self._work(
            "Reading the registry", self.repository, self.repository.collections, self._show_collections
        )

    def as_python(self) -> str:
        """Return Python that lists what the chosen collections search and hold."""
        lines = [
            f"repository = {call('Repository.open', literal(self.repository.name))}",
            f"collections = {literal(list(self.selected))}",
            "for name in collections:",
            "    for member in repository.search_order(name):",
            "        print(member, dict(repository.counts(member).get(member, {})))",
        ]
        return python({"lenticular.butler": ["Repository"]}, *lines)

    def as_command(self) -> str:
        """Return the command that lists the collections."""
        globs = " ".join(f"'{glob}'" for glob in self._globs() if glob != "*")
        return f"lenticular show collections {self.repository.name} {globs}".rstrip()

    def _body(self) -> list[Any]:
        # Side by side where there is room, else one below the other.
        listing = pn.Column(
            pn.FlexBox(self._filter, self._kinds, align_items="end"),
            self._table,
            styles={"flex": "2 1 480px", "min-width": "0"},
        )
        details = pn.Column(self._details, styles={"flex": "1 1 280px", "min-width": "0"})
        return [pn.FlexBox(listing, details, gap="20px", sizing_mode="stretch_width")]

    def _globs(self) -> list[str]:
        return [glob.strip() for glob in self.pattern.split(",") if glob.strip()] or ["*"]

    def _filter_typed(self) -> None:
        text = (self._filter.value or "").strip()
        # A plain word is looked for anywhere, as people expect of a search box.
        self.pattern = text if not text or set(text) & set("*?[,") else f"*{text}*"

    def _show_collections(self, found: Sequence[CollectionInfo]) -> None:
        with param.edit_constant(self):
            self.collections = tuple(found)
        known = {info.name for info in found}
        self.selected = [name for name in self.selected if name in known]
        self._show_selected()
        self._subtitle.object = (
            f'<span class="lv-sub">{escape(self.repository.name)}: {len(found)} collections</span>'
        )

    def _show_list(self) -> None:
        matching = set(match([info.name for info in self.collections], self._globs()))
        rows = [
            info
            for info in self.collections
            if info.name in matching and (not self.kinds or info.kind.value in self.kinds)
        ]
        self._names = [info.name for info in rows]
        frame = pd.DataFrame(
            {
                "collection": self._names,
                "kind": [info.kind.value for info in rows],
                "dataset types": [len(info.dataset_types) for info in rows],
            }
        )
        fill(self._table, frame, page=_PAGE)
        self._tick()

    def _tick(self) -> None:
        rows = [self._names.index(name) for name in self.selected if name in self._names]
        if sorted(rows) != sorted(self._table.selection):
            self._table.selection = rows

    def _rows_ticked(self) -> None:
        ticked = [self._names[row] for row in self._table.selection if row < len(self._names)]
        # What the filter hides stays chosen; what was chosen first stays first.
        kept = [name for name in self.selected if name in ticked or name not in self._names]
        chosen = kept + [name for name in ticked if name not in kept]
        if chosen != self.selected:
            self.selected = chosen

    def _show_selected(self) -> None:
        self._tick()
        known = {info.name: info for info in self.collections}
        chosen = [known[name] for name in self.selected if name in known]
        show(self._details, _details(chosen, known, {}))
        runs = sorted({member for info in chosen for member in flatten(info.name, known)})
        if runs:
            self._work(
                "Counting datasets",
                self.repository,
                lambda: self.repository.counts(runs),
                lambda counts: show(self._details, _details(chosen, known, counts)),
                slot="counts",
            )


def _details(
    chosen: Sequence[CollectionInfo],
    known: Mapping[str, CollectionInfo],
    counts: Mapping[str, Mapping[str, int]],
) -> str:
    """Return what is told of the chosen collections."""
    if not chosen:
        return '<div class="lv-sub">Tick a collection to see what it searches and holds.</div>'
    return "".join(_describe(info, known, counts) for info in chosen)


def _describe(
    info: CollectionInfo, known: Mapping[str, CollectionInfo], counts: Mapping[str, Mapping[str, int]]
) -> str:
    members = flatten(info.name, known)
    parts = [f'<div class="lv-label" style="margin-top: 8px">{info.kind.value.lower()}</div>']
    parts.append(f"<div><b>{escape(info.name)}</b></div>")
    if info.documentation:
        parts.append(f'<div class="lv-sub">{escape(info.documentation)}</div>')
    if info.children:
        items = "".join(f"<li>{escape(name)}</li>" for name in members)
        parts.append(f'<div class="lv-label">searched in this order</div><ol class="lv">{items}</ol>')
    totals: dict[str, int] = {}
    for member in members:
        for name, number in counts.get(member, {}).items():
            totals[name] = totals.get(name, 0) + number
    if totals:
        parts.append('<div class="lv-label">datasets in its runs</div>')
        parts.append(plain_table(("dataset type", "number"), sorted(totals.items())))
    elif info.dataset_types:
        parts.append('<div class="lv-label">dataset types</div>')
        names = info.dataset_types
        more = f" and {len(names) - _CHIPS} more" if len(names) > _CHIPS else ""
        parts.append(chips(names[:_CHIPS]) + more)
    return "".join(parts)
