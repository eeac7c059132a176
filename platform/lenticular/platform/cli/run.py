"""`lenticular run`: preview a QuantumGraph, and execute it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lsst.daf.butler import Butler

    from lenticular.pipelines.graph import GraphRequest
    from lenticular.platform.progress import Console
    from lenticular.platform.runs import Run

__all__ = ["run"]


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
@click.option("-j", "--workers", type=int, help="Worker processes; as many as fit by default.")
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
        uri = opened.configuration.location.path if opened.configuration.location.is_local else repository
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
        _follow(launched, console)


def _preview(butler: Butler, request: GraphRequest, console: Console) -> None:
    from lenticular.pipelines.graph import preview_graph
    from lenticular.platform.cli.output import print_table

    with console.step("Building the graph"):
        preview = preview_graph(butler, request)
    print_table([{"task": task.label, "quanta": task.quanta} for task in preview.tasks], empty="No quanta.")


def _follow(launched: Run, console: Console) -> None:
    from lenticular.platform.runs import RunState

    with console.step("Executing") as advance:
        status = launched.wait(on_change=lambda now: advance(now.phase, now.succeeded, now.total))
    for failure in status.failures:
        console.say(
            f"  {failure.count} x {failure.task}: {failure.error}: {failure.message} (see {failure.log})"
        )
    if status.error:
        console.say(f"  {status.error}")
    click.echo(launched.record.output_run)
    if status.state is not RunState.SUCCEEDED:
        raise click.exceptions.Exit(1)
