"""The lock that tells whether a run has a living driver."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from lenticular.butler.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["RunLock"]

_FILE = "lock"
_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.01


class RunLock:
    """An exclusive lock on a run's folder.

    The kernel holds it for an open file and lets go when the last process with
    that file open is dead, however it died: no process number that another
    process might bear by now, no file left behind. A lock can be taken here
    and handed to a child, so that there is no moment without an owner.

    Parameters
    ----------
    descriptor
        File descriptor that holds the lock.
    """

    descriptor: int
    """File descriptor that holds the lock."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def acquire(cls, folder: Path) -> Self:
        """Take the lock.

        Raises
        ------
        RunError
            Raised if another process has it.
        """
        descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Someone may only be looking, which takes microseconds.
                if time.monotonic() < deadline:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                os.close(descriptor)
                raise RunError(
                    "The run is being worked on", where=folder.name, hint="Wait for it, or cancel it first."
                ) from None
            return cls(descriptor)

    @classmethod
    def adopt(cls, descriptor: int) -> Self:
        """Take over a lock that the parent process acquired."""
        fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # workers must not share it
        return cls(descriptor)

    @staticmethod
    def is_held(folder: Path) -> bool:
        """Tell whether some process has the lock of a folder."""
        try:
            descriptor = os.open(folder / _FILE, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def handed_over(self) -> Iterator[int]:
        """Let a child that is started within the ``with`` block inherit the lock.

        Yields
        ------
        int
            The descriptor, for the child's ``pass_fds``. At the end of the
            block this process gives up its share.
        """
        try:
            yield self.descriptor
        finally:
            self.release()

    def release(self) -> None:
        """Let go."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
