"""Data repositories: opening, creating and reading them, without Jupyter and without tasks.

Importing this package is cheap. Upstream's Butler, pyarrow and the object
store's client are imported when a repository first needs them.
"""

from lenticular.butler.browse import CollectionInfo, CollectionKind, DatasetTypeInfo
from lenticular.butler.configuration import RepositoryConfiguration
from lenticular.butler.creation import create_repository
from lenticular.butler.errors import LenticularError
from lenticular.butler.index import add_label, labels
from lenticular.butler.redact import redact, redacted_environment
from lenticular.butler.repository import Repository
from lenticular.butler.store import Location

__all__ = [
    "CollectionInfo",
    "CollectionKind",
    "DatasetTypeInfo",
    "LenticularError",
    "Location",
    "Repository",
    "RepositoryConfiguration",
    "add_label",
    "create_repository",
    "labels",
    "redact",
    "redacted_environment",
]
