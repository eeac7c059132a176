"""Child processes: started, watched until ready, and never left behind.

Every server and every long-running program that lenticular starts goes through
`ChildProcess`, so that there is one answer to the questions that matter:
What does it say when it fails (the end of its log)? Who stops it when we are
killed (`lenticular.platform.services._guard`)? As whom does it run?
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lenticular.butler.errors import PortInUseError, ServiceError
from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

__all__ = [
    "REPORT_VARIABLE",
    "ChildProcess",
    "bound_socket",
    "free_port",
    "log_tail",
    "report",
    "require_port",
]

REPORT_VARIABLE = "LENTICULAR_REPORT_FD"
"""Environment variable naming the descriptor on which a child may report that it is ready."""

_POLL = 0.01
_TAIL_BYTES = 16384


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket.

    Parameters
    ----------
    host
        Address to listen on, as a number.
    port
        Port to listen on; 0 for any that is free.

    Returns
    -------
    socket.socket
        The socket; its owner closes it.

    Raises
    ------
    PortInUseError
        Another program listens there.
    ServiceError
        The address does not belong to this machine, or the port needs
        privileges.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise ServiceError(f"cannot listen: {error.strerror}", where=f"{host}:{port}") from error
        what = f"port {port} is in use by another program"
        hint = f"Stop that program (`lsof -i :{port}` names it) or choose another port; 0 takes any free one"
        raise PortInUseError(what, where=f"{host}:{port}", hint=hint) from error
    return listener


def require_port(port: int, host: str = "127.0.0.1") -> None:
    """Make sure that a server can listen on a port.

    Raises
    ------
    PortInUseError
        Another program listens there.
    ServiceError
        The port cannot be used for another reason.
    """
    bound_socket(host, port).close()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port on which nobody listens just now.

    Between this call and the start of a server somebody else may take the
    port. Programs that can listen on port 0 and say what they got should.
    """
    with bound_socket(host, 0) as listener:
        port: int = listener.getsockname()[1]
    return port


def log_tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log file, with every credential in them masked.

    Parameters
    ----------
    path
        The file; one that is missing counts as empty.
    lines
        How many lines to return at most.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return redact("\n".join(text.splitlines()[-lines:]))


class ChildProcess:
    """A program that runs while we do.

    It gets a session of its own, so that ctrl-C in a terminal reaches us alone
    and we stop servers and their clients in order. When our process ends, in
    whatever way, the program is stopped too.

    Parameters
    ----------
    command
        The program and its arguments; no shell is involved.
    name
        How messages call it, for example ``"PostgreSQL"``.
    log
        File to which its output is appended. Its folder is created.
    environment
        Variables to add to those of this process.
    user
        User and group ID to run as; needs root. None to run as ourselves.
    cwd
        Working folder; ours by default.
    stop_signal
        What asks the program to stop.
    grace
        Seconds between that request and SIGKILL.

    Notes
    -----
    A program of our own can say when it is ready, in one line: see
    `REPORT_VARIABLE` and `report`. For others, `wait_until` asks repeatedly.
    """

    name: str
    """How messages call the program."""

    log: Path
    """File that receives its output."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        name: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: tuple[int, int] | None = None,
        cwd: Path | None = None,
        stop_signal: int = signal.SIGTERM,
        grace: float = 10.0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(word) for word in command]
        self._environment = dict(environment or {})
        self._user = user
        self._cwd = cwd
        self._stop_signal = int(stop_signal)
        self._grace = grace
        self._guard: subprocess.Popen[bytes] | None = None
        self._report = -1
        self._pending = b""
        self._pid = 0
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Process ID of the program itself; 0 before its start."""
        return self._pid

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def returncode(self) -> int | None:
        """Its exit code; 128 + n after signal n; None while it runs."""
        return None if self._guard is None else self._guard.poll()

    def __repr__(self) -> str:
        state = f"pid {self.pid}" if self.running else f"ended with {self.returncode}"
        return f"<{type(self).__name__} {self.name}: {state if self._guard else 'not started'}>"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start the program.

        Raises
        ------
        ServiceError
            It runs already, or cannot be started.
        """
        if self.running:
            raise ServiceError(f"{self.name} runs already", where=f"pid {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._close_report()
        read_end, write_end = os.pipe()
        order = json.dumps([self._command, self._stop_signal, self._grace, write_end, self._user])
        guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("_guard.py")), order]
        environment = {**os.environ, **self._environment, REPORT_VARIABLE: str(write_end)}
        try:
            with self.log.open("ab") as output:
                self._guard = subprocess.Popen(
                    guard,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    cwd=self._cwd,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(read_end)
            what = f"{self.name} cannot be started: {error.strerror}"
            raise ServiceError(what, where=error.filename or self._command[0]) from error
        finally:
            os.close(write_end)
        self._report, self._pending = read_end, b""
        self._pid = int(self.read_report(10.0))
        return self

    def read_report(self, timeout: float) -> str:
        """Return the next line that the program writes to its report pipe.

        Parameters
        ----------
        timeout
            Seconds to wait.

        Raises
        ------
        ServiceError
            The program ended, or said nothing in time.
        """
        deadline = time.monotonic() + timeout
        while b"\n" not in self._pending:
            ready, _, _ = select.select([self._report], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise self.failure(f"{self.name} was not ready within {timeout:g} s")
            block = os.read(self._report, 65536)
            if not block:
                self._wait(self._grace)
                raise self.failure(f"{self.name} ended before it was ready")
            self._pending += block
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until a condition holds, asking every hundredth of a second.

        Parameters
        ----------
        ready
            The condition.
        timeout
            Seconds to wait.

        Raises
        ------
        ServiceError
            The program ended, or the condition did not come true in time.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise self.failure(f"{self.name} ended before it was ready")
            if time.monotonic() > deadline:
                raise self.failure(f"{self.name} was not ready within {timeout:g} s")
            self._wait(_POLL)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the program's own end.

        Returns
        -------
        int or None
            Its exit code; None if it still runs after ``timeout`` seconds.
        """
        self._wait(timeout)
        return self.returncode

    def stop(self) -> None:
        """Ask the program to stop, wait for its end, and kill it if it does not."""
        self._end(b"")

    def kill(self) -> None:
        """Kill the program, and wait for its end."""
        self._end(b"K")

    def failure(self, what: str) -> ServiceError:
        """Return an error that carries the end of the program's log."""
        code = self.returncode
        ending = "" if code is None else f" (exit code {code})"
        tail = log_tail(self.log)
        shown = f". Its log ends:\n{tail}" if tail else ""
        return ServiceError(f"{what}{ending}{shown}", where=self.log, hint="Look into its log file")

    def _wait(self, timeout: float | None) -> None:
        if self._guard is not None:
            try:
                self._guard.wait(timeout)
            except subprocess.TimeoutExpired:
                return

    def _end(self, letter: bytes) -> None:
        with self._lock:
            guard = self._guard
            if guard is None:
                return
            if guard.stdin is not None and not guard.stdin.closed:
                try:
                    guard.stdin.write(letter)
                    guard.stdin.close()
                except BrokenPipeError:
                    pass  # it has ended by itself
            try:
                guard.wait(self._grace + 10.0)
            except subprocess.TimeoutExpired:
                guard.kill()  # its own child dies with it
                guard.wait()
            self._close_report()

    def _close_report(self) -> None:
        if self._report >= 0:
            os.close(self._report)
            self._report = -1


def report(line: str) -> None:
    """Write one line to whoever started this process as a `ChildProcess`.

    Without such a parent, nothing happens.
    """
    descriptor = os.environ.pop(REPORT_VARIABLE, "")
    if descriptor:
        with os.fdopen(int(descriptor), "w", encoding="utf-8") as pipe:
            pipe.write(line.replace("\n", " ") + "\n")
