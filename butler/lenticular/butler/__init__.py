"""Data repositories: opening, creating, asking and filling them, without Jupyter and without tasks.

Importing this package is cheap. Upstream's Butler, pyarrow and the object
store's client are imported when a repository first needs them.

=====================  ===========================================================
`Repository`           a data repository, opened from a label, folder or URI
`create_repository`    a new one
`count`                how many datasets a query has: capped, exactly, or about
`find_dataset`         one dataset by its data ID
`read_facets`          values of each dimension in a selection, with counts
`read_page`            datasets page by page
`explain_empty`        why a query has no rows, and what to change
`guarded`              a deadline, and an event that cancels, for all queries inside
=====================  ===========================================================

Answers of any size come as Arrow tables from `lenticular.butler.columns`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenticular.butler.browse import CollectionInfo, CollectionKind, DatasetTypeInfo
from lenticular.butler.configuration import RepositoryConfiguration
from lenticular.butler.creation import create_repository
from lenticular.butler.errors import LenticularError
from lenticular.butler.index import add_label, labels
from lenticular.butler.lazy import loaded_on_use
from lenticular.butler.redact import redact, redacted_environment
from lenticular.butler.repository import Repository
from lenticular.butler.store import Location

if TYPE_CHECKING:
    from lenticular.butler.browse import count, find_dataset, read_facets, read_page
    from lenticular.butler.explain import Explanation, explain_empty
    from lenticular.butler.guard import guarded

__all__ = [
    "CollectionInfo",
    "CollectionKind",
    "DatasetTypeInfo",
    "Explanation",
    "LenticularError",
    "Location",
    "Repository",
    "RepositoryConfiguration",
    "add_label",
    "count",
    "create_repository",
    "explain_empty",
    "find_dataset",
    "guarded",
    "labels",
    "read_facets",
    "read_page",
    "redact",
    "redacted_environment",
]

__getattr__, __dir__ = loaded_on_use(
    __name__,
    dict.fromkeys(("count", "find_dataset", "read_facets", "read_page"), "browse")
    | dict.fromkeys(("Explanation", "explain_empty"), "explain")
    | {"guarded": "guard"},
)
del loaded_on_use
