"""Data repositories: opening, creating, asking and filling them, without Jupyter and without tasks.

Importing this package is cheap. Upstream's Butler, pyarrow and the object
store's client are imported when a repository first needs them.

=====================  ===========================================================
`Repository`           a data repository, opened from a label, folder or URI
`create_repository`    a new one
`count`                how many datasets a query has: capped, exactly, or about
`find_dataset`         one dataset by its data ID
`read_facets`          values of each dimension in a selection, with counts
`read_footprints`      where on the sky a selection is
`read_members`         what each member of a chain contributes, and what hides what
`read_page`            datasets page by page; `read_records` dimension records
`explain_empty`        why a query has no rows, and what to change
`compare_collections`  what one collection has and another has not
`check_health`         sizes of a repository, and what is wrong with it
`register_files`       takes files into a repository, many at a time
`copy_registry`        takes a registry to another database
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
    from lenticular.butler.browse import (
        count,
        find_dataset,
        read_facets,
        read_footprints,
        read_members,
        read_page,
        read_records,
    )
    from lenticular.butler.copying import copy_registry
    from lenticular.butler.explain import Explanation, explain_empty
    from lenticular.butler.guard import guarded
    from lenticular.butler.health import check_health, compare_collections
    from lenticular.butler.registration import FileToRegister, register_files

__all__ = [
    "CollectionInfo",
    "CollectionKind",
    "DatasetTypeInfo",
    "Explanation",
    "FileToRegister",
    "LenticularError",
    "Location",
    "Repository",
    "RepositoryConfiguration",
    "add_label",
    "check_health",
    "compare_collections",
    "copy_registry",
    "count",
    "create_repository",
    "explain_empty",
    "find_dataset",
    "guarded",
    "labels",
    "read_facets",
    "read_footprints",
    "read_members",
    "read_page",
    "read_records",
    "redact",
    "redacted_environment",
    "register_files",
]

_BROWSE = (
    "count",
    "find_dataset",
    "read_facets",
    "read_footprints",
    "read_members",
    "read_page",
    "read_records",
)
__getattr__, __dir__ = loaded_on_use(
    __name__,
    dict.fromkeys(_BROWSE, "browse")
    | dict.fromkeys(("Explanation", "explain_empty"), "explain")
    | dict.fromkeys(("FileToRegister", "register_files"), "registration")
    | dict.fromkeys(("check_health", "compare_collections"), "health")
    | {"copy_registry": "copying", "guarded": "guard"},
)
del loaded_on_use
