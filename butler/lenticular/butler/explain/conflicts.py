"""Which of many conditions cannot hold together, and what to give up so that they can.

Both are searches over sets of conditions, asked of an oracle that tells whether
a set can be satisfied; it is assumed that giving up a condition never does harm.

A minimal conflict is found by QuickXplain (U. Junker, "QUICKXPLAIN: Preferred
explanations and relaxations for over-constrained problems", AAAI 2004,
algorithm 1). The minimal sets to give up are the minimal hitting sets of all
conflicts (R. Reiter, "A theory of diagnosis from first principles", Artificial
Intelligence 32, 1987, section 4), grown breadth first so that the smallest come
first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    type Test = Callable[[frozenset[int]], bool]

__all__ = ["Oracle", "corrections", "minimal_conflict"]


class Oracle:
    """Remembers what was asked, and concludes from it what follows.

    Parameters
    ----------
    test
        Tells whether the conditions of these numbers can hold together.
    """

    asked: int
    """Questions that were put to the test itself."""

    def __init__(self, test: Test) -> None:
        self._test = test
        self._possible: list[frozenset[int]] = []
        self._impossible: list[frozenset[int]] = []
        self.asked = 0

    def __call__(self, kept: frozenset[int]) -> bool:
        """Tell whether some conditions can hold together."""
        if any(kept <= known for known in self._possible):
            return True
        if any(kept >= known for known in self._impossible):
            return False
        self.asked += 1
        answer = self._test(kept)
        (self._possible if answer else self._impossible).append(kept)
        return answer


def minimal_conflict(oracle: Test, conditions: Sequence[int]) -> tuple[int, ...]:
    """Return conditions that cannot hold together, none of which can be left out.

    Parameters
    ----------
    oracle
        Tells whether some conditions can hold together.
    conditions
        Conditions that cannot; those that come first are rather kept out of
        the conflict.

    Returns
    -------
    tuple of int
        In ascending order; nothing if even no condition at all is too much.
    """
    if not oracle(frozenset()):
        return ()
    for one in conditions:
        if not oracle(frozenset((one,))):
            return (one,)
    return tuple(sorted(_explain(oracle, frozenset(), frozenset(), list(conditions))))


def _explain(
    oracle: Test, background: frozenset[int], added: frozenset[int], rest: list[int]
) -> frozenset[int]:
    if added and not oracle(background):
        return frozenset()
    if len(rest) == 1:
        return frozenset(rest)
    middle = len(rest) // 2
    first, second = rest[:middle], rest[middle:]
    later = _explain(oracle, background | frozenset(first), frozenset(first), second)
    earlier = _explain(oracle, background | later, later, first)
    return earlier | later


def corrections(
    oracle: Test, conditions: Sequence[int], *, most: int = 6, largest: int = 3
) -> list[tuple[int, ...]]:
    """Return what to give up so that the other conditions can hold, smallest sets first.

    Parameters
    ----------
    oracle
        Tells whether some conditions can hold together.
    conditions
        All conditions.
    most
        Sets to return, at most.
    largest
        Conditions in a set, at most; if no such set is enough, one larger set
        is returned.

    Returns
    -------
    list of tuple of int
        None contains another one.
    """
    every = frozenset(conditions)
    found: list[frozenset[int]] = []
    level: list[frozenset[int]] = [frozenset()]
    seen: set[frozenset[int]] = set(level)
    while level and len(found) < most:
        following: list[frozenset[int]] = []
        for given_up in level:
            if any(given_up >= known for known in found):
                continue
            if oracle(every - given_up):
                found.append(given_up)
                continue
            if len(given_up) == largest:
                continue
            kept = [one for one in conditions if one not in given_up]
            for one in minimal_conflict(oracle, kept):
                larger = given_up | {one}
                if larger not in seen:
                    seen.add(larger)
                    following.append(larger)
        level = following
    if not found and oracle(frozenset()):
        found.append(every - _grown(oracle, conditions))
    return [tuple(sorted(one)) for one in found[:most]]


def _grown(oracle: Test, conditions: Sequence[int]) -> frozenset[int]:
    """Return conditions that can hold together, to which none can be added."""
    kept: frozenset[int] = frozenset()
    for one in conditions:
        if oracle(kept | {one}):
            kept |= {one}
    return kept
