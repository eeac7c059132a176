"""The driver: one process per run, which outlives whoever asked for it.

``python -m lenticular.platform.execution.driver FOLDER`` does, or resumes, the
run whose record is in the folder. Its state is in that folder only: killed at
any moment and started again, it goes on with the quanta that have not
succeeded.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lenticular.butler.errors import LenticularError
from lenticular.platform.execution.journal import Journal, JournalReader, begin_session
from lenticular.platform.execution.logs import LOG_FORMAT, RedactingFormatter
from lenticular.platform.execution.states import QuantumState, RunProgress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lenticular.platform.execution.thin import ThinGraph
    from lenticular.platform.runs.record import RunRecord

__all__ = ["Driver", "main"]

_LOG = logging.getLogger(__name__)


class _CancelledError(Exception):
    """The run was cancelled between two steps."""


class Driver:
    """Does one session of a run.

    Parameters
    ----------
    record
        The run.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._repository = record.repository
        self._graph = record.graph_path
        self._stop = threading.Event()
        self._progress = RunProgress()
        self._progress.fold(JournalReader(record.journal_path).read())
        self._journal = Journal(record.journal_path)

    def run(self) -> QuantumState:
        """Do the session; every ending, an error's included, is in the journal.

        Returns
        -------
        QuantumState
            ``SUCCEEDED``, ``FAILED`` or ``CANCELLED``.
        """
        self._journal.write("driver", process=os.getpid(), host=socket.gethostname())
        error: dict[str, Any] | None = None
        try:
            state = self._do(first=self._progress.session == 1)
        except _CancelledError:
            state = QuantumState.CANCELLED
        except Exception as problem:  # noqa: BLE001  told in the journal, for whoever watches
            _LOG.exception("The run could not go on")
            state, error = QuantumState.FAILED, _describe(problem)
        self._journal.write("end", state=str(state), error=error)
        self._journal.close()
        return state

    def stop(self) -> None:
        """Cancel the run from within this process."""
        self._stop.set()

    def _do(self, *, first: bool) -> QuantumState:
        from lenticular.platform.execution import outputs
        from lenticular.platform.execution.thin import read_thin_graph

        built_here = not self._graph.exists()
        if built_here:
            self._build()
        thin = read_thin_graph(self._graph)
        self._journal.write("graph", output_run=thin.output_run, tasks=[list(pair) for pair in thin.tasks])
        if not first:
            self._phase("clearing unfinished quanta")
            self._discard(self._progress.touched)
        self._check()
        # A graph that was brought may have been run before.
        fresh = first and built_here and not self._record.request.skip_existing_in
        complete = self._execute(thin, fresh=fresh)
        self._progress = RunProgress()
        self._progress.fold(JournalReader(self._record.journal_path).read())
        if not complete:
            self._phase("clearing interrupted quanta")
            self._discard(self._progress.touched - self._progress.failures.keys())
        self._phase("registering outputs")
        outputs.ingest_outputs(self._repository, self._graph, thin)
        if not complete:
            return QuantumState.CANCELLED
        return QuantumState.FAILED if self._progress.failures else QuantumState.SUCCEEDED

    def _build(self) -> None:
        from lenticular.butler import Repository
        from lenticular.pipelines.graph import build_graph

        self._phase("building the graph")
        # Opened our way: a dead database or bucket is told within seconds and by name.
        with Repository.open(self._repository) as repository:
            build_graph(
                repository.butler, self._record.request, self._graph, progress=lambda _: self._check()
            )

    def _execute(self, thin: ThinGraph, *, fresh: bool) -> bool:
        from lenticular.platform.execution import outputs
        from lenticular.platform.execution.messages import WorkerSetup
        from lenticular.platform.execution.pool import ProcessPool
        from lenticular.platform.execution.scheduler import Scheduler

        finished = self._progress.succeeded()
        setup = WorkerSetup(self._repository, self._graph, self._record.logs_path)
        with ProcessPool(self._record.workers, setup) as pool:
            # The workers import the stack meanwhile.
            pool.want(len(thin.quanta) - len(finished))
            self._phase("writing init-outputs")
            outputs.write_init_outputs(self._repository, self._graph)
            self._phase("executing")
            scheduler = Scheduler(
                thin,
                finished,
                pool,
                self._journal,
                cancelled=self._is_cancelled,
                fresh=fresh,
            )
            return scheduler.run()

    def _discard(self, quanta: Iterable[str]) -> None:
        from lenticular.platform.execution import outputs

        outputs.discard_outputs(self._repository, self._graph, [UUID(quantum) for quantum in quanta])

    def _phase(self, phase: str) -> None:
        _LOG.info(phase)
        self._journal.write("phase", phase=phase)

    def _check(self) -> None:
        if self._is_cancelled():
            raise _CancelledError

    def _is_cancelled(self) -> bool:
        return self._stop.is_set() or self._record.cancel_path.exists()


def _describe(error: Exception) -> dict[str, Any]:
    from lenticular.platform.execution.messages import Cause

    if isinstance(error, LenticularError):
        return {
            "class": type(error).__name__,
            "message": error.what,
            "where": error.where,
            "hint": error.hint,
        }
    cause = Cause.of(error)
    return {"class": cause.error, "message": cause.message, "where": None, "hint": None}


def main(arguments: list[str] | None = None) -> int:
    """Do one session of the run in the folder that is named.

    Parameters
    ----------
    arguments
        The folder and, if whoever starts the driver has locked the folder for
        it, the file descriptor that holds the lock.

    Returns
    -------
    int
        0 if the run succeeded, 1 if it failed, 2 if it was cancelled.
    """
    from lenticular.platform.runs.lock import RunLock
    from lenticular.platform.runs.record import RunRecord

    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0])
    adopted = len(given) > 1
    lock = RunLock.adopt(int(given[1])) if adopted else RunLock.acquire(folder)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    with lock:
        record = RunRecord.read(folder)
        if not adopted:
            begin_session(record.journal_path)
        # Workers share one cache of files fetched from a remote store.
        os.environ.setdefault("DAF_BUTLER_CACHE_DIRECTORY_IF_UNSET", str(record.cache_path))
        driver = Driver(record)
        signal.signal(signal.SIGTERM, lambda *_: driver.stop())
        state = driver.run()
        shutil.rmtree(record.cache_path, ignore_errors=True)
    return {QuantumState.SUCCEEDED: 0, QuantumState.FAILED: 1}.get(state, 2)


if __name__ == "__main__":
    sys.exit(main())
