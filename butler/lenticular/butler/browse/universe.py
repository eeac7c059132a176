"""Dimensions and how they hang together, as a registry itself says it.

A registry keeps the definition of its dimensions as JSON. To read that costs
one statement; upstream's objects for it would cost the import of the whole
middleware.
"""

from __future__ import annotations

import json
import re
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import sqlalchemy

    from lenticular.butler.repository import Repository
    from lenticular.butler.schema import Tables

__all__ = ["Element", "Universe", "dimension_order", "read_universe"]

_ORDER = (
    "instrument",
    "skymap",
    "tract",
    "patch",
    "band",
    "physical_filter",
    "day_obs",
    "group",
    "exposure",
    "visit",
)


@dataclass(frozen=True, slots=True)
class Element:
    """A dimension, or a relation between some, such as ``visit_detector_region``."""

    name: str
    table: str | None
    """Table of its records; `None` for pixels of the sky, which have none."""

    key: str | None
    """Column of this table that identifies it, together with what it requires;
    `None` for a relation."""

    is_number: bool
    """Whether its values are integers rather than names."""

    required: tuple[str, ...]
    """Dimensions that identify a record, itself included."""

    implied: tuple[str, ...]
    """Dimensions that follow from a record, directly."""

    has_region: bool
    """Whether its records have a region."""

    def column(self, dimension: str) -> str:
        """Return the column of its table that holds a dimension."""
        return self.key if dimension == self.name and self.key is not None else dimension

    def of_table(self, namespace: str | None) -> sqlalchemy.TableClause:
        """Return the table of its records.

        Parameters
        ----------
        namespace
            Schema of the registry's tables (PostgreSQL).
        """
        import sqlalchemy

        names = [self.column(name) for name in (*self.required, *self.implied)]
        if self.has_region:
            names.append("region")
        return sqlalchemy.table(self.table or "", *map(sqlalchemy.column, names), schema=namespace)


@dataclass(frozen=True, slots=True)
class Universe:
    """All dimensions of a registry."""

    elements: Mapping[str, Element]

    def __getitem__(self, name: str) -> Element:
        known = self.elements.get(name)
        # Pixels of the sky are there at every level, without a record.
        return known or Element(
            name, table=None, key="id", is_number=True, required=(name,), implied=(), has_region=True
        )

    def __contains__(self, name: str) -> bool:
        return name in self.elements or re.fullmatch(r"(?:htm|healpix)\d+", name) is not None

    def complete(self, required: Iterable[str]) -> tuple[str, ...]:
        """Return some dimensions and all that follow from them.

        Parameters
        ----------
        required
            Dimensions that are known.
        """
        found = list(required)
        for name in found:
            more = (*self[name].required, *self[name].implied)
            found += [other for other in more if other not in found]
        return tuple(sorted(found, key=dimension_order))

    def source(self, dimension: str, required: Iterable[str]) -> tuple[Element, ...]:
        """Return the elements by whose records a dimension follows, one after the other.

        Parameters
        ----------
        dimension
            A dimension, such as ``band``.
        required
            Dimensions that are known, such as those of ``visit``.

        Returns
        -------
        tuple of Element
            Such as ``visit`` and ``physical_filter``; empty if it is known.
        """
        paths: list[tuple[str, tuple[Element, ...]]] = [(name, ()) for name in required]
        for name, path in paths:
            if name == dimension:
                return path
            paths += [(other, (*path, self[name])) for other in self[name].implied]
        raise KeyError(dimension)


_known: weakref.WeakKeyDictionary[sqlalchemy.Engine, Universe] = weakref.WeakKeyDictionary()
"""Universes by the registry's engine: they do not change while a repository is open."""


def read_universe(repository: Repository) -> Universe:
    """Return the dimensions of a repository, which are read only once.

    Parameters
    ----------
    repository
        The repository.
    """
    found = _known.get(repository.engine)
    if found is None:
        found = repository.read(lambda connection: _read(connection, repository.tables))
        _known[repository.engine] = found
    return found


def _read(connection: sqlalchemy.Connection, tables: Tables) -> Universe:
    import sqlalchemy

    columns = tables.attributes.c
    query = sqlalchemy.select(columns.value).where(columns.name == "config:dimensions.json")
    definition: dict[str, Any] = json.loads(connection.execute(query).scalar_one())
    elements: dict[str, dict[str, Any]] = definition["elements"]
    spatial = {name for family in definition["topology"].get("spatial", {}).values() for name in family}
    return Universe({name: _element(name, elements, spatial) for name in elements})


def _element(name: str, elements: Mapping[str, Mapping[str, Any]], spatial: set[str]) -> Element:
    spec = elements[name]
    keys = spec.get("keys") or [None]
    required = {
        other
        for requires in spec.get("requires", ())
        for other in _element(requires, elements, spatial).required
    }
    storage = spec.get("storage", {})
    view = storage.get("view_of") or storage.get("nested", {}).get("view_of")
    if keys[0] is not None:
        required.add(name)
    return Element(
        name=name,
        table=view or name,
        # In the table that it is a view of, its value goes by its own name.
        key=None if keys[0] is None else name if view else keys[0]["name"],
        is_number=keys[0] is not None and keys[0]["type"] == "int",
        required=tuple(sorted(required, key=dimension_order)),
        implied=tuple(spec.get("implies", ())),
        has_region=name in spatial,
    )


def dimension_order(name: str) -> tuple[int, str]:
    """Sort dimensions as people write them: where, then when, then which part.

    Parameters
    ----------
    name
        A dimension.
    """
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)
