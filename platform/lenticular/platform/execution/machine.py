"""What this machine, or the container that we are in, has to spare."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_memory", "default_workers"]

MOST_WORKERS = 8
"""More on one machine is a person's own decision."""

_DRIVER_BYTES = 400_000_000
"""What the driver of a run and a notebook's growth need."""

_WORKER_BYTES = 600_000_000
"""What a worker needs that has lsst.images and piff loaded, with one detector in hand."""

_CGROUPS = Path("/sys/fs/cgroup")


def default_workers() -> int:
    """Return how many quanta are best executed at once here.

    One per processor that we may use, as far as memory allows, and at least
    one.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    room = (available_memory() - _DRIVER_BYTES) // _WORKER_BYTES
    return max(1, min(allowed, room, MOST_WORKERS))


def available_memory(cgroups: Path = _CGROUPS) -> int:
    """Return the memory that can be used without harm [byte].

    Parameters
    ----------
    cgroups
        Where the kernel shows control groups. In a container its root is the
        container's own, with the limit that was set for it.

    Returns
    -------
    int
        The smaller of what is free on the machine and what the container's
        limit leaves; file caches count as free.
    """
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit_name, used_name, cache_name in (
        ("memory.max", "memory.current", "inactive_file"),  # version 2
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),  # version 1
    ):
        limit = _number(cgroups / limit_name)
        used = _number(cgroups / used_name)
        if limit is not None and used is not None:
            cache = _entry((cgroups / limit_name).with_name("memory.stat"), cache_name)
            free = min(free, limit - used + cache)
    return max(0, free)


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def _entry(file: Path, name: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
