"""What to ask instead: other values for a constraint, or the question without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lenticular.butler.columns.requests import DataIdQuery
from lenticular.butler.explain import nearby, sky
from lenticular.butler.explain.constraints import Change
from lenticular.butler.explain.nearby import Candidate
from lenticular.butler.explain.sentences import DATE
from lenticular.butler.explain.terms import Leaf, literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler.columns.requests import Request
    from lenticular.butler.explain.constraints import Constraint, Question
    from lenticular.butler.explain.probes import Probe

__all__ = ["Offer", "is_known", "left_out", "merged_leaf", "other_values", "value_offers"]

_KEYS = ("visit", "exposure", "tract")
"""Of several keys of an element, the one that tells best which record it is."""

_ONE_BY_ONE = 12


@dataclass(frozen=True, slots=True)
class Offer:
    """A changed question, not yet known to have rows."""

    weight: float
    """How much is changed."""

    query: Request
    """The question."""

    sentence: str
    """What is changed."""

    lines: tuple[str, ...]
    """The change line by line."""


def is_known(probe: Probe, question: Question, numbers: Sequence[int]) -> bool:
    """Tell whether there is anything that some constraints match, in the question's rows or not."""
    facts = [question.constraints[number].facts for number in numbers]
    names = frozenset(name for one in facts for name in one.dimensions)
    if not names or any(one.datasets for one in facts):
        return True
    composed = question.compose(frozenset(numbers))
    return probe.has_rows(
        DataIdQuery(
            dimensions=sorted(names), where=composed.where, bind=composed.bind, data_id=composed.data_id
        )
    )


def merged_leaf(constraint: Constraint) -> Leaf | None:
    """Return the comparison that a constraint is; several values of one column count as one."""
    leaves = constraint.facts.leaves
    if len(leaves) == 1 or not leaves:
        return constraint.facts.only
    first = leaves[0]
    values: list[object] = []
    for leaf in leaves:
        if first is None or leaf is None or leaf.column != first.column:
            return None
        if leaf.operator not in {"==", "in", "range"}:
            return None
        values += leaf.values[:2] if leaf.operator == "range" else leaf.values
    return None if first is None else replace(first, operator="in", values=tuple(values))


def other_values(
    probe: Probe,
    question: Question,
    number: int,
    rest: frozenset[int],
    changes: Mapping[int, Change] | None = None,
) -> list[Candidate]:
    """Return values that exist and leave rows, nearest to those that a constraint asks for.

    Parameters
    ----------
    probe
        Asks the repository.
    question
        The question.
    number
        The constraint.
    rest
        Those beside which they are to leave rows.
    changes
        What comes in the place of others.
    """
    constraint, changes = question.constraints[number], changes or {}
    leaf = merged_leaf(constraint)
    if leaf is None:
        dated = _as_night(constraint)
        return [
            one for one in dated if probe.has_rows(question.compose(rest, {**changes, number: one.change}))
        ]
    local = _local(question, rest, leaf.element)
    if leaf.kind == "region" and leaf.operator == "overlaps":
        sides = [nearby.Side(sky.wider(probe, leaf, local))]
    else:
        sides = nearby.candidates(probe, leaf, local)
    if leaf.kind == "string":
        return nearby.first_few(
            (one for side in sides for one in side.found if _fits(constraint, one.change)),
            lambda one: probe.has_rows(question.compose(rest, {**changes, number: one.change})),
        )
    key = _key_of(question, leaf)

    def passing(some: Sequence[Candidate]) -> list[Candidate]:
        values = dict.fromkeys(literal(one.keys[key]) or "" for one in some)
        request = question.compose(rest, changes, added=(f"{key} IN ({', '.join(values)})",))
        kept = probe.keys(request, key)
        if kept is None:  # one by one, then
            few = some[:_ONE_BY_ONE]
            return [
                one
                for one in few
                if probe.has_rows(
                    question.compose(rest, changes, added=(f"{key} = {literal(one.keys[key])}",))
                )
            ][:1]
        return [one for one in some if one.keys[key] in kept]

    def beyond(side: nearby.Side, some: Sequence[Candidate]) -> Candidate | None:
        # A larger number is taken for a later record, which it nearly always is.
        first, last = some[0].keys[key], some[-1].keys[key]
        request = question.compose(rest, changes, added=(side.outside,))
        value = probe.extreme(request, key, largest=first > last)
        if value is None or side.make is None:
            return None
        rows = nearby.values_of(probe, leaf, local, where=f"{key} = {literal(value)}", limit=1)
        return side.make(rows[0]) if rows else None

    found = (
        nearby.nearest(side.found, passing, partial(beyond, side) if side.outside else None) for side in sides
    )
    return [one for one in found if one is not None and _fits(constraint, one.change)]


def _as_night(constraint: Constraint) -> list[Candidate]:
    """Return a date that was written as a subtraction as the number that a night has."""
    text, changed = DATE.subn(r"\1\2\3", constraint.text)
    return [Candidate(text, Change(text))] if changed and constraint.kind == "term" else []


def _fits(constraint: Constraint, change: Change) -> bool:
    """Tell whether a change can come in the place of a constraint: a data ID takes only values."""
    return constraint.kind == "term" or change.value is not None


def _key_of(question: Question, leaf: Leaf) -> str:
    element = question.scope.universe[leaf.element]
    names = [name for name in element.required.names if name not in element.minimal_group.governors]
    if leaf.element in names or not names:
        return leaf.element if not names or len(names) == 1 else _best(names)
    return _best(names)


def _best(names: Sequence[str]) -> str:
    return next((name for name in _KEYS if name in names), names[-1])


def _local(question: Question, rest: frozenset[int], element: str) -> DataIdQuery:
    """Return those of some constraints that concern an element alone."""
    group = question.scope.universe[element].minimal_group
    kept = frozenset(
        other
        for other, one in enumerate(question.constraints)
        if other in rest
        and one.kind != "limit"
        and one.facts.dimensions <= set(group.names)
        and one.facts.elements <= {element, *group.names}
        and not one.facts.datasets
    )
    composed = question.compose(kept)
    given = [question.constraints[other] for other in kept]
    open_ones = [
        f"{name} != ''"
        for name in sorted(group.governors)
        if name != element
        and f"{name} != ''" not in composed.where
        and not any(one.pins(name) for one in given)
    ]
    where = " AND ".join(part for part in (composed.where and f"({composed.where})", *open_ones) if part)
    return DataIdQuery(
        dimensions=tuple(group.required), where=where, bind=composed.bind, data_id=composed.data_id
    )


def value_offers(question: Question, number: int, found: Sequence[Candidate]) -> list[Offer]:
    """Return the question with other values for a constraint.

    Parameters
    ----------
    question
        The question.
    number
        The constraint.
    found
        The values.
    """
    rest = question.every - {number}
    offers = []
    for one in found:
        plain = one.shown in {literal(one.change.value), one.change.value}
        sentence = f"Ask for {one.change.text}" if plain else f"Ask for {one.change.text} ({one.shown})"
        weight = 1.0 if plain else 1.5
        if one.is_pattern:
            sentence, weight = f"Match the pattern, as {one.change.text}: = compares letter by letter", 0.5
        query = question.compose(rest, {number: one.change})
        offers.append(Offer(weight, query, sentence, diff(question, {number: one.change.text})))
    return offers


def combined(question: Question, changes: dict[int, Candidate]) -> Offer:
    """Return the question with another value for each of some constraints."""
    query = question.compose(question.every - set(changes), {n: one.change for n, one in changes.items()})
    texts = {number: one.change.text for number, one in changes.items()}
    sentence = f"Ask for {' and '.join(texts.values())}"
    return Offer(1.0 + len(texts), query, sentence, diff(question, texts))


def left_out(question: Question, numbers: Sequence[int]) -> Offer:
    """Return the question without some constraints."""
    texts = [question.constraints[number].text for number in numbers]
    query = question.compose(question.every - set(numbers))
    changed: dict[int, str | None] = dict.fromkeys(numbers)
    lines = diff(question, changed)
    lines += tuple(f"+ {text}" for text in question.references(question.every - set(numbers)))
    return Offer(3.0 * len(texts), query, f"Leave out {' and '.join(texts)}", lines)


def diff(question: Question, changed: dict[int, str] | dict[int, str | None]) -> tuple[str, ...]:
    """Return all constraints of a question line by line, with what goes and what comes.

    Parameters
    ----------
    question
        The question.
    changed
        What comes in the place of a constraint, by its number; `None` for nothing.
    """
    lines = []
    for number, one in enumerate(question.constraints):
        if number not in changed:
            lines.append(f"  {one.text}")
            continue
        lines.append(f"- {one.text}")
        if changed[number] is not None:
            lines.append(f"+ {changed[number]}")
    return tuple(lines)
