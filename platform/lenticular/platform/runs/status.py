"""The state of a run at one moment, as a value that can be shown."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING, Any

from lenticular.platform.execution.states import QuantumState, TaskProgress

if TYPE_CHECKING:
    from collections import Counter

    from lenticular.platform.execution.states import Failure, RunProgress
    from lenticular.platform.runs.record import RunRecord

__all__ = ["FailureGroup", "RunState", "RunStatus", "TaskStatus"]


class RunState(StrEnum):
    """Where a run stands."""

    BUILDING = "building"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Its driver died before the end; a restart goes on where it stopped."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless the run is restarted."""
        return self not in (RunState.BUILDING, RunState.RUNNING)


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The quanta of one task, by state."""

    label: str
    """Label of the task."""

    total: int
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

    cpu_seconds: float
    """Processor time of all that were executed [s]."""

    peak_memory: int
    """Most memory that one of them used [byte]."""


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Quanta of one task that failed in the same way."""

    task: str
    """Label of the task."""

    error: str
    """Class of the exception, or ``WorkerDied``."""

    message: str
    """First line of the exception, of the first one."""

    count: int
    """Number of quanta."""

    quantum: str
    """Identifier of the first."""

    data_id: str
    """Data ID of the first."""

    log: str | None
    """File with the log of the first."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The state of a run at one moment."""

    id: str
    """Identifier of the run."""

    state: RunState
    """Where it stands."""

    phase: str
    """What its driver is doing, in words; empty once it is over."""

    tasks: tuple[TaskStatus, ...]
    """In the order of the pipeline; empty until the graph is built."""

    failures: tuple[FailureGroup, ...]
    """Failures, grouped by task and cause, the most frequent first."""

    error: str | None
    """What kept the run as a whole from going on."""

    retries: int
    """Attempts that failed and were made again."""

    session: int
    """1, and one more for each restart."""

    started: datetime | None
    """When it began, UTC."""

    finished: datetime | None
    """When it ended, UTC."""

    eta_seconds: float | None
    """Estimate of the time until all quanta are done [s]; `None` if unknown."""

    @property
    def total(self) -> int:
        """Number of quanta."""
        return sum(task.total for task in self.tasks)

    @property
    def succeeded(self) -> int:
        """Number of quanta that succeeded."""
        return sum(task.succeeded for task in self.tasks)

    @property
    def fraction(self) -> float:
        """Share of the quanta that have ended, from 0 to 1."""
        open_quanta = sum(task.waiting + task.running for task in self.tasks)
        return 1 - open_quanta / self.total if self.total else 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless the run is restarted."""
        return self.state.is_over

    def to_json(self) -> dict[str, Any]:
        """Return the status as a mapping that JSON can hold."""
        values = asdict(self)
        for name in ("started", "finished"):
            values[name] = None if values[name] is None else values[name].isoformat()
        return {**values, "fraction": self.fraction, "total": self.total, "succeeded": self.succeeded}

    def _repr_html_(self) -> str:
        states = ("waiting", "running", "succeeded", "failed", "blocked", "cancelled")
        head = "".join(f"<th>{name}</th>" for name in ("task", *states))
        body = "".join(
            f"<tr><td>{escape(task.label)}</td>"
            + "".join(f"<td>{getattr(task, state):,}</td>" for state in states)
            + "</tr>"
            for task in self.tasks
        )
        eta = f", about {self.eta_seconds:.0f} s to go" if self.eta_seconds and not self.is_over else ""
        title = f"{self.state}{f': {self.phase}' if self.phase else ''}, {self.fraction:.0%}{eta}"
        failures = "".join(
            f"<li>{group.count} x {escape(group.task)}: {escape(group.error)}: {escape(group.message)} "
            f"(as {escape(group.data_id)})</li>"
            for group in self.failures
        )
        error = f"<p><b>{escape(self.error)}</b></p>" if self.error else ""
        table = (
            f"<table><caption>run {escape(self.id)}: {escape(title)}</caption><tr>{head}</tr>{body}</table>"
        )
        return table + error + (f"<ul>{failures}</ul>" if failures else "")

    @classmethod
    def of(cls, record: RunRecord, progress: RunProgress, *, alive: bool) -> RunStatus:
        """Return the status that a folded journal tells.

        Parameters
        ----------
        record
            The run.
        progress
            Its journal, folded.
        alive
            Whether its driver lives.
        """
        counts = progress.counts()
        tasks = tuple(_task_status(label, task, counts[label]) for label, task in progress.tasks.items())
        return cls(
            id=record.id,
            state=_state(progress, alive=alive),
            phase=progress.phase if alive else "",
            tasks=tasks,
            failures=_grouped(progress.failures.values()),
            error=_sentence(progress.error),
            retries=progress.attempts,
            session=progress.session,
            started=_moment(progress.started),
            finished=_moment(progress.finished),
            eta_seconds=_eta(tasks, record.workers) if alive else None,
        )


def _state(progress: RunProgress, *, alive: bool) -> RunState:
    if progress.outcome is not None:
        return RunState(progress.outcome)
    if not alive:
        return RunState.LOST
    return RunState.RUNNING if progress.tasks else RunState.BUILDING


def _task_status(label: str, task: TaskProgress, count: Counter[QuantumState]) -> TaskStatus:
    return TaskStatus(
        label=label,
        total=task.total,
        waiting=count[QuantumState.WAITING],
        running=count[QuantumState.RUNNING],
        succeeded=count[QuantumState.SUCCEEDED],
        failed=count[QuantumState.FAILED],
        blocked=count[QuantumState.BLOCKED],
        cancelled=count[QuantumState.CANCELLED],
        mean_seconds=task.wall_seconds / task.executed if task.executed else None,
        cpu_seconds=round(task.cpu_seconds, 3),
        peak_memory=task.peak_memory,
    )


def _grouped(failures: Any) -> tuple[FailureGroup, ...]:
    """Group failures whose messages differ in numbers only."""
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in failures:
        key = (failure.task, failure.error, re.sub(r"\d+", "#", failure.message))
        groups.setdefault(key, []).append(failure)
    return tuple(
        FailureGroup(
            task=group[0].task,
            error=group[0].error,
            message=group[0].message,
            count=len(group),
            quantum=group[0].quantum,
            data_id=group[0].data_id,
            log=group[0].log,
        )
        for group in sorted(groups.values(), key=len, reverse=True)
    )


def _eta(tasks: tuple[TaskStatus, ...], workers: int) -> float | None:
    """Estimate the time to the end from the mean time of each task so far.

    A task of which none has run yet is taken for as long as the others'
    mean; that is a guess, and better than saying nothing.
    """
    known = [task.mean_seconds for task in tasks if task.mean_seconds is not None]
    if not known:
        return None
    typical = sum(known) / len(known)
    work = sum(
        (task.waiting + task.running) * (typical if task.mean_seconds is None else task.mean_seconds)
        for task in tasks
    )
    return round(work / workers, 1)


def _sentence(error: dict[str, Any] | None) -> str | None:
    if error is None:
        return None
    where = f" ({error['where']})" if error.get("where") else ""
    hint = f". {error['hint']}" if error.get("hint") else ""
    return f"{error['class']}: {error['message']}{where}{hint}"


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
