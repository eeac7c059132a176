"""Folding a journal into the state of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lenticular.platform.execution.journal import Event

__all__ = ["Failure", "QuantumState", "RunProgress", "TaskProgress"]


class QuantumState(StrEnum):
    """Where a quantum stands. Every one ends in one of the last four."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    """Not run, since a quantum that it depends on failed."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failure:
    """One quantum that failed for good."""

    quantum: str
    """Its identifier."""

    task: str
    """Label of its task."""

    data_id: str
    """Its data ID, as text."""

    error: str
    """Class of the exception, or ``WorkerDied``."""

    message: str
    """First line of the exception."""

    log: str | None
    """File with its log, if there is one."""


@dataclass(slots=True)
class TaskProgress:
    """What is known of the quanta of one task."""

    total: int = 0
    """Number of quanta."""

    wall_seconds: float = 0.0
    """Time that the executed quanta took, summed."""

    cpu_seconds: float = 0.0
    """Processor time that they used, summed."""

    peak_memory: int = 0
    """Most memory that one of them used [byte]."""

    executed: int = 0
    """Quanta that ran to their end; those found finished do not count."""


@dataclass(slots=True)
class RunProgress:
    """The state of a run, as far as its journal tells.

    A run has one *session* per driver: the first, and one for each restart.
    What succeeded in an earlier session stays; everything else starts anew.
    """

    session: int = 0
    """Number of the session, 0 before the first."""

    phase: str = ""
    """What the driver is doing."""

    outcome: str | None = None
    """How this session ended; `None` while it has not."""

    error: dict[str, Any] | None = None
    """What kept the run as a whole from going on."""

    started: float | None = None
    """When the first session began, in seconds since 1970."""

    finished: float | None = None
    """When this session ended."""

    tasks: dict[str, TaskProgress] = field(default_factory=dict)
    """By label, in the order of the pipeline."""

    quanta: dict[str, tuple[str, QuantumState]] = field(default_factory=dict)
    """Task and state of each quantum that an event has named."""

    failures: dict[str, Failure] = field(default_factory=dict)
    """By quantum, in the order in which they failed."""

    attempts: int = 0
    """Attempts that failed and were, or will be, made again."""

    touched: set[str] = field(default_factory=set)
    """Quanta that were ever started and have not succeeded: some of their
    outputs may exist."""

    def fold(self, events: Iterable[Event]) -> None:
        """Take events into account, in their order."""
        for event in events:
            handler = getattr(self, f"_on_{event.name}", None)
            if handler is not None:
                handler(event)

    def counts(self) -> dict[str, Counter[QuantumState]]:
        """Return the number of quanta in each state, by task."""
        counts: dict[str, Counter[QuantumState]] = {label: Counter() for label in self.tasks}
        for task, state in self.quanta.values():
            counts.setdefault(task, Counter())[state] += 1
        rest = QuantumState.CANCELLED if self.outcome == QuantumState.CANCELLED else QuantumState.WAITING
        for label, count in counts.items():
            count[rest] += self.tasks[label].total - count.total() if label in self.tasks else 0
        return counts

    def succeeded(self) -> set[str]:
        """Return the quanta that succeeded."""
        return {quantum for quantum, (_, state) in self.quanta.items() if state is QuantumState.SUCCEEDED}

    def _on_session(self, event: Event) -> None:
        self.session = int(event.fields["number"])
        self.phase = "starting"
        self.outcome = self.error = self.finished = None
        if self.started is None:
            self.started = event.time
        self.quanta = {
            quantum: (task, state)
            for quantum, (task, state) in self.quanta.items()
            if state is QuantumState.SUCCEEDED
        }
        self.failures.clear()

    def _on_phase(self, event: Event) -> None:
        self.phase = str(event.fields["phase"])

    def _on_graph(self, event: Event) -> None:
        for label, total in event.fields["tasks"]:
            self.tasks.setdefault(label, TaskProgress()).total = int(total)

    def _on_start(self, event: Event) -> None:
        self._set(event, QuantumState.RUNNING)
        self.touched.add(event.fields["quantum"])

    def _on_done(self, event: Event) -> None:
        self._set(event, QuantumState.SUCCEEDED)
        self.touched.discard(event.fields["quantum"])
        if event.fields.get("skipped"):
            return
        task = self.tasks.setdefault(event.fields["task"], TaskProgress())
        task.executed += 1
        task.wall_seconds += event.fields["wall"]
        task.cpu_seconds += event.fields["cpu"]
        task.peak_memory = max(task.peak_memory, event.fields["peak_memory"] or 0)

    def _on_fail(self, event: Event) -> None:
        if not event.fields["final"]:
            self._set(event, QuantumState.WAITING)
            self.attempts += 1
            return
        self._set(event, QuantumState.FAILED)
        fields = event.fields
        self.failures[fields["quantum"]] = Failure(
            quantum=fields["quantum"],
            task=fields["task"],
            data_id=fields.get("data_id", ""),
            error=fields["error"]["class"],
            message=fields["error"]["message"],
            log=fields.get("log"),
        )

    def _on_blocked(self, event: Event) -> None:
        for task, quanta in event.fields["quanta"].items():
            for quantum in quanta:
                self.quanta[quantum] = (task, QuantumState.BLOCKED)

    def _on_interrupted(self, event: Event) -> None:
        for quantum in event.fields["quanta"]:
            if quantum in self.quanta:
                self.quanta[quantum] = (self.quanta[quantum][0], QuantumState.CANCELLED)

    def _on_end(self, event: Event) -> None:
        self.outcome = event.fields["state"]
        self.error = event.fields.get("error")
        self.finished = event.time
        self.phase = ""

    def _set(self, event: Event, state: QuantumState) -> None:
        self.quanta[event.fields["quantum"]] = (event.fields["task"], state)
