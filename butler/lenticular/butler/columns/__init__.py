"""Answers of a registry in columns, as Arrow tables.

Upstream plans: its expression language, joins on the sky and in time, lookups
of calibrations and search for what comes first stay exactly its own. Only the
running of the planned statement is ours, which makes columns of the rows
instead of a Python object of each.

=============================  ================================================
`query_datasets`               datasets of a type
`query_data_ids`               data IDs of some dimensions
`query_dimension_records`      records of a dimension element
`query_dataset_types`          dataset types
`read`, `stream`               the same for a question as a value
                               (`DatasetQuery`, `DataIdQuery`, `RecordQuery`),
                               whole or batch by batch
`plain_table`                  an answer as a person, or JSON, can have it
=============================  ================================================

Everything is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.butler.columns.plain import plain_table
    from lenticular.butler.columns.queries import (
        query_data_ids,
        query_dataset_types,
        query_datasets,
        query_dimension_records,
    )
    from lenticular.butler.columns.reading import read, stream
    from lenticular.butler.columns.requests import DataIdQuery, DatasetQuery, RecordQuery

__all__ = [
    "DataIdQuery",
    "DatasetQuery",
    "RecordQuery",
    "plain_table",
    "query_data_ids",
    "query_dataset_types",
    "query_datasets",
    "query_dimension_records",
    "read",
    "stream",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    {
        "DataIdQuery": "requests",
        "DatasetQuery": "requests",
        "RecordQuery": "requests",
        "plain_table": "plain",
        "query_data_ids": "queries",
        "query_dataset_types": "queries",
        "query_datasets": "queries",
        "query_dimension_records": "queries",
        "read": "reading",
        "stream": "reading",
    },
)
