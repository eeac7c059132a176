"""`lenticular check`: whether a repository is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lenticular.platform.cli.output import as_json, json_option, print_table

if TYPE_CHECKING:
    from lenticular.butler.health import HealthReport

__all__ = ["check"]


@click.command()
@click.argument("repository")
@click.option(
    "--artifacts",
    type=click.Choice(["sample", "all", "none"]),
    default="sample",
    show_default=True,
    help="Files to look for: some chosen at random, all of them, or none.",
)
@click.option(
    "--sample", type=click.IntRange(min=1), default=1000, show_default=True, help="How many files are some."
)
@click.option(
    "--list",
    "listed",
    type=click.Choice(["missing", "mismatched", "orphans", "leftovers"]),
    help="Print the addresses of these files instead, one a line.",
)
@json_option
def check(repository: str, *, artifacts: str, sample: int, listed: str | None, as_json_: bool) -> None:
    """Check whether REPOSITORY is whole, and how large it is.

    Looks at chains, summaries, records and files, and changes nothing. The exit
    code is 1 if something is worse than a note.
    """
    from lenticular.butler import Repository
    from lenticular.butler.health import check_health
    from lenticular.platform.progress import Console

    chosen: Any = artifacts
    with Repository.open(repository) as opened, Console().step("Checking") as advance:
        report = check_health(opened, artifacts=chosen, sample=sample, progress=advance)
    if listed:
        for path in report.paths.get(listed, ()):
            click.echo(path)
    elif as_json_:
        as_json([report.as_dict()])
    else:
        _tell(report)
    if not report.is_healthy:
        raise click.exceptions.Exit(1)


def _tell(report: HealthReport) -> None:
    """Print sizes on standard output, and findings with what to do."""
    from lenticular.butler.display import shown_size

    rows = [
        {
            "dataset type": one.dataset_type,
            "datasets": one.datasets,
            "files": one.files,
            "size": shown_size(one.bytes),
        }
        for one in report.by_dataset_type()
    ]
    print_table(rows, empty="There are no datasets.")
    click.echo(f"{report.files} files, {shown_size(report.bytes)}. {report.artifacts}.")
    for finding in report.findings:
        click.echo(f"{finding.severity}: {finding.what}")
        for example in finding.examples:
            click.echo(f"    {example}")
        left = finding.count - len(finding.examples)
        if finding.examples and left > 0 and finding.check not in {"unstored-datasets", "virtual-datasets"}:
            click.echo(f"    and {left} more")
        click.echo(f"  {finding.hint}")
    if not report.findings:
        click.echo("Nothing is wrong.")
