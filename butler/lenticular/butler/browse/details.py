"""Everything that a registry and its datastore know of one dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler import upstream
from lenticular.butler.display import Piece, display, pairs, rows, shown_size
from lenticular.butler.errors import NotFoundError
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from lenticular.butler.repository import Repository

__all__ = ["Artifact", "DatasetDetails", "read_details"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or object that holds a dataset, or a part of it."""

    uri: str
    """Where it is, fit to be shown."""

    bytes: int | None
    """Its size, as the datastore wrote it down; `None` if it did not."""

    component: str | None
    """The part of the dataset that it holds; `None` for the whole."""


@dataclass(frozen=True, slots=True)
class DatasetDetails:
    """One dataset."""

    id: str
    """Its UUID."""

    dataset_type: str
    """Name of its dataset type."""

    storage_class: str
    """Storage class of the dataset type."""

    dimensions: tuple[str, ...]
    """Required dimensions."""

    run: str
    """The RUN collection that holds it."""

    data_id: Mapping[str, Any]
    """Values of all dimensions, also those that follow from the required ones."""

    records: Mapping[str, Mapping[str, Any]]
    """Fields of each dimension's record; times as ISO 8601, TAI; no regions."""

    artifacts: tuple[Artifact, ...]
    """Where its bytes are; none if they were removed."""

    def _repr_html_(self) -> str:
        files = [
            (one.uri, one.component or "", "" if one.bytes is None else shown_size(one.bytes))
            for one in self.artifacts
        ]
        return display(
            "Dataset",
            self.dataset_type,
            pairs(
                [
                    *self.data_id.items(),
                    ("run", self.run),
                    ("storage class", self.storage_class),
                    ("ID", self.id),
                ]
            ),
            rows(("file", "part", "size"), files) if files else Piece("<p>It has no file.</p>"),
        )


def read_details(repository: Repository, dataset_id: UUID) -> DatasetDetails:
    """Look one dataset up by its UUID.

    Parameters
    ----------
    repository
        The repository.
    dataset_id
        The UUID.

    Raises
    ------
    NotFoundError
        Raised if the repository has no such dataset.
    """
    ref = repository.butler.get_dataset(dataset_id, dimension_records=True)
    if ref is None:
        raise NotFoundError(
            f"There is no dataset {dataset_id}", where=repository.name, hint="It may have been removed."
        )
    return DatasetDetails(
        id=str(ref.id),
        dataset_type=ref.datasetType.name,
        storage_class=ref.datasetType.storageClass_name,
        dimensions=tuple(ref.datasetType.dimensions.required),
        run=ref.run,
        data_id=dict(ref.dataId.mapping),
        records={
            element: _shown(ref.dataId.records[element])
            for element in ref.dataId.dimensions.elements
            if ref.dataId.records[element] is not None
        },
        artifacts=tuple(
            Artifact(redact(uri), size, component)
            for uri, size, component in upstream.stored_artifacts(repository.butler, ref)
        ),
    )


def _shown(record: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in record.toDict().items():
        if name == "timespan":
            # As text: nanoseconds are more than a browser's numbers can hold.
            ends = (None, None) if value is None else (value.begin, value.end)
            for end, moment in zip(("begin", "end"), ends, strict=True):
                fields[f"timespan_{end}"] = None if moment is None else str(moment.tai.isot)
        elif name != "region":
            fields[name] = value if isinstance(value, bool | int | float | str | None) else str(value)
    return fields
