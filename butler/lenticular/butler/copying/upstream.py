"""What a copy needs of daf_butler's inside: a registry's tables, and a new one like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy
    from lsst.daf.butler import Butler, Config
    from lsst.resources import ResourcePath

__all__ = ["make_registry_like", "registry_tables_of"]


def make_registry_like(source: Butler, configuration: Config, root: ResourcePath) -> None:
    """Make an empty registry with the dimensions of another one.

    Parameters
    ----------
    source
        The registry whose universe of dimensions the new one gets.
    configuration
        Configuration of the new repository, which names its database.
    root
        Folder that stands for ``<butlerRoot>`` in it.
    """
    from lsst.daf.butler.registry import RegistryConfig
    from lsst.daf.butler.registry._registry_factory import _RegistryFactory

    factory = _RegistryFactory(RegistryConfig(configuration["registry"]))
    made = factory.create_from_config(dimensionConfig=source.dimensions.dimensionConfig, butlerRoot=root)
    made.close()


def registry_tables_of(butler: Butler, *, create: bool = False) -> tuple[sqlalchemy.Table, ...]:
    """Return every table of a registry, each after those that it refers to.

    Parameters
    ----------
    butler
        The repository; opening it has declared the static tables and those of
        its datastores.
    create
        Whether to make the tables of dataset types that do not exist yet.

    Raises
    ------
    lsst.daf.butler.registry.interfaces.MissingDatabaseTableError
        Raised if the table of a dataset type does not exist, and is not to be made.
    """
    from lsst.daf.butler._utilities.thread_safe_cache import ThreadSafeCache
    from lsst.daf.butler.registry.datasets.byDimensions.tables import DynamicTables

    registry: Any = butler._registry  # type: ignore[attr-defined]  # of the one class there is
    database, managers = registry._db, registry._managers
    collections, cache = type(managers.collections), ThreadSafeCache[str, Any]()
    for key, (tags, calibs) in sorted(_named_tables(database, managers).items()):
        tables = DynamicTables(managers.dimensions.load_dimension_group(key), key, tags, calibs)
        if create:
            tables.create(database, collections, cache)
        else:
            tables.tags(database, collections, cache)
            if calibs is not None:
                tables.calibs(database, collections, cache)
    return tuple(database._metadata._metadata.sorted_tables)


def _named_tables(database: Any, managers: Any) -> dict[int, tuple[str, str | None]]:
    """Return the names of the tags and calibs tables for each key of a dimension group."""
    found: dict[int, tuple[str, str | None]] = {}
    with database.query(managers.datasets._static.dataset_type.select()) as rows:
        for row in rows.mappings().fetchall():
            key, calibs = int(row["dimensions_key"]), row["calibration_association_table"]
            _, before = found.get(key, ("", None))
            found[key] = (row["tag_association_table"], calibs or before)
    return found
