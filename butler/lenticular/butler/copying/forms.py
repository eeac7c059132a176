"""The rows of a registry's tables as plain values, the same from every database.

SQLite and PostgreSQL keep a registry in different types: an identifier as 32
digits or as a UUID, a timespan as two columns or as a range. Here every row is
brought into one form, made of numbers, strings and bytes, in which it can be
compared and from which it can be written to either. Upstream's own conversions
would make an object of each timespan, time and region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import sqlalchemy

__all__ = ["Field", "Form", "Layout", "layout_of"]

type Row = tuple[Any, ...]

_NOT_A_NUMBER = math.nan  # one object, so that tuples which hold it compare equal
_LAST = 1 << 62
"""More than any time of upstream's in ns: the begin of an empty timespan, before it is made one."""


class Form(Enum):
    """What a value is, whichever database keeps it."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    FLAG = "flag"
    IDENTIFIER = "identifier"
    BYTES = "bytes"
    TIME = "time"
    TIMESPAN = "timespan"


@dataclass(frozen=True, slots=True)
class Field:
    """A value of a row."""

    name: str
    """Its name: of the column, or of a timespan without ``_begin`` and ``_end``."""

    form: Form
    """What it is."""

    columns: tuple[str, ...]
    """The columns that keep it in this database; two for a timespan of SQLite."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How one database keeps a table's rows."""

    table: sqlalchemy.Table
    """The table, as upstream defines it for this database."""

    fields: tuple[Field, ...]
    """Its values, in order of name."""

    key: tuple[str, ...]
    """Names of the values that identify a row."""

    @property
    def name(self) -> str:
        """Name of the table."""
        return str(self.table.name)

    @property
    def shape(self) -> tuple[tuple[str, Form], ...]:
        """What two databases must agree on."""
        return tuple((field.name, field.form) for field in self.fields)

    @property
    def key_places(self) -> tuple[int, ...]:
        """Where in a row the values of the key are."""
        names = [field.name for field in self.fields]
        return tuple(names.index(name) for name in self.key)

    def key_columns(self, *, by_code_point: bool) -> list[sqlalchemy.ColumnElement[Any]]:
        """Return the columns to sort rows by.

        Parameters
        ----------
        by_code_point
            Whether strings must sort as Python sorts them. PostgreSQL may
            have to sort the whole table for it; SQLite always does so.
        """
        forms = {field.name: field.form for field in self.fields}
        return [
            self.table.c[name].collate("C")
            if by_code_point and forms[name] is Form.TEXT
            else _raw(self.table.c[name])
            for name in self.key
        ]

    def selected(self, *, ranges: bool) -> list[sqlalchemy.ColumnElement[Any]]:
        """Return what to select, one column or two for each field.

        Parameters
        ----------
        ranges
            Whether timespans are PostgreSQL's ranges.
        """
        columns: list[sqlalchemy.ColumnElement[Any]] = []
        for field in self.fields:
            if field.form is Form.TIMESPAN and ranges:
                columns += _bounds(self.table.c[field.columns[0]])
            else:
                columns += [_raw(self.table.c[name]) for name in field.columns]
        return columns

    def reader(self) -> Callable[[Iterable[Any]], list[Row]]:
        """Return a function that brings rows, as selected, into the common form."""
        steps: list[tuple[int, Callable[[Any], Any]]] = []
        place = 0
        spans: list[int] = []
        for field in self.fields:
            if field.form is Form.TIMESPAN:
                spans.append(place)
                place += 2
                continue
            step = _READ.get(field.form)
            if step is not None:
                steps.append((place, step))
            place += 1

        def read(rows: Iterable[Any]) -> list[Row]:
            return [_read_row(row, steps, spans) for row in rows]

        return read if steps or spans else lambda rows: [tuple(row) for row in rows]


def _read_row(row: Any, steps: list[tuple[int, Callable[[Any], Any]]], spans: list[int]) -> Row:
    values = list(row)
    for place, step in steps:
        if values[place] is not None:
            values[place] = step(values[place])
    for place in reversed(spans):
        begin, end = values[place : place + 2]
        values[place : place + 2] = [None if begin is None else (begin, end) if begin < end else ()]
    return tuple(values)


def layout_of(table: sqlalchemy.Table) -> Layout:
    """Return how a database keeps a table's rows.

    Parameters
    ----------
    table
        The table, as upstream defines it for this database.
    """
    names = [column.name for column in table.columns]
    fields: list[Field] = []
    for column in table.columns:
        stem, _, end = column.name.rpartition("_")
        if end == "begin" and f"{stem}_end" in names:
            fields.append(Field(stem, Form.TIMESPAN, (column.name, f"{stem}_end")))
        elif not (end == "end" and f"{stem}_begin" in names):
            fields.append(Field(column.name, _form(column.type), (column.name,)))
    key = tuple(column.name for column in table.primary_key.columns)
    return Layout(table, tuple(sorted(fields, key=lambda field: field.name)), key)


def _form(kind: sqlalchemy.types.TypeEngine[Any]) -> Form:
    import sqlalchemy
    from sqlalchemy.dialects.postgresql import INT8RANGE

    decorated = isinstance(kind, sqlalchemy.types.TypeDecorator)
    inner = kind.impl if isinstance(kind, sqlalchemy.types.TypeDecorator) else kind
    for known, form in (
        (INT8RANGE, Form.TIMESPAN),
        (sqlalchemy.Boolean, Form.FLAG),
        (sqlalchemy.Integer, Form.INTEGER),
        (sqlalchemy.Numeric, Form.REAL),
        (sqlalchemy.Uuid, Form.IDENTIFIER),
        (sqlalchemy.DateTime, Form.TIME),
        (sqlalchemy.LargeBinary, Form.BYTES),
    ):
        if isinstance(inner, known):
            return form
    if decorated and isinstance(inner, sqlalchemy.CHAR):
        return Form.IDENTIFIER  # upstream's own type, since before SQLAlchemy had one
    if isinstance(inner, sqlalchemy.String):
        return Form.TEXT
    message = f"no common form for values of type {kind!r}"
    raise TypeError(message)


def _raw(column: sqlalchemy.Column[Any]) -> sqlalchemy.ColumnElement[Any]:
    """Return a column whose values are as the driver gives them."""
    import sqlalchemy

    return sqlalchemy.type_coerce(column, sqlalchemy.types.NullType())


def _bounds(column: sqlalchemy.Column[Any]) -> list[sqlalchemy.ColumnElement[Any]]:
    """Return begin and end, in ns TAI, of a range; open ends as upstream's first and last."""
    import sqlalchemy
    from lsst.daf.butler.time_utils import TimeConverter

    converter, call = TimeConverter(), sqlalchemy.func
    span = _raw(column)
    nothing = sqlalchemy.null()
    return [
        sqlalchemy.case(
            (span.is_(None), nothing),
            (call.isempty(span), _LAST),
            else_=call.coalesce(call.lower(span), converter.min_nsec),
        ),
        sqlalchemy.case(
            (span.is_(None), nothing),
            (call.isempty(span), 0),
            else_=call.coalesce(call.upper(span), converter.max_nsec),
        ),
    ]


def _identifier(value: Any) -> str:
    return value.replace("-", "") if isinstance(value, str) else str(value.hex)


def _time(value: Any) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return str(moment.isoformat(" ", "microseconds"))


def _real(value: Any) -> float:
    return float(value) if value == value else _NOT_A_NUMBER  # noqa: PLR0124 - what NaN is known by


_READ: dict[Form, Callable[[Any], Any]] = {
    Form.REAL: _real,
    Form.FLAG: bool,
    Form.IDENTIFIER: _identifier,
    Form.BYTES: bytes,
    Form.TIME: _time,
}
