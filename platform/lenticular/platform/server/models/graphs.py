"""Questions and answers about pipelines and QuantumGraphs."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from lenticular.platform.server.models.base import Answer, Label, Limit, Path, Question, Text

__all__ = [
    "ConfigValue",
    "DatasetTypePreview",
    "Edge",
    "FileQuestion",
    "Graph",
    "GraphDatasetType",
    "GraphTask",
    "Pipeline",
    "Pipelines",
    "Preview",
    "PreviewEdge",
    "PreviewQuestion",
    "Quanta",
    "QuantaQuestion",
    "Quantum",
    "Task",
    "TaskPreview",
]


class Task(Answer):
    """A task of a pipeline."""

    label: str
    """Its label."""
    task_class: str
    """Fully qualified name of its class."""
    documentation: str
    """First sentence of what its author wrote of it."""


class Pipeline(Answer):
    """A pipeline."""

    name: str
    """Its name."""
    description: str
    """What its author wrote of it."""
    tasks: tuple[Task, ...]
    """In the order of the file."""


class Pipelines(Answer):
    """The pipelines that can be run."""

    pipelines: tuple[Pipeline, ...]
    """In alphabetical order."""


class ConfigValue(Question):
    """One value of one task's configuration; it is never executed."""

    task: Label
    """Label of the task."""
    field: Label
    """Name of the field; the names of nested configurations are joined by points."""
    value: Any
    """A scalar, a list, a mapping, or null."""


class PreviewQuestion(Question):
    """Which tasks are to run on which data."""

    label: Label
    """Label of the repository."""
    pipeline: Label
    """Name of a pipeline; `#label,label` or `#subset` at its end selects tasks."""
    inputs: Annotated[tuple[Label, ...], Field(min_length=1, max_length=100)]
    """Collections to search for inputs, in order."""
    where: Text = ""
    """Constraint on data IDs, in the registry's language."""
    config: Annotated[tuple[ConfigValue, ...], Field(max_length=1000)] = ()
    """Values that differ from those of the pipeline; later ones win."""


class TaskPreview(Answer):
    """How often a task would run."""

    label: str
    """Its label."""
    task_class: str
    """Fully qualified name of its class."""
    dimensions: tuple[str, ...]
    """Dimensions of its data IDs."""
    quanta: int
    """How often it would run."""


class DatasetTypePreview(Answer):
    """How many datasets of a type would be read or made."""

    name: str
    """Its name."""
    storage_class: str
    """Its storage class."""
    dimensions: tuple[str, ...]
    """Dimensions of its data IDs."""
    existing: int
    """Datasets that are there and would be read."""
    to_make: int
    """Datasets that would be made."""


class PreviewEdge(Answer):
    """That a task reads or writes datasets of a type."""

    task: str
    """Label of the task."""
    dataset_type: str
    """Name of the dataset type."""
    reads: bool
    """Whether the task reads it; else it writes it."""


class Preview(Answer):
    """What a QuantumGraph would hold."""

    tasks: tuple[TaskPreview, ...]
    """In the order in which they would run."""
    dataset_types: tuple[DatasetTypePreview, ...]
    """In the order in which the tasks meet them."""
    edges: tuple[PreviewEdge, ...]
    """Who reads and writes what."""
    quanta: int
    """Number of quanta of all tasks."""
    where: str
    """Constraint on data IDs."""
    seconds: float
    """How long it took [s]."""


class FileQuestion(Question):
    """A file."""

    path: Path
    """Path below the server's root folder, as the contents API has it."""


class GraphTask(Answer):
    """A task of a QuantumGraph."""

    label: str
    """Its label."""
    task_class: str
    """Fully qualified name of its class."""
    dimensions: tuple[str, ...]
    """Required dimensions of its quanta."""
    quanta: int
    """Number of its quanta."""
    inputs: tuple[str, ...]
    """Dataset types that it reads."""
    outputs: tuple[str, ...]
    """Dataset types that it writes; its log, metadata and configuration are left out."""


class GraphDatasetType(Answer):
    """A dataset type of a QuantumGraph."""

    name: str
    """Its name."""
    storage_class: str
    """Its storage class."""
    dimensions: tuple[str, ...]
    """Required dimensions of its data IDs."""
    count: int | None
    """Number of datasets to be made; null for one that is only read, which a
    graph's outline does not count."""


type Edge = tuple[str, str, int | None]


class Graph(Answer):
    """The outline of a QuantumGraph."""

    tasks: tuple[GraphTask, ...]
    """In the order in which they run."""
    dataset_types: tuple[GraphDatasetType, ...]
    """In the order in which the tasks meet them."""
    edges: tuple[Edge, ...]
    """From, to, and number of datasets, null where the outline does not tell.
    From a dataset type to a task that reads it, or from a task to one that it writes."""
    header: dict[str, Any]
    """What the file says of itself, without credentials."""


class QuantaQuestion(FileQuestion):
    """Which quanta to list."""

    task: Label
    """Label of the task."""
    limit: Limit = 100
    """How many at most."""
    offset: Annotated[int, Field(ge=0, le=10**9)] = 0
    """How many to leave out first; a file does not change."""


class Quantum(Answer):
    """A quantum."""

    id: UUID
    """Its UUID."""
    data_id: dict[str, int | str]
    """Values of the required dimensions."""


class Quanta(Answer):
    """Some quanta of a task."""

    columns: tuple[str, ...]
    """Required dimensions."""
    quanta: tuple[Quantum, ...]
    """In the order of their data IDs."""
    total: int
    """How many the task has."""
