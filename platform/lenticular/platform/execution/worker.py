"""The worker: a process that imports the stack once and executes quantum after quantum."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from lenticular.platform.execution.logs import LOG_FORMAT, RedactingFormatter
from lenticular.platform.execution.measure import Meter
from lenticular.platform.execution.messages import Assignment, Cause, Ready, Result, Unusable, WorkerSetup
from lenticular.platform.parent import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path
    from uuid import UUID

    from lsst.daf.butler import QuantumBackedButler
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

__all__ = ["QuantumRunner", "serve"]

_TALKATIVE = ("botocore", "boto3", "s3transfer", "urllib3", "aiobotocore", "fsspec", "matplotlib", "asyncio")

_BUTLER_LIFE = 500
"""Quanta after which the butler is made anew, since it remembers every dataset."""


def serve(channel: Connection, setup: WorkerSetup) -> None:
    """Be a worker until the driver says so, or dies.

    Parameters
    ----------
    channel
        To the driver: assignments come in, results go out.
    setup
        What to prepare.
    """
    end_with_parent()
    _limit_talk()
    with ExitStack() as stack:
        try:
            runner = stack.enter_context(QuantumRunner.open(setup))
        except Exception as error:  # noqa: BLE001  whatever it is, the driver must hear of it
            channel.send(Unusable(Cause.of(error)))
            return
        channel.send(Ready())
        while True:
            try:
                assignment = channel.recv()
            except EOFError:
                return
            if assignment is None:
                return
            channel.send(runner.run(assignment))


class QuantumRunner:
    """Executes quanta of one graph in this process.

    It keeps the graph's file open and one quantum-backed butler for all its
    quanta, which is what makes a quantum cost milliseconds instead of seconds.
    To be made by `open`.
    """

    def __init__(self, setup: WorkerSetup, stack: ExitStack) -> None:
        from lsst.pipe.base import TaskFactory
        from lsst.pipe.base.quantum_graph import PredictedQuantumGraph
        from lsst.pipe.base.single_quantum_executor import SingleQuantumExecutor

        from lenticular.pipelines.graph import mend_zipfile

        mend_zipfile()
        self._setup = setup
        self._reader = stack.enter_context(PredictedQuantumGraph.open(str(setup.graph)))
        self._reader.read_init_quanta()
        self._reader.read_dimension_data()
        self._make_executor = partial(
            SingleQuantumExecutor, task_factory=TaskFactory(), skip_existing=True, clobber_outputs=True
        )
        self._known: set[UUID] = set()
        self._quanta_of_butler = 0
        # Made now rather than with the first quantum, which should not look
        # slower than it is.
        self._butler: QuantumBackedButler | None = self._make_butler()

    @classmethod
    @contextmanager
    def open(cls, setup: WorkerSetup) -> Iterator[QuantumRunner]:
        """Return a runner that is closed at the end of the ``with`` block."""
        with ExitStack() as stack:
            runner = cls(setup, stack)
            try:
                yield runner
            finally:
                runner.forget()

    def run(self, assignment: Assignment) -> Result:
        """Execute one quantum; a failure is a result, not an exception."""
        log = self._setup.log_of(assignment)
        meter = Meter()
        cause: Cause | None = None
        skipped = False
        with _log_to(log) as logger:
            try:
                skipped = self._execute(assignment)
            except (Exception, SystemExit) as error:
                # SystemExit: upstream's executor ends the process when a task
                # says that its quantum is not valid. Here only the quantum ends.
                logger.exception("The quantum failed")
                cause = Cause.of(error)
                # The butler remembers files that a further attempt, perhaps in
                # another worker, will write anew.
                self.forget()
        if cause is None:
            log.unlink(missing_ok=True)  # the butler has it
        return Result(
            assignment=assignment,
            worker=os.getpid(),
            cost=meter.read(),
            cause=cause,
            skipped=skipped,
            log=None if cause is None else str(log),
        )

    def forget(self) -> None:
        """Close the butler; the next quantum gets a new one."""
        if self._butler is not None:
            self._butler.close()
        self._butler = None
        self._known.clear()
        self._quanta_of_butler = 0

    def _execute(self, assignment: Assignment) -> bool:
        graph = self._read(assignment.quantum)
        quantum = graph.build_execution_quanta([assignment.quantum])[assignment.quantum]
        # A new executor for each: it writes the identifiers of all its earlier
        # quanta into every log.
        executor = self._make_executor(
            butler=self._butler_for(assignment.quantum), assume_no_existing_outputs=assignment.fresh
        )
        task = graph.pipeline_graph.tasks[assignment.task]
        result = executor.execute(task, quantum, quantum_id=assignment.quantum)
        return bool(result.skipped_existing)

    def _read(self, quantum: UUID) -> PredictedQuantumGraph:
        """Return a graph that holds this quantum only."""
        self._reader.components.quantum_datasets.clear()
        self._reader.read_quantum_datasets([quantum])
        return self._reader.components.assemble()

    def _make_butler(self) -> QuantumBackedButler:
        from lsst.daf.butler import QuantumBackedButler

        tasks = self._reader.components.pipeline_graph
        return QuantumBackedButler.from_predicted(
            config=self._setup.repository,
            predicted_inputs=(),
            predicted_outputs=(),
            dimensions=tasks.universe,
            datastore_records={},
            dataset_types={node.name: node.dataset_type for node in tasks.dataset_types.values()},
        )

    def _butler_for(self, quantum: UUID) -> QuantumBackedButler:
        from lenticular.platform.upstream import admit_quantum

        if self._quanta_of_butler >= _BUTLER_LIFE:
            self.forget()
        if self._butler is None:
            self._butler = self._make_butler()
        model = self._reader.components.quantum_datasets[quantum]
        (init,) = (q for q in self._reader.components.init_quanta.root if q.task_label == model.task_label)
        for part in (init, model):
            admit_quantum(self._butler, part, self._known)
        self._quanta_of_butler += 1
        return self._butler


def _limit_talk() -> None:
    logging.getLogger().setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # Between quanta the driver's log gets what is said, through the handler of last resort.
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(RedactingFormatter(LOG_FORMAT))


@contextmanager
def _log_to(path: Path) -> Iterator[logging.Logger]:
    """Write this process's log to a file, so that it can be read while it grows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(RedactingFormatter(LOG_FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield logging.getLogger(__name__)
    finally:
        root.removeHandler(handler)
        handler.close()
