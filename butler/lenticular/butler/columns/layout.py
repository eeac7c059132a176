"""What an answer's columns are called, what they hold, and their Arrow types.

A *kind* is upstream's name for what a column of the registry holds. How the
kinds become Arrow types is decided here, once:

=============  ========================  =========================================
kind           Arrow type                meaning
=============  ========================  =========================================
int            int64
float          float64                   units as upstream documents the field
bool           bool
string         string                    names that repeat are dictionary-encoded
uuid           fixed_size_binary[16]     ``uuid.UUID(bytes=...)``
hash           binary
region         binary                    ``lsst.sphgeom.Region.decode(...)``
timespan       two int64 columns         nanoseconds since 1970-01-01, TAI
datetime       int64                     the same
ingest_date    int64                     the same
=============  ========================  =========================================

A UUID is 16 bytes rather than 36 characters; and plain bytes rather than
Arrow's extension type for UUIDs, since Arrow sorts, groups, compares and looks
up the former but not the latter. The kind is in each field's metadata.

Times stay the integers that the registry keeps: an unbounded end of a timespan
is the first or last moment that it can express, and nothing is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lsst.daf.butler import DatasetType, DimensionElement, DimensionGroup

__all__ = [
    "DATASET_FIELDS",
    "Column",
    "data_id_layout",
    "dataset_layout",
    "record_layout",
    "schema_of",
]

DATASET_FIELDS = {
    "dataset_id": "uuid",
    "run": "string",
    "collection": "string",
    "ingest_date": "ingest_date",
    "timespan": "timespan",
}
"""Fields of a dataset that may be asked for, and their kinds."""

_TYPES = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "uuid": pa.binary(16),
    "hash": pa.binary(),
    "region": pa.binary(),
    "timespan": pa.int64(),
    "datetime": pa.int64(),
    "ingest_date": pa.int64(),
}
_MOMENT = {"unit": "ns", "scale": "TAI", "epoch": "1970-01-01 TAI"}
_NOTES = {
    "uuid": {"encoding": "big-endian bytes"},
    "region": {"encoding": "lsst.sphgeom.Region.encode"},
    **dict.fromkeys(("timespan", "datetime", "ingest_date"), _MOMENT),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the registry, which is one or, for a timespan, two of an answer."""

    name: str
    """Its name in the answer."""

    table: str
    """Dimension element or dataset type that it belongs to."""

    field: str | None
    """Its name there; `None` for a dimension's key."""

    kind: str
    """What it holds, by upstream's name."""

    nullable: bool = True
    """Whether it may be null."""

    repeats: bool = False
    """Whether its values are few, so that dictionary encoding pays."""

    pixelization: Any = None
    """For the regions of a sky pixelization, which no table holds: what computes
    them from the pixels' numbers."""

    @property
    def type(self) -> pa.DataType:
        """Arrow type of the column, or of each of the two."""
        kept = _TYPES[self.kind]
        return pa.dictionary(pa.int32(), kept) if self.repeats else kept

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """Arrow fields of the answer."""
        notes = {"kind": self.kind, **_NOTES.get(self.kind, {})}
        return tuple(pa.field(name, self.type, nullable=self.nullable, metadata=notes) for name in self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the answer's columns."""
        if self.kind == "timespan":
            return (f"{self.name}_begin", f"{self.name}_end")
        return (self.name,)


def schema_of(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of an answer.

    Parameters
    ----------
    columns
        Its columns.
    """
    return pa.schema([field for column in columns for field in column.fields])


def data_id_layout(dimensions: DimensionGroup) -> tuple[Column, ...]:
    """Return the columns of data IDs.

    Parameters
    ----------
    dimensions
        Their dimensions.

    Returns
    -------
    tuple of Column
        One for each dimension, also those that follow from the required ones.

    Raises
    ------
    DataError
        Raised if there is no dimension, since a table has no row without a column.
    """
    if not dimensions:
        raise DataError(
            "Data IDs without a dimension have no columns", hint="Name a dimension, such as 'instrument'."
        )
    return tuple(_key(dimensions, name) for name in dimensions.names)


def dataset_layout(kind: DatasetType, extra: Sequence[str] = ()) -> tuple[Column, ...]:
    """Return the columns of datasets.

    Parameters
    ----------
    kind
        Their type.
    extra
        Fields wanted beside the UUID, run and data ID: those of a dimension
        element as ``visit.exposure_time``, those of the dataset
        (`DATASET_FIELDS`) by their name alone.

    Returns
    -------
    tuple of Column
        ``dataset_id``, ``run``, one for each dimension, and the others.

    Raises
    ------
    DataError
        Raised if there is no such field.
    """
    keys = [_key(kind.dimensions, name) for name in kind.dimensions.names]
    columns = [_dataset_field(kind, "dataset_id"), _dataset_field(kind, "run"), *keys]
    known = {column.name for column in columns}
    return (*columns, *(_extra(kind, name) for name in dict.fromkeys(extra) if name not in known))


def record_layout(element: DimensionElement) -> tuple[Column, ...]:
    """Return the columns of a dimension element's records.

    Parameters
    ----------
    element
        The element.

    Returns
    -------
    tuple of Column
        Its fields under their own names, which for its key is ``id`` or
        ``name`` rather than the dimension's.
    """
    keys = dict(zip(element.schema.dimensions.names, element.dimensions.names, strict=True))
    columns = []
    for spec in element.schema.all:
        if spec.name in keys:
            key = keys[spec.name]
            repeats = spec.type == "string" and key != element.name
            columns.append(Column(spec.name, key, None, spec.type, nullable=False, repeats=repeats))
        else:
            columns.append(_field(element, spec.name, spec.name))
    return tuple(columns)


def _key(dimensions: DimensionGroup, name: str) -> Column:
    kind = dimensions.universe.dimensions[name].primary_key.type
    return Column(name, name, None, kind, nullable=False, repeats=kind == "string")


def _dataset_field(kind: DatasetType, field: str) -> Column:
    holds = DATASET_FIELDS[field]
    return Column(field, kind.name, field, holds, nullable=holds == "timespan", repeats=holds == "string")


def _extra(kind: DatasetType, name: str) -> Column:
    if name in DATASET_FIELDS:
        return _dataset_field(kind, name)
    table, _, field = name.partition(".")
    elements = kind.dimensions.elements
    if table not in elements:
        raise DataError(
            f"Datasets of type {kind.name!r} have no column {name!r}",
            hint=f"There are {', '.join(DATASET_FIELDS)}, and ELEMENT.FIELD of {', '.join(elements)}.",
        )
    element = kind.dimensions.universe[table]
    if field not in element.schema.remainder.names:
        known = ", ".join(element.schema.remainder.names) or "none but its key"
        raise DataError(f"The element {table!r} has no field {field!r}", hint=f"Its fields are {known}.")
    return _field(element, field, name)


def _field(element: DimensionElement, field: str, name: str) -> Column:
    spec = element.schema.all[field]
    # The pixels of the sky are computed; no table holds their regions.
    pixelization = getattr(element, "pixelization", None) if spec.type == "region" else None
    return Column(name, element.name, field, spec.type, spec.nullable, pixelization=pixelization)
