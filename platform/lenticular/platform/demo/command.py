"""A program of one's own in place of the demo's JupyterLab: a hub's server, Binder's, a shell."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lenticular.butler.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["run_command"]

_GRACE_SECONDS = 20.0
_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def run_command(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> int:
    """Run a program to its end, on our own terminal and with our own input.

    ctrl-C is the program's alone, as in a shell. Requests to stop are handed
    on to it.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        Variables to add to those of this process.
    cwd
        Its working folder.

    Returns
    -------
    int
        Its exit code; 128 + n after signal n, as shells count.

    Raises
    ------
    ServiceError
        Raised if it cannot be started.
    """
    try:
        process = subprocess.Popen(list(command), env={**os.environ, **environment}, cwd=cwd)
    except OSError as error:
        raise ServiceError(
            f"{command[0]} cannot be started: {error.strerror}",
            where=error.filename,
            hint="Give a program that is installed, with its arguments, after `--`.",
        ) from error
    try:
        with _handing_on(process):
            code = process.wait()
    finally:
        _end(process)
    return code if code >= 0 else 128 - code


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Hand requests to stop on to the program, and leave ctrl-C to it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, frame: object) -> None:
        del frame
        process.send_signal(number)

    earlier = {number: signal.signal(number, hand_on) for number in _FORWARDED}
    earlier[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
