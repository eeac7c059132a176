"""A container's limits without a container: memory, one processor, no network."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Cage", "cage", "leave_network"]

_CGROUPS = Path("/sys/fs/cgroup")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def leave_network() -> bool:
    """Leave this process and its children no network but the loopback.

    Returns
    -------
    bool
        Whether the kernel let us.
    """
    user, group = os.getuid(), os.getgid()
    try:
        if user:
            os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
        else:
            os.unshare(os.CLONE_NEWNET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            request = struct.pack("16sH14x", b"lo", 0)
            (flags,) = struct.unpack_from("H", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
            fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
    except OSError:
        return False
    return True


class Cage:
    """A control group with a limit on memory.

    Parameters
    ----------
    folder
        The group; `None` if the kernel gave us none, and nothing is limited.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def limited(self) -> bool:
        """Whether the kernel holds to the limit."""
        return self._folder is not None

    @property
    def kills(self) -> int:
        """How many processes were killed for want of memory."""
        events = () if self._folder is None else _lines(self._folder, "memory.events", "memory.oom_control")
        return sum(int(line.split()[1]) for line in events if line.startswith("oom_kill "))

    def command(self, words: list[str]) -> list[str]:
        """Return a command that runs another on one processor inside the cage."""
        enter = [] if self._folder is None else ["sh", "-c", 'echo $$ > "$0" && exec "$@"', *self._door()]
        return [*enter, "taskset", "-c", str(min(os.sched_getaffinity(0))), *words]

    def _door(self) -> list[str]:
        return [str(self._folder / "cgroup.procs")] if self._folder is not None else []


@contextmanager
def cage(memory: int) -> Iterator[Cage]:
    """Make a cage, and take it away once it is empty.

    Parameters
    ----------
    memory
        Its limit [byte].
    """
    folder, file = next(
        (root / f"lenticular-{os.getpid()}", name)
        for root, name in ((_CGROUPS, "memory.max"), (_CGROUPS / "memory", "memory.limit_in_bytes"))
        if root.name == "memory" or (root / "cgroup.controllers").exists()
    )
    try:
        folder.mkdir()
        (folder / file).write_text(str(memory))
    except OSError:  # not ours to make, or without a memory controller
        with contextlib.suppress(OSError):
            folder.rmdir()
        yield Cage(None)
        return
    try:
        yield Cage(folder)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a group; its last processes may still be ending."""
    for _ in range(100):
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _lines(folder: Path, *names: str) -> list[str]:
    found = (folder / name for name in names if (folder / name).exists())
    return [line for file in found for line in file.read_text().splitlines()]
