"""An expression cut into conditions of which all have to hold.

The text of each condition stays the user's own, so that what is offered
instead looks like what was written. Where conditions are nested, the
expression is turned into conjunctive normal form: ``NOT (a OR b)`` is ``NOT
a`` and ``NOT b``; ``a OR (b AND c)`` is ``a OR b`` and ``a OR c``.
"""

from __future__ import annotations

import itertools
import numbers
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lenticular.butler.explain import upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Facts", "Leaf", "Term", "join_terms", "literal", "split_terms"]

_MOST_CLAUSES = 16
"""Conditions into which one with alternatives is taken apart, at most."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A comparison of one column of a dimension element with values."""

    element: str
    """The element, such as ``visit``."""

    field: str | None
    """Its field; `None` for the key of a dimension."""

    kind: str
    """What the column holds, by upstream's name: ``int``, ``string``, ``timespan`` ..."""

    operator: str
    """``==``, ``<``, ``overlaps`` ..., ``in``, or ``range`` (first, last, step)."""

    values: tuple[Any, ...]
    """What it is compared with."""

    end: str | None = None
    """``begin`` or ``end`` of a timespan, if only that is compared."""

    @property
    def column(self) -> str:
        """The column, as it is written in an expression."""
        return ".".join(part for part in (self.element, self.field, self.end) if part)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a condition is about."""

    dimensions: frozenset[str] = frozenset()
    """Dimensions that it needs, with all that follow from them."""

    elements: frozenset[str] = frozenset()
    """Dimension elements of which it needs a field."""

    governors: frozenset[str] = frozenset()
    """Dimensions such as ``instrument`` that have to be given beside it."""

    datasets: frozenset[str] = frozenset()
    """Dataset types of which it needs a field."""

    leaves: tuple[Leaf | None, ...] = ()
    """Its alternatives; `None` for what is no comparison of a column with values."""

    @property
    def only(self) -> Leaf | None:
        """The comparison that it is, if it is just one."""
        return self.leaves[0] if len(self.leaves) == 1 else None


@dataclass(frozen=True, slots=True)
class Term:
    """One condition."""

    text: str
    """As it was written, or as it follows from what was written."""

    start: int
    """Where it begins in the expression."""

    end: int
    """Where it ends."""

    loose: bool = field(default=False, compare=False)
    """Whether it needs brackets beside an AND."""


def split_terms(expression: str) -> tuple[Term, ...]:
    """Return the conditions of an expression.

    Parameters
    ----------
    expression
        An expression that upstream's parser takes.

    Returns
    -------
    tuple of Term
        In the order in which they were written. All of them together mean the
        same as the expression.
    """
    tokens, _ = upstream.split_tokens(expression)
    if not tokens:
        return ()
    return tuple(_Splitter(expression, tokens).clauses(0, len(tokens), negated=False))


def join_terms(terms: Iterable[Term | str]) -> str:
    """Return an expression of some conditions, all of which have to hold.

    Parameters
    ----------
    terms
        The conditions, or their text where it needs no brackets.
    """
    texts = [(term, False) if isinstance(term, str) else (term.text, term.loose) for term in terms]
    if len(texts) == 1:
        return texts[0][0]
    return " AND ".join(f"({text})" if loose else text for text, loose in texts)


class _Splitter:
    """Cuts an expression; a slice of tokens is given by its first and the one after its last."""

    def __init__(self, expression: str, tokens: Sequence[tuple[str, int, int]]) -> None:
        self._expression = expression
        self._tokens = tokens

    def clauses(self, low: int, high: int, *, negated: bool) -> list[Term]:
        low, high = self._bare(low, high)
        for operator in ("OR", "AND"):
            parts = self._parts(low, high, operator)
            if len(parts) > 1:
                inner = [self.clauses(*part, negated=negated) for part in parts]
                if (operator == "AND") is not negated:
                    return [clause for clauses in inner for clause in clauses]
                return self._alternatives(low, high, inner, negated=negated)
        if self._tokens[low][0] == "NOT" and high - low > 1:
            return self.clauses(low + 1, high, negated=not negated)
        term = self._slice(low, high)
        text = f"NOT ({term.text})" if negated else term.text
        return [Term(text, term.start, term.end)]

    def _alternatives(self, low: int, high: int, inner: list[list[Term]], *, negated: bool) -> list[Term]:
        whole = self._slice(low, high)
        size = 1
        for clauses in inner:
            size *= len(clauses)
        if size == 1 and not negated:
            return [Term(whole.text, whole.start, whole.end, loose=True)]
        if size > _MOST_CLAUSES:
            text = f"NOT ({whole.text})" if negated else whole.text
            return [Term(text, whole.start, whole.end, loose=not negated)]
        return [
            Term(
                " OR ".join(f"({part.text})" if part.loose else part.text for part in choice),
                whole.start,
                whole.end,
                loose=True,
            )
            for choice in itertools.product(*inner)
        ]

    def _slice(self, low: int, high: int) -> Term:
        start, end = self._tokens[low][1], self._tokens[high - 1][2]
        return Term(self._expression[start:end], start, end)

    def _bare(self, low: int, high: int) -> tuple[int, int]:
        """Leave out brackets around the whole, unless they make a pair of values."""
        while self._tokens[low][0] == "LPAREN" and self._closing(low) == high - 1:
            if high - low < 3 or len(self._parts(low + 1, high - 1, "COMMA")) > 1:  # noqa: PLR2004 - "()"
                break
            low, high = low + 1, high - 1
        return low, high

    def _closing(self, low: int) -> int:
        depth = 0
        for place in range(low, len(self._tokens)):
            depth += {"LPAREN": 1, "RPAREN": -1}.get(self._tokens[place][0], 0)
            if not depth:
                return place
        return -1

    def _parts(self, low: int, high: int, separator: str) -> list[tuple[int, int]]:
        """Return the slices between the separators outside of brackets."""
        parts, depth, start = [], 0, low
        for place in range(low, high):
            kind = self._tokens[place][0]
            depth += {"LPAREN": 1, "RPAREN": -1}.get(kind, 0)
            if kind == separator and not depth:
                parts.append((start, place))
                start = place + 1
        return [*parts, (start, high)]


def literal(value: Any) -> str | None:
    """Return a value as it is written in an expression; `None` if it cannot be.

    Parameters
    ----------
    value
        Text, a number, or a time (`astropy.time.Time`).
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        # Upstream's strings have no way to hold a quote, nor lines.
        return None if "'" in value or "\n" in value else f"'{value}'"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if hasattr(value, "tai"):
        moment = value.tai.copy()
        moment.precision = 9
        text = moment.isot.rstrip("0").rstrip(".")
        return f"T'{text}/tai'"
    return None
