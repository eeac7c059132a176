"""Why a query is empty that demands nothing: what it is made of is missing, or does not meet."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lenticular.butler.columns.requests import DataIdQuery, DatasetQuery, RecordQuery
from lenticular.butler.explain import places
from lenticular.butler.explain.alternatives import Offer
from lenticular.butler.explain.conflicts import minimal_conflict
from lenticular.butler.explain.report import Culprit, Rows
from lenticular.butler.explain.sky import nearest_pair, regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenticular.butler.explain.constraints import Question
    from lenticular.butler.explain.probes import Probe

__all__ = ["dataset_offers", "diagnose", "without_overlap"]

_REMEDIES = {
    "instrument": "Register one, as by `butler register-instrument`.",
    "skymap": "Register one, as by `butler register-skymap`.",
    "tract": "Register a skymap, as by `butler register-skymap`.",
    "patch": "Register a skymap, as by `butler register-skymap`.",
    "exposure": "Ingest raws, as by `butler ingest-raws`.",
    "visit": "Define them, as by `butler define-visits`.",
    "physical_filter": "Register the instrument, as by `butler register-instrument`.",
    "detector": "Register the instrument, as by `butler register-instrument`.",
}
_SHOWN = 6


def diagnose(probe: Probe, question: Question) -> tuple[Culprit, list[Offer]]:
    """Return what leaves a question without rows whatever it demands, and what to ask instead.

    Parameters
    ----------
    probe
        Asks the repository.
    question
        The question.
    """
    if isinstance(question.query, DatasetQuery):
        return _search(probe, question.query)
    return _dimensions(probe, question)


def _search(probe: Probe, query: DatasetQuery) -> tuple[Culprit, list[Offer]]:
    found = places.searched(probe, query)
    name = query.dataset_type
    named = ", ".join(found.named)
    near = found.elsewhere[:_SHOWN]
    if not found.named:
        kind, text = "collections", "No collection is searched: the pattern matches none."
    elif not found.visited:
        kind, text = "chain", f"The chain {named} has no members, so nothing is searched."
    elif not found.holding and not found.elsewhere:
        kind, text = "datasets", f"There is no dataset of type {name}, in no collection at all."
        near = tuple(places.other_types(probe, query, found))
    elif not found.holding:
        others = f"{len(found.elsewhere)} other{'s do' if len(found.elsewhere) > 1 else ' does'}"
        kind, text = (
            "datasets",
            f"No collection searched by {named} holds a dataset of type {name}; {others}.",
        )
    else:
        kind = "datasets"
        text = f"Of type {name} there is no dataset left in {named}, where there were some once."
    return Culprit(kind, (f"{name} in {named}",), text, near), dataset_offers(probe, query)


def dataset_offers(probe: Probe, query: DatasetQuery) -> list[Offer]:
    """Return searches of other collections, and for similar dataset types, in the place of one.

    Parameters
    ----------
    probe
        Asks the repository.
    query
        The question.
    """
    found = places.searched(probe, query)
    before = f"collections = {', '.join(found.named)}"
    offers = []
    for name, _ in places.other_collections(probe, query, found):
        parents = found.parents(name)
        within = f" (in the chain {', '.join(parents[:2])})" if parents else ""
        offers.append(
            Offer(
                2,
                replace(query, collections=(name,)),
                f"Search {name}{within}",
                (f"- {before}", f"+ collections = {name}"),
            )
        )
    if not found.holding:
        for kind in places.other_types(probe, query, found):
            lines = (f"- dataset_type = {query.dataset_type}", f"+ dataset_type = {kind}")
            other = replace(query, dataset_type=kind, columns=())
            offers.append(Offer(2.5, other, f"Ask for {kind}, which these collections hold", lines))
    return offers


def _dimensions(probe: Probe, question: Question) -> tuple[Culprit, list[Offer]]:
    names = list(question.scope.required)

    def possible(kept: frozenset[int]) -> bool:
        return not kept or probe.has_rows(_ids(question, [names[number] for number in sorted(kept)]))

    every = frozenset(range(len(names)))
    query = question.query
    if possible(every):
        element = query.element if isinstance(query, RecordQuery) else names[-1]
        return _missing(probe, question, element), []
    conflict = [names[number] for number in minimal_conflict(possible, range(len(names)))]
    if len(conflict) == 1:
        return _missing(probe, question, conflict[0]), []
    culprit = without_overlap(probe, question, conflict)
    offers = []
    if isinstance(query, DataIdQuery):
        for name in conflict:
            left = tuple(one for one in names if one != name and not _depends(question, one, name))
            if left:
                lines = (f"- dimensions = {', '.join(query.dimensions)}", f"+ dimensions = {', '.join(left)}")
                offers.append(Offer(3, replace(query, dimensions=left), f"Ask without {name}", lines))
    return culprit, offers


def _depends(question: Question, name: str, other: str) -> bool:
    return other in question.scope.universe.dimensions[name].minimal_group.names


def _ids(question: Question, names: Sequence[str]) -> DataIdQuery:
    bare = question.compose(frozenset())
    return DataIdQuery(dimensions=tuple(names), where=bare.where if names else "")


def _missing(probe: Probe, question: Question, element: str) -> Culprit:
    remedy = _REMEDIES.get(element, "")
    text = f"There are no records of {element}."
    if element == "visit" and probe.has_rows(_ids(question, ["exposure"])):
        text = "No visits are defined, though there are exposures."
    return Culprit("records", (element,), f"{text} {remedy}".strip())


def without_overlap(probe: Probe, question: Question, names: Sequence[str]) -> Culprit:
    """Return the culprit for dimensions that are there and do not meet.

    Parameters
    ----------
    probe
        Asks the repository.
    question
        The question.
    names
        The dimensions.
    """
    numbers = [probe.count(_ids(question, [name])) or Rows(0) for name in names]
    there = " and ".join(f"{number} of {name}" for number, name in zip(numbers, names, strict=True))
    text = f"There are {there}, but none that belong together"
    elements = question.scope.universe
    spatial = [name for name in names if elements.dimensions[name].spatial is not None]
    if len(spatial) == 2:  # noqa: PLR2004 - a pair
        found = [regions(probe, name, _ids(question, [name])) for name in spatial]
        pair = nearest_pair(found[0], found[1])
        text = f"There are {there}, but none overlaps another on the sky"
        if pair is not None:
            first, second, gap = pair
            text += (
                f"; the nearest are {spatial[0]} {first[spatial[0]]} and {spatial[1]} "
                f"{second[spatial[1]]}, {gap:.3g}° apart"
            )
    return Culprit("overlap", tuple(names), f"{text}.")
