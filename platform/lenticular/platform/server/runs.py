"""How the runs of a folder stand, asked again and again at little cost."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from lenticular.butler.errors import RunNotFoundError
from lenticular.platform.execution.journal import JournalReader
from lenticular.platform.execution.states import RunProgress
from lenticular.platform.runs.lock import RunLock
from lenticular.platform.runs.status import RunStatus

if TYPE_CHECKING:
    from lenticular.platform.runs.record import RunRecord
    from lenticular.platform.runs.store import RunStore

__all__ = ["RunWatch"]

_KEPT = 64


class _Folded:
    """A journal as far as it has been read, and what it told."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self._reader = JournalReader(record.journal_path)
        self._progress = RunProgress()
        self._known: tuple[bool, RunStatus] | None = None
        self._lock = threading.Lock()

    def status(self) -> RunStatus:
        # The order matters: a driver writes its last event before it lets go.
        alive = RunLock.is_held(self._record.folder)
        with self._lock:
            new = self._reader.read()
            if new or self._known is None or self._known[0] != alive:
                self._progress.fold(new)
                self._known = (alive, RunStatus.of(self._record, self._progress, alive=alive))
            return self._known[1]


class RunWatch:
    """The runs of a store and their states.

    Of a journal only what is new is read, and its events are folded, not kept.

    Parameters
    ----------
    store
        Where the records are.
    """

    store: RunStore
    """Where the records are."""

    def __init__(self, store: RunStore) -> None:
        self.store = store
        self._folded: OrderedDict[str, _Folded] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, run_id: str) -> RunRecord:
        """Return the record of a run.

        Raises
        ------
        RunNotFoundError
            Raised if there is no run of just this identifier.
        """
        records = self.store.list()
        for record in records:
            if record.id == run_id:
                return record
        latest = ", ".join(record.id for record in records[:3])
        hint = f"The latest: {latest}." if latest else "Nothing was launched yet."
        raise RunNotFoundError(f"No run is called {run_id!r}", hint=hint)

    def status(self, record: RunRecord) -> RunStatus:
        """Return how a run stands now."""
        with self._lock:
            folded = self._folded.setdefault(record.id, _Folded(record))
            self._folded.move_to_end(record.id)
            if len(self._folded) > _KEPT:
                self._folded.popitem(last=False)
        return folded.status()
