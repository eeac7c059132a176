"""What a registry holds, as a tree: collections, their members, their dataset types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler.browse import match
from lenticular.butler.errors import NotFoundError
from lenticular.platform.server.models.registry import (
    Collection,
    CollectionName,
    CollectionQuestion,
    Collections,
    CollectionSummary,
    CountedDatasetType,
    DatasetType,
    DatasetTypes,
    DatasetTypesQuestion,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lenticular.butler import CollectionInfo, DatasetTypeInfo
    from lenticular.platform.server.access import Access

__all__ = ["describe_collection", "list_collections", "list_dataset_types"]

_ANY = "*"


def list_collections(access: Access, question: CollectionQuestion) -> Collections:
    """List collections: those at the top, the members of a chain, or all whose names match."""
    with access.repositories.use(question.label) as repository:
        known = {info.name: info for info in repository.collections()}
        where = repository.name
    chosen: Sequence[str]
    if question.parent is not None:
        if question.parent not in known:
            raise NotFoundError(f"There is no collection {question.parent!r}", where=where)
        chosen = known[question.parent].children
    elif question.glob == _ANY:
        within = {child for info in known.values() for child in info.children}
        chosen = [name for name in known if name not in within]
    else:
        chosen = list(known)
    matching = match(chosen, question.glob)
    return Collections(
        collections=tuple(_summary(known[name]) for name in matching[: question.limit]), total=len(matching)
    )


def describe_collection(access: Access, question: CollectionName) -> Collection:
    """Say what a collection is made of and how many datasets of each type are seen in it."""
    with access.repositories.use(question.label) as repository:
        info = repository.collection(question.name)
        counts = repository.visible_counts(question.name)
        kinds = {kind.name: kind for kind in repository.dataset_types()}
        parents = tuple(other.name for other in repository.collections() if question.name in other.children)
    return Collection(
        name=info.name,
        kind=info.kind,
        documentation=info.documentation,
        children=info.children,
        parents=parents,
        dataset_types=tuple(
            CountedDatasetType(**_fields(kinds[name]), count=counts.get(name))
            for name in info.dataset_types
            if name in kinds
        ),
    )


def list_dataset_types(access: Access, question: DatasetTypesQuestion) -> DatasetTypes:
    """List dataset types whose names match."""
    with access.repositories.use(question.label) as repository:
        found = repository.dataset_types(question.glob)
    return DatasetTypes(
        dataset_types=tuple(DatasetType(**_fields(kind)) for kind in found[: question.limit]),
        total=len(found),
    )


def _summary(info: CollectionInfo) -> CollectionSummary:
    return CollectionSummary(
        name=info.name,
        kind=info.kind,
        children=len(info.children),
        documentation=info.documentation,
        dataset_types=len(info.dataset_types),
    )


def _fields(kind: DatasetTypeInfo) -> dict[str, Any]:
    return {
        "name": kind.name,
        "storage_class": kind.storage_class,
        "dimensions": kind.dimensions,
        "is_calibration": kind.is_calibration,
    }
