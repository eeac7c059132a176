"""Answers of a registry that a browser asks most, by direct SQL.

Each is one statement, or a few, whatever the number of collections, where the
public interface sends one recursive query for every chain.

Everything is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.lazy import loaded_on_use

if TYPE_CHECKING:
    from lenticular.butler.browse.collections import CollectionInfo, CollectionKind, flatten, list_collections
    from lenticular.butler.browse.counting import (
        Count,
        CountKind,
        count,
        count_datasets,
        count_visible,
        with_counts,
    )
    from lenticular.butler.browse.dataset_types import DatasetTypeInfo, list_dataset_types
    from lenticular.butler.browse.details import Artifact, DatasetDetails, read_details
    from lenticular.butler.browse.facets import Facet, Facets, read_facets
    from lenticular.butler.browse.finding import find_dataset
    from lenticular.butler.browse.footprints import Coverage, Footprint, Footprints, read_footprints
    from lenticular.butler.browse.marks import PageMark
    from lenticular.butler.browse.members import Chain, Contribution, Shadowing, read_members, read_shadowed
    from lenticular.butler.browse.names import match, not_found
    from lenticular.butler.browse.paging import NEWEST, DatasetPage, DatasetRow, read_page, read_query_page
    from lenticular.butler.browse.records import RecordPage, read_records

__all__ = [
    "NEWEST",
    "Artifact",
    "Chain",
    "CollectionInfo",
    "CollectionKind",
    "Contribution",
    "Count",
    "CountKind",
    "Coverage",
    "DatasetDetails",
    "DatasetPage",
    "DatasetRow",
    "DatasetTypeInfo",
    "Facet",
    "Facets",
    "Footprint",
    "Footprints",
    "PageMark",
    "RecordPage",
    "Shadowing",
    "count",
    "count_datasets",
    "count_visible",
    "find_dataset",
    "flatten",
    "list_collections",
    "list_dataset_types",
    "match",
    "not_found",
    "read_details",
    "read_facets",
    "read_footprints",
    "read_members",
    "read_page",
    "read_query_page",
    "read_records",
    "read_shadowed",
    "with_counts",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    {
        "Artifact": "details",
        "Chain": "members",
        "CollectionInfo": "collections",
        "CollectionKind": "collections",
        "Contribution": "members",
        "Count": "counting",
        "CountKind": "counting",
        "Coverage": "footprints",
        "DatasetDetails": "details",
        "DatasetPage": "paging",
        "DatasetRow": "paging",
        "DatasetTypeInfo": "dataset_types",
        "Facet": "facets",
        "Facets": "facets",
        "Footprint": "footprints",
        "Footprints": "footprints",
        "NEWEST": "paging",
        "PageMark": "marks",
        "RecordPage": "records",
        "Shadowing": "members",
        "count": "counting",
        "count_datasets": "counting",
        "count_visible": "counting",
        "find_dataset": "finding",
        "flatten": "collections",
        "list_collections": "collections",
        "list_dataset_types": "dataset_types",
        "match": "names",
        "not_found": "names",
        "read_details": "details",
        "read_facets": "facets",
        "read_footprints": "footprints",
        "read_members": "members",
        "read_page": "paging",
        "read_query_page": "paging",
        "read_records": "records",
        "read_shadowed": "members",
        "with_counts": "counting",
    },
)
