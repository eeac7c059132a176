"""Questions and answers about runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from lenticular.platform.runs import RunState
from lenticular.platform.server.models.base import Answer, Label, Question
from lenticular.platform.server.models.graphs import PreviewQuestion

__all__ = [
    "Failure",
    "LaunchQuestion",
    "Run",
    "RunDetails",
    "RunQuestion",
    "RunTask",
    "Runs",
    "RunsQuestion",
]


class RunsQuestion(Question):
    """Which runs to list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 20
    """How many at most."""
    before: Label | None = None
    """Identifier of the last run of the page before."""


class RunQuestion(Question):
    """A run."""

    id: Label
    """Its identifier."""


class LaunchQuestion(PreviewQuestion):
    """Which tasks are to run on which data, and where the outputs go."""

    output: Label
    """CHAINED collection that will show the outputs before the inputs."""
    workers: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many quanta are executed at once; by default what the machine allows."""


class RunTask(Answer):
    """The quanta of a task, by state."""

    label: str
    """Label of the task."""
    quanta: int
    """Number of quanta."""
    waiting: int
    """Not started yet."""
    running: int
    """In a worker's hands."""
    succeeded: int
    """Done."""
    failed: int
    """Failed for good."""
    blocked: int
    """Not run, since a quantum that they depend on failed."""
    cancelled: int
    """Not run, or interrupted, since the run was cancelled."""
    mean_seconds: float | None
    """Mean time of one quantum [s]."""


class Run(Answer):
    """A run and how it stands."""

    id: str
    """Its identifier."""
    state: RunState
    """Where it stands."""
    phase: str
    """What its driver is doing, in words."""
    output_run: str
    """RUN collection of its outputs."""
    pipeline: str
    """Its pipeline."""
    label: str | None
    """Label of its repository; null if it is none of this server's."""
    created: datetime
    """When it was launched, UTC."""
    started: datetime | None
    """When its driver began, UTC."""
    ended: datetime | None
    """When it ended, UTC."""
    tasks: tuple[RunTask, ...]
    """In the order of the pipeline; empty until the graph is built."""
    progress: Annotated[float, Field(ge=0, le=1)]
    """Share of the quanta that have ended."""
    eta_seconds: float | None
    """Estimate of the time until all quanta are done [s]."""
    error: str | None
    """What kept the run as a whole from going on."""
    can_cancel: bool
    """Whether this server would cancel it now."""
    can_restart: bool
    """Whether this server would restart it now."""


class Runs(Answer):
    """Some runs."""

    runs: tuple[Run, ...]
    """The latest first."""
    total: int
    """How many there are."""


class Failure(Answer):
    """Quanta of one task that failed in the same way."""

    task: str
    """Label of the task."""
    error: str
    """Class of the exception."""
    message: str
    """First line of the exception, of the first one."""
    count: int
    """Number of quanta."""
    quantum: str
    """Identifier of the first."""
    data_id: str
    """Data ID of the first."""
    log_tail: str
    """End of the log of the first."""


class RunDetails(Run):
    """A run, how it stands, and why."""

    inputs: tuple[str, ...]
    """Collections that were searched for inputs."""
    where: str
    """Constraint on data IDs."""
    workers: int
    """How many quanta are executed at once."""
    failures: tuple[Failure, ...]
    """Failures, grouped by task and cause, the most frequent first."""
    log_tail: str
    """End of what the driver itself had to say."""
