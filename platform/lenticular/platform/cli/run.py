"""`lenticular run`: preview a QuantumGraph, and execute it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

    from lenticular.pipelines.graph import GraphRequest
    from lenticular.platform.progress import Console
    from lenticular.platform.runs import Run, RunStatus

__all__ = ["follow", "run", "tell_end"]


class _EndedOtherwiseError(Exception):
    """The run that was followed did not succeed."""


@click.command()
@click.argument("repository")
@click.option(
    "-p",
    "--pipeline",
    default="single-visit",
    show_default=True,
    help="Name of a pipeline of lenticular's, path or URI; #task,subset after it selects tasks.",
)
@click.option(
    "-i", "--input", "inputs", multiple=True, required=True, help="Collection to read; may be repeated."
)
@click.option("-o", "--output", help="Chain that will hold the outputs before the inputs.")
@click.option("--output-run", help="Name of the run with the outputs; output/timestamp by default.")
@click.option("-d", "--where", default="", help="Butler expression that restricts the data.")
@click.option(
    "-c", "--config", multiple=True, metavar="TASK:FIELD=VALUE", help="Configuration value to change."
)
@click.option(
    "-j", "--workers", type=click.IntRange(min=1), help="Worker processes; as many as fit by default."
)
@click.option("--preview", is_flag=True, help="Only show what would be executed.")
@click.option("--detach", is_flag=True, help="Return once it is launched; `lenticular show run` follows it.")
def run(
    repository: str,
    *,
    pipeline: str,
    inputs: tuple[str, ...],
    output: str | None,
    output_run: str | None,
    where: str,
    config: tuple[str, ...],
    workers: int | None,
    preview: bool,
    detach: bool,
) -> None:
    """Execute a pipeline on data of REPOSITORY.

    The run goes on when this command, or the terminal, is closed.
    """
    from lenticular.butler import Repository
    from lenticular.butler.configuration import CONFIGURATION_NAME
    from lenticular.pipelines.definitions import pipeline_uri
    from lenticular.pipelines.graph import ConfigOverride, GraphRequest
    from lenticular.platform.progress import Console
    from lenticular.platform.runs import launch

    request = GraphRequest(
        pipeline=pipeline_uri(pipeline),
        inputs=tuple(name for given in inputs for name in given.split(",")),
        output=output,
        output_run=output_run,
        where=where,
        config=tuple(ConfigOverride.parse(text) for text in config),
    )
    console = Console()
    with Repository.open(repository) as opened:
        location = opened.configuration.location
        # A folder is recorded as such: a restart may come from where its label is unknown.
        uri = location.path.removesuffix(f"/{CONFIGURATION_NAME}") if location.is_local else repository
        if preview:
            _preview(opened.butler, request, console)
            return
        if not (output or output_run):
            raise click.UsageError(
                "Give --output, the collection for the results (such as u/you/first-look)."
            )
    launched = launch(uri, request, workers=workers)
    click.echo(f"run {launched.record.id}", err=True)
    if not detach:
        follow(launched, console)


def _preview(butler: Butler, request: GraphRequest, console: Console) -> None:
    from lenticular.pipelines.graph import preview_graph
    from lenticular.platform.cli.output import print_table

    with console.step("Building the graph"):
        preview = preview_graph(butler, request)
    print_table([{"task": task.label, "quanta": task.quanta} for task in preview.tasks], empty="No quanta.")


def follow(followed: Run, console: Console) -> None:
    """Show how a run goes on until its end, and end this command as the run has ended.

    Parameters
    ----------
    followed
        The run.
    console
        Where to show it. The name of the output run goes to standard output.

    Raises
    ------
    click.exceptions.Exit
        Raised with code 1 if the run did not succeed, and with 130 at ctrl-C,
        which leaves the run alone.
    """
    from lenticular.platform.runs import RunState

    run_id = followed.record.id
    try:
        # A step whose block raises is shown as not finished.
        with contextlib.suppress(_EndedOtherwiseError), console.step("Executing") as advance:
            status = followed.wait(on_change=lambda now: advance(now.phase, now.succeeded, now.total))
            if status.state is not RunState.SUCCEEDED:
                raise _EndedOtherwiseError
    except KeyboardInterrupt:
        console.say(
            f"The run goes on: `lenticular show run {run_id}` tells how it stands, "
            f"`lenticular cancel {run_id}` stops it."
        )
        raise click.exceptions.Exit(130) from None
    tell_end(status, console)
    click.echo(followed.record.output_run)
    if status.state is not RunState.SUCCEEDED:
        raise click.exceptions.Exit(1)


def tell_end(status: RunStatus, console: Console) -> None:
    """Tell how a run has ended: its state, its quanta, why, and what to do next.

    Parameters
    ----------
    status
        Its last status.
    console
        Where to tell it.
    """
    from lenticular.platform.runs import RunState

    states = ("failed", "blocked", "cancelled", "waiting", "running")
    counts = {state: sum(getattr(task, state) for task in status.tasks) for state in states}
    others = "".join(f", {count} {state}" for state, count in counts.items() if count)
    console.say(f"  {status.state}: {status.succeeded} of {status.total} quanta succeeded{others}")
    for group in status.failures:
        log = f" (see {group.log})" if group.log else ""
        console.say(f"  {group.count} x {group.task}: {group.error}: {group.message}{log}")
    if status.error:
        console.say(f"  {status.error}")
    if status.state is RunState.LOST:
        console.say("  Its driver died; driver.log in the run's folder may tell why.")
    if status.is_over and status.state is not RunState.SUCCEEDED:
        console.say(f"  `lenticular restart {status.id}` does what is left.")
