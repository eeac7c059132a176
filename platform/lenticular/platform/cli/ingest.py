"""`lenticular ingest`: raw exposures into a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lenticular.butler import LenticularError

__all__ = ["ingest"]


@click.command()
@click.argument("repository")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--run", "run_", help="Run to ingest into; INSTRUMENT/raw/all by default.")
@click.option(
    "--transfer",
    type=click.Choice(["copy", "move", "link", "symlink", "direct"]),
    default="copy",
    show_default=True,
    help="How the files get into the datastore.",
)
@click.option(
    "--visits/--no-visits", default=True, show_default=True, help="Define visits of what was ingested."
)
def ingest(
    repository: str, files: tuple[Path, ...], *, run_: str | None, transfer: str, visits: bool
) -> None:
    """Ingest raw FILES (or all FITS files of folders) into REPOSITORY.

    Files that are there already are skipped; those that cannot be ingested
    are listed with the reason and do not stop the others.
    """
    from lenticular.butler import Repository
    from lenticular.pipelines.ingest import define_visits, ingest_raws
    from lenticular.platform.progress import Console

    console = Console()
    found = [path for given in files for path in (_fits_files(given) if given.is_dir() else [given])]
    with Repository.open(repository, writeable=True) as opened:
        with console.step(f"Ingesting {len(found)} files") as advance:
            report = ingest_raws(opened.butler, found, run=run_, transfer=transfer, progress=advance)
        said = [str(report)]
        failed: list[tuple[str, LenticularError]] = [*report.failed]
        for instrument in sorted({instrument for instrument, _ in report.exposures}) if visits else ():
            with console.step(f"Defining visits of {instrument}") as advance:
                defined = define_visits(opened.butler, instrument=instrument, progress=advance)
            said.append(str(defined))
            failed += [(f"exposure {exposure}", error) for exposure, error in defined.failed]
        opened.analyze()
    click.echo("\n".join(said))
    for subject, error in failed:
        click.echo(f"{subject}: {error.what}" + (f" - {error.hint}" if error.hint else ""), err=True)
    if failed:
        raise click.exceptions.Exit(1)


def _fits_files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.name.endswith((".fits", ".fits.fz", ".fits.gz", ".fz"))
    )
