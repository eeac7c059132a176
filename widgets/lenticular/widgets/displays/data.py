"""Displays of what a repository holds: Butler, collections, dataset types, references, data IDs.

Nothing here asks the registry or the object store: to show an object must
cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.display import Piece, display, labels, pairs, rows

if TYPE_CHECKING:
    import pyarrow as pa
    from lsst.daf.butler import Butler, CollectionInfo, DataCoordinate, DatasetRef, DatasetType
    from lsst.daf.butler.registry import CollectionSummary

__all__ = [
    "butler",
    "collection_info",
    "collection_summary",
    "data_coordinate",
    "dataset_ref",
    "dataset_type",
    "table",
]


def butler(shown: Butler) -> str:
    """Return the display of a Butler: where its files are, and what it searches by default."""
    roots = {name: root for name, root in shown.get_datastore_roots().items() if root is not None}
    universe = shown.dimensions
    defaults = shown.registry.defaults
    return display(
        "Butler",
        "writeable" if shown.isWriteable() else "read-only",
        pairs(
            [
                ("files in", labels(root.geturl() for root in roots.values())),
                ("searches", labels(defaults.collections) if defaults.collections else "nothing by default"),
                ("writes to", shown.run),
                ("assumes", _data_id(defaults.dataId)),
                ("dimensions", f"{universe.namespace}, version {universe.version}"),
            ]
        ),
    )


def collection_info(shown: CollectionInfo) -> str:
    """Return the display of what a Butler tells of a collection."""
    types = shown.dataset_types
    return display(
        "Collection",
        shown.name,
        pairs(
            [
                ("kind", shown.type.name),
                ("about", shown.doc),
                ("searches", labels(shown.children)),
                ("is searched by", labels(sorted(shown.parents or ()))),
                ("dataset types", None if types is None else labels(sorted(types))),
            ]
        ),
    )


def collection_summary(shown: CollectionSummary) -> str:
    """Return the display of a registry's summary of a collection."""
    lines = [
        (kind.name, labels(kind.dimensions.required), kind.storageClass_name)
        for kind in sorted(shown.dataset_types, key=lambda kind: kind.name)
    ]
    governors = {name: labels(sorted(values)) for name, values in shown.governors.items()}
    return display(
        "Collection summary",
        f"{len(lines)} dataset types",
        pairs(governors.items()),
        rows(("dataset type", "dimensions", "storage class"), lines) if lines else Piece(""),
    )


def dataset_type(shown: DatasetType) -> str:
    """Return the display of a dataset type."""
    return display(
        "Dataset type",
        shown.name,
        pairs(
            [
                ("dimensions", labels(shown.dimensions.required) or "none"),
                ("storage class", shown.storageClass_name),
                ("calibration", "valid for ranges of dates" if shown.isCalibration() else None),
                ("component of", shown.nameAndComponent()[0] if shown.isComponent() else None),
            ]
        ),
    )


def dataset_ref(shown: DatasetRef) -> str:
    """Return the display of a reference to a dataset."""
    return display(
        "Dataset",
        shown.datasetType.name,
        pairs(
            [
                *_entries(shown.dataId),
                ("run", shown.run),
                ("storage class", shown.datasetType.storageClass_name),
                ("ID", shown.id),
            ]
        ),
    )


def data_coordinate(shown: DataCoordinate) -> str:
    """Return the display of a data ID: what identifies it, then what follows from that."""
    return display("Data ID", "" if shown.dimensions else "without dimensions", pairs(_entries(shown)))


def table(shown: pa.Table) -> str:
    """Return the display of a table: of an answer in columns, also what was asked."""
    from lenticular.butler.columns.shown import table_html

    return table_html(shown)


def _entries(data_id: DataCoordinate) -> list[tuple[str, object]]:
    entries: list[tuple[str, object]] = [(name, data_id[name]) for name in data_id.dimensions.required]
    if data_id.hasFull():
        entries += [(name, data_id[name]) for name in data_id.dimensions.implied]
    return entries


def _data_id(data_id: DataCoordinate) -> str:
    return ", ".join(f"{name} {value}" for name, value in _entries(data_id))
