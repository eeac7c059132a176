"""A question taken apart into constraints, any of which can be left out or replaced."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lenticular.butler.columns.requests import DataIdQuery, DatasetQuery, RecordQuery
from lenticular.butler.errors import DataError
from lenticular.butler.explain import upstream
from lenticular.butler.explain.terms import Facts, Leaf, Term, join_terms, literal, split_terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lsst.daf.butler import Butler, DimensionGroup

    from lenticular.butler.columns.requests import Request

__all__ = ["Change", "Constraint", "Question", "scope_of"]


@dataclass(frozen=True, slots=True)
class Change:
    """What comes in the place of a constraint."""

    text: str
    """The condition."""

    value: Any = None
    """For a value of a data ID, the other value."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint of a question."""

    kind: str
    """``term`` of the expression, value of the ``data_id``, ``default`` of the
    Butler, or ``limit``."""

    text: str
    """What it demands, as it would be written in an expression."""

    facts: Facts = field(default_factory=Facts)
    """What it is about."""

    term: Term | None = None
    """The condition, of a ``term``."""

    def pins(self, governor: str) -> bool:
        """Tell whether it says what a governor dimension is to be, as upstream asks for."""
        compared = rf"\b{governor}\b\s*(=|!=|<|>)|(=|<|>)\s*{governor}\b"
        return self.kind != "limit" and re.search(compared, self.text) is not None


class Question:
    """A question and its constraints.

    Parameters
    ----------
    butler
        The repository's Butler.
    query
        The question, which upstream does not refuse.
    """

    query: Request
    """The question."""

    constraints: tuple[Constraint, ...]
    """Its constraints, in the order in which they were given."""

    scope: DimensionGroup
    """Dimensions of its rows."""

    def __init__(self, butler: Butler, query: Request) -> None:
        self.query = query
        self.scope, self._datasets = scope_of(butler, query)
        self._universe = butler.dimensions
        self._facts: dict[str, Facts] = {}
        with butler.query() as opened:
            _, results = replace(query, order_by=(), limit=None).build(butler, opened)
            self._defaults = upstream.applied_defaults(results) if upstream.knows(results) else {}
        self.constraints = (
            *(self._value("default", name, value) for name, value in self._defaults.items()),
            *(self._value("data_id", name, value) for name, value in query.data_id.items()),
            *(self._term(term) for term in split_terms(query.where)),
            *([Constraint("limit", "limit = 0")] if query.limit == 0 else []),
        )

    @property
    def subject(self) -> str:
        """What is asked for, without any constraint."""
        match self.query:
            case DatasetQuery(collections=None):
                return self.query.dataset_type
            case DatasetQuery():
                return f"{self.query.dataset_type} in {', '.join(self.query.collections or ())}"
            case RecordQuery():
                return self.query.element
        return ", ".join(self.scope.required)

    @property
    def every(self) -> frozenset[int]:
        """Numbers of all constraints."""
        return frozenset(range(len(self.constraints)))

    def facts_of(self, text: str) -> Facts:
        """Return what a condition is about."""
        if text not in self._facts:
            self._facts[text] = upstream.read_facts(text, self.scope, self._datasets, self.query.bind)
        return self._facts[text]

    def compose(
        self,
        kept: frozenset[int],
        changed: Mapping[int, Change] | None = None,
        *,
        added: tuple[str, ...] = (),
    ) -> Request:
        """Return the question with some of its constraints.

        Parameters
        ----------
        kept
            Numbers of the constraints to keep.
        changed
            What comes in the place of others, by their number.
        added
            Conditions that come after all.
        """
        changed = changed or {}
        terms: list[Term | str] = []
        data_id: dict[str, Any] = {}
        for number, one in enumerate(self.constraints):
            change = changed.get(number)
            leaf = one.facts.only
            if one.kind in {"data_id", "default"} and leaf is not None:
                if change is not None:
                    data_id[leaf.element] = change.value
                elif number in kept and one.kind == "data_id":
                    data_id[leaf.element] = leaf.values[0]
            elif change is not None:
                terms.append(change.text)
            elif number in kept and one.term is not None:
                terms.append(one.term)
        whole = [number for number, one in enumerate(self.constraints) if one.kind == "term"]
        same = not any(number in changed or number not in kept for number in whole)
        extra = [*added, *self.references(kept, [*(one.text for one in changed.values()), *added])]
        where = self.query.where if same and not extra else join_terms([*terms, *extra])
        unlimited = any(
            one.kind == "limit" and number not in kept for number, one in enumerate(self.constraints)
        )
        limit = None if unlimited else self.query.limit
        return replace(self.query, where=where, data_id=data_id, limit=limit)

    def references(self, kept: frozenset[int], others: Sequence[str] = ()) -> list[str]:
        """Return conditions that demand nothing, where upstream wants a governor to be mentioned.

        It refuses an expression about visits without their instrument, and
        fills in the Butler's own instrument where none is mentioned.

        Parameters
        ----------
        kept
            Numbers of the constraints that are kept.
        others
            Further conditions.
        """
        present = [self.constraints[number] for number in sorted(kept)]
        present += [Constraint("term", text, self.facts_of(text)) for text in others]
        needed = {name for one in present for name in one.facts.governors}
        needed |= {name for name in self._defaults if name in self.scope.governors}
        missing = {name for name in needed if not any(one.pins(name) for one in present)}
        absent = [one for number, one in enumerate(self.constraints) if number not in kept]
        return [f"{name} != ''" for name in sorted(missing) if any(one.pins(name) for one in absent)]

    def _value(self, kind: str, name: str, value: Any) -> Constraint:
        dimension = self._universe.dimensions[name]
        governor = dimension.governor
        facts = Facts(
            dimensions=frozenset(dimension.minimal_group.names),
            governors=frozenset(
                {governor.name} if governor is not None and governor is not dimension else ()
            ),
            leaves=(Leaf(name, None, dimension.primary_key.type, "==", (value,)),),
        )
        return Constraint(kind, f"{name} = {literal(value) or value}", facts)

    def _term(self, term: Term) -> Constraint:
        return Constraint("term", term.text, self.facts_of(term.text), term)


def scope_of(butler: Butler, query: Request) -> tuple[DimensionGroup, frozenset[str]]:
    """Return the dimensions of a question's rows, and the dataset types that it searches for.

    Raises
    ------
    DataError
        Raised if it is a question of another kind.
    """
    match query:
        case DatasetQuery():
            return butler.get_dataset_type(query.dataset_type).dimensions, frozenset({query.dataset_type})
        case DataIdQuery():
            return butler.dimensions.conform(query.dimensions), frozenset()
        case RecordQuery():
            return butler.dimensions[query.element].minimal_group, frozenset()
    raise DataError(
        f"A question of the kind {type(query).__name__} cannot be explained",
        hint="Ask for datasets, data IDs or dimension records.",
    )
