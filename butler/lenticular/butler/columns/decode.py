"""From what a database's driver gives to the columns of an answer."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lenticular.butler.columns.layout import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from lenticular.butler.columns.layout import Column

__all__ = ["decode_batch", "raw_type", "shortened"]


def raw_type(column: Column) -> pa.DataType:
    """Return the Arrow type in which a driver's values are kept until they are decoded.

    Parameters
    ----------
    column
        A column of the answer.
    """
    match column.kind:
        case "int" | "datetime":
            return pa.int64()
        case "float":
            return pa.float64()
        case "bool":
            return pa.bool_()
        case "string" if column.repeats:
            return pa.dictionary(pa.int32(), pa.string())
        case _:
            return pa.string()


def decode_batch(
    raw: pa.RecordBatch, columns: Sequence[Column], labels: Mapping[tuple[str, str | None], str]
) -> pa.RecordBatch:
    """Return the answer's columns, made of a statement's.

    Parameters
    ----------
    raw
        Rows of a statement.
    columns
        What the answer is to hold.
    labels
        The statement's name for each column (table and field); a timespan is
        either one column (PostgreSQL's ranges) or two, with ``_begin`` and
        ``_end`` after that name.
    """
    arrays: list[pa.Array] = []
    for column in columns:
        if column.pixelization is not None:
            arrays.append(_pixels(raw.column(labels[column.table, None]), column.pixelization))
            continue
        label = labels[column.table, column.field]
        if column.kind == "timespan":
            if label in raw.schema.names:
                arrays += _range(raw.column(label))
            else:
                arrays += [raw.column(f"{label}_{end}").cast(pa.int64()) for end in ("begin", "end")]
        else:
            arrays.append(_decode(raw.column(label), column))
    return pa.RecordBatch.from_arrays(arrays, schema=schema_of(columns))


def shortened(raw: pa.RecordBatch, labels: Iterable[str]) -> pa.RecordBatch:
    """Return rows with their UUIDs decoded, which are most of their bytes, to be kept for later.

    Parameters
    ----------
    raw
        Rows of a statement.
    labels
        Its columns that hold UUIDs.
    """
    for label in labels:
        place = raw.schema.get_field_index(label)
        raw = raw.set_column(place, label, _uuids(raw.column(place)))
    return raw


def _decode(values: pa.Array, column: Column) -> pa.Array:
    match column.kind:
        case "uuid":
            return _uuids(values)
        case "hash" | "region":
            return _base64(values)
        case "ingest_date":
            return _moments(values)
        case _:
            return values if values.type == column.type else values.cast(column.type)


def _uuids(values: pa.Array) -> pa.Array:
    """Decode UUIDs, written with 32 hexadecimal digits and, in between, four hyphens or none."""
    size = len(values)
    if pa.types.is_fixed_size_binary(values.type):
        return values
    if not size:
        return pa.array([], pa.binary(16))
    _, places, text = values.buffers()
    start, end = np.frombuffer(places, np.int32)[[values.offset, values.offset + size]]
    digits = np.frombuffer(text, np.uint8)[start:end].reshape(size, -1)
    digits = digits[:, digits[0] != ord("-")]
    halves = _nibbles(digits)
    packed = np.ascontiguousarray((halves[:, 0::2] << 4) | halves[:, 1::2])
    return pa.Array.from_buffers(pa.binary(16), size, [None, pa.py_buffer(packed)])


def _nibbles(digits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the numbers of hexadecimal digits, in small letters."""
    values: npt.NDArray[np.uint8] = np.where(digits < ord("a"), digits - ord("0"), digits - (ord("a") - 10))
    return values.astype(np.uint8, copy=False)


def _base64(values: pa.Array) -> pa.Array:
    """Decode base64, each text only once, since many rows share a region."""
    coded = values.dictionary_encode()
    known = pa.array(
        [None if text is None else binascii.a2b_base64(text) for text in coded.dictionary.to_pylist()],
        pa.binary(),
    )
    return known.take(coded.indices)


def _range(values: pa.Array) -> list[pa.Array]:
    """Split PostgreSQL's ranges, such as ``[1,2)``, ``[1,)`` or ``empty``."""
    from lsst.daf.butler import Timespan

    everything, nothing = Timespan(None, None).nsec, Timespan.makeEmpty().nsec
    split = pc.extract_regex(values, r"^[\[(](?P<begin>-?\d*),(?P<end>-?\d*)[)\]]$")
    empty = pc.equal(values, "empty")
    ends = []
    for place, end in enumerate(("begin", "end")):
        text = pc.struct_field(split, end)
        bounded = pc.if_else(pc.equal(text, ""), str(everything[place]), text)
        ends.append(pc.if_else(empty, str(nothing[place]), bounded).cast(pa.int64()))
    return ends


def _moments(values: pa.Array) -> pa.Array:
    """Return moments in nanoseconds TAI.

    Registries keep when a dataset came as such a number or, in the older
    layout, as a UTC date and time without a zone.
    """
    if pa.types.is_integer(values.type):
        return values
    coded = values.dictionary_encode()
    texts = coded.dictionary.to_pylist()
    if all(text.removeprefix("-").isdigit() for text in texts):
        return values.cast(pa.int64())
    from astropy.time import Time
    from lsst.daf.butler.time_utils import TimeConverter

    converter = TimeConverter()
    moments = [converter.astropy_to_nsec(Time(text, format="iso", scale="utc").tai) for text in texts]
    return pa.array(moments, pa.int64()).take(coded.indices)


def _pixels(numbers: pa.Array, pixelization: Any) -> pa.Array:
    return pa.array(
        [None if number is None else pixelization.pixel(number).encode() for number in numbers.to_pylist()],
        pa.binary(),
    )
