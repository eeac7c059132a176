"""`lenticular create`: a new repository."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["create"]


@click.command()
@click.argument("root")
@click.option("--database", help="SQLAlchemy URL of the registry; a SQLite file in ROOT by default.")
@click.option("--namespace", help="Schema for the registry's tables (PostgreSQL).")
@click.option("--datastore", help="Folder or s3:// URI for the files; `datastore` in ROOT by default.")
@click.option("--label", help="Label to give it in the repository index.")
@click.option(
    "--index",
    type=click.Path(path_type=Path),
    envvar="DAF_BUTLER_REPOSITORY_INDEX",
    help="Index file that gets the label.",
)
def create(
    root: str,
    *,
    database: str | None,
    namespace: str | None,
    datastore: str | None,
    label: str | None,
    index: Path | None,
) -> None:
    """Create an empty repository at ROOT (a folder or an s3:// URI).

    It is given lenticular's storage classes, and image formats that can be
    viewed from an object store tile by tile.
    """
    from lenticular.butler import create_repository
    from lenticular.pipelines.storage import repository_config

    if label and index is None:
        raise click.UsageError("--label needs --index, or DAF_BUTLER_REPOSITORY_INDEX in the environment.")
    repository = create_repository(
        root,
        database=database,
        namespace=namespace,
        datastore=datastore,
        config=repository_config(),
        label=label,
        label_file=index,
    )
    with repository:
        called = f" It is called {label}." if label else ""
        click.echo(
            f"Created a repository at {repository.uri}, "
            f"with its registry in {repository.configuration.shown_database}.{called}"
        )
