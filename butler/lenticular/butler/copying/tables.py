"""Reading a registry's tables block by block, and writing blocks into another's."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from lenticular.butler.copying.forms import Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy

    from lenticular.butler.copying.forms import Layout

__all__ = ["count_rows", "read_block", "set_sequences", "sorted_blocks", "write_block"]

type Row = tuple[Any, ...]


def read_block(
    engine: sqlalchemy.Engine, layout: Layout, after: Sequence[Any] | None, size: int, *, exact: bool = False
) -> list[Row]:
    """Read the next rows of a table in order of its key.

    Each block is a query, and a transaction, of its own: a long one would keep
    others from writing to a SQLite registry.

    Parameters
    ----------
    engine
        The database.
    layout
        The table.
    after
        Key of the row before, or `None` for the first.
    size
        Rows to read at most.
    exact
        Whether strings sort by code point, as Python sorts them.
    """
    with engine.connect() as connection:
        ranges = engine.dialect.name == "postgresql"
        query = _query(layout, ranges=ranges, exact=exact and ranges, after=after).limit(size)
        return layout.reader()(connection.execute(query).all())


def sorted_blocks(engine: sqlalchemy.Engine, layout: Layout, size: int) -> Iterator[list[Row]]:
    """Read a whole table, sorted by its key as Python sorts.

    Parameters
    ----------
    engine
        The database.
    layout
        The table.
    size
        Rows in a block.
    """
    if engine.dialect.name != "postgresql":
        last: tuple[Any, ...] | None = None
        while block := read_block(engine, layout, last, size, exact=True):
            yield block
            last = tuple(block[-1][place] for place in layout.key_places)
        return
    # One query with a cursor in the server: to sort by code point it may have
    # to sort the table, which it should do once.
    with engine.connect() as connection:
        query = _query(layout, ranges=True, exact=True, after=None)
        streamed = connection.execution_options(stream_results=True, yield_per=size).execute(query)
        read = layout.reader()
        for rows in streamed.partitions(size):
            yield read(rows)


def _query(
    layout: Layout, *, ranges: bool, exact: bool, after: Sequence[Any] | None
) -> sqlalchemy.Select[tuple[Any, ...]]:
    import sqlalchemy

    order = layout.key_columns(by_code_point=exact)
    query = sqlalchemy.select(*layout.selected(ranges=ranges)).order_by(*order)
    if after is not None:
        # Literals without a type: each database takes a string for its own identifiers.
        bound = [sqlalchemy.literal(value, sqlalchemy.types.NullType()) for value in after]
        query = query.where(
            sqlalchemy.tuple_(*order) > sqlalchemy.tuple_(*bound) if len(order) > 1 else order[0] > bound[0]
        )
    return query


def count_rows(engine: sqlalchemy.Engine, layout: Layout) -> int:
    """Count the rows of a table."""
    import sqlalchemy

    with engine.connect() as connection:
        query = sqlalchemy.select(sqlalchemy.func.count()).select_from(layout.table)
        return int(connection.execute(query).scalar_one())


def write_block(connection: sqlalchemy.Connection, layout: Layout, block: Sequence[Row]) -> None:
    """Insert rows into a table: by COPY where the database has it.

    Parameters
    ----------
    connection
        The database, in a transaction of the caller's.
    layout
        The table.
    block
        Rows in the common form.
    """
    import sqlalchemy

    columns = [name for field in layout.fields for name in field.columns]
    if connection.dialect.name == "postgresql":
        _copy(connection, layout, columns, block)
        return
    plain = sqlalchemy.table(
        layout.name, *(sqlalchemy.column(name) for name in columns), schema=layout.table.schema
    )
    spans = [place for place, field in enumerate(layout.fields) if field.form is Form.TIMESPAN]
    rows = [dict(zip(columns, _flat(row, spans), strict=True)) for row in block]
    connection.execute(plain.insert(), rows)


def _flat(row: Row, spans: Sequence[int]) -> list[Any]:
    """Return a row with its timespans as begin and end."""
    if not spans:
        return list(row)
    from lsst.daf.butler.time_utils import TimeConverter

    converter, values = TimeConverter(), list(row)
    for place in reversed(spans):
        span = values[place]
        empty = (converter.max_nsec, converter.min_nsec)  # as upstream writes it
        values[place : place + 1] = (None, None) if span is None else span or empty
    return values


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copy(
    connection: sqlalchemy.Connection, layout: Layout, columns: Sequence[str], block: Sequence[Row]
) -> None:
    import sqlalchemy

    quote = connection.dialect.identifier_preparer
    names = ", ".join(quote.quote(name) for name in columns)
    writers = [_shown_span if field.form is Form.TIMESPAN else _shown for field in layout.fields]
    text = "".join(
        "\t".join(write(value) for write, value in zip(writers, row, strict=True)) + "\n" for row in block
    )
    statement = f"COPY {quote.format_table(layout.table)} ({names}) FROM STDIN"
    driver: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor:
            cursor.copy_expert(statement, io.StringIO(text))
    except errors as error:
        # As if SQLAlchemy had sent it.
        raise sqlalchemy.exc.DBAPIError.instance(
            statement, None, error, errors, dialect=connection.dialect
        ) from error


def _shown(value: Any) -> str:
    """Return a value as COPY reads it."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    return repr(value)


def _shown_span(value: tuple[int, int] | tuple[()] | None) -> str:
    """Return a timespan as COPY reads a range; its ends are left open as upstream leaves them."""
    from lsst.daf.butler.time_utils import TimeConverter

    if value is None:
        return "\\N"
    if not value:
        return "empty"
    converter = TimeConverter()
    begin = "" if value[0] == converter.min_nsec else value[0]
    end = "" if value[1] == converter.max_nsec else value[1]
    return f"[{begin},{end})" if begin != "" else f"(,{end})"


def set_sequences(connection: sqlalchemy.Connection, layout: Layout) -> None:
    """Let new rows get numbers beyond those that were copied.

    SQLite sees to it itself.

    Parameters
    ----------
    connection
        The database, in a transaction of the caller's.
    layout
        The table.
    """
    import sqlalchemy

    if connection.dialect.name != "postgresql":
        return
    for column in layout.table.columns:
        if not isinstance(column.default, sqlalchemy.Sequence):
            continue
        greatest = connection.execute(sqlalchemy.select(sqlalchemy.func.max(column))).scalar()
        if greatest is not None:
            name = connection.dialect.identifier_preparer.format_sequence(column.default)
            connection.execute(sqlalchemy.select(sqlalchemy.func.setval(name, int(greatest))))
