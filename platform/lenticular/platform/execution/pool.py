"""A pool of worker processes that survives the death of any of them.

Processes are *spawned*, so they inherit neither threads nor connections. Each
has its own channel, so that the driver knows which quantum a dead worker was
at; `concurrent.futures` can only say that its whole pool is broken.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from dataclasses import dataclass
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, Protocol, Self

from lenticular.butler.errors import RunError
from lenticular.platform.execution.messages import Assignment, Death, Ready, Result, Unusable
from lenticular.platform.execution.worker import serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from lenticular.platform.execution.messages import WorkerSetup

__all__ = ["Pool", "ProcessPool"]

_FAILED_STARTS = 3
"""Deaths in a row of workers that never became ready, after which we give up."""

_STOP_SECONDS = 5.0


class Pool(Protocol):
    """What the scheduler needs of any engine that executes quanta."""

    @property
    def idle(self) -> int:
        """Number of workers that could take a quantum now."""

    def want(self, count: int) -> None:
        """Say how many quanta could be executed at once."""

    def submit(self, assignment: Assignment) -> int:
        """Hand a quantum to an idle worker; return the worker's process."""

    def wait(self, timeout: float) -> list[Result | Death]:
        """Wait for something to happen, at most ``timeout`` seconds."""

    def kill(self) -> list[Assignment]:
        """Kill all workers at once; return what they were at."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    channel: Connection
    ready: bool = False
    assignment: Assignment | None = None

    @property
    def pid(self) -> int:
        return self.process.pid or 0


class ProcessPool:
    """Worker processes on this machine.

    Parameters
    ----------
    size
        Largest number of workers.
    setup
        What each worker prepares.
    target
        What each worker does; to be replaced in tests.
    """

    def __init__(
        self,
        size: int,
        setup: WorkerSetup,
        *,
        target: Callable[[Connection, WorkerSetup], None] = serve,
    ) -> None:
        self._size = size
        self._setup = setup
        self._target = target
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    @property
    def idle(self) -> int:
        """Number of workers that could take a quantum now."""
        return sum(worker.ready and worker.assignment is None for worker in self._workers)

    def want(self, count: int) -> None:
        """Start workers until there are ``count``, or as many as allowed."""
        while len(self._workers) < min(count, self._size):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(target=self._target, args=(theirs, self._setup))
            process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))

    def submit(self, assignment: Assignment) -> int:
        """Hand a quantum to an idle worker; return the worker's process.

        Raises
        ------
        RunError
            Raised if no worker is idle.
        """
        for worker in self._workers:
            if worker.ready and worker.assignment is None:
                worker.assignment = assignment
                with contextlib.suppress(OSError):  # it has just died: `wait` will say so
                    worker.channel.send(assignment)
                return worker.pid
        raise RunError("No worker is idle")

    def wait(self, timeout: float) -> list[Result | Death]:
        """Wait for something to happen.

        Parameters
        ----------
        timeout
            Longest time to wait [s].

        Returns
        -------
        list
            Results, and deaths of workers amid a quantum. A worker that got
            ready, or died idle, also ends the wait but is not in the list.

        Raises
        ------
        RunError
            Raised if workers cannot prepare themselves, or keep dying while
            they do.
        """
        by_channel: dict[Any, _Worker] = {worker.channel: worker for worker in self._workers}
        ready = connection.wait(list(by_channel), timeout)
        happened = []
        for channel in ready:
            worker = by_channel[channel]
            try:
                message = worker.channel.recv()
            except (EOFError, OSError):
                message = self._bury(worker)
            else:
                self._heed(worker, message)
            if isinstance(message, Result | Death):
                happened.append(message)
        return happened

    def kill(self) -> list[Assignment]:
        """Kill all workers at once; return what they were at."""
        interrupted = [worker.assignment for worker in self._workers if worker.assignment is not None]
        for worker in self._workers:
            worker.process.kill()
        self._join()
        return interrupted

    def close(self) -> None:
        """Let all workers end; those amid a quantum are killed."""
        for worker in self._workers:
            if worker.assignment is not None or not worker.ready:
                worker.process.kill()
                continue
            with contextlib.suppress(OSError):
                worker.channel.send(None)
        self._join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _heed(self, worker: _Worker, message: object) -> None:
        if isinstance(message, Ready):
            worker.ready = True
            self._failed_starts = 0
        elif isinstance(message, Unusable):
            raise RunError(
                f"The workers cannot prepare themselves: {message.cause.error}: {message.cause.message}",
                where=self._setup.repository,
            )
        else:
            worker.assignment = None

    def _bury(self, worker: _Worker) -> Death | None:
        """Take a dead worker out of the pool."""
        self._workers.remove(worker)
        worker.channel.close()
        worker.process.join()
        pid, code = worker.pid, worker.process.exitcode or 0
        worker.process.close()
        if worker.assignment is not None:
            log = self._setup.log_of(worker.assignment)
            return Death(worker.assignment, pid, code, str(log) if log.exists() else None)
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                raise RunError(
                    f"{_FAILED_STARTS} workers in a row died as they started (exit code {code})",
                    hint="Too little memory is the commonest reason; see driver.log in the run's folder.",
                )
        return None

    def _join(self) -> None:
        for worker in self._workers:
            worker.process.join(_STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.channel.close()
            worker.process.close()
        self._workers.clear()
