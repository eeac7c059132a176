"""Making a new repository, on SQLite or PostgreSQL and a folder or S3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenticular.butler.configuration import CONFIGURATION_NAME
from lenticular.butler.database import explained
from lenticular.butler.errors import ConfigurationError, LenticularError, RepositoryExistsError
from lenticular.butler.index import add_label
from lenticular.butler.redact import redact
from lenticular.butler.repository import Repository
from lenticular.butler.store import Location, probe_store, read_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["create_repository"]


def create_repository(
    root: str | os.PathLike[str],
    *,
    database: str | None = None,
    namespace: str | None = None,
    datastore: str | None = None,
    config: Mapping[str, Any] | None = None,
    label: str | None = None,
    label_file: Path | None = None,
    timeout: float = 5.0,
) -> Repository:
    """Make an empty repository and open it for writing.

    Parameters
    ----------
    root
        Folder or S3 URI for its configuration.
    database
        SQLAlchemy URL of the registry's database. SQLite in the folder by
        default; for a root in S3 it must be given. Prefer credentials in
        ``db-auth.yaml`` or ``PGPASSFILE`` to a password in the URL, which
        would be written into ``butler.yaml``: such a URL is refused.
    namespace
        Schema for the registry's tables (PostgreSQL).
    datastore
        Folder or S3 URI for its files; ``datastore`` in the root by default.
    config
        Further configuration, merged under the above: storage classes,
        formatters, write recipes.
    label, label_file
        Label to add for it to this index file.
    timeout
        Seconds after which a database or store counts as unreachable.

    Returns
    -------
    Repository
        Open for writing.

    Raises
    ------
    RepositoryExistsError
        Raised if there is a configuration at this place already; it is left
        as it is.
    ConfigurationError
        Raised for a combination that cannot work.
    DatabaseUnreachableError, StoreUnreachableError
        Raised if the database or the datastore's bucket does not answer.

    Notes
    -----
    The configuration is written last of all by upstream but before the
    registry's tables exist; if these cannot be made, it is taken away again,
    so that a second attempt starts clean.
    """
    home = Location.parse(root)
    _check_absent(home, timeout)
    settings = _settings(home, database, namespace, datastore, config)
    files = Location.parse(settings["datastore"]["root"].replace("<butlerRoot>", str(home).rstrip("/")))
    if not files.is_local:
        probe_store(files, timeout=timeout)
    _make(root, home, settings)
    if label is not None and label_file is not None:
        add_label(label, str(root), label_file)
    return Repository.open(root, writeable=True, timeout=timeout)


def _check_absent(home: Location, timeout: float) -> None:
    try:
        read_bytes(home.join(CONFIGURATION_NAME), timeout=timeout)
    except LenticularError as error:
        if type(error).__name__ == "RepositoryNotFoundError":
            return
        raise
    raise RepositoryExistsError(
        "There is a repository at this place already", where=home, hint="Open it, or choose another place."
    )


def _settings(
    home: Location,
    database: str | None,
    namespace: str | None,
    datastore: str | None,
    config: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the seed of ``butler.yaml``."""
    if database is None and not home.is_local:
        raise ConfigurationError(
            "A repository with its configuration in S3 needs a database elsewhere",
            where=home,
            hint="Give `database`, such as postgresql://user@host/database or sqlite:////path/file.sqlite3.",
        )
    if database is not None and redact(database) != database:
        raise ConfigurationError(
            "The database's address holds a password, which would be written into butler.yaml",
            where=database,
            hint="Leave it out and put it into db-auth.yaml or PGPASSFILE.",
        )
    settings: dict[str, Any] = {}
    _merge(settings, config or {})
    registry = {"db": database or "sqlite:///<butlerRoot>/gen3.sqlite3"}
    if namespace is not None:
        registry["namespace"] = namespace
    _merge(settings, {"registry": registry, "datastore": {"root": datastore or "<butlerRoot>/datastore"}})
    return settings


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _make(root: str | os.PathLike[str], home: Location, settings: Mapping[str, Any]) -> None:
    from lsst.daf.butler import Butler, Config
    from lsst.resources import ResourcePath

    if home.is_local:
        Path(home.path).mkdir(parents=True, exist_ok=True)
    try:
        with explained(home):
            Butler.makeRepo(str(root), Config(settings), forceConfigRoot=False)
    except BaseException:
        ResourcePath(str(root), forceDirectory=True).join(CONFIGURATION_NAME).remove()
        raise
