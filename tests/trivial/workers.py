"""Stand-ins for what a worker process does, cheap to start."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from lenticular.platform.execution.measure import Cost
from lenticular.platform.execution.messages import Cause, Ready, Result, Unusable

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from lenticular.platform.execution.messages import Assignment, WorkerSetup

__all__ = ["dies_at_start", "obeys", "unusable"]


def obeys(channel: Connection, setup: WorkerSetup) -> None:
    """Do what the label of the task says: ``work``, ``die`` or ``sleep``."""
    del setup
    channel.send(Ready())
    while True:
        assignment: Assignment | None = channel.recv()
        if assignment is None:
            return
        if assignment.task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if assignment.task == "sleep":
            signal.pause()
        channel.send(Result(assignment, os.getpid(), Cost(0.0, 0.0, 0)))


def unusable(channel: Connection, setup: WorkerSetup) -> None:
    """Say that nothing can be done."""
    del setup
    channel.send(Unusable(Cause("ImportError", "No module named 'afw'")))


def dies_at_start(channel: Connection, setup: WorkerSetup) -> None:
    """Die before anything was said."""
    del channel, setup
    os._exit(3)
