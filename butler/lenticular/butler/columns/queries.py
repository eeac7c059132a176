"""Any question about datasets, data IDs, records and dataset types, answered as one table."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lenticular.butler.columns.reading import ask, butler_of, read
from lenticular.butler.columns.requests import DataIdQuery, DatasetQuery, RecordQuery

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lsst.daf.butler import Butler

    from lenticular.butler.columns.reading import Cancel, Source

__all__ = ["query_data_ids", "query_dataset_types", "query_datasets", "query_dimension_records"]

_DATASET_TYPES = pa.schema(
    [
        ("name", pa.string()),
        ("dimensions", pa.list_(pa.string())),
        ("storage_class", pa.dictionary(pa.int32(), pa.string())),
        ("is_calibration", pa.bool_()),
    ]
)


def query_datasets(
    source: Source,
    dataset_type: str,
    collections: str | Iterable[str] | None = None,
    *,
    find_first: bool = True,
    columns: Iterable[str] = (),
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    cancel: Cancel | None = None,
) -> pa.Table:
    """Return datasets.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    dataset_type
        Name of their type.
    collections
        Collections to search, in order; the Butler's own by default. Without
        `find_first` also globs.
    find_first
        Whether to return, for a data ID, only what comes first.
    columns
        Fields wanted beside the UUID, run and data ID: those of a dimension
        element as ``visit.exposure_time``, those of the dataset by their name:
        ``collection``, ``ingest_date`` and, without `find_first`, ``timespan``
        (of a calibration's validity).
    where
        Butler expression that restricts them.
    bind
        Values for identifiers of the expression.
    data_id
        Dimension values that restrict them.
    order_by
        Dimensions or fields to sort by; ``-`` before a name reverses.
    limit
        Rows to return at most; `None` for all.
    cancel
        See `~lenticular.butler.columns.reading.read`.

    Returns
    -------
    pyarrow.Table
        ``dataset_id``, ``run``, one column for each dimension, also those that
        follow from the required ones, and the others; types as in
        `lenticular.butler.columns.layout`.

    Raises
    ------
    DataError
        Raised if the question cannot be answered, as for a wrong expression,
        or if a data ID has several calibrations and one of them is asked for.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    QueryCancelledError
        Raised if the answer is no longer wanted.
    RepositoryError
        Raised if the database fails.
    """
    request = DatasetQuery(
        dataset_type=dataset_type,
        collections=None if collections is None else _listed(collections),
        find_first=find_first,
        columns=_listed(columns),
        where=where,
        bind=dict(bind or {}),
        data_id=dict(data_id or {}),
        order_by=_listed(order_by),
        limit=limit,
    )
    return read(source, request, cancel=cancel)


def query_data_ids(
    source: Source,
    dimensions: str | Iterable[str],
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    cancel: Cancel | None = None,
) -> pa.Table:
    """Return data IDs.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    dimensions
        Their dimensions; those that they imply are added. Between dimensions
        on the sky, or in time, the join is that of their overlap.
    where, bind, data_id, order_by, limit, cancel
        As for `query_datasets`.

    Returns
    -------
    pyarrow.Table
        One column for each dimension.

    Raises
    ------
    DataError, QueryCancelledError, RepositoryError
        As for `query_datasets`.
    """
    request = DataIdQuery(
        dimensions=_listed(dimensions),
        where=where,
        bind=dict(bind or {}),
        data_id=dict(data_id or {}),
        order_by=_listed(order_by),
        limit=limit,
    )
    return read(source, request, cancel=cancel)


def query_dimension_records(
    source: Source,
    element: str,
    *,
    where: str = "",
    bind: Mapping[str, Any] | None = None,
    data_id: Mapping[str, Any] | None = None,
    order_by: str | Iterable[str] = (),
    limit: int | None = None,
    cancel: Cancel | None = None,
) -> pa.Table:
    """Return the records of a dimension element.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    element
        The element, such as ``visit``, ``detector`` or ``visit_detector_region``.
    where, bind, data_id, order_by, limit, cancel
        As for `query_datasets`.

    Returns
    -------
    pyarrow.Table
        One column for each field, of a timespan two.

    Raises
    ------
    DataError, QueryCancelledError, RepositoryError
        As for `query_datasets`.
    """
    request = RecordQuery(
        element=element,
        where=where,
        bind=dict(bind or {}),
        data_id=dict(data_id or {}),
        order_by=_listed(order_by),
        limit=limit,
    )
    return read(source, request, cancel=cancel)


def query_dataset_types(
    source: Source, patterns: str | Iterable[str] = "*", *, collections: str | Iterable[str] | None = None
) -> pa.Table:
    """Return dataset types.

    Parameters
    ----------
    source
        A repository, or upstream's Butler on it.
    patterns
        A glob for their names, or several.
    collections
        If given, only those of which these collections may hold a dataset.

    Returns
    -------
    pyarrow.Table
        ``name``, ``dimensions`` (the required ones), ``storage_class`` and
        ``is_calibration``, in alphabetical order.
    """
    globs = _listed(patterns)
    searched = None if collections is None else _listed(collections)
    return ask(source, lambda: _dataset_types(butler_of(source), globs, searched))


def _dataset_types(butler: Butler, globs: Iterable[str], collections: Iterable[str] | None) -> pa.Table:
    kinds = {kind.name: kind for kind in butler.registry.queryDatasetTypes()}
    names = {name for glob in globs for name in fnmatch.filter(kinds, glob)}
    if collections is not None:
        found = butler.collections.query_info(collections, include_summary=True, flatten_chains=True)
        names &= {name for info in found for name in info.dataset_types or ()}
    chosen = [kinds[name] for name in sorted(names)]
    return pa.table(
        {
            "name": [kind.name for kind in chosen],
            "dimensions": [list(kind.dimensions.required) for kind in chosen],
            "storage_class": [kind.storageClass_name for kind in chosen],
            "is_calibration": [kind.isCalibration() for kind in chosen],
        },
        _DATASET_TYPES,
    )


def _listed(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
