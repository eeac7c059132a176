"""`lenticular restart`: do what a run has left undone."""

from __future__ import annotations

import click

__all__ = ["restart"]


@click.command()
@click.argument("run_id")
@click.option("--detach", is_flag=True, help="Return once it is launched; `lenticular show run` follows it.")
def restart(run_id: str, *, detach: bool) -> None:
    """Go on with run RUN_ID, which failed, was cancelled or was lost.

    Only quanta that have not succeeded are executed.
    """
    from lenticular.platform.cli.run import follow
    from lenticular.platform.progress import Console
    from lenticular.platform.runs import RunStore

    found = RunStore().get(run_id).restart()
    click.echo(f"run {found.record.id}", err=True)
    if not detach:
        follow(found, Console())
