"""Where upstream defines the classes that are displayed.

Users import them from public packages; IPython knows a class by the module
that defines it, which is none of them. A name that upstream has moved is no
error: its objects are shown as text.
"""

from __future__ import annotations

__all__ = ["DEFINED_IN"]

DEFINED_IN = {
    "Butler": "lsst.daf.butler._butler",
    "CollectionInfo": "lsst.daf.butler._butler_collections",
    "CollectionSummary": "lsst.daf.butler.registry._collection_summary",
    "DataCoordinate": "lsst.daf.butler.dimensions._coordinate",
    "DatasetRef": "lsst.daf.butler._dataset_ref",
    "DatasetType": "lsst.daf.butler._dataset_type",
    "PredictedQuantumGraph": "lsst.pipe.base.quantum_graph._predicted",
    "QuantumGraph": "lsst.pipe.base.graph.graph",
    "Table": "pyarrow.lib",
}
"""Module of each class, by its name."""
