"""Walking a graph: what runs when, what is tried again, what is given up."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.platform.execution.messages import Assignment, Cause, Death, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from lsst.pipe.base.graph_walker import GraphWalker

    from lenticular.platform.execution.journal import Journal
    from lenticular.platform.execution.pool import Pool
    from lenticular.platform.execution.thin import ThinGraph

__all__ = ["Budget", "Scheduler"]

_POLL_SECONDS = 0.25
"""How soon a cancellation is noticed while nothing else happens."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How often a quantum is tried again."""

    deaths: int = 2
    """After the death of its worker. A quantum that kills every worker, by
    needing more memory than there is, must not go on for ever."""

    transient: int = 2
    """After an exception that may not come again, such as a lost connection."""


class Scheduler:
    """Hands the quanta of a graph to a pool, in an order that respects it.

    Parameters
    ----------
    graph
        All quanta.
    finished
        Identifiers of the quanta that need not be run, as text.
    pool
        Where quanta are executed.
    journal
        Where events are written.
    cancelled
        Asked often whether to stop.
    fresh
        Whether no output of any quantum can exist before its first attempt.
    budget
        How often a quantum is tried again.

    Notes
    -----
    Among ready quanta those of the latest task go first, so that the first
    final products can be looked at while most of the run is still to come.
    """

    def __init__(
        self,
        graph: ThinGraph,
        finished: set[str],
        pool: Pool,
        journal: Journal,
        *,
        cancelled: Callable[[], bool],
        fresh: bool,
        budget: Budget | None = None,
    ) -> None:
        from lsst.pipe.base.graph_walker import GraphWalker

        self._nodes = graph.quanta
        self._walker: GraphWalker[UUID] = GraphWalker(graph.without(finished))
        self._pool = pool
        self._journal = journal
        self._cancelled = cancelled
        self._fresh = fresh
        self._budget = budget or Budget()
        self._ready: list[tuple[int, str, UUID]] = []
        self._busy = 0
        self._failures: dict[UUID, Counter[str]] = defaultdict(Counter)

    def run(self) -> bool:
        """Run until every quantum has ended, or the run is cancelled.

        Returns
        -------
        bool
            Whether it went to its end; `False` if it was cancelled.
        """
        for ready in self._walker:
            self._enqueue(ready)
            if self._cancelled():
                self._interrupt()
                return False
            self._pool.want(self._busy + len(self._ready))
            self._hand_out()
            for outcome in self._pool.wait(_POLL_SECONDS):
                self._busy -= 1
                self._take(outcome)
        return True

    def _enqueue(self, quanta: Iterable[UUID]) -> None:
        for quantum in quanta:
            node = self._nodes[quantum]
            heapq.heappush(self._ready, (-node.rank, node.data_id, quantum))

    def _hand_out(self) -> None:
        while self._ready and self._pool.idle:
            _, data_id, quantum = heapq.heappop(self._ready)
            attempt = 1 + self._failures[quantum].total()
            assignment = Assignment(
                quantum, self._nodes[quantum].task, attempt, fresh=self._fresh and attempt == 1
            )
            worker = self._pool.submit(assignment)
            self._busy += 1
            self._journal.write(
                "start",
                quantum=str(quantum),
                task=assignment.task,
                data_id=data_id,
                attempt=attempt,
                worker=worker,
            )

    def _take(self, outcome: Result | Death) -> None:
        quantum = outcome.assignment.quantum
        if isinstance(outcome, Death):
            cause = Cause("WorkerDied", _epitaph(outcome.exit_code), transient=True)
            self._fail(outcome, cause, spent=self._failures[quantum]["deaths"] >= self._budget.deaths)
            self._failures[quantum]["deaths"] += 1
        elif outcome.cause is not None:
            tries = self._failures[quantum]["errors"]
            spent = not outcome.cause.transient or tries >= self._budget.transient
            self._fail(outcome, outcome.cause, spent=spent)
            self._failures[quantum]["errors"] += 1
        else:
            self._journal.write(
                "done",
                quantum=str(quantum),
                task=outcome.assignment.task,
                wall=outcome.cost.wall,
                cpu=outcome.cost.cpu,
                peak_memory=outcome.cost.peak_memory,
                skipped=outcome.skipped,
                worker=outcome.worker,
            )
            self._walker.finish(quantum)

    def _fail(self, outcome: Result | Death, cause: Cause, *, spent: bool) -> None:
        """Try a quantum again, or give up it and all that depends on it."""
        quantum = outcome.assignment.quantum
        self._journal.write(
            "fail",
            quantum=str(quantum),
            task=outcome.assignment.task,
            data_id=self._nodes[quantum].data_id,
            attempt=outcome.assignment.attempt,
            worker=outcome.worker,
            error={"class": cause.error, "message": cause.message},
            log=outcome.log,
            final=spent,
        )
        if not spent:
            self._enqueue([quantum])
            return
        blocked: defaultdict[str, list[str]] = defaultdict(list)
        for descendant in self._walker.fail(quantum):
            blocked[self._nodes[descendant].task].append(str(descendant))
        if blocked:
            self._journal.write("blocked", by=str(quantum), quanta=dict(blocked))

    def _interrupt(self) -> None:
        interrupted = self._pool.kill()
        self._journal.write("interrupted", quanta=[str(assignment.quantum) for assignment in interrupted])


def _epitaph(exit_code: int) -> str:
    if exit_code == -9:  # noqa: PLR2004  SIGKILL, which the kernel sends when memory is short
        return "killed by signal 9, often for want of memory"
    if exit_code < 0:
        return f"killed by signal {-exit_code}"
    return f"ended with exit code {exit_code}"
