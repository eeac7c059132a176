"""One run, from wherever its folder can be seen."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from lenticular.butler.errors import RunError
from lenticular.platform.execution.journal import Event, JournalReader
from lenticular.platform.execution.states import RunProgress
from lenticular.platform.runs.lock import RunLock
from lenticular.platform.runs.status import RunState, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lenticular.platform.runs.record import RunRecord

__all__ = ["Run"]

_LOOK_SECONDS = 0.1


class Run:
    """A run that was launched, here or elsewhere, now or long ago.

    Parameters
    ----------
    record
        Its record.
    """

    record: RunRecord
    """What was asked."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self._reader = JournalReader(record.journal_path)
        self._progress = RunProgress()
        self._events: list[Event] = []
        # A server asks from several threads.
        self._lock = threading.Lock()

    def status(self) -> RunStatus:
        """Return how the run stands now; only what is new of its journal is read."""
        # The order matters: a driver writes its last event before it lets go.
        alive = RunLock.is_held(self.record.folder)
        with self._lock:
            self._catch_up()
            return RunStatus.of(self.record, self._progress, alive=alive)

    def events(self, since: int = 0) -> tuple[Event, ...]:
        """Return the events of the journal.

        Parameters
        ----------
        since
            Number of events to leave out, so that ``events(seen)`` gives those
            that are new.
        """
        with self._lock:
            self._catch_up()
            return tuple(self._events[since:])

    def wait(
        self, timeout: float | None = None, on_change: Callable[[RunStatus], None] | None = None
    ) -> RunStatus:
        """Wait until the run is over.

        Parameters
        ----------
        timeout
            Longest time to wait [s]; for ever by default.
        on_change
            Called with the status now, and whenever something has happened.

        Returns
        -------
        RunStatus
            The last status, which is not of an end if the time was too short.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        seen = None
        while True:
            status = self.status()
            sign = (len(self._events), status.state)
            if on_change is not None and sign != seen:
                on_change(status)
            seen = sign
            left = _LOOK_SECONDS if deadline is None else min(_LOOK_SECONDS, deadline - time.monotonic())
            if status.is_over or left <= 0:
                return status
            time.sleep(left)

    def cancel(self) -> None:
        """Ask the driver to stop; `wait` tells when it has.

        Quanta amid their work are interrupted and their outputs removed; what
        succeeded is kept and registered. `restart` does the rest.

        Raises
        ------
        RunError
            Raised if the run is over.
        """
        state = self.status().state
        if state.is_over:
            hint = None if state is RunState.SUCCEEDED else "A restart does what is left of it."
            raise RunError(f"The run is over: {state}", where=self.record.id, hint=hint)
        self.record.cancel_path.touch()

    def restart(self, *, environment: Mapping[str, str] | None = None) -> Run:
        """Do what is left: only quanta that have not succeeded are run.

        Parameters
        ----------
        environment
            Variables for the driver beside those of this process, such as
            credentials; they are not stored.

        Returns
        -------
        Run
            This run.

        Raises
        ------
        RunError
            Raised if the run is being worked on, or has nothing left to do.
        """
        from lenticular.platform.runs.launch import start_driver

        if self.status().state is RunState.SUCCEEDED:
            raise RunError("The run has succeeded; nothing is left to do", where=self.record.id)
        lock = RunLock.acquire(self.record.folder)
        self.record.cancel_path.unlink(missing_ok=True)
        start_driver(self.record, lock, environment)
        return self

    def log(self, quantum_id: str) -> str:
        """Return the log of a quantum that runs, has failed or has succeeded.

        Parameters
        ----------
        quantum_id
            Identifier of the quantum.

        Raises
        ------
        RunError
            Raised if it has none, or there is no such quantum.
        """
        for path in self.record.logs_path.glob(f"*/{_plain(quantum_id)}.log"):
            return path.read_text(errors="replace")
        from lenticular.platform.execution.logs import read_stored_log

        return read_stored_log(self.record.repository, self.record.graph_path, quantum_id)

    def _catch_up(self) -> None:
        new = self._reader.read()
        self._events += new
        self._progress.fold(new)

    def __repr__(self) -> str:
        return f"Run({self.record.id!r})"

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()


def _plain(quantum_id: str) -> str:
    """Return an identifier that cannot be a pattern or a path."""
    from uuid import UUID

    try:
        return str(UUID(str(quantum_id)))
    except ValueError as error:
        raise RunError("This is not the identifier of a quantum", where=quantum_id) from error
