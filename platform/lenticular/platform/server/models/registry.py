"""Questions and answers about repositories, collections and datasets."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field

from lenticular.butler import CollectionKind
from lenticular.platform.server.models.base import Answer, Glob, Label, Limit, Names, Question, Text

__all__ = [
    "Artifact",
    "Collection",
    "CollectionName",
    "CollectionQuestion",
    "CollectionSummary",
    "Collections",
    "CountedDatasetType",
    "Dataset",
    "DatasetQuestion",
    "DatasetSummary",
    "DatasetType",
    "DatasetTypes",
    "DatasetTypesQuestion",
    "Datasets",
    "DatasetsQuestion",
    "Provenance",
    "Repositories",
    "Repository",
    "RepositoryAddress",
    "RepositoryQuestion",
    "SelectionQuestion",
]

type Value = int | float | str | bool | None


class RepositoryQuestion(Question):
    """A repository."""

    label: Label
    """Label of the repository."""


class RepositoryAddress(Answer):
    """Where a repository is."""

    label: str
    """Its label."""
    address: str
    """Its address, without credentials."""


class Repositories(Answer):
    """The repositories of this server."""

    repositories: tuple[RepositoryAddress, ...]
    """In alphabetical order of their labels."""
    read_only: bool
    """Whether this server refuses to start, cancel and restart runs."""


class Repository(Answer):
    """A repository that could be opened."""

    label: str
    """Its label."""
    address: str
    """Its address, without credentials."""
    registry: str
    """Address of its database, without password."""
    datastores: tuple[str, ...]
    """Roots of its datastores, without credentials."""
    collections: int
    """Number of collections."""
    dataset_types: int
    """Number of dataset types."""


class CollectionQuestion(RepositoryQuestion):
    """Which collections to list."""

    glob: Glob = "*"
    """Pattern that the names match. With another than `*`, and without
    `parent`, all that match are given, wherever they are."""
    parent: Label | None = None
    """A chain whose members are wanted, in the order in which they are searched.
    Without it, and without a pattern, those are given that are in no chain."""
    limit: Limit = 500
    """How many at most."""


class CollectionSummary(Answer):
    """A collection in a list."""

    name: str
    """Its name."""
    kind: CollectionKind
    """What it is."""
    children: int
    """Number of members of a chain."""
    documentation: str
    """What its maker wrote of it."""
    dataset_types: int
    """Number of dataset types that it holds, through its members too."""


class Collections(Answer):
    """Some collections."""

    collections: tuple[CollectionSummary, ...]
    """In alphabetical order, or in the order in which a chain is searched."""
    total: int
    """How many there are without the limit."""


class CollectionName(RepositoryQuestion):
    """A collection."""

    name: Label
    """Its name."""


class DatasetType(Answer):
    """A dataset type."""

    name: str
    """Its name."""
    storage_class: str
    """Its storage class."""
    dimensions: tuple[str, ...]
    """Required dimensions of its data IDs."""
    is_calibration: bool
    """Whether its datasets can have a span of validity."""


class CountedDatasetType(DatasetType):
    """A dataset type in a collection."""

    count: int | None
    """Exact number of datasets that `datasets` lists."""


class Collection(Answer):
    """A collection."""

    name: str
    """Its name."""
    kind: CollectionKind
    """What it is."""
    documentation: str
    """What its maker wrote of it."""
    children: tuple[str, ...]
    """Members of a chain, in the order in which they are searched."""
    parents: tuple[str, ...]
    """Chains that have it as a member."""
    dataset_types: tuple[CountedDatasetType, ...]
    """What it holds, through its members too, in alphabetical order."""


class DatasetTypesQuestion(RepositoryQuestion):
    """Which dataset types to list."""

    glob: Glob = "*"
    """Pattern that the names match."""
    limit: Limit = 500
    """How many at most."""


class DatasetTypes(Answer):
    """Some dataset types."""

    dataset_types: tuple[DatasetType, ...]
    """In alphabetical order."""
    total: int
    """How many there are without the limit."""


class SelectionQuestion(RepositoryQuestion):
    """Some datasets of a type."""

    dataset_type: Label
    """Name of the dataset type."""
    collections: Names
    """Collections to search, in order, joined by commas."""
    where: Text = ""
    """Expression that restricts the data IDs, in the registry's language."""


class DatasetsQuestion(SelectionQuestion):
    """Which datasets to list."""

    limit: Limit = 100
    """Datasets on a page at most."""
    after: Annotated[str, Field(max_length=2000)] | None = None
    """`next` of the page before, for the same question."""


class DatasetSummary(Answer):
    """A dataset in a list."""

    id: UUID
    """Its UUID."""
    run: str
    """The RUN collection that holds it."""
    data_id: dict[str, int | str]
    """Values of the required dimensions."""


class Datasets(Answer):
    """A page of datasets."""

    dimensions: tuple[str, ...]
    """Required dimensions, in the order by which the datasets are sorted."""
    datasets: tuple[DatasetSummary, ...]
    """The datasets; of a data ID only what comes first, except in CALIBRATION collections."""
    next: str | None
    """`after` of the next page; null on the last."""


class DatasetQuestion(RepositoryQuestion):
    """A dataset."""

    id: UUID
    """Its UUID."""


class Artifact(Answer):
    """A file or object that holds a dataset, or a part of it."""

    uri: str
    """Where it is, without credentials."""
    bytes: int | None
    """Its size, as the datastore wrote it down."""
    component: str | None
    """The part of the dataset that it holds; null for the whole."""


class Provenance(Answer):
    """The run that made a dataset."""

    run_id: str
    """Its identifier."""
    pipeline: str
    """Its pipeline."""
    created: str
    """When it was launched, ISO 8601, UTC."""


class Dataset(Answer):
    """A dataset."""

    id: UUID
    """Its UUID."""
    dataset_type: str
    """Name of its dataset type."""
    storage_class: str
    """Storage class of the dataset type."""
    dimensions: tuple[str, ...]
    """Required dimensions."""
    run: str
    """The RUN collection that holds it."""
    data_id: dict[str, int | str]
    """Values of all dimensions, also those that follow from the required ones."""
    records: dict[str, dict[str, Value]]
    """Fields of each dimension's record; times as ISO 8601, TAI; no regions."""
    artifacts: tuple[Artifact, ...]
    """Where its bytes are; none if they were removed."""
    provenance: Provenance | None
    """The run of this server's user that made it, if one did."""
