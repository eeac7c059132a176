"""`lenticular compare`: in what two collections differ."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from lenticular.platform.cli.output import as_json, json_option, print_table

if TYPE_CHECKING:
    from lenticular.butler.health import Comparison

__all__ = ["compare"]

_PARTS = {"only-in-a": "only_in_a", "only-in-b": "only_in_b", "same": "same", "different": "different"}


@click.command()
@click.argument("repository")
@click.argument("a")
@click.argument("b")
@click.option("--other", help="Repository of B, if it is another one.")
@click.option(
    "-t", "--dataset-type", "types", multiple=True, help="Only this type, or those that a glob matches."
)
@click.option("-d", "--where", default="", help="Butler expression that restricts both.")
@click.option("--cap", type=click.IntRange(min=0), help="Count no further than this.")
@click.option("--list", "listed", type=click.Choice(list(_PARTS)), help="List these datasets instead.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Rows to list at most, of each type.",
)
@json_option
def compare(
    repository: str,
    a: str,
    b: str,
    *,
    other: str | None,
    types: tuple[str, ...],
    where: str,
    cap: int | None,
    listed: str | None,
    limit: int,
    as_json_: bool,
) -> None:
    """Compare collections A and B of REPOSITORY, by dataset type and data ID.

    A chain counts as what a search of it finds. The exit code is 1 if they
    differ.
    """
    from lenticular.butler import Repository
    from lenticular.butler.health import compare_collections

    with ExitStack() as stack:
        opened = stack.enter_context(Repository.open(repository))
        second = None if other is None else stack.enter_context(Repository.open(other))
        found = compare_collections(
            opened, a, b, other=second, dataset_types=types or "*", where=where, cap=cap
        )
        if listed:
            _list(found, _PARTS[listed], limit, json=as_json_)
        elif as_json_:
            as_json([found.as_dict()])
        else:
            _tell(found)
    if not found.is_equal:
        raise click.exceptions.Exit(1)


def _tell(found: Comparison) -> None:
    rows = [
        {
            "dataset type": one.dataset_type,
            "only in A": found.shown(one.only_in_a),
            "only in B": found.shown(one.only_in_b),
            "different": found.shown(one.different),
            "same": found.shown(one.same),
        }
        for one in found.types
    ]
    print_table(rows, empty="Neither holds a dataset.")
    for one in found.types:
        if one.note:
            click.echo(f"{one.dataset_type}: {one.note}", err=True)
    click.echo(f"{found}.", err=True)


def _list(found: Comparison, part: str, limit: int, *, json: bool) -> None:
    from lenticular.butler.columns import plain_table

    for one in found.types:
        number = getattr(one, part)
        if not number:
            continue
        table = plain_table(getattr(found, part)(one.dataset_type, limit=limit))
        rows = [{"dataset_type": one.dataset_type, **row} for row in table.to_pylist()]
        if json:
            as_json(rows)
        else:
            print_table(rows, empty="")
            if number > len(rows):
                click.echo(f"There are more; these are the first {len(rows)} (--limit).", err=True)
