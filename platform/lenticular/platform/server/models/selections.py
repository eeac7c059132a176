"""Questions and answers about what a selection of datasets is made of, or why it is empty."""

from __future__ import annotations

from lenticular.platform.server.models.base import Answer, Limit
from lenticular.platform.server.models.registry import SelectionQuestion

__all__ = [
    "Change",
    "Explanation",
    "Facet",
    "FacetValue",
    "Facets",
    "FacetsQuestion",
    "Reason",
    "Rows",
    "Step",
]


class FacetsQuestion(SelectionQuestion):
    """What the data IDs of some datasets are made of."""

    limit: Limit = 100
    """Values of one dimension at most."""


class FacetValue(Answer):
    """A value of a dimension."""

    value: int | str | None
    """The value; null where a record leaves it open."""
    count: int
    """Number of datasets that have it."""


class Facet(Answer):
    """The values of a dimension."""

    dimension: str
    """Name of the dimension."""
    values: tuple[FacetValue, ...]
    """The first of its values, in their order."""
    distinct: int
    """How many values there are."""


class Facets(Answer):
    """What the data IDs of some datasets are made of."""

    facets: tuple[Facet, ...]
    """One for each dimension, also those that follow from the required ones."""
    total: int
    """Number of datasets."""


class Rows(Answer):
    """A number of rows."""

    number: int
    """Rows that were counted."""
    more: bool
    """Whether there are, or may be, more."""
    text: str
    """The same as it is shown."""


class Reason(Answer):
    """Something that leaves a selection empty."""

    kind: str
    """What sort of thing it is, such as ``value``, ``conflict`` or ``collections``."""
    constraints: tuple[str, ...]
    """The constraints concerned."""
    sentence: str
    """What is wrong."""
    near: tuple[str, ...]
    """What there is instead."""
    only: bool
    """Whether nothing else stands in the way."""


class Step(Answer):
    """One of the constraints."""

    constraint: str
    """What it demands."""
    alone: Rows | None
    """Datasets that it leaves alone; null if it cannot be asked alone."""
    together: Rows | None
    """Datasets that it leaves with all above it."""


class Change(Answer):
    """A change after which there are datasets."""

    sentence: str
    """What is changed."""
    diff: str
    """The change line by line: ``-`` for what goes, ``+`` for what comes."""
    rows: Rows
    """Datasets that there are then."""
    dataset_type: str
    """Dataset type of the changed question."""
    collections: tuple[str, ...]
    """Its collections."""
    where: str
    """Its expression."""


class Explanation(Answer):
    """Why a selection is empty, and what to change."""

    rows: Rows
    """Datasets that there are; none, unless it is not empty at all."""
    reasons: tuple[Reason, ...]
    """What leaves it empty, what matters most first."""
    steps: tuple[Step, ...]
    """Its constraints, one after the other."""
    changes: tuple[Change, ...]
    """Changes that give some, the smallest first."""
