"""What a copy of a registry came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.display import display, pairs, rows
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CopyReport", "Difference", "TableCopy"]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same in both registries."""

    table: str
    """Name of the table."""

    kind: str
    """``missing`` in the copy, ``extra`` in it, or ``changed``."""

    key: Mapping[str, Any]
    """What identifies the row."""

    fields: tuple[str, ...] = ()
    """Names of the values that differ, if it is changed."""

    def __str__(self) -> str:
        named = ", ".join(f"{name}={value!r}" for name, value in self.key.items())
        changed = f" in {', '.join(self.fields)}" if self.fields else ""
        return f"{self.table}: {named} is {self.kind}{changed}"


@dataclass(frozen=True, slots=True)
class TableCopy:
    """What was done with a table."""

    name: str
    """Its name."""

    rows: int
    """Rows that the copy has."""

    copied: int
    """Rows that were copied now, and not by an attempt before."""

    different: int = 0
    """Rows that are not the same in both registries."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What `lenticular.butler.copying.copy_registry` did."""

    source: str
    """The registry that was copied, fit to be shown."""

    target: str
    """Address of the database with the copy, fit to be shown."""

    tables: tuple[TableCopy, ...]
    """What was done with each table."""

    differences: tuple[Difference, ...] = ()
    """The first rows of each table that are not the same; none in a good copy."""

    written_meanwhile: bool = False
    """Whether somebody was seen to write to the source while it was copied."""

    left: tuple[str, ...] = ()
    """Tables of the source that are not a registry's, and were not copied."""

    configuration: str | None = None
    """Address of the ``butler.yaml`` that was written for the copy, if one was."""

    @property
    def rows(self) -> int:
        """Rows that the copy has."""
        return sum(table.rows for table in self.tables)

    @property
    def copied(self) -> int:
        """Rows that were copied now, and not by an attempt before."""
        return sum(table.copied for table in self.tables)

    @property
    def different(self) -> int:
        """Rows that are not the same in both registries."""
        return sum(table.different for table in self.tables)

    @property
    def good(self) -> bool:
        """Whether both registries were the same, row by row, when they were compared."""
        return not self.different and not self.written_meanwhile

    def raise_for_differences(self) -> None:
        """Raise unless the copy is good.

        Raises
        ------
        lenticular.butler.errors.DataError
            Raised if a row differs, naming the first, or if somebody was seen
            to write to the source meanwhile.
        """
        hint = "Let nobody write to the source, and copy it into an empty database."
        if self.different:
            raise DataError(
                f"{self.different} rows of the copy are not those of the source. {self.differences[0]}",
                where=self.target,
                hint=hint,
            )
        if self.written_meanwhile:
            raise DataError("The source was written to while it was copied", where=self.source, hint=hint)

    def __str__(self) -> str:
        state = "row by row the same" if self.good else f"{self.different} rows differ"
        if self.written_meanwhile and not self.different:
            state = "the source was written to meanwhile"
        return f"{self.rows} rows in {len(self.tables)} tables, {self.copied} copied now; {state}"

    def _repr_html_(self) -> str:
        facts = [("from", self.source), ("to", self.target), ("result", str(self))]
        if self.configuration:
            facts.append(("configuration", self.configuration))
        filled = [table for table in self.tables if table.rows or table.different]
        parts = [
            pairs(facts),
            rows(
                ("table", "rows", "different"),
                [(table.name, table.rows, table.different) for table in filled],
            ),
        ]
        if self.differences:
            shown = [(str(difference),) for difference in self.differences[:_SHOWN]]
            parts.append(rows(("what differs",), shown))
        return display("Copy of a registry", self.target, *parts)
