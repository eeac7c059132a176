"""Results on standard output: tables for a person, JSON for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["as_json", "json_option", "print_table"]

json_option = click.option("--json", "as_json_", is_flag=True, help="Print JSON, one object a line.")


def as_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object a line."""
    for row in rows:
        click.echo(json.dumps(row, default=str))


def print_table(rows: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """Print rows as columns that line up.

    Parameters
    ----------
    rows
        What to print; all have the names of the first.
    empty
        What to say instead if there are none.
    """
    if not rows:
        click.echo(empty, err=True)
        return
    names = list(rows[0])
    cells = [[_shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(names)]
    numeric = [all(isinstance(row.get(name), int | float) for row in rows) for name in names]
    click.echo("  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip())
    for line in cells:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(aligned).rstrip())


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value)
