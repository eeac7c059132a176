"""Why a query has no rows, and the smallest changes after which it has some."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lenticular.butler.columns.requests import DatasetQuery
from lenticular.butler.explain import foundations, places
from lenticular.butler.explain.alternatives import (
    combined,
    is_known,
    left_out,
    merged_leaf,
    other_values,
    value_offers,
)
from lenticular.butler.explain.conflicts import Oracle, corrections, minimal_conflict
from lenticular.butler.explain.constraints import Question
from lenticular.butler.explain.probes import Probe
from lenticular.butler.explain.report import Culprit, Explanation, Relaxation, Rows, Step
from lenticular.butler.explain.sentences import no_such, of_type
from lenticular.butler.guard import guarded

if TYPE_CHECKING:
    from lenticular.butler.columns.reading import Cancel, Source
    from lenticular.butler.columns.requests import Request
    from lenticular.butler.explain.alternatives import Offer
    from lenticular.butler.explain.nearby import Candidate

__all__ = ["COUNTING", "explain_empty"]

_MOST_CULPRITS = 3
_MOST_RELAXATIONS = 8
_MOST_ELSEWHERE = 2
COUNTING = 1.2
"""Seconds after which rows are no longer counted where it is enough to know that there are some."""


def explain_empty(source: Source, query: Request, *, cancel: Cancel | None = None) -> Explanation:
    """Tell why a query has no rows, and which smallest changes give some.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    query
        The query: a `~lenticular.butler.columns.DatasetQuery`,
        `~lenticular.butler.columns.DataIdQuery` or
        `~lenticular.butler.columns.RecordQuery`.
    cancel
        An event that is set, or a function that returns true, once the answer
        is no longer wanted.

    Returns
    -------
    Explanation
        What is to blame, all constraints with the rows that they leave, and
        changed queries with the rows that they have. If the query has rows,
        their number.

    Raises
    ------
    DataError
        Raised if the query is wrong rather than empty; if its expression is,
        as an `~lenticular.butler.errors.ExpressionError`.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    QueryCancelledError
        Raised if the answer is no longer wanted.
    RepositoryError
        Raised if the database fails.
    """
    probe = Probe(source, cancel)
    caching: Any = getattr(probe.butler.registry, "caching_context", nullcontext)
    with guarded(cancel=cancel) if isinstance(cancel, threading.Event) else nullcontext(), caching():
        probe.check(query)  # what is wrong with it is told as it always is
        return _Search(probe, Question(probe.butler, query)).explanation()


class _Search:
    """The search for what is to blame, and for changes.

    Parameters
    ----------
    probe
        Asks the repository.
    question
        The question.
    """

    def __init__(self, probe: Probe, question: Question) -> None:
        self._probe = probe
        self._question = question
        self._oracle = Oracle(self._possible)
        # A limit of nothing is told before all else.
        self._order = sorted(question.every, key=lambda one: question.constraints[one].kind != "limit")
        self._offers: list[Offer] = []
        self._found: dict[int, list[Candidate]] = {}

    def explanation(self) -> Explanation:
        """Return the explanation."""
        query = self._question.query
        if self._oracle(self._question.every):
            rows = self._probe.count(query)
            return Explanation(query, Rows(1, more=True) if rows is None else rows)
        culprits = self._culprits()
        relaxations = self.relaxations()
        if not self._oracle(frozenset()):
            culprits = [replace(one, only=bool(relaxations)) for one in culprits]
        return Explanation(
            query, Rows(0), culprits[0], tuple(culprits[1:]), tuple(self._steps()), tuple(relaxations)
        )

    def _possible(self, kept: frozenset[int]) -> bool:
        if any(self._question.constraints[number].kind == "limit" for number in kept):
            return False
        # What exists nowhere is found out in small tables; joined to the datasets it may take long.
        if not all(self._is_known(number) for number in kept):
            return False
        return self._probe.has_rows(self._question.compose(kept))

    def _is_known(self, number: int) -> bool:
        return is_known(self._probe, self._question, (number,))

    def _culprits(self) -> list[Culprit]:
        """Return conflicts that have nothing in common, and collect what to offer."""
        left = list(self._order)
        found: list[Culprit] = []
        while len(found) < _MOST_CULPRITS and not self._oracle(frozenset(left)):
            conflict = minimal_conflict(self._oracle, left)
            if not conflict:
                culprit, offers = foundations.diagnose(self._probe, self._question)
                self._offers += offers
                found.append(culprit)
                break
            found.append(self._blamed(conflict))
            left = [number for number in left if number not in conflict]
        return [replace(culprit, only=len(found) == 1) for culprit in found]

    def _blamed(self, conflict: tuple[int, ...]) -> Culprit:
        every = [self._question.constraints[number] for number in conflict]
        texts = tuple(one.text for one in every)
        if every[0].kind == "limit":
            return Culprit("limit", texts, "The query has a limit of 0, so it returns no row.")
        there = is_known(self._probe, self._question, conflict)
        query = self._question.query
        if there and isinstance(query, DatasetQuery) and not self._offers:
            self._offers += foundations.dataset_offers(self._probe, query)
        if len(conflict) > 1:
            sentence = f"Each of these leaves rows, but nothing matches all of them: {'; '.join(texts)}."
            return Culprit("conflict", texts, sentence)
        (one,) = every
        near = tuple(found.shown for found in self._others(conflict[0]) if not found.is_pattern)
        if one.kind == "default":
            sentence = f"The Butler adds {one.text} of its own accord, which matches nothing here."
            return Culprit("default", texts, sentence, near)
        if not there:
            return Culprit("value", texts, no_such(one.text, merged_leaf(one)), near)
        kind, sentence = of_type(self._question, one)
        return Culprit(kind, texts, sentence, near)

    def _others(self, number: int) -> list[Candidate]:
        """Return other values for a constraint, with which there are rows if that is possible."""
        if number not in self._found:
            rest = self._question.every - {number}
            context = rest if self._oracle(rest) else frozenset[int]()
            found = []
            if self._oracle(context):
                found = other_values(self._probe, self._question, number, context)
            self._found[number] = found
        return self._found[number]

    def relaxations(self) -> list[Relaxation]:
        """Return changes that give rows, the smallest first."""
        offers = list(self._offers)
        for numbers in corrections(self._oracle, self._order):
            if len(numbers) == 1:
                offers += value_offers(self._question, numbers[0], self._others(numbers[0]))
            elif len(best := self._repaired(numbers)) == len(numbers):
                offers.append(combined(self._question, best))
            offers.append(left_out(self._question, numbers))
        return self._counted(offers) or self._elsewhere()

    def _repaired(self, numbers: tuple[int, ...]) -> dict[int, Candidate]:
        """Return another value for each of some constraints, each chosen beside those before it."""
        rest = self._question.every - set(numbers)
        best: dict[int, Candidate] = {}
        for number in numbers:
            changes = {other: one.change for other, one in best.items()}
            found = other_values(self._probe, self._question, number, rest, changes)
            if not found:
                break
            best[number] = found[0]
        return best

    def _elsewhere(self) -> list[Relaxation]:
        """Return changes of the same question to other collections."""
        query = self._question.query
        if not isinstance(query, DatasetQuery) or self._oracle(frozenset()):
            return []
        found = places.searched(self._probe, query)
        relaxations: list[Relaxation] = []
        for name in found.elsewhere[:_MOST_ELSEWHERE]:
            other = Question(self._probe.butler, replace(query, collections=(name,)))
            lines = f"- collections = {', '.join(found.named)}\n+ collections = {name}\n"
            relaxations += [
                replace(one, sentence=f"Search {name}. {one.sentence}", diff=lines + one.diff)
                for one in _Search(self._probe, other).relaxations()[:_MOST_ELSEWHERE]
            ]
        return relaxations

    def _counted(self, offers: list[Offer]) -> list[Relaxation]:
        """Return the offers that have rows, the smallest changes first."""
        offers.sort(key=lambda offer: offer.weight)
        found: dict[tuple[str, ...], Relaxation] = {}
        for offer in offers:
            if len(found) == _MOST_RELAXATIONS:
                break
            rows = None if offer.lines in found else self._probe.count(offer.query)
            if rows:
                found[offer.lines] = Relaxation(offer.query, offer.sentence, "\n".join(offer.lines), rows)
        return list(found.values())

    def _steps(self) -> list[Step]:
        """Return what each constraint leaves, alone and with those before it."""
        constraints = self._question.constraints
        base = self._rows(frozenset())
        steps = [Step(self._question.subject, base, base)]
        kept: frozenset[int] = frozenset()
        for number, one in enumerate(constraints):
            kept |= {number}
            alone = self._rows(frozenset((number,)))
            steps.append(Step(one.text, alone, alone if len(kept) == 1 else self._rows(kept)))
        return steps

    def _rows(self, kept: frozenset[int]) -> Rows | None:
        if not self._oracle(kept):
            return Rows(0)
        if self._probe.elapsed > COUNTING:
            return Rows(1, more=True)
        return self._probe.count(self._question.compose(kept))
