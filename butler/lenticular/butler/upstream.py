"""The one place of this package that leans on how daf_butler works inside.

For now its public interface suffices; what is here turns its answers into
columns, and says which releases were tried.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from lsst.daf.butler import Butler

__all__ = ["dataset_table", "dimension_record_table"]


def dimension_record_table(
    butler: Butler,
    element: str,
    *,
    where: str,
    order_by: Sequence[str],
    limit: int | None,
    data_id: Mapping[str, object],
) -> pa.Table:
    """Return dimension records as columns; see `Repository.dimension_records`."""
    import pyarrow as pa

    with _explained(where):
        records = butler.query_dimension_records(
            element, where=where, order_by=order_by, limit=limit, explain=False, data_id=dict(data_id)
        )
    return pa.Table.from_pylist([dict(_plain_fields(record.toDict())) for record in records])


def dataset_table(
    butler: Butler,
    dataset_type: str,
    collections: Sequence[str],
    *,
    where: str,
    order_by: Sequence[str],
    limit: int | None,
    find_first: bool,
) -> pa.Table:
    """Return datasets as columns; see `Repository.datasets`."""
    import pyarrow as pa

    with _explained(where):
        refs = butler.query_datasets(
            dataset_type,
            collections,
            where=where,
            order_by=order_by,
            limit=limit,
            find_first=find_first,
            explain=False,
        )
    dimensions = butler.get_dataset_type(dataset_type).dimensions
    columns: dict[str, list[Any]] = {
        "dataset_id": [str(ref.id) for ref in refs],
        "run": [ref.run for ref in refs],
    }
    for name in dimensions.names if refs and refs[0].dataId.hasFull() else dimensions.required:
        columns[name] = [ref.dataId[name] for ref in refs]
    return pa.table(columns)


def _plain_fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield a record's fields in types that Arrow knows."""
    for name, value in fields.items():
        if name == "region":
            continue
        if name == "timespan":
            nanoseconds = (None, None) if value is None else (value.nsec[0], value.nsec[1])
            yield from zip(("timespan_begin", "timespan_end"), nanoseconds, strict=True)
        else:
            yield name, value


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn upstream's complaints about an expression into ours."""
    from lsst.daf.butler import ButlerUserError

    try:
        yield
    except (ButlerUserError, ValueError, LookupError) as error:
        raise DataError(
            f"The registry cannot answer this: {error}",
            where=where or None,
            hint="Strings take single quotes, as in instrument = 'HSC' AND visit IN (1, 2).",
        ) from error
