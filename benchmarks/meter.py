"""Memory of a group of processes while they work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Meter", "family", "marked"]

_PERIOD = 0.2


class Meter(threading.Thread):
    """Watches processes, five times a second.

    Parameters
    ----------
    processes
        Returns those to be watched just now.
    """

    peak: int
    """Largest sum of the proportional set sizes (PSS) seen [byte]."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        super().__init__(daemon=True)
        self._processes = processes
        self._over = threading.Event()
        self._cpu: dict[int, float] = {}
        self.peak = 0

    def run(self) -> None:
        """Watch until `stop` is called."""
        while not self._over.wait(_PERIOD):
            total = 0
            for process in self._processes():
                try:
                    total += process.memory_full_info().pss
                    spent = process.cpu_times()
                    self._cpu[process.pid] = spent.user + spent.system
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)

    def stop(self) -> float:
        """Stop watching and return the processor time seen [s]."""
        self._over.set()
        self.join()
        return sum(self._cpu.values())


def family(pid: int) -> Callable[[], list[psutil.Process]]:
    """Return a function that lists a process and everything below it."""
    root = psutil.Process(pid)
    return lambda: [root, *root.children(recursive=True)]


def marked(variable: str, value: str) -> Callable[[], list[psutil.Process]]:
    """Return a function that lists the processes with a variable in their environment.

    Unlike a parent, it is inherited by programs that go on by themselves.
    """
    known: dict[tuple[int, float], bool] = {}

    def find() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                key = (process.pid, process.create_time())
                # A process that has just been forked shows its parent's until it has its own.
                if not known.get(key):
                    known[key] = process.environ().get(variable) == value
                if known[key]:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    return find
