"""`lenticular ingest`: raw exposures into a repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lenticular.butler.errors import IngestError, LenticularError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lenticular.butler import Repository
    from lenticular.pipelines.ingest import IngestReport
    from lenticular.platform.progress import Console

__all__ = ["ingest"]

_SUFFIXES = (".fits", ".fits.fz", ".fits.gz", ".fz")

type _Failures = list[tuple[str, LenticularError]]


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

    The instruments CerroCam, DECam and HSC are registered when the first of
    their files comes. Files that are there already are skipped; those that
    cannot be ingested are listed with the reason and do not stop the others.
    """
    found, failed = _find(files)
    if not found:
        raise failed[0][1]

    from lenticular.butler import Repository
    from lenticular.pipelines.ingest import ingest_raws
    from lenticular.platform.progress import Console

    console = Console()
    with Repository.open(repository, writeable=True) as opened:
        with console.step(f"Ingesting {len(found)} files") as advance:
            report = ingest_raws(opened.butler, found, run=run_, transfer=transfer, progress=advance)
        said = [str(report)]
        failed += report.failed
        if visits:
            told, refused = _define_visits(opened, report, console)
            said += told
            failed += refused
        if report.ingested:
            opened.analyze()
    click.echo("\n".join(said))
    _tell(failed)
    if failed:
        raise click.exceptions.Exit(1)


def _find(given: Iterable[Path]) -> tuple[list[Path], _Failures]:
    """Return the files, and the folders that have none."""
    found: list[Path] = []
    failed: _Failures = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.name.endswith(_SUFFIXES))
        if not inside:
            hint = f"Give raw files, or a folder with files named {', '.join(f'*{s}' for s in _SUFFIXES)}."
            error = IngestError("The folder holds no FITS file", where=path, hint=hint)
            failed.append((str(path), error))
        found += inside
    return found, failed


def _define_visits(
    repository: Repository, report: IngestReport, console: Console
) -> tuple[list[str], _Failures]:
    """Define the visits of the exposures of a report, instrument by instrument."""
    from lenticular.pipelines.ingest import define_visits

    said: list[str] = []
    failed: _Failures = []
    for name in sorted({instrument for instrument, _ in report.exposures}):
        exposures = [exposure for instrument, exposure in report.exposures if instrument == name]
        with console.step(f"Defining visits of {name}") as advance:
            defined = define_visits(repository.butler, instrument=name, exposures=exposures, progress=advance)
        said.append(str(defined))
        failed += [(f"exposure {exposure}", error) for exposure, error in defined.failed]
    return said, failed


def _tell(failed: _Failures) -> None:
    """Say what could not be done, and what to do."""
    for subject, error in failed:
        click.echo(f"{subject}: {error.what}" + (f" - {error.hint}" if error.hint else ""), err=True)
