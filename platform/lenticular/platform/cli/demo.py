"""`lenticular demo`: a reduced repository and JupyterLab, from nothing."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["demo"]


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("lenticular-demo"),
    show_default=True,
    help="Where to keep it; a second start takes seconds.",
)
@click.option(
    "--size",
    type=click.Choice(["tiny", "demo", "workshop"]),
    default="demo",
    show_default=True,
    help="Size of the simulated survey.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the simulated survey.")
@click.option(
    "--workers", type=click.IntRange(1), help="Processes that simulate and reduce; as many as fit by default."
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port for JupyterLab; 8888, or the next that is free, by default.",
)
@click.option("--browser", is_flag=True, help="Open it in the browser.")
@click.option("--no-lab", is_flag=True, help="Build the repository and stop.")
@click.option("--rebuild", is_flag=True, help="Take away what is there and begin anew (keeps notebooks).")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def demo(
    *,
    folder: Path,
    size: str,
    seed: int,
    workers: int | None,
    port: int | None,
    browser: bool,
    no_lab: bool,
    rebuild: bool,
    command: tuple[str, ...],
) -> int:
    """Build a demo repository in S3 (moto), reduce it, and open JupyterLab on it.

    Needs no account and no network. ctrl-C stops everything it started.

    With a COMMAND after `--`, that is run in place of JupyterLab, in the folder of the tutorials,
    with the variables that lead to the repository: `lenticular demo -- bash`. We exit as it does.
    """
    if command and (no_lab or browser or port is not None):
        raise click.UsageError("--no-lab, --browser and --port make no sense with a command of your own.")
    from lenticular.platform.demo.session import DemoOptions, run_demo
    from lenticular.platform.progress import Console

    options = DemoOptions(
        folder=folder.absolute(),
        size=size,
        seed=seed,
        workers=workers,
        port=port,
        browser=browser,
        lab=not (no_lab or command),
        command=command,
        rebuild=rebuild,
    )
    return run_demo(options, Console())
