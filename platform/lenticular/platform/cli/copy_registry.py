"""`lenticular copy-registry`: a registry into another database."""

from __future__ import annotations

import click

from lenticular.platform.cli.output import print_table

__all__ = ["copy_registry"]

_SHOWN = 20


@click.command(name="copy-registry")
@click.argument("source")
@click.argument("target")
@click.option("--namespace", help="Schema for the registry's tables (PostgreSQL).")
@click.option("--root", help="Folder or s3:// URI that gets a butler.yaml for the copy.")
@click.option("--verify-only", is_flag=True, help="Only compare what is there, row by row.")
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on with an unfinished copy.")
def copy_registry(
    source: str, target: str, *, namespace: str | None, root: str | None, verify_only: bool, resume: bool
) -> None:
    """Copy the registry of SOURCE into the empty database TARGET (an SQLAlchemy URL).

    Everything that the registry holds is copied and compared row by row;
    files stay where they are, and are the copy's too. A copy that was stopped
    goes on when the same command is given again. Let nobody write to SOURCE
    meanwhile: who does is noticed.

    Exit code 1 tells that rows differ; they are listed.
    """
    from lenticular.butler import Repository, copying
    from lenticular.platform.progress import Console

    with Repository.open(source) as repository:
        doing = "Comparing" if verify_only else "Copying"
        with Console().step(f"{doing} the registry of {repository.name}") as advance:
            report = copying.copy_registry(
                repository,
                target,
                namespace=namespace,
                root=root,
                resume=resume,
                verify_only=verify_only,
                progress=advance,
            )
    click.echo(str(report))
    if report.configuration:
        click.echo(f"The copy's configuration is {report.configuration}")
    if report.left:
        click.echo(f"Not a registry's, and not copied: {', '.join(report.left)}", err=True)
    if not report.good:
        differing = [
            {"table": table.name, "rows": table.rows, "different": table.different}
            for table in report.tables
            if table.different
        ]
        print_table(differing, empty="The source was written to meanwhile.")
        for difference in report.differences[:_SHOWN]:
            click.echo(str(difference), err=True)
        raise click.exceptions.Exit(1)
