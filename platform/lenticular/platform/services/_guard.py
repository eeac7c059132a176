"""Run one command, and stop it when the process that asked for it is gone.

This file is run as a program of its own (``python -I -S _guard.py ...``) and
imports the standard library only, so that it costs little. It stands between
`lenticular.platform.services.process.ChildProcess` and the server:

- its standard input is a pipe of which only our process holds the other end.
  End of file there means "stop": we asked for it, or we were killed. The kernel
  closes the pipe in either case, so no server outlives us. (Linux' parent-death
  signal alone would not do: it follows the *thread* that started the child, and
  a Jupyter server starts children from threads that come and go.)
- the letter ``K`` on that pipe means "kill".
- it writes the process ID of the server, as one line, to the report pipe.
- it exits as the server exited; 128 + n after signal n, as shells do.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import NamedTuple, NoReturn

__all__ = ["Order", "main"]

PR_SET_PDEATHSIG = 1
CANNOT_EXECUTE = 127
_FOR_THE_CHILD = (signal.SIGINT, signal.SIGTERM)


class Order(NamedTuple):
    """What the guard is asked to do; it travels as JSON in the only argument."""

    command: list[str]
    stop_signal: int
    grace: float
    """Seconds between the stop signal and SIGKILL."""
    report: int
    """Open file descriptor of the report pipe."""
    user: tuple[int, int] | None
    """User and group ID to become; None to stay who we are."""


def _die_with_parent() -> None:
    # A second net, for the case that the guard itself is killed. It has to be
    # spun after the change of user, which clears it. Linux only.
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # only here, and missing from some builds of Python

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _become(order: Order) -> NoReturn:
    """Turn this freshly forked process into the server."""
    try:
        os.setsid()
        for number in (*_FOR_THE_CHILD, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_THE_CHILD)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if order.user is not None:
            os.setgroups([])
            os.setgid(order.user[1])
            os.setuid(order.user[0])
        with contextlib.suppress(Exception):
            _die_with_parent()
        os.execvp(order.command[0], order.command)  # noqa: S606  # no shell is wanted
    except BaseException as error:  # noqa: BLE001  # whatever it is, the child must not return
        os.write(2, f"cannot run {order.command[0]}: {error}\n".encode())
    os._exit(CANNOT_EXECUTE)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            os.killpg(pid, number)  # its workers too
        else:
            os.kill(pid, number)


def _watch(pid: int, order: Order, wake: int) -> int:
    """Wait for the server's end or for the order to stop it; return its status."""
    inputs = [0, wake]
    deadline: float | None = None
    while True:
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(inputs, [], [], patience)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if wake in ready:
            os.read(wake, 64)
        if 0 in ready:
            letter = os.read(0, 1)
            if letter == b"":
                inputs.remove(0)
            if letter == b"K":
                _signal(pid, signal.SIGKILL)
                deadline = time.monotonic()  # and again, should it not have had its session yet
            elif deadline is None:
                _signal(pid, order.stop_signal)
                deadline = time.monotonic() + order.grace
        elif deadline is not None and time.monotonic() >= deadline:
            _signal(pid, signal.SIGKILL)
            deadline = time.monotonic() + 0.1


def main(argument: str) -> int:
    """Run the order to its end.

    Parameters
    ----------
    argument
        An `Order`, as a JSON list.

    Returns
    -------
    int
        The exit code of the command, or 128 + n after signal n.
    """
    command, stop_signal, grace, report, user = json.loads(argument)
    order = Order(command, stop_signal, grace, report, None if user is None else (user[0], user[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for our parent to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a session's end closes our input anyway
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # A signal that comes before the child has its own handlers waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_CHILD)
    pid = os.fork()
    if pid == 0:
        _become(order)
    with contextlib.suppress(BrokenPipeError):
        os.write(report, f"{pid}\n".encode())
    os.close(report)
    code = os.waitstatus_to_exitcode(_watch(pid, order, wake))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # nothing of the server's stays behind
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
