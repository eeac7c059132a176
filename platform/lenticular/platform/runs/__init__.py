"""Runs: started, watched, cancelled and restarted, from anywhere that sees their folder.

A run is a folder with a record, written before anything starts, and a
journal. The process that works on it, its driver, belongs to nobody: the
notebook, the browser or the server that launched it may go, come back, and
find it by its record.
"""

from lenticular.platform.runs.launch import launch
from lenticular.platform.runs.record import RunRecord
from lenticular.platform.runs.run import Run
from lenticular.platform.runs.status import FailureGroup, RunState, RunStatus, TaskStatus
from lenticular.platform.runs.store import RUNS_VARIABLE, RunStore

__all__ = [
    "RUNS_VARIABLE",
    "FailureGroup",
    "Run",
    "RunRecord",
    "RunState",
    "RunStatus",
    "RunStore",
    "TaskStatus",
    "launch",
]
