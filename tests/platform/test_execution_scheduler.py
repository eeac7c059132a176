"""The scheduler on made-up graphs and a pool without processes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenticular.platform.execution import Journal, JournalReader, QuantumState, RunProgress
from lenticular.platform.execution.measure import Cost
from lenticular.platform.execution.messages import Assignment, Cause, Death, Result
from lenticular.platform.execution.scheduler import Budget, Scheduler
from lenticular.platform.execution.thin import QuantumNode, ThinGraph

if TYPE_CHECKING:
    from pathlib import Path

type Fate = str
"""One letter per attempt: success, failure, transient failure, death."""


class PaperPool:
    """Executes by the book: the fate of each attempt is written down."""

    def __init__(self, size: int, fates: dict[UUID, Fate]) -> None:
        self._size = size
        self._fates = fates
        self._at: list[Assignment] = []
        self.executed: list[UUID] = []
        self.most_at_once = 0

    @property
    def idle(self) -> int:
        """Return the number of free hands."""
        return self._size - len(self._at)

    def want(self, count: int) -> None:
        """Need no preparation."""

    def submit(self, assignment: Assignment) -> int:
        """Take a quantum."""
        assert self.idle
        self._at.append(assignment)
        self.most_at_once = max(self.most_at_once, len(self._at))
        return 4711

    def wait(self, timeout: float) -> list[Result | Death]:
        """Let one fate come true."""
        assert timeout > 0
        if not self._at:
            return []
        assignment = self._at.pop(0)
        self.executed.append(assignment.quantum)
        fate = self._fates.get(assignment.quantum, "s")
        letter = fate[min(assignment.attempt, len(fate)) - 1]
        if letter == "d":
            return [Death(assignment, 4711, -9, "4711.log")]
        cause = None if letter == "s" else Cause("Boom", "It broke", transient=letter == "t")
        return [Result(assignment, 4711, Cost(1.0, 0.5, 1000), cause)]

    def kill(self) -> list[Assignment]:
        """Drop everything."""
        interrupted, self._at = self._at, []
        return interrupted


def thin(edges: list[tuple[int, int]], count: int) -> ThinGraph:
    """Return a graph of numbered quanta, each of a task of its own depth."""
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(count))
    depth: dict[int, int] = {}
    for node in nx.topological_sort(graph):
        depth[node] = 1 + max((depth[before] for before in graph.predecessors(node)), default=-1)
    deepest = max(depth.values(), default=0)
    return ThinGraph(
        tasks=tuple((f"task{rank}", sum(d == rank for d in depth.values())) for rank in range(deepest + 1)),
        quanta={UUID(int=n): QuantumNode(f"task{depth[n]}", depth[n], f"n={n}") for n in range(count)},
        edges=tuple((UUID(int=a), UUID(int=b)) for a, b in edges),
        inputs=(),
        output=None,
        output_run="run",
    )


def run(
    graph: ThinGraph,
    pool: PaperPool,
    folder: Path,
    *,
    finished: set[str] | None = None,
    cancel_after: int = -1,
) -> RunProgress:
    """Run a graph; return what the journal says."""
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        journal.write("session", number=1)
        journal.write("graph", tasks=graph.tasks)
        scheduler = Scheduler(
            graph,
            finished or set(),
            pool,
            journal,
            cancelled=lambda: 0 <= cancel_after <= len(pool.executed),
            fresh=True,
            budget=Budget(deaths=1, transient=2),
        )
        complete = scheduler.run()
        journal.write("end", state="succeeded" if complete else "cancelled", error=None)
    progress = RunProgress()
    progress.fold(JournalReader(path).read())
    return progress


def states(progress: RunProgress) -> dict[int, QuantumState]:
    return {UUID(quantum).int: state for quantum, (_, state) in progress.quanta.items()}


CHAIN = [(0, 1), (1, 2)]

graphs = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20).map(
            lambda pairs: sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
        ),
        st.lists(st.text("sftd", min_size=1, max_size=4), min_size=count, max_size=count),
        st.integers(1, 4),
    )
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(graphs)
def test_every_quantum_ends_and_failures_block_descendants_only(
    tmp_path: Path, case: tuple[int, list[tuple[int, int]], list[Fate], int]
) -> None:
    count, edges, fates, size = case
    pool = PaperPool(size, {UUID(int=n): fate for n, fate in enumerate(fates)})
    found = states(run(thin(edges, count), pool, tmp_path))
    descendants = nx.DiGraph(edges)
    descendants.add_nodes_from(range(count))
    failed = {n for n, state in found.items() if state is QuantumState.FAILED}
    blocked = set().union(*(nx.descendants(descendants, n) for n in failed)) if failed else set()
    assert set(found) == set(range(count))
    assert {n for n, state in found.items() if state is QuantumState.BLOCKED} == blocked
    assert all(found[n] is QuantumState.SUCCEEDED for n in set(range(count)) - failed - blocked)
    assert pool.most_at_once <= size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(graphs)
def test_no_quantum_runs_before_what_it_depends_on(
    tmp_path: Path, case: tuple[int, list[tuple[int, int]], list[Fate], int]
) -> None:
    count, edges, _, size = case
    pool = PaperPool(size, {})
    run(thin(edges, count), pool, tmp_path)
    order = [quantum.int for quantum in pool.executed]
    assert sorted(order) == list(range(count))
    assert all(order.index(before) < order.index(after) for before, after in edges)


@pytest.mark.parametrize(
    ("fate", "state", "tries"),
    [
        ("s", QuantumState.SUCCEEDED, 1),
        ("fs", QuantumState.FAILED, 1),
        ("ts", QuantumState.SUCCEEDED, 2),
        ("tts", QuantumState.SUCCEEDED, 3),
        ("ttts", QuantumState.FAILED, 3),
        ("ds", QuantumState.SUCCEEDED, 2),
        ("dds", QuantumState.FAILED, 2),
        ("dts", QuantumState.SUCCEEDED, 3),
    ],
)
def test_what_may_not_come_again_is_tried_again(
    tmp_path: Path, fate: Fate, state: QuantumState, tries: int
) -> None:
    pool = PaperPool(1, {UUID(int=0): fate})
    progress = run(thin([], 1), pool, tmp_path)
    assert states(progress)[0] is state
    assert len(pool.executed) == tries
    assert progress.attempts == tries - 1


def test_a_death_is_told_with_its_signal(tmp_path: Path) -> None:
    progress = run(thin([], 1), PaperPool(1, {UUID(int=0): "d"}), tmp_path)
    (failure,) = progress.failures.values()
    assert (failure.error, failure.data_id, failure.log) == ("WorkerDied", "n=0", "4711.log")
    assert "signal 9" in failure.message


def test_late_tasks_go_first(tmp_path: Path) -> None:
    pool = PaperPool(1, {})
    run(thin([(0, 2), (1, 3)], 4), pool, tmp_path)
    assert [quantum.int for quantum in pool.executed] == [0, 2, 1, 3]


def test_finished_quanta_are_not_run(tmp_path: Path) -> None:
    pool = PaperPool(1, {})
    run(thin(CHAIN, 3), pool, tmp_path, finished={str(UUID(int=0)), str(UUID(int=1))})
    assert [quantum.int for quantum in pool.executed] == [2]


def test_cancelling_interrupts_what_runs_and_leaves_the_rest(tmp_path: Path) -> None:
    pool = PaperPool(2, {})
    progress = run(thin([], 5), pool, tmp_path, cancel_after=2)
    counts = progress.counts()["task0"]
    assert counts[QuantumState.SUCCEEDED] == len(pool.executed)
    assert counts[QuantumState.CANCELLED] == 5 - len(pool.executed)
    assert counts[QuantumState.RUNNING] == counts[QuantumState.WAITING] == 0
