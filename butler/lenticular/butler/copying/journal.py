"""How far a copy has come, kept in the database that it goes into.

Each block is noted in the transaction that writes it, so that a copy which was
cut short anywhere goes on exactly where it stopped.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import RepositoryExistsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy

__all__ = ["JOURNAL", "Journal"]

JOURNAL = "lenticular_copy"
"""Name of the table; it is dropped when the copy has been found good."""


class Journal:
    """How far a copy has come.

    Parameters
    ----------
    engine
        The database that the copy goes into.
    namespace
        Schema that holds its tables (PostgreSQL).
    """

    def __init__(self, engine: sqlalchemy.Engine, namespace: str | None) -> None:
        import sqlalchemy

        self._engine = engine
        self._namespace = namespace
        self._table = sqlalchemy.Table(
            JOURNAL,
            sqlalchemy.MetaData(schema=namespace),
            sqlalchemy.Column("name", sqlalchemy.Text, primary_key=True),
            sqlalchemy.Column("value", sqlalchemy.Text, nullable=False),
        )

    def find(self, source: str, *, resume: bool) -> bool:
        """Tell whether an unfinished copy is there to go on with.

        Parameters
        ----------
        source
            What is copied.
        resume
            Whether it may be gone on with.

        Raises
        ------
        RepositoryExistsError
            Raised if it is another's, or may not be gone on with.
        """
        if JOURNAL not in self.tables():
            return False
        known = self._read().get("source", source)
        if known != source:
            raise self.refusal(f"The database holds an unfinished copy of {known}")
        if not resume:
            raise self.refusal("The database holds an unfinished copy")
        return True

    def begin(self, connection: sqlalchemy.Connection, source: str) -> None:
        """Take an empty registry for a copy.

        Parameters
        ----------
        connection
            The database, in a transaction of the caller's.
        source
            What is copied.
        """
        self._table.create(connection)
        self._set(connection, "source", source)

    def tables(self) -> set[str]:
        """Return the names of the tables that the database has."""
        import sqlalchemy

        with self._engine.connect() as connection:
            return set(sqlalchemy.inspect(connection).get_table_names(schema=self._namespace))

    def progress(self, table: str) -> tuple[int, tuple[Any, ...] | None, bool]:
        """Return rows copied of a table, the key of the last one, and whether these are all."""
        value = self._read().get(f"table {table}")
        if value is None:
            return 0, None, False
        rows, last, complete = json.loads(value)
        return int(rows), None if last is None else tuple(last), bool(complete)

    def note(
        self,
        connection: sqlalchemy.Connection,
        table: str,
        rows: int,
        last: Sequence[Any] | None,
        *,
        complete: bool,
    ) -> None:
        """Note how far a table is copied, in the transaction that copies it."""
        value = json.dumps([rows, None if last is None else list(last), complete])
        self._set(connection, f"table {table}", value)

    def end(self) -> None:
        """Forget the copy: it is as good as any registry now."""
        with self._engine.begin() as connection:
            self._table.drop(connection)

    def _set(self, connection: sqlalchemy.Connection, name: str, value: str) -> None:
        connection.execute(self._table.delete().where(self._table.c.name == name))
        connection.execute(self._table.insert(), {"name": name, "value": value})

    def _read(self) -> dict[str, str]:
        with self._engine.connect() as connection:
            return {row.name: row.value for row in connection.execute(self._table.select())}

    def refusal(self, what: str) -> RepositoryExistsError:
        """Return the error that refuses the database."""
        return RepositoryExistsError(
            what,
            where=self._engine.url.render_as_string(hide_password=True),
            hint="Give an empty database or namespace, or only compare what is there.",
        )
