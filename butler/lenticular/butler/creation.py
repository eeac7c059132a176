"""Making a new repository, on SQLite or PostgreSQL and a folder or S3."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenticular.butler.configuration import (
    CONFIGURATION_NAME,
    DEFAULT_DATABASE,
    ROOT_MARK,
    with_credentials,
)
from lenticular.butler.database import answering_within, explained, open_engine, parse_database
from lenticular.butler.errors import ConfigurationError, RepositoryExistsError, RepositoryNotFoundError
from lenticular.butler.index import add_label, check_label
from lenticular.butler.redact import redact
from lenticular.butler.repository import Repository
from lenticular.butler.store import Location, probe_store, read_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import sqlalchemy

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
        Label to add for it, at its absolute address, to this index file.
    timeout
        Seconds after which a database or store counts as unreachable.

    Returns
    -------
    Repository
        Open for writing.

    Raises
    ------
    RepositoryExistsError
        Raised if there is a configuration at this place, or a registry in
        the database, already; both are left as they are.
    ConfigurationError
        Raised for a combination that cannot work, or a word that cannot be a
        label.
    DatabaseUnreachableError, StoreUnreachableError
        Raised if the database or the datastore's bucket does not answer.

    Notes
    -----
    The configuration is written first, which in a folder only one of several
    calls at once can do, and before the registry's tables exist; if these
    cannot be made, it and a SQLite file that this call has made are taken away
    again, so that a second attempt starts clean.
    """
    home = Location.parse(root)
    if label is not None:
        check_label(label)
    _check_absent(home, timeout)
    settings = _settings(home, database, namespace, datastore, config)
    url = parse_database(settings["registry"]["db"], where=home)
    files = Location.parse(settings["datastore"]["root"].replace(ROOT_MARK, str(home).rstrip("/")))
    if not files.is_local:
        probe_store(files, timeout=timeout)
    _check_database(url, home, timeout)
    _make(home, settings, url)
    if label is not None and label_file is not None:
        add_label(label, home.uri, label_file)
    return Repository.open(root, writeable=True, timeout=timeout)


def _check_absent(home: Location, timeout: float) -> None:
    try:
        read_bytes(home.join(CONFIGURATION_NAME), timeout=timeout)
    except RepositoryNotFoundError:
        return
    raise _exists(home)


def _settings(
    home: Location,
    database: str | None,
    namespace: str | None,
    datastore: str | None,
    config: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the seed of ``butler.yaml``."""
    if not (home.is_local or home.scheme == "s3"):
        raise ConfigurationError(
            "A repository cannot be made behind a web server",
            where=home,
            hint="Give a folder or an s3:// address.",
        )
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
    registry = {"db": database or DEFAULT_DATABASE}
    if namespace is not None:
        registry["namespace"] = namespace
    _merge(settings, {"registry": registry, "datastore": {"root": _absolute(datastore)}})
    return settings


def _merge(into: dict[str, Any], extra: Mapping[str, Any]) -> None:
    for key, value in extra.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


def _absolute(datastore: str | None) -> str:
    """Return a datastore's root as ``butler.yaml`` needs it, wherever it is read from."""
    if datastore is None:
        return f"{ROOT_MARK}/datastore"
    if datastore.startswith(ROOT_MARK) or "://" in datastore:
        return datastore
    return str(Location.parse(datastore))


def _check_database(url: sqlalchemy.URL, home: Location, timeout: float) -> None:
    """Ask a PostgreSQL server whether it can hold a registry; upstream sets no deadline."""
    import sqlalchemy

    if url.get_backend_name() == "sqlite":
        return
    engine = open_engine(with_credentials(url), timeout=timeout)
    query = sqlalchemy.text("SELECT count(*) FROM pg_extension WHERE extname = 'btree_gist'")
    try:
        with answering_within(engine, timeout, where=home), explained(home), engine.connect() as connection:
            present = connection.execute(query).scalar()
    finally:
        engine.dispose()
    if not present:
        raise ConfigurationError(
            "The database lacks the extension btree_gist, which a registry needs",
            where=home,
            hint="Let its administrator run `CREATE EXTENSION btree_gist` in this database.",
        )


def _make(home: Location, settings: Mapping[str, Any], url: sqlalchemy.URL) -> None:
    """Write ``butler.yaml`` and make the registry, or leave things as they were."""
    from lsst.resources import ResourcePath

    from lenticular.butler import upstream

    if home.is_local:
        _make_folder(home)
    try:
        configuration = upstream.write_configuration(home.uri, settings)
    except FileExistsError as error:  # somebody else was faster: it is theirs
        raise _exists(home) from error
    # From here on butler.yaml is ours, and the SQLite file if there is none yet.
    file = _sqlite_file(url, home)
    was_there = file is None or file.exists()
    try:
        with explained(home):
            upstream.make_registry(configuration, home.uri)
    except BaseException:
        with suppress(FileNotFoundError):
            ResourcePath(home.uri, forceDirectory=True).join(CONFIGURATION_NAME).remove()
        if file is not None and not was_there:
            for suffix in ("", "-journal", "-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
        raise


def _make_folder(home: Location) -> None:
    try:
        Path(home.path).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RepositoryExistsError(
            "A file is in the way of the repository's folder", where=home, hint="Choose another place."
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"The repository's folder cannot be made: {error.strerror}",
            where=home,
            hint="Choose a place that you may write to.",
        ) from error


def _sqlite_file(url: sqlalchemy.URL, home: Location) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database.replace(ROOT_MARK, home.path.rstrip("/")))


def _exists(home: Location) -> RepositoryExistsError:
    return RepositoryExistsError(
        "There is a repository at this place already", where=home, hint="Open it, or choose another place."
    )
