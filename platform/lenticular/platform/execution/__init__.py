"""Executing QuantumGraphs: a driver that walks the graph, and workers that do the work.

The driver is a process of its own, `lenticular.platform.execution.driver`,
which outlives the notebook, the browser and the server that asked for it. It
hands ready quanta to workers that have imported the stack once, and writes
down all that happens in a journal, the single source of what every screen
shows. `lenticular.platform.runs` starts drivers and reads journals.
"""

from lenticular.platform.execution.journal import Event, Journal, JournalReader
from lenticular.platform.execution.states import Failure, QuantumState, RunProgress, TaskProgress

__all__ = [
    "Event",
    "Failure",
    "Journal",
    "JournalReader",
    "QuantumState",
    "RunProgress",
    "TaskProgress",
]
