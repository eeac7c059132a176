"""What an explanation consists of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from lenticular.butler.display import Piece, display, grouped, labels, rows

if TYPE_CHECKING:
    from lenticular.butler.columns.requests import Request

__all__ = ["CAP", "Culprit", "Explanation", "Relaxation", "Rows", "Step"]

CAP = 10_000
"""Rows that are counted, at most."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A number of rows, as far as it was counted."""

    number: int
    """Rows counted."""

    more: bool = False
    """Whether there are, or may be, more."""

    def __str__(self) -> str:
        return f"{grouped(self.number)}+" if self.more else grouped(self.number)

    def __bool__(self) -> bool:
        return self.number > 0

    @property
    def said(self) -> str:
        """The number with its noun."""
        return "1 row" if self.number == 1 and not self.more else f"{self} rows"


@dataclass(frozen=True, slots=True)
class Step:
    """One of the constraints of a query."""

    constraint: str
    """What it demands."""

    alone: Rows | None
    """Rows of the query with no other constraint; `None` if it cannot be asked alone."""

    together: Rows | None
    """Rows of the query with it and all that stand above it."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """What leaves a query without rows."""

    kind: str
    """What sort of thing it is: ``value``, ``conflict``, ``overlap``, ``datasets``,
    ``collections``, ``chain``, ``records``, ``default``, ``limit`` ..."""

    constraints: tuple[str, ...]
    """The constraints concerned; without any one of them it would not be to blame."""

    sentence: str
    """What is wrong."""

    near: tuple[str, ...] = ()
    """What there is instead: values, collections, dataset types."""

    only: bool = True
    """Whether nothing else stands in the way."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of a query after which it has rows."""

    query: Request
    """The changed query, which can be run."""

    sentence: str
    """What was changed."""

    diff: str
    """The change line by line: ``-`` for what goes, ``+`` for what comes."""

    rows: Rows
    """Rows that the changed query has."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a query has no rows, and what to change."""

    query: Request
    """The query."""

    rows: Rows
    """Rows that it has; none, unless it is not empty at all."""

    culprit: Culprit | None = None
    """What leaves it without rows; `None` if it has some."""

    others: tuple[Culprit, ...] = ()
    """What else would, without the culprit."""

    steps: tuple[Step, ...] = ()
    """Its constraints, one after the other."""

    relaxations: tuple[Relaxation, ...] = field(default=())
    """Changes that give rows, the smallest first."""

    def __str__(self) -> str:
        if self.culprit is None:
            return f"The query is not empty: it has {self.rows.said}."
        lines = []
        for culprit in (self.culprit, *self.others):
            lines.append(culprit.sentence)
            if culprit.near:
                lines.append(f"   There is: {', '.join(culprit.near)}")
        for place, relaxation in enumerate(self.relaxations, 1):
            lines.append(f"{place}. {relaxation.sentence}: {relaxation.rows.said}")
            lines += [f"     {line}" for line in relaxation.diff.splitlines()]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the queries, as JSON can have it."""
        return {
            "rows": _plain(self.rows),
            "culprit": self.culprit and asdict(self.culprit),
            "others": [asdict(culprit) for culprit in self.others],
            "steps": [
                {
                    "constraint": step.constraint,
                    "alone": _plain(step.alone),
                    "together": _plain(step.together),
                }
                for step in self.steps
            ],
            "relaxations": [
                {
                    "sentence": relaxation.sentence,
                    "diff": relaxation.diff,
                    "rows": _plain(relaxation.rows),
                    "query": _described(relaxation.query),
                }
                for relaxation in self.relaxations
            ],
        }

    def _repr_html_(self) -> str:
        if self.culprit is None:
            text = f"It is not empty: it has {self.rows.said}."
            return display("Query", "", Piece(f"<p>{escape(text)}</p>"))
        parts = [_paragraph(culprit) for culprit in (self.culprit, *self.others)]
        if self.relaxations:
            lines: list[tuple[object, ...]] = [
                (relaxation.sentence, _diff(relaxation.diff), str(relaxation.rows))
                for relaxation in self.relaxations
            ]
            parts.append(rows(("what to change", "", "rows"), lines))
        if self.steps:
            lines = [(step.constraint, _shown(step.alone), _shown(step.together)) for step in self.steps]
            parts.append(rows(("constraint", "rows with it alone", "and with all above"), lines))
        return display("Empty query", "", *parts)


def _shown(number: Rows | None) -> str:
    return "cannot be asked" if number is None else str(number)


def _plain(number: Rows | None) -> dict[str, Any] | None:
    return None if number is None else {"number": number.number, "more": number.more, "text": str(number)}


def _described(query: Request) -> dict[str, Any]:
    """Return a query's fields as JSON can have them, values that it cannot have as text."""
    described = {name: getattr(query, name) for name in query.__dataclass_fields__}
    return {name: _json(value) for name, value in described.items()} | {"kind": type(query).__name__}


def _json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(one) for one in value]
    return str(value)


def _paragraph(culprit: Culprit) -> Piece:
    near = f"<div>There is {labels(culprit.near)}</div>" if culprit.near else ""
    return Piece(f"<p>{escape(culprit.sentence)}</p>{near}")


def _diff(text: str) -> Piece:
    styles = {"-": "text-decoration:line-through;opacity:.65", "+": "font-weight:600"}
    lines = [
        f'<code style="background:none;white-space:pre-wrap;{styles.get(line[:1], "")}">{escape(line)}</code>'
        for line in text.splitlines()
    ]
    return Piece("<br>".join(lines))
