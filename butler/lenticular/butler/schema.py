"""Which registries are understood here: tables, and the versions they are for.

The registry's tables are asked directly, since the public interface makes a
Python object of every row. That is right only for the layout that is known,
so the versions which every registry keeps in ``butler_attributes`` are
checked before the first question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.database import explained, reader
from lenticular.butler.errors import SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy

__all__ = ["SUPPORTED", "Tables", "check_schema", "registry_tables"]

SUPPORTED: dict[str, dict[str, tuple[str, ...]]] = {
    "collections": {"SynthIntKeyCollectionManager": ("2.0",)},
    "datasets": {"ByDimensionsDatasetRecordStorageManagerUUID": ("1.0", "2.0")},
    "dimensions": {"StaticDimensionRecordStorageManager": ("6.0",)},
}
"""For each part of a registry, its managers and their major.minor versions."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The registry's own tables, as far as they are read here."""

    attributes: sqlalchemy.TableClause
    collection: sqlalchemy.TableClause
    chain: sqlalchemy.TableClause
    summary: sqlalchemy.TableClause
    summary_instrument: sqlalchemy.TableClause
    summary_skymap: sqlalchemy.TableClause
    dataset_type: sqlalchemy.TableClause
    dimension_group: sqlalchemy.TableClause
    dataset: sqlalchemy.TableClause
    location: sqlalchemy.TableClause
    """Datasets that are in a datastore."""

    trash: sqlalchemy.TableClause
    """Datasets whose files are to be removed from a datastore."""

    def association(self, name: str, dimensions: Iterable[str]) -> sqlalchemy.TableClause:
        """Return the table that says which datasets of some types are in which collection.

        Parameters
        ----------
        name
            Its name, from the row of a dataset type.
        dimensions
            Required dimensions of these types.
        """
        import sqlalchemy

        columns = ("dataset_type_id", "collection_id", *dimensions)
        return sqlalchemy.table(
            name,
            # SQLite keeps UUIDs as 32 hexadecimal digits, as SQLAlchemy does.
            sqlalchemy.column("dataset_id", sqlalchemy.Uuid()),
            *(sqlalchemy.column(column) for column in columns),
            schema=self.dataset.schema,
        )


def registry_tables(namespace: str | None) -> Tables:
    """Return the registry's tables without asking the database for them.

    Parameters
    ----------
    namespace
        Schema that holds them (PostgreSQL), or `None` for the default one.
    """
    import sqlalchemy

    def table(name: str, *columns: str) -> sqlalchemy.TableClause:
        return sqlalchemy.table(name, *(sqlalchemy.column(column) for column in columns), schema=namespace)

    return Tables(
        attributes=table("butler_attributes", "name", "value"),
        collection=table("collection", "collection_id", "name", "type", "doc"),
        chain=table("collection_chain", "parent", "position", "child"),
        summary=table("collection_summary_dataset_type", "collection_id", "dataset_type_id"),
        summary_instrument=table("collection_summary_instrument", "collection_id", "instrument"),
        summary_skymap=table("collection_summary_skymap", "collection_id", "skymap"),
        dataset_type=table(
            "dataset_type",
            "id",
            "name",
            "storage_class",
            "dimensions_key",
            "tag_association_table",
            "calibration_association_table",
        ),
        dimension_group=table("dimension_graph_definition", "dimension_graph_id", "dimension_name"),
        location=table("dataset_location", "datastore_name", "dataset_id"),
        trash=table("dataset_location_trash", "datastore_name", "dataset_id"),
        dataset=table("dataset", "id", "dataset_type_id", "ingest_date", "run_id"),
    )


def check_schema(engine: sqlalchemy.Engine, tables: Tables, *, where: object) -> dict[str, str]:
    """Check that a registry's layout is one that is understood here.

    Returns
    -------
    dict
        Version of each manager, by the part it manages.

    Raises
    ------
    SchemaVersionError
        Raised if a manager or its version is unknown.
    DatabaseUnreachableError
        Raised if the database does not answer, or holds no registry.
    """
    import sqlalchemy

    columns = tables.attributes.c
    query = sqlalchemy.select(columns.name, columns.value).where(
        columns.name.like("config:registry.managers.%") | columns.name.like("version:%")
    )
    with explained(where), reader(engine).connect() as connection:
        attributes: dict[str, str] = {str(name): str(value) for name, value in connection.execute(query)}
    versions = {}
    for part, managers in SUPPORTED.items():
        manager = attributes.get(f"config:registry.managers.{part}", "")
        version = attributes.get(f"version:{manager}", "")
        known = managers.get(manager.rpartition(".")[2], ())
        if version.rpartition(".")[0] not in known:
            raise SchemaVersionError(
                f"This registry manages its {part} by {manager.rpartition('.')[2] or 'nothing'} "
                f"{version or 'without a version'}, which is not known here",
                where=where,
                hint="It may be of a newer or much older middleware: look for a newer lenticular, "
                "or migrate the repository with lsst-daf-butler-migrate.",
            )
        versions[part] = version
    return versions
