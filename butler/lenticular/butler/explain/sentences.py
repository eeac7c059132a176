"""What is wrong with a constraint, in a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lenticular.butler.columns.requests import DatasetQuery

if TYPE_CHECKING:
    from lenticular.butler.explain.constraints import Constraint, Question
    from lenticular.butler.explain.terms import Leaf

__all__ = ["DATE", "no_such", "of_type"]

DATE = re.compile(r"(?<!['\d])(\d{4})-(\d{2})-(\d{2})(?!['\d])")
"""A date without quotes, which is a subtraction."""


def no_such(text: str, leaf: Leaf | None) -> str:
    """Return the sentence for a condition that nothing in the repository meets.

    Parameters
    ----------
    text
        The condition.
    leaf
        The comparison that it is, if it is one.
    """
    if date := DATE.search(text):
        year, month, day = date.groups()
        return (
            f"Nothing matches {text}: {date[0]} is a subtraction, "
            f"{int(year) - int(month) - int(day)}. A night is written {year}{month}{day}."
        )
    if leaf is not None and leaf.field is None and leaf.operator == "==":
        return f"There is no {leaf.element} {leaf.values[0]}."
    if leaf is not None and leaf.field is not None:
        return f"No {leaf.element} has {text}."
    return f"Nothing matches {text}."


def of_type(question: Question, constraint: Constraint) -> tuple[str, str]:
    """Return kind and sentence for a condition that something meets, but nothing that is asked for.

    Parameters
    ----------
    question
        The question.
    constraint
        The condition.
    """
    query, scope = question.query, question.scope
    outside = constraint.facts.dimensions - set(scope.names)
    implied = {
        other for name in outside for other in scope.universe[name].minimal_group.names if other != name
    }
    beyond = sorted(outside - implied)
    if beyond:
        what = question.subject
        kind = "overlap" if any(scope.universe[name].spatial for name in beyond) else "join"
        return kind, f"{constraint.text} exists, but no {what} belongs to that {' '.join(beyond)}."
    if isinstance(query, DatasetQuery):
        searched = f"the collections searched hold no {query.dataset_type} of it"
        return "datasets", f"{constraint.text} exists, but {searched}."
    return "value", f"{constraint.text} exists, but nothing that is asked for belongs to it."
