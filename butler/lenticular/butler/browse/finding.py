"""One dataset by its data ID: what comes first in a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.paging import DatasetRow
from lenticular.butler.browse.selection import select
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy

    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.repository import Repository

__all__ = ["find_dataset"]


def find_dataset(
    repository: Repository,
    dataset_type: str,
    collections: str | Iterable[str],
    data_id: Mapping[str, int | str],
) -> DatasetRow | None:
    """Find the dataset with a data ID.

    Parameters
    ----------
    repository
        The repository.
    dataset_type
        Name of its type.
    collections
        Collections to search, in order.
    data_id
        Its data ID; more dimensions than the required ones may be given.

    Returns
    -------
    DatasetRow or None
        The dataset that comes first; `None` if there is none.

    Raises
    ------
    DataError
        Raised if a required dimension is missing, or if there are several
        calibrations, each valid for another span of time.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    from lenticular.butler.columns import DatasetQuery, query_datasets

    names = (collections,) if isinstance(collections, str) else tuple(collections)
    query = DatasetQuery(dataset_type=dataset_type, collections=names, data_id=dict(data_id))
    chosen = select(repository, query)
    required = chosen.kind.dimensions
    missing = [name for name in required if name not in data_id]
    if missing:
        raise DataError(
            f"A data ID of {dataset_type!r} lacks {', '.join(missing)}",
            where=repository.name,
            hint=f"It consists of {', '.join(required)}.",
        )
    if not chosen.is_simple:
        found = query_datasets(repository, dataset_type, names, data_id=data_id).to_pylist()
        return _row(found[0], required) if found else None
    if not chosen.members:
        return None
    return repository.read(lambda connection: _first(connection, repository, chosen))


def _first(connection: sqlalchemy.Connection, repository: Repository, chosen: Selection) -> DatasetRow | None:
    import sqlalchemy

    tables = repository.tables
    tags, datasets, runs = chosen.tags.c, tables.dataset.c, tables.collection.c
    place = sqlalchemy.case(
        {member.id: place for place, member in enumerate(chosen.members)}, value=tags.collection_id
    )
    found = (
        connection.execute(
            chosen.held("dataset_id", *chosen.kind.dimensions)
            .add_columns(runs.name.label("run"))
            .join(tables.dataset, datasets.id == tags.dataset_id)
            .join(tables.collection, runs.collection_id == datasets.run_id)
            .order_by(place)
            .limit(1)
        )
        .mappings()
        .first()
    )
    return None if found is None else _row(dict(found), chosen.kind.dimensions)


def _row(found: Mapping[str, Any], required: Iterable[str]) -> DatasetRow:
    """Return a row of either way; a driver has UUIDs as such, as text or as bytes."""
    import uuid

    key = found["dataset_id"]
    known = uuid.UUID(bytes=key) if isinstance(key, bytes) else uuid.UUID(str(key))
    return DatasetRow(str(known), str(found["run"]), tuple(found[name] for name in required))
