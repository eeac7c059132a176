"""What bulk registration needs of daf_butler's inside: where an ingest writes, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy
    from lsst.daf.butler import Butler, DataCoordinate, DatasetRef, DatasetType

__all__ = ["Places", "formatter_name", "places_of", "update_summary"]


@dataclass(frozen=True, slots=True)
class Places:
    """Where an ingest of one dataset type into one run writes."""

    dataset: sqlalchemy.Table
    """Table of all datasets."""

    tags: sqlalchemy.Table
    """Table of which dataset a run has for which data ID."""

    location: sqlalchemy.Table
    """Table of which datastore has which dataset."""

    records: sqlalchemy.Table
    """The datastore's own table."""

    type_id: int
    """Number of the dataset type."""

    run_id: int
    """Number of the run."""

    run_column: str
    """Column of ``dataset`` with the run."""

    collection_column: str
    """Column of ``tags`` with the run."""

    datastore: str
    """Name of the datastore."""

    checksums: bool
    """Whether the datastore keeps checksums."""

    nanoseconds: bool
    """Whether times of registration are numbers of nanoseconds TAI."""

    connection: sqlalchemy.Connection | None
    """Connection of the transaction that is open, if one is."""


def places_of(butler: Butler, dataset_type: DatasetType, run: str) -> Places | None:
    """Return where an ingest writes; `None` where only upstream itself may write.

    That is a chain of datastores or one not of files, one that does not take
    everything, and a registry that keeps a table for ObsCore as well.

    Parameters
    ----------
    butler
        The repository.
    dataset_type
        A registered dataset type.
    run
        A registered run.
    """
    from lsst.daf.butler.datastores.fileDatastore import FileDatastore

    inside: Any = butler
    registry: Any = inside._registry
    datastore: Any = inside._datastore
    managers = registry._managers
    kind: Any = type(datastore)
    if kind is not FileDatastore or managers.obscore is not None:
        return None
    constraints = datastore.constraints
    if constraints._accept or constraints._reject or dataset_type.isComponent():
        return None
    datasets = managers.datasets
    storage = datasets._find_storage(dataset_type.name)
    return Places(
        dataset=datasets._static.dataset,
        tags=datasets._get_tags_table(storage.dynamic_tables),
        location=datastore.bridge._tables.dataset_location,
        records=datastore._table._table,
        type_id=storage.dataset_type_id,
        run_id=managers.collections.find(run).key,
        run_column=datasets._run_key_column,
        collection_column=managers.collections.getCollectionForeignKeyName(),
        datastore=datastore.name,
        checksums=datastore.useChecksum,
        nanoseconds=datasets._use_astropy_ingest_date,
        connection=registry._db._session_connection,
    )


def update_summary(
    butler: Butler, dataset_type: DatasetType, run: str, data_ids: Iterable[DataCoordinate]
) -> None:
    """Note in a run's summary which dataset type, and which instruments and skymaps, it has.

    Parameters
    ----------
    butler
        The repository, in a transaction.
    dataset_type
        A registered dataset type.
    run
        A registered run.
    data_ids
        Data IDs of its new datasets.
    """
    from lsst.daf.butler.registry import CollectionSummary

    inside: Any = butler
    managers = inside._registry._managers
    summary = CollectionSummary()
    for _ in summary.add_data_ids_generator(dataset_type, data_ids):
        pass
    type_id = managers.datasets._find_storage(dataset_type.name).dataset_type_id
    managers.datasets._summaries.update(managers.collections.find(run), [type_id], summary)


def formatter_name(butler: Butler, ref: DatasetRef, formatter: Any) -> str:
    """Return the name of the class that reads a file, as a datastore records it.

    Parameters
    ----------
    butler
        The repository.
    ref
        A dataset in the file.
    formatter
        A class or its name, or `None` for what the configuration says.

    Raises
    ------
    TypeError
        Raised if this is no class that reads datasets.
    """
    from lsst.daf.butler import Formatter, FormatterV2
    from lsst.utils.introspection import get_class_of, get_full_type_name

    inside: Any = butler
    if formatter is None:
        found = inside._datastore.formatterFactory.getFormatterClass(ref)
    else:
        found = get_class_of(formatter)
        if not issubclass(found, Formatter | FormatterV2):
            message = f"{formatter} does not read datasets"
            raise TypeError(message)
    return str(get_full_type_name(found))
