"""A repository's configuration, read without upstream's machinery.

What a browser of repositories needs of ``butler.yaml`` is the database's
address and the datastores' roots. Reading just these takes milliseconds and
lets a wrong address be told apart from a dead one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lenticular.butler.database import parse_database
from lenticular.butler.errors import ConfigurationError
from lenticular.butler.redact import redact
from lenticular.butler.store import Location, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import sqlalchemy

__all__ = [
    "CONFIGURATION_NAME",
    "DEFAULT_DATABASE",
    "ROOT_MARK",
    "RepositoryConfiguration",
    "read_configuration",
    "with_credentials",
]

ROOT_MARK = "<butlerRoot>"
DEFAULT_DATABASE = f"sqlite:///{ROOT_MARK}/gen3.sqlite3"
CONFIGURATION_NAME = "butler.yaml"


@dataclass(frozen=True, slots=True)
class RepositoryConfiguration:
    """What a repository's ``butler.yaml`` says of its database and files."""

    location: Location
    """Where the configuration file is."""

    root: Location
    """What ``<butlerRoot>`` stands for."""

    database: str | None = field(repr=False)
    """Address of the registry's database, possibly with a password in it;
    `None` for a repository behind a Butler server."""

    namespace: str | None
    """Schema of the database that holds the registry's tables."""

    datastores: tuple[Location, ...]
    """Root of each file datastore, in the order in which they are asked."""

    content: Mapping[str, Any] = field(repr=False)
    """The whole of the configuration file."""

    @property
    def shown_database(self) -> str:
        """The database's address without its password, fit to be shown."""
        return "a Butler server" if self.database is None else redact(self.database)

    @property
    def database_url(self) -> sqlalchemy.URL:
        """The database's address with credentials from ``db-auth.yaml``.

        Raises
        ------
        ConfigurationError
            Raised if the repository has no database of its own (it is behind
            a Butler server) or the address cannot be parsed.
        """
        if self.database is None:
            raise ConfigurationError(
                "This repository is served by a Butler server and has no database to ask directly",
                where=self.location,
                hint="Use lsst.daf.butler.Butler.from_config on it.",
            )
        url = parse_database(self.database, where=self.location)
        registry = self.content.get("registry") or {}
        for key in ("username", "password", "host", "port", "database"):
            if getattr(url, key) is None and registry.get(key) is not None:
                url = url.set(**{key: registry[key]})
        return with_credentials(url)


def read_configuration(target: Location, *, timeout: float = 5.0) -> RepositoryConfiguration:
    """Read the configuration of the repository at a location.

    Parameters
    ----------
    target
        A repository's folder, or its configuration file.
    timeout
        Seconds after which an object store counts as unreachable.

    Raises
    ------
    RepositoryNotFoundError
        Raised if there is no configuration at this place.
    ConfigurationError
        Raised if it is not a Butler configuration.
    StoreUnreachableError
        Raised if the object store it is in does not answer in time.
    """
    is_file = PurePosixPath(target.path).suffix in {".yaml", ".yml", ".json"}
    location = target if is_file else target.join(CONFIGURATION_NAME)
    content = _parse(read_bytes(location, timeout=timeout), location)
    root = _root(content, location)
    registry = content.get("registry") or {}
    server = "remote_butler" in content or "RemoteButler" in str(content.get("cls", ""))
    database = None if server else _resolve(str(registry.get("db") or DEFAULT_DATABASE), root)
    roots = () if server else tuple(_datastore_roots(content.get("datastore") or {}, root))
    return RepositoryConfiguration(location, root, database, registry.get("namespace"), roots, content)


def _parse(data: bytes, location: Location) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.load(data, Loader=_including_loader())  # noqa: S506  a SafeLoader with !include
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" at line {mark.line + 1}"
        raise ConfigurationError(
            f"The configuration is not valid YAML{line}",
            where=location,
            hint="Compare it with a repository that works.",
        ) from None  # the parser's own error quotes the line, and with it a password
    if (
        not isinstance(content, dict)
        or not {"registry", "datastore", "remote_butler", "cls"} & content.keys()
    ):
        hint = "It has neither a registry nor a datastore; give the folder that holds butler.yaml."
        raise ConfigurationError(
            "This file is not the configuration of a Butler repository", where=location, hint=hint
        )
    for part in ("registry", "datastore"):
        if not isinstance(content.get(part) or {}, dict):
            raise ConfigurationError(
                f"What the configuration says of its {part} is not a mapping",
                where=location,
                hint=f"Write the settings of {part} as `key: value` lines, indented below it.",
            )
    return content


def _including_loader() -> type[Any]:
    """Return a safe YAML loader that leaves ``!include`` as an empty mapping.

    Included parts hold defaults (formatters, templates), never the addresses
    that are read here.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe loader that knows upstream's one tag of its own."""

    Loader.add_constructor("!include", lambda _loader, _node: {})
    return Loader


def _root(content: Mapping[str, Any], location: Location) -> Location:
    declared = content.get("root")
    return Location.parse(str(declared)) if declared else location.parent()


def _resolve(text: str, root: Location) -> str:
    return text.replace(f"{ROOT_MARK}/", f"{str(root).rstrip('/')}/").replace(
        ROOT_MARK, str(root).rstrip("/")
    )


def _datastore_roots(datastore: Mapping[str, Any], root: Location) -> Iterator[Location]:
    for child in datastore.get("datastores") or ():
        inner = child.get("datastore", child) if isinstance(child, dict) else None
        if not isinstance(inner, dict):
            raise ConfigurationError(
                "A member of the chained datastore is not a mapping",
                where=root,
                hint="Write each of datastore.datastores as `- datastore: {cls: ..., root: ...}`.",
            )
        yield from _datastore_roots(inner, root)
    if "datastores" not in datastore:
        declared = datastore.get("root")
        kind = str(datastore.get("cls", "FileDatastore"))
        if declared is not None or kind.endswith("FileDatastore"):
            yield Location.parse(_resolve(str(declared or f"{ROOT_MARK}/datastore"), root))


def with_credentials(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """Add user and password from ``db-auth.yaml``, as upstream does.

    Parameters
    ----------
    url
        Address of a database, with or without a user.

    Raises
    ------
    ConfigurationError
        Raised if the file is malformed, or readable by others.
    """
    if url.get_backend_name() == "sqlite" or url.host is None or url.database is None or url.password:
        return url
    from lsst.utils.db_auth import DbAuth, DbAuthError, DbAuthNotFoundError

    try:
        user, password = DbAuth().getAuth(url.drivername, url.username, url.host, url.port, url.database)
    except DbAuthNotFoundError:
        return url  # PGPASSFILE, a service file or peer authentication may still let us in
    except DbAuthError as error:
        hint = "It must be readable by you alone (chmod 600) and hold a list of url, username, password."
        raise ConfigurationError(
            "The database credentials file cannot be used", where="db-auth.yaml", hint=hint
        ) from error
    return url.set(username=user, password=password)
