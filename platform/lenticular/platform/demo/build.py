"""The demo's repository: simulated, ingested and reduced, each step once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lenticular.butler import Repository, add_label, create_repository
from lenticular.butler.errors import RunError
from lenticular.platform.progress import Console
from lenticular.platform.runs import RunState, RunStore, launch

if TYPE_CHECKING:
    from lenticular.platform.demo.folder import DemoFolder

__all__ = ["BUCKET", "LABEL", "OUTPUT", "build_repository", "reduce_survey"]

BUCKET = "lenticular-demo"
"""Bucket that holds the demo's datasets."""

LABEL = "demo"
"""Label of the demo's repository."""

OUTPUT = "demo/single-visit"
"""Collection with the reduced exposures."""


def build_repository(folder: DemoFolder, size: str, seed: int, workers: int, recipe: str) -> None:
    """Create the repository and put the survey's raws and calibrations into it.

    Steps that a former call finished are left out. Tells what it does on
    standard error.
    """
    console = Console()
    if not folder.finished("created", recipe):
        with console.step("Creating the repository (SQLite, S3)"):
            from lenticular.pipelines.storage import repository_config

            create_repository(
                folder.repository, datastore=f"s3://{BUCKET}/{LABEL}", config=repository_config()
            ).close()
            add_label(LABEL, str(folder.repository.absolute()), folder.index)
        folder.finish("recipe", recipe)
        folder.finish("created", recipe)
    if not folder.finished("populated", recipe):
        _populate(folder, size, seed, workers, console)
        folder.finish("populated", recipe)
        shutil.rmtree(folder.incoming, ignore_errors=True)  # the repository has its own copies


def _populate(folder: DemoFolder, size: str, seed: int, workers: int, console: Console) -> None:
    from lenticular.pipelines.cerro.repository import populate
    from lenticular.pipelines.cerro.survey import SurveyPlan
    from lenticular.pipelines.cerro.truth import write_truth

    plan = SurveyPlan.make(size, seed=seed)
    write_truth(plan, folder.truth)
    with (
        Repository.open(folder.repository, writeable=True) as repository,
        console.step(f"Simulating and ingesting {len(plan.exposures)} exposures") as advance,
    ):
        populate(
            repository.butler,
            folder.incoming,
            plan,
            transfer="copy",
            workers=workers,
            progress=advance,
            on_written=repository.analyze,
        )


def reduce_survey(folder: DemoFolder, workers: int, recipe: str, console: Console) -> None:
    """Reduce every visit by the single-visit pipeline, or go on with that.

    Raises
    ------
    RunError
        Raised if quanta failed; the message has the commonest cause.
    """
    if folder.finished("reduced", recipe):
        return
    from lenticular.pipelines.definitions import pipeline_uri
    from lenticular.pipelines.graph import GraphRequest

    runs = RunStore(folder.runs)
    request = GraphRequest(
        pipeline=pipeline_uri("single-visit"),
        inputs=("CerroCam/defaults",),
        output=OUTPUT,
        output_run=f"{OUTPUT}/first",
    )
    begun = [record for record in runs.list() if record.output_run == request.output_run]
    with console.step(f"Reducing the night with {workers} workers") as advance:
        run = (
            runs.get(begun[0].id)
            if begun
            else launch(str(folder.repository), request, workers=workers, store=runs)
        )
        if run.status().is_over and run.status().state is not RunState.SUCCEEDED:
            run = run.restart()
        status = run.wait(on_change=lambda now: advance(now.phase, now.succeeded, now.total))
    if status.state is not RunState.SUCCEEDED:
        causes = "; ".join(f"{group.task}: {group.error}: {group.message}" for group in status.failures[:3])
        raise RunError(
            f"The reduction has {status.state}. {causes or status.error or ''}".strip(),
            where=run.record.folder,
            hint="Run the same command again to go on; --rebuild begins anew.",
        )
    folder.finish("reduced", recipe)
