"""What a selection of datasets is made of, or why it is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler import explain_empty, read_facets
from lenticular.platform.server.models.registry import SelectionQuestion
from lenticular.platform.server.models.selections import (
    Change,
    Explanation,
    Facet,
    Facets,
    FacetsQuestion,
    FacetValue,
    Reason,
    Rows,
    Step,
)

if TYPE_CHECKING:
    from lenticular.butler.columns import DatasetQuery
    from lenticular.platform.server.access import Access

__all__ = ["describe_facets", "explain_selection"]


def describe_facets(access: Access, question: FacetsQuestion) -> Facets:
    """Count the values of each dimension in a selection of datasets."""
    with access.repositories.use(question.label) as repository:
        found = read_facets(repository, _query(question), most=question.limit)
    return Facets(
        facets=tuple(
            Facet(
                dimension=facet.dimension,
                values=tuple(FacetValue(value=value, count=number) for value, number in facet.values),
                distinct=facet.distinct,
            )
            for facet in found
        ),
        total=found.total,
    )


def explain_selection(access: Access, question: SelectionQuestion) -> Explanation:
    """Say why a selection of datasets is empty, and what to change."""
    with access.repositories.use(question.label) as repository:
        found = explain_empty(repository, _query(question))
    told = found.as_dict()
    return Explanation(
        rows=Rows(**told["rows"]),
        reasons=tuple(Reason(**one) for one in (told["culprit"], *told["others"]) if one is not None),
        steps=tuple(Step(**one) for one in told["steps"]),
        changes=tuple(_change(one) for one in told["relaxations"]),
    )


def _query(question: SelectionQuestion) -> DatasetQuery:
    from lenticular.butler.columns import DatasetQuery

    return DatasetQuery(
        dataset_type=question.dataset_type, collections=question.collections, where=question.where
    )


def _change(relaxation: dict[str, Any]) -> Change:
    query = relaxation["query"]
    return Change(
        sentence=relaxation["sentence"],
        diff=relaxation["diff"],
        rows=Rows(**relaxation["rows"]),
        dataset_type=query["dataset_type"],
        collections=tuple(query["collections"] or ()),
        where=query["where"],
    )
