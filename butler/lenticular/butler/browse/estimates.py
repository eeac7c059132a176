"""How many rows a database expects, from its statistics."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.ext.compiler import compiles

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

    from lenticular.butler.browse.selection import Selection

__all__ = ["from_index", "from_plan"]


class _Explain(sqlalchemy.sql.expression.Executable, sqlalchemy.sql.expression.ClauseElement):
    """A statement that is not run but planned."""

    inherit_cache = False

    def __init__(self, statement: sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]) -> None:
        self.statement = statement


@compiles(_Explain)
def _(element: _Explain, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


def from_plan(
    connection: sqlalchemy.Connection, statement: sqlalchemy.Select[Any] | sqlalchemy.CompoundSelect[Any]
) -> int:
    """Return how many rows PostgreSQL expects of a statement.

    Parameters
    ----------
    connection
        A connection to the registry.
    statement
        The statement, which is not run.
    """
    text: Any = connection.execute(_Explain(statement)).scalar_one()
    plan = json.loads(text) if isinstance(text, str) else text
    return int(plan[0]["Plan"]["Plan Rows"])


def from_index(connection: sqlalchemy.Connection, chosen: Selection) -> int | None:
    """Return how many datasets SQLite expects of a type in some collections.

    For the leading columns of an index, its statistics have the mean number of
    rows with equal values (https://sqlite.org/fileformat2.html#stat1tab).

    Parameters
    ----------
    connection
        A connection to the registry.
    chosen
        The type and the collections.

    Returns
    -------
    int or None
        The number without regard to what hides what; `None` without statistics.
    """
    known = sqlalchemy.text(
        "SELECT s.idx, s.stat, i.name FROM sqlite_stat1 AS s, pragma_index_info(s.idx) AS i "
        "WHERE s.tbl = :tags ORDER BY s.idx, i.seqno"
    )
    there = sqlalchemy.text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")
    if connection.execute(there).first() is None:
        return None
    indexes: dict[tuple[str, str], list[str]] = {}
    for index, stat, column in connection.execute(known, {"tags": chosen.tags.name}):
        indexes.setdefault((index, stat), []).append(column)
    given = {"dataset_type_id", "collection_id", *chosen.fixed}
    best: tuple[int, int] | None = None
    for (_, stat), columns in indexes.items():
        depth = next((place for place, name in enumerate(columns) if name not in given), len(columns))
        total, *means = [int(word) for word in stat.split() if word.isdigit()]
        if columns[:2] == ["dataset_type_id", "collection_id"] and depth <= len(means):
            expected = min(total, len(chosen.members) * means[depth - 1])
            best = max(best or (0, 0), (depth, expected))
    return None if best is None else best[1]
