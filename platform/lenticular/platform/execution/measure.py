"""What one quantum costs: time, processor time and peak memory."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "Meter"]

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What was used between the start of a `Meter` and its reading."""

    wall: float
    """Time [s]."""

    cpu: float
    """Processor time of this process and of children it waited for [s]."""

    peak_memory: int
    """Most resident memory of this process [byte]. Where the system cannot
    forget earlier peaks, that of its whole life."""


class Meter:
    """Measures from its making to `read`.

    Notes
    -----
    On Linux, writing 5 to ``/proc/self/clear_refs`` sets the high-water mark
    of the resident memory (``VmHWM``) back to its present value, so that a
    large quantum does not lend its peak to all that follow it in the same
    process. ``getrusage`` cannot do that.
    """

    def __init__(self) -> None:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")
        self._wall = time.monotonic()
        self._cpu = _processor_seconds()

    def read(self) -> Cost:
        """Return what was used so far."""
        return Cost(
            wall=round(time.monotonic() - self._wall, 4),
            cpu=round(_processor_seconds() - self._cpu, 4),
            peak_memory=_peak_memory(),
        )


def _processor_seconds() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _peak_memory() -> int:
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * _KIB
