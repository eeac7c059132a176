"""Running a planned statement, the fastest way that each database's driver has.

Both ways go past SQLAlchemy's rows, and past Python's objects where they can:

* SQLite writes columns as JSON, if they are not too many; else its driver gives
  tuples, which are turned over into columns.
* PostgreSQL sends ``COPY ... TO STDOUT`` as CSV, which Arrow parses. That is as
  fast as a driver made for Arrow (ADBC), with neither a second connection,
  which would not see the query's temporary tables, nor another dependency.
"""

from __future__ import annotations

import io
import queue
import threading
import time
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv

from lenticular.butler.columns.packed import read_packed
from lenticular.butler.errors import DataError
from lenticular.butler.guard.lines import PostgresLine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import sqlalchemy

    from lenticular.butler.columns.plan import Plan

    type Rows = Generator[pa.RecordBatch, None, None]

__all__ = ["can_run", "run"]

_CHUNK = 1 << 20
"""Bytes of CSV that are parsed at a time."""

_WAITING = 4
"""Pieces of CSV that wait at most, while one is being parsed."""

_FETCH = 5000
"""Rows that SQLite's driver gives at a time; their objects then fit into a cache."""

_OPTION = "lenticular_statement"


def can_run(connection: sqlalchemy.Connection) -> bool:
    """Tell whether `run` knows the driver of a connection."""
    return (connection.dialect.name, connection.dialect.driver) in _RUNNERS


def run(plan: Plan, schema: pa.Schema, *, rows: int, guarded: bool = False) -> Rows:
    """Run a statement.

    Parameters
    ----------
    plan
        The statement, and the connection to run it on.
    schema
        Names and types of all its columns, in their order; see
        `~lenticular.butler.columns.decode.raw_type`.
    rows
        Rows in a batch.
    guarded
        Whether the connection is in a transaction that has to outlive an
        interruption of the statement.

    Yields
    ------
    pyarrow.RecordBatch
        The next rows. Closing the iterator stops the statement.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        Raised if the database fails.
    """
    connection = plan.connection
    return _RUNNERS[connection.dialect.name, connection.dialect.driver](plan, schema, rows, guarded=guarded)


@contextmanager
def _driver_errors(connection: sqlalchemy.Connection) -> Iterator[None]:
    """Raise a driver's errors as SQLAlchemy does, which is not there to see them."""
    import sqlalchemy

    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        lost = dialect.is_disconnect(error, connection.connection, None)
        if lost:
            connection.invalidate(error)
        raise sqlalchemy.exc.DBAPIError.instance(
            None, None, error, base, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        ) from error


@contextmanager
def _small_numbers() -> Iterator[None]:
    """Say of a number that SQLite cannot hold what it is; its driver says it in Python's words."""
    try:
        yield
    except OverflowError as error:
        raise DataError(
            "A number is larger than the database can hold", hint="Whole numbers have 64 bits there."
        ) from error


def _run_sqlite(plan: Plan, schema: pa.Schema, rows: int, *, guarded: bool) -> Rows:
    del guarded  # nothing of SQLite's outlives a statement
    with _small_numbers():
        packed = read_packed(plan, schema)
        result = None if packed is not None else plan.connection.execute(plan.select)
    if packed is not None:
        for start in range(0, packed.num_rows, rows):
            yield packed.slice(start, rows)
    if result is None:
        return
    with closing(result), _driver_errors(plan.connection):
        while block := result.cursor.fetchmany(min(rows, _FETCH)):
            columns = zip(*block, strict=True)
            arrays = [_array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind):
        return pa.array(values, pa.int8()).cast(kind)
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


def _run_postgresql(plan: Plan, schema: pa.Schema, rows: int, *, guarded: bool) -> Rows:
    connection = plan.connection
    copy = _Copy(_statement(plan), connection.connection.driver_connection)
    options = _csv_options(schema)
    savepoint = connection.begin_nested() if guarded else nullcontext()
    with savepoint, _driver_errors(connection), closing(copy.chunks()) as chunks:
        for text in chunks:
            source = pa.BufferReader(text)
            reading = pa.csv.ReadOptions(
                column_names=schema.names, block_size=len(text) + 1, use_threads=False
            )
            table = pa.csv.read_csv(source, reading, *options)
            yield from table.combine_chunks().to_batches(max_chunksize=rows)


def _csv_options(schema: pa.Schema) -> tuple[pa.csv.ParseOptions, pa.csv.ConvertOptions]:
    """Return options to read just what PostgreSQL writes: null is nothing, and no text is null."""
    return (
        pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        pa.csv.ConvertOptions(
            column_types=dict(zip(schema.names, schema.types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _statement(plan: Plan) -> bytes:
    """Return the statement as it would be sent, with all values in place."""
    import sqlalchemy

    engine = plan.connection.engine
    if not sqlalchemy.event.contains(engine, "do_execute", _take_statement):
        sqlalchemy.event.listen(engine, "do_execute", _take_statement)
    taken: list[bytes] = []
    plan.connection.execute(plan.select, execution_options={_OPTION: taken}).close()
    return taken[0]


def _take_statement(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:
    taken = None if context is None else context.execution_options.get(_OPTION)
    if taken is None:
        return None
    taken.append(cursor.mogrify(statement, parameters))
    return True  # which says that it was executed


class _Copy:
    """A ``COPY ... TO STDOUT`` in a thread of its own, since the driver pushes its rows.

    Parameters
    ----------
    statement
        What to copy.
    connection
        The driver's connection.
    """

    def __init__(self, statement: bytes, connection: Any) -> None:
        self._statement = b"COPY (" + statement + b") TO STDOUT (FORMAT csv, ENCODING 'UTF8')"
        self._connection = connection
        self._sink = _Sink()

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield some rows of CSV after the others; closing it stops the server as well."""
        line = PostgresLine(self._connection)
        thread = threading.Thread(target=self._work, name="lenticular-copy", daemon=True)
        thread.start()
        ended = False
        try:
            while (chunk := self._sink.queue.get()) is not None:
                if isinstance(chunk, BaseException):
                    ended = True
                    raise chunk
                yield chunk
            ended = True
        finally:
            if not ended:
                self._sink.abandoned.set()
                self._stop(line)
            thread.join()
            line.settle()
            line.close()

    def _stop(self, line: PostgresLine) -> None:
        """Have the server stop, and take what was on its way."""
        due = 0.0
        while True:
            now = time.monotonic()
            if now >= due:
                due = line.stop(now)
            try:
                if not isinstance(self._sink.queue.get(timeout=max(0.0, min(due - now, 1.0))), bytes):
                    return
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            # The driver writes row by row; the buffer takes them without a call of Python's.
            buffer = io.BufferedWriter(self._sink, _CHUNK)
            with self._connection.cursor() as cursor:
                cursor.copy_expert(self._statement, buffer)
            buffer.flush()
        except BaseException as error:  # noqa: BLE001 - it is raised in the reader's thread
            self._sink.queue.put(error)
        else:
            self._sink.queue.put(None)


class _Sink(io.RawIOBase):
    """Takes CSV in pieces cut anywhere and puts it into a queue in pieces of whole rows."""

    def __init__(self) -> None:
        self.queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
        self.abandoned = threading.Event()
        self._rest = b""

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def write(self, piece: Any, /) -> int:
        """Take a piece."""
        text = self._rest + bytes(piece)
        # A line ends a row unless it ends inside quotes, of which a whole row has an even number.
        if text.endswith(b"\n") and text.count(b'"') % 2 == 0:
            self._rest = b""
            if not self.abandoned.is_set():  # else what was on its way is taken and dropped
                self.queue.put(text)
        else:
            self._rest = text
        return len(piece)


_RUNNERS = {("sqlite", "pysqlite"): _run_sqlite, ("postgresql", "psycopg2"): _run_postgresql}
