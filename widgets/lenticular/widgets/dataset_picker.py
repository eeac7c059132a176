"""Picking the visits to work on."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import panel as pn
import param

from lenticular.butler.errors import LenticularError
from lenticular.widgets.copying import call, literal, python, shell_word
from lenticular.widgets.empty_answer import EmptyAnswer
from lenticular.widgets.look import fill, html, notice, show, styled, table, text_input
from lenticular.widgets.selection import (
    VISIT_LIMIT,
    VisitRow,
    explain_no_visits,
    instruments,
    list_visits,
    where_of,
)
from lenticular.widgets.view import View, opened

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from lenticular.butler import Explanation, Repository
    from lenticular.butler.explain import Relaxation

__all__ = ["DatasetPicker"]

_PAGE = 12


class DatasetPicker(View):
    """The visits of an instrument, to be filtered and ticked.

    What comes out is `where`, an expression for the registry. With no visit
    ticked, it means all visits that the filters leave.

    Parameters
    ----------
    repository
        The repository, or its label, folder or URI.
    **params
        `collections`, `instrument`, `bands`, `nights`, `expression` and
        `visits` to begin with; `collections` may be another view's parameter.
    """

    heading: ClassVar[str] = "Visits"

    collections = param.List(
        default=[],
        item_type=str,
        allow_refs=True,
        doc="Only visits with raws there are listed; none means all.",
    )
    instrument = param.String(default="", doc="Instrument; the repository's first by default.")
    bands = param.List(default=[], item_type=str, doc="Bands that are listed; none means all.")
    nights = param.List(default=[], item_type=int, doc="Nights (yyyymmdd) that are listed; none means all.")
    expression = param.String(default="", doc="A further constraint in the registry's expression language.")
    visits = param.List(default=[], item_type=int, doc="Visits ticked.")
    where = param.String(default="", constant=True, doc="The selection as an expression.")

    def __init__(self, repository: Repository | str | os.PathLike[str], **params: Any) -> None:
        super().__init__(**params)
        self.repository = opened(repository)
        self._rows: tuple[VisitRow, ...] = ()
        self._shown: list[int] = []
        self._make_widgets()
        self._listen(self._bands, "value", lambda: self.param.update(bands=list(self._bands.value)))
        self._listen(self._nights, "value", lambda: self.param.update(nights=list(self._nights.value)))
        self._listen(
            self._expression,
            "value",
            lambda: self.param.update(expression=(self._expression.value or "").strip()),
        )
        self._listen(self._table, "selection", self._rows_ticked)
        self._watch(self.refresh, ["collections", "expression"])
        self._watch(self._show_rows, ["bands", "nights"])
        self._watch(self._show_selection, ["visits", "instrument"])
        self._settle_where()
        self.refresh()

    def refresh(self) -> None:
        """Read the visits again."""
        collections, expression = list(self.collections), self.expression

        def ask() -> tuple[str, tuple[VisitRow, ...]]:
            name = self.instrument or next(iter(instruments(self.repository)), "")
            return name, list_visits(self.repository, name, collections, where=expression) if name else ()

        self._settle_where()
        self._work("Reading the registry", self.repository, ask, self._show_visits)

    def as_python(self) -> str:
        """Return Python that lists the chosen visits."""
        lines = [
            f"repository = {call('Repository.open', literal(self.repository.name))}",
            f"where = {literal(self.where)}",
            'visits = repository.dimension_records("visit", where=where, order_by=["visit"])',
            "print(visits.to_pandas())",
        ]
        return python({"lenticular.butler": ["Repository"]}, *lines)

    def as_command(self) -> str:
        """Return the command that lists the chosen visits."""
        return f"lenticular show records {self.repository.name} visit --where {shell_word(self.where)}"

    def _make_widgets(self) -> None:
        outline = {"button_type": "default", "button_style": "outline"}
        self._bands = styled(pn.widgets.CheckButtonGroup, name="Band", options=sorted(self.bands), **outline)
        self._bands.value = list(self.bands)
        self._nights = styled(
            pn.widgets.MultiChoice,
            name="Night",
            options=list(self.nights),
            width=240,
            placeholder="all nights",
        )
        self._nights.value = list(self.nights)
        self._expression = text_input(
            "Further constraint", placeholder="such as exposure_time > 20", value=self.expression, width=260
        )
        self._table = table(pd.DataFrame(), selectable="checkbox")
        self._summary = html()
        self._limit = html(visible=False)
        self._empty = EmptyAnswer(self._use)

    def _body(self) -> list[Any]:
        label = html('<span class="lv-sub" style="font-size: 12px">Band</span>', width=120, margin=(0, 6))
        bands = pn.Column(label, self._bands, margin=0)
        return [
            pn.FlexBox(bands, self._nights, self._expression, gap="10px", align_items="end"),
            *self._empty.parts,
            self._table,
            self._limit,
            self._summary,
        ]

    def _show_visits(self, found: tuple[str, tuple[VisitRow, ...]]) -> None:
        self.instrument, self._rows = found
        self._bands.options = sorted({row.band for row in self._rows} | set(self.bands))
        self._nights.options = sorted({row.day_obs for row in self._rows} | set(self.nights))
        # Ticks on visits that are no longer there would be ticks in the dark.
        known = {row.visit for row in self._rows}
        self.visits = [visit for visit in self.visits if visit in known]
        full = len(self._rows) >= VISIT_LIMIT
        hint = "Constrain the night or add an expression to see others."
        show(
            self._limit,
            notice(f"Only the first {VISIT_LIMIT:,} visits", hint=hint, kind="note") if full else "",
        )
        self._show_rows()
        self._empty.clear()
        if self.instrument and not self._rows:
            self._explain()

    def _explain(self) -> None:
        """Find out why there are no visits."""
        instrument, collections, expression = self.instrument, list(self.collections), self.expression
        self._work(
            "Looking for the reason",
            self.repository,
            lambda: explain_no_visits(self.repository, instrument, collections, where=expression),
            self._show_reason,
        )

    def _show_reason(self, explanation: Explanation) -> None:
        given = {"instrument": self.instrument}
        self._empty.show(
            explanation, usable=lambda one: self._change(one) is not None and given == one.query.data_id
        )

    def _use(self, relaxation: Relaxation) -> None:
        change = self._change(relaxation)
        if change is not None:
            self._expression.value = change["expression"]
            self.param.update(**change)

    def _change(self, relaxation: Relaxation) -> dict[str, Any] | None:
        """Return the parameters that make a change; `None` if this view cannot make it."""
        from lenticular.butler.columns import DatasetQuery

        query = relaxation.query
        if dict(query.data_id) != {"instrument": self.instrument}:
            return None
        if not isinstance(query, DatasetQuery):
            return {"expression": query.where}
        # The visits are those of raws; what restricts the raws here is no expression of a person's.
        if query.dataset_type != "raw" or query.collections is None or query.where:
            return None
        return {"expression": self.expression, "collections": list(query.collections)}

    def _matching(self) -> list[VisitRow]:
        return [
            row
            for row in self._rows
            if (not self.bands or row.band in self.bands) and (not self.nights or row.day_obs in self.nights)
        ]

    def _show_rows(self) -> None:
        for widget, chosen in ((self._bands, self.bands), (self._nights, self.nights)):
            if list(widget.value) != list(chosen):
                widget.value = list(chosen)
        rows = self._matching()
        self._shown = [row.visit for row in rows]
        frame = pd.DataFrame([asdict(row) for row in rows], columns=list(VisitRow.__dataclass_fields__))
        frame.columns = ["visit", "band", "night", "exposure time / s", "target", "detectors"]
        fill(self._table, frame, page=_PAGE)
        self._show_selection()

    def _rows_ticked(self) -> None:
        ticked = {self._shown[row] for row in self._table.selection if row < len(self._shown)}
        chosen = sorted(ticked | (set(self.visits) - set(self._shown)))
        if chosen != sorted(self.visits):
            self.visits = chosen

    def _show_selection(self) -> None:
        rows = [self._shown.index(visit) for visit in self.visits if visit in self._shown]
        if sorted(rows) != sorted(self._table.selection):
            self._table.selection = rows
        self._settle_where()

    def _settle_where(self) -> None:
        try:
            where = where_of(
                self.instrument,
                visits=self.visits,
                bands=self.bands,
                nights=self.nights,
                expression=self.expression,
            )
        except LenticularError as error:
            self.error = error
            return
        with param.edit_constant(self):
            self.where = where
        self._subtitle.object = f'<span class="lv-sub">{escape(self.instrument)}</span>'
        show(self._summary, _summary(len(self.visits), self._matching(), where))


def _summary(ticked: int, matching: Sequence[VisitRow], where: str) -> str:
    if ticked:
        count = f"<b>{ticked}</b> {'visit' if ticked == 1 else 'visits'} ticked"
    elif not matching:
        count = "<b>No visit</b> listed"
    else:
        count = f"<b>All {len(matching)}</b> visits listed; tick some to take only those"
    return f"{count} &nbsp; <code>{escape(where)}</code>"
