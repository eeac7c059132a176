"""Dataset types, and what their data IDs are made of."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.butler.browse.universe import dimension_order, read_universe
from lenticular.butler.display import display, labels, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy

    from lenticular.butler.browse.universe import Universe
    from lenticular.butler.repository import Repository
    from lenticular.butler.schema import Tables

__all__ = ["DatasetTypeInfo", "StoredType", "list_dataset_types", "read_dataset_types"]


@dataclass(frozen=True, slots=True)
class DatasetTypeInfo:
    """A dataset type and what its data IDs are made of."""

    name: str
    storage_class: str
    dimensions: tuple[str, ...]
    """Required dimensions, in the order in which people write them."""

    is_calibration: bool
    all_dimensions: tuple[str, ...] = ()
    """Also those that follow from the required ones, such as the band of a visit."""

    def _repr_html_(self) -> str:
        implied = [name for name in self.all_dimensions if name not in self.dimensions]
        return display(
            "Dataset type",
            self.name,
            pairs(
                [
                    ("dimensions", labels(self.dimensions) or "none"),
                    ("implied", labels(implied)),
                    ("storage class", self.storage_class),
                    ("calibration", "valid for ranges of dates" if self.is_calibration else None),
                ]
            ),
        )


@dataclass(frozen=True, slots=True)
class StoredType:
    """A dataset type, and where the registry keeps its datasets."""

    id: int
    info: DatasetTypeInfo
    group: int
    """The registry's number for its dimensions."""

    tags: str
    """Table of its datasets in collections other than CALIBRATION ones."""

    calibrations: str | None
    """Table of its datasets in CALIBRATION collections."""


def list_dataset_types(repository: Repository) -> Mapping[str, DatasetTypeInfo]:
    """Return every dataset type, by name, in alphabetical order.

    Parameters
    ----------
    repository
        The repository.
    """
    universe = read_universe(repository)
    found = repository.read(lambda connection: read_dataset_types(connection, repository.tables, universe))
    return {name: stored.info for name, stored in found.items()}


def read_dataset_types(
    connection: sqlalchemy.Connection, tables: Tables, universe: Universe
) -> Mapping[str, StoredType]:
    """Read every dataset type, over a connection to the registry.

    Parameters
    ----------
    connection
        The connection.
    tables
        The registry's tables.
    universe
        The registry's dimensions.

    Returns
    -------
    dict
        By name, in alphabetical order.
    """
    import sqlalchemy

    kinds, groups = tables.dataset_type.c, tables.dimension_group.c
    rows = connection.execute(
        sqlalchemy.select(*kinds, groups.dimension_name).outerjoin_from(
            tables.dataset_type, tables.dimension_group, groups.dimension_graph_id == kinds.dimensions_key
        )
    ).all()
    dimensions: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.dimension_name is not None:
            dimensions[row.name].add(row.dimension_name)
    return {
        row.name: StoredType(
            row.id,
            DatasetTypeInfo(
                name=row.name,
                storage_class=row.storage_class,
                dimensions=tuple(sorted(dimensions[row.name], key=dimension_order)),
                is_calibration=row.calibration_association_table is not None,
                all_dimensions=universe.complete(dimensions[row.name]),
            ),
            group=row.dimensions_key,
            tags=row.tag_association_table,
            calibrations=row.calibration_association_table,
        )
        for row in sorted(rows, key=lambda row: str(row.name))
    }
