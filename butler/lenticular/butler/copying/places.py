"""The two registries of a copy, opened: their databases, tables and configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenticular.butler.configuration import CONFIGURATION_NAME, with_credentials
from lenticular.butler.copying import upstream
from lenticular.butler.copying.forms import layout_of
from lenticular.butler.database import explained, open_engine, parse_database
from lenticular.butler.errors import ConfigurationError, RepositoryExistsError, SchemaVersionError
from lenticular.butler.redact import redact
from lenticular.butler.store import Location

if TYPE_CHECKING:
    import sqlalchemy
    from lsst.daf.butler import Butler, Config

    from lenticular.butler.copying.forms import Layout
    from lenticular.butler.repository import Repository

__all__ = ["Target", "check_alike", "check_versions", "layouts", "open_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a copy goes."""

    engine: sqlalchemy.Engine
    """Its database, to be written."""

    configuration: Config
    """Configuration of the repository that the copy makes, with the source's datastore."""

    namespace: str | None
    """Schema that holds its tables (PostgreSQL)."""

    @property
    def shown(self) -> str:
        """Address of the database, fit to be shown."""
        return redact(self.configuration["registry", "db"])

    def make(self, source: Butler) -> None:
        """Make an empty registry with the source's dimensions."""
        from lsst.resources import ResourcePath

        with explained(self.shown):
            upstream.make_registry_like(
                source, self.configuration, ResourcePath(self.configuration["root"], forceDirectory=True)
            )

    def open(self) -> Butler:
        """Return upstream's Butler on the copy."""
        from lsst.daf.butler import Butler

        with explained(self.shown):
            return Butler.from_config(self.configuration, writeable=True)

    def write_configuration(self, root: str) -> str:
        """Write ``butler.yaml`` for a repository of the copy and the source's files.

        Returns
        -------
        str
            Its address.

        Raises
        ------
        RepositoryExistsError
            Raised if there is one already.
        """
        from lsst.resources import ResourcePath

        place = ResourcePath(Location.parse(root).uri, forceDirectory=True).join(CONFIGURATION_NAME)
        try:
            self.configuration.dumpToUri(place, overwrite=False)
        except FileExistsError as error:
            raise RepositoryExistsError(
                "There is a repository at this place already", where=root, hint="Choose another place."
            ) from error
        return str(place)


def open_target(
    source: Repository, database: str, namespace: str | None, *, timeout: float, create: bool
) -> Target:
    """Open the database that a copy goes into.

    Parameters
    ----------
    source
        The repository whose registry is copied.
    database
        SQLAlchemy URL.
    namespace
        Schema for the tables (PostgreSQL).
    timeout
        Seconds after which it counts as unreachable.
    create
        Whether a SQLite file that does not exist is to be made.

    Raises
    ------
    ConfigurationError
        Raised if the address cannot be understood, holds a password, or is
        that of the source.
    """
    from lsst.daf.butler import Config

    url = parse_database(database, where=source.name)
    if redact(database) != database:
        raise ConfigurationError(
            "The database's address holds a password, which would be written into butler.yaml",
            where=database,
            hint="Leave it out and put it into db-auth.yaml or PGPASSFILE.",
        )
    theirs = source.configuration
    if (url, namespace) == (theirs.database_url, theirs.namespace):
        raise ConfigurationError(
            "A registry cannot be copied onto itself", where=database, hint="Name another database."
        )
    file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
    if file is not None and create:
        file.touch(exist_ok=True)  # opening one that does not exist is an error elsewhere
    engine = open_engine(with_credentials(url), writeable=True, timeout=timeout)
    configuration = Config(theirs.location.uri)
    # The registry knows the datastore by its address as it is written, `<butlerRoot>` and all:
    # so the mark stays, and is told what it stands for.
    configuration["root"] = str(theirs.root).rstrip("/")
    configuration["registry", "db"] = database
    if namespace is not None:
        configuration["registry", "namespace"] = namespace
    elif "namespace" in configuration["registry"]:
        del configuration["registry", "namespace"]
    return Target(engine, configuration, namespace)


def layouts(butler: Butler, *, create: bool = False) -> dict[str, Layout]:
    """Return how a registry keeps each of its tables, in an order in which they can be filled.

    Parameters
    ----------
    butler
        The repository.
    create
        Whether to make the tables of dataset types that do not exist yet.
    """
    tables = upstream.registry_tables_of(butler, create=create)
    return {table.name: layout_of(table) for table in tables}


def check_alike(source: dict[str, Layout], target: dict[str, Layout], where: object) -> None:
    """Check that two registries have the same tables with the same values.

    Raises
    ------
    SchemaVersionError
        Raised if they do not, naming what differs.
    """
    for name, layout in source.items():
        other = target.get(name)
        if other is None or other.shape != layout.shape or other.key != layout.key:
            reason = "does not exist" if other is None else "is another one"
            raise SchemaVersionError(
                f"The table {name} of the source {reason} in a registry that this middleware makes",
                where=where,
                hint="Migrate the source with lsst-daf-butler-migrate first, and open it with its own "
                "configuration of managers.",
            )


def check_versions(
    source: tuple[sqlalchemy.Engine, Layout], target: tuple[sqlalchemy.Engine, Layout]
) -> None:
    """Check that the registry just made is of the source's version.

    Parameters
    ----------
    source, target
        Database, and its table of attributes.

    Raises
    ------
    SchemaVersionError
        Raised if it is not.
    """
    theirs, ours = _versions(*source), _versions(*target)
    differing = sorted(name for name in theirs | ours if theirs.get(name) != ours.get(name))
    if differing:
        name = differing[0]
        raise SchemaVersionError(
            f"The source has {theirs.get(name, 'nothing')} for {name}, and a new registry has "
            f"{ours.get(name, 'nothing')}",
            where=source[0].url,
            hint="Migrate the source with lsst-daf-butler-migrate first.",
        )


def _versions(engine: sqlalchemy.Engine, attributes: Layout) -> dict[str, str]:
    """Return the managers of a registry and their versions."""
    import sqlalchemy

    columns: Any = attributes.table.c
    query = sqlalchemy.select(columns.name, columns.value).where(
        columns.name.like("version:%") | columns.name.like("config:registry.managers.%")
    )
    with engine.connect() as connection:
        return {str(name): str(value) for name, value in connection.execute(query)}
