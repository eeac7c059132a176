"""`lenticular cancel`: stop a run."""

from __future__ import annotations

import click

__all__ = ["cancel"]


@click.command()
@click.argument("run_id")
def cancel(run_id: str) -> None:
    """Stop run RUN_ID and wait until it has stopped.

    What has succeeded is kept; `lenticular restart` does the rest.
    """
    from lenticular.platform.cli.run import tell_end
    from lenticular.platform.progress import Console
    from lenticular.platform.runs import RunStore

    found = RunStore().get(run_id)
    found.cancel()
    console = Console()
    try:
        with console.step("Stopping") as advance:
            status = found.wait(on_change=lambda now: advance(now.phase, 0, 0))
    except KeyboardInterrupt:
        console.say(
            f"The run was told to stop: `lenticular show run {found.record.id}` tells whether it has."
        )
        raise click.exceptions.Exit(130) from None
    tell_end(status, console)
