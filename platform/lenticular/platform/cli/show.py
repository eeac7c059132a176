"""`lenticular show`: what repositories hold, and what became of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lenticular.platform.cli.output import as_json, json_option, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler import Repository
    from lenticular.butler.columns.requests import Request

__all__ = ["show"]


@click.group()
def show() -> None:
    """Show repositories, what they hold, and runs."""


def _print(rows: Sequence[Mapping[str, object]], *, json: bool, empty: str) -> None:
    if json:
        as_json(rows)
    else:
        print_table(rows, empty=empty)


@show.command()
@json_option
def repositories(*, as_json_: bool) -> None:
    """List the repositories that have a label here."""
    from lenticular.butler import labels, redact

    rows = [{"label": label, "address": redact(uri)} for label, uri in sorted(labels().items())]
    _print(rows, json=as_json_, empty="No repository has a label; set DAF_BUTLER_REPOSITORY_INDEX.")


@show.command()
@click.argument("repository")
@click.argument("patterns", nargs=-1)
@json_option
def collections(repository: str, patterns: tuple[str, ...], *, as_json_: bool) -> None:
    """List the collections of REPOSITORY (all, or those that PATTERNS match)."""
    from lenticular.butler import Repository

    with Repository.open(repository) as opened:
        rows = [
            {
                "collection": info.name,
                "kind": info.kind.value,
                "holds": info.dataset_types if as_json_ else f"{len(info.dataset_types)} dataset types",
                "searches": info.children,
            }
            for info in opened.collections(patterns or "*")
        ]
    _print(rows, json=as_json_, empty="No collection matches.")


@show.command()
@click.argument("repository")
@click.argument("patterns", nargs=-1)
@json_option
def dataset_types(repository: str, patterns: tuple[str, ...], *, as_json_: bool) -> None:
    """List the dataset types of REPOSITORY (all, or those that PATTERNS match)."""
    from lenticular.butler import Repository

    with Repository.open(repository) as opened:
        rows = [
            {"dataset type": info.name, "storage class": info.storage_class, "dimensions": info.dimensions}
            for info in opened.dataset_types(patterns or "*")
        ]
    _print(rows, json=as_json_, empty="No dataset type matches.")


@show.command()
@click.argument("repository")
@click.argument("dataset_type")
@click.argument("collections", nargs=-1, required=True)
@click.option("-d", "--where", default="", help="Butler expression that restricts them.")
@click.option("--order-by", multiple=True, help="Dimension or field to sort by; a minus before it reverses.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to print at most."
)
@json_option
def datasets(
    repository: str,
    dataset_type: str,
    collections: tuple[str, ...],
    *,
    where: str,
    order_by: tuple[str, ...],
    limit: int,
    as_json_: bool,
) -> None:
    """List datasets of DATASET_TYPE in COLLECTIONS of REPOSITORY."""
    from lenticular.butler import Repository
    from lenticular.butler.columns import DatasetQuery

    query = DatasetQuery(dataset_type=dataset_type, collections=collections, where=where)
    with Repository.open(repository) as opened:
        table = opened.datasets(dataset_type, collections, where=where, order_by=order_by, limit=limit)
        empty = "" if table.num_rows or as_json_ else _reason(opened, query)
    _print(table.to_pylist(), json=as_json_, empty=f"No dataset matches. {empty}")
    if not as_json_ and table.num_rows == limit:
        click.echo(f"There may be more; these are the first {limit} (--limit).", err=True)


@show.command()
@click.argument("repository")
@click.argument("element")
@click.option("-d", "--where", default="", help="Butler expression that restricts them.")
@click.option("--order-by", multiple=True, help="Dimension or field to sort by; a minus before it reverses.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Rows to print at most."
)
@json_option
def records(
    repository: str, element: str, *, where: str, order_by: tuple[str, ...], limit: int, as_json_: bool
) -> None:
    """List the records of dimension ELEMENT (visit, detector, ...) of REPOSITORY."""
    from lenticular.butler import Repository
    from lenticular.butler.columns import RecordQuery

    with Repository.open(repository) as opened:
        rows = opened.dimension_records(element, where=where, order_by=order_by, limit=limit).to_pylist()
        empty = "" if rows or as_json_ else _reason(opened, RecordQuery(element=element, where=where))
    used = [name for name in (rows[0] if rows else ()) if any(row[name] is not None for row in rows)]
    shown = [{name: row[name] for name in used} for row in rows]
    _print(shown, json=as_json_, empty=f"No record matches. {empty}")


@show.command()
@click.argument("repository")
@click.argument("dataset_type")
@click.argument("collections", nargs=-1, required=True)
@click.option("-d", "--where", default="", help="Butler expression that restricts the datasets.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Values of a dimension to print at most.",
)
@json_option
def facets(
    repository: str,
    dataset_type: str,
    collections: tuple[str, ...],
    *,
    where: str,
    limit: int,
    as_json_: bool,
) -> None:
    """Count the datasets of DATASET_TYPE in COLLECTIONS by the values of each dimension."""
    from lenticular.butler import Repository, read_facets
    from lenticular.butler.columns import DatasetQuery

    query = DatasetQuery(dataset_type=dataset_type, collections=collections, where=where)
    with Repository.open(repository) as opened:
        found = read_facets(opened, query, most=limit)
        empty = "" if found.total or as_json_ else _reason(opened, query)
    rows = [
        {"dimension": facet.dimension, "value": value, "datasets": number}
        for facet in found
        for value, number in facet.values
    ]
    _print(rows, json=as_json_, empty=f"No dataset matches. {empty}")
    for facet in found:
        if facet.more and not as_json_:
            click.echo(f"{facet.more} more values of {facet.dimension} (--limit).", err=True)


def _reason(repository: Repository, query: Request) -> str:
    """Return why a query has no rows, and what to change."""
    from lenticular.butler import explain_empty

    return str(explain_empty(repository, query))


@show.command()
@json_option
def runs(*, as_json_: bool) -> None:
    """List the runs recorded for you, the newest first."""
    from lenticular.platform.runs import Run, RunStore

    rows = [
        {
            "run": record.id,
            "state": str(Run(record).status().state),
            "repository": record.repository,
            "output": record.output_run,
            "created": record.created.isoformat(timespec="seconds"),
        }
        for record in RunStore().list()
    ]
    _print(rows, json=as_json_, empty="No run is recorded yet.")


@show.command()
@click.argument("run_id")
@click.option("--log", "quantum", help="Print the log of this quantum instead.")
@json_option
def run(run_id: str, *, quantum: str | None, as_json_: bool) -> None:
    """Show the state of run RUN_ID, task by task."""
    from lenticular.platform.runs import RunState, RunStore

    found = RunStore().get(run_id)
    if quantum:
        click.echo(found.log(quantum))
        return
    status = found.status()
    states = ("waiting", "running", "succeeded", "failed", "blocked", "cancelled")
    rows = [
        {"task": task.label, **{state: getattr(task, state) for state in states}} for task in status.tasks
    ]
    if as_json_:
        as_json([status.to_json()])
        return
    click.echo(f"{found.record.output_run}: {status.state} {status.phase}".rstrip(), err=True)
    print_table(rows, empty="Nothing has started yet.")
    for group in status.failures:
        click.echo(
            f"{group.count} x {group.task}: {group.error}: {group.message} (quantum {group.quantum})",
            err=True,
        )
    if status.error:
        click.echo(status.error, err=True)
    if status.is_over and status.state is not RunState.SUCCEEDED:
        click.echo(f"`lenticular restart {status.id}` does what is left.", err=True)
