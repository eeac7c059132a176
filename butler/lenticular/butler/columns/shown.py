"""The HTML display of an answer: UUIDs, times and regions as a person reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lenticular.butler.display import Piece, display, grouped, labels, pairs, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from lenticular.butler.columns.requests import Request

__all__ = ["UNBOUNDED", "table_html", "titled"]

UNBOUNDED = (0, 4_102_444_800 * 10**9)
"""First and last moment that a registry can express, which stand for no bound
[ns since 1970-01-01, TAI]."""

_MARK = b"lenticular"
_MOST_ROWS = 20
_MOST_COLUMNS = 24
_LONGEST = 120
_SHAPES = {b"p": "polygon", b"c": "circle", b"e": "ellipse", b"b": "box", b"u": "union", b"i": "intersection"}
"""What the encoded regions of lsst.sphgeom begin with."""


def titled(table: pa.Table, request: Request) -> pa.Table:
    """Return an answer that knows the question, for its display.

    Parameters
    ----------
    table
        The answer.
    request
        The question; it is kept, as text, in the metadata of the schema.
    """
    about: dict[str, Any] = {}
    for name in (
        "dataset_type",
        "dimensions",
        "element",
        "collections",
        "where",
        "data_id",
        "order_by",
        "limit",
    ):
        value = getattr(request, name, None)
        if value or value == 0:
            about[name] = value
    marks = {**(table.schema.metadata or {}), _MARK: json.dumps(about, default=str).encode()}
    return table.replace_schema_metadata(marks)


def table_html(table: pa.Table, *, most: int = _MOST_ROWS) -> str:
    """Return the display of a table.

    Parameters
    ----------
    table
        An answer in columns, or any table.
    most
        Rows to show.

    Returns
    -------
    str
        HTML. Times are in TAI.
    """
    about = json.loads((table.schema.metadata or {}).get(_MARK, b"{}"))
    shown = table.slice(0, most)
    columns = [
        [_text(_kind(field), field.name, value) for value in shown.column(place).to_pylist()]
        for place, field in enumerate(list(table.schema)[:_MOST_COLUMNS])
    ]
    number = (
        grouped(table.num_rows) if table.num_rows <= most else f"showing {most} of {grouped(table.num_rows)}"
    )
    told = f"{number} row{'' if table.num_rows == 1 else 's'}"
    hidden = table.num_columns - len(columns)
    if hidden > 0:
        told += f", {len(columns)} of {grouped(table.num_columns)} columns"
    body = (
        rows(table.column_names[:_MOST_COLUMNS], zip(*columns, strict=True)) if table.num_rows else Piece("")
    )
    return display(*_title(about), _about(about), Piece(f'<div class="lv-muted">{told}</div>'), body)


def _title(about: Mapping[str, Any]) -> tuple[str, str]:
    if "dataset_type" in about:
        return "Datasets", str(about["dataset_type"])
    if "dimensions" in about:
        return "Data IDs", ", ".join(about["dimensions"])
    if "element" in about:
        return "Records", str(about["element"])
    return "Table", ""


def _about(about: Mapping[str, Any]) -> Piece:
    data_id = ", ".join(f"{name} {value}" for name, value in about.get("data_id", {}).items())
    return pairs(
        [
            ("collections", labels(about.get("collections", ()))),
            ("where", about.get("where")),
            ("data ID", data_id),
            ("order", ", ".join(about.get("order_by", ()))),
            ("limit", about.get("limit")),
        ]
    )


def _kind(field: pa.Field) -> str:
    return str((field.metadata or {}).get(b"kind", b"").decode())


def _text(kind: str, name: str, value: Any) -> object:
    if value is None:
        return Piece('<span class="lv-muted">-</span>')
    make = _KINDS.get(kind)
    text = value if make is None else make(value)
    if kind == "timespan" and value == UNBOUNDED[name.endswith("_end")]:
        return Piece('<span class="lv-muted">unbounded</span>')
    if isinstance(text, bytes):
        return f"{grouped(len(text))} bytes"
    if isinstance(text, int) and kind == "int":
        return str(text)  # visits and days are names rather than quantities
    return text if isinstance(text, int) or len(str(text)) <= _LONGEST else f"{str(text)[:_LONGEST]}..."


def _moment(nanoseconds: int) -> str:
    """Return a moment as ISO 8601, with as many decimals as it needs; TAI knows no leap seconds."""
    import numpy as np

    text = str(np.datetime64(nanoseconds, "ns"))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _region(encoded: bytes) -> str:
    return _SHAPES.get(encoded[:1], "region")


def _uuid(value: bytes) -> str:
    return str(UUID(bytes=value))


_KINDS: Mapping[str, Callable[[Any], object]] = {
    "uuid": _uuid,
    "timespan": _moment,
    "datetime": _moment,
    "ingest_date": _moment,
    "region": _region,
}
