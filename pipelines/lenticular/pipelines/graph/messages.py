"""What upstream's builder of graphs logs, told to whoever asked for the graph."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["builder_messages"]

_LOGGER = "lsst.pipe.base.quantum_graph_builder"
_LEVEL = logging.INFO

type _Take = Callable[[logging.LogRecord], None]


class _Tap(logging.Filter):
    """Lets each thread that listens have its own records, and the rest go on as before.

    A logger has one level for all threads. The tap lowers it while anybody
    listens and holds back what the lower level lets through, so that no
    handler, as that of a terminal, gets a record that it would not have got.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._logger = logging.getLogger(name)
        self._lock = threading.Lock()
        self._takers: dict[int, _Take] = {}
        self._set = logging.NOTSET
        self._passing = logging.NOTSET

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        """Give a record to the thread that made it, and say whether handlers may have it."""
        taker = self._takers.get(record.thread or 0)
        if taker is not None and record.levelno >= _LEVEL:
            taker(record)
        return record.levelno >= self._passing

    @contextlib.contextmanager
    def listening(self, take: _Take) -> Iterator[None]:
        """Have what the current thread logs, from here to the end of the block."""
        thread = threading.get_ident()
        with self._lock:
            if not self._takers:
                self._attach()
            outer = self._takers.get(thread)
            self._takers[thread] = take
        try:
            yield
        finally:
            with self._lock:
                if outer is None:
                    del self._takers[thread]
                else:
                    self._takers[thread] = outer
                if not self._takers:
                    self._detach()

    def _attach(self) -> None:
        self._set = self._logger.level
        self._passing = self._logger.getEffectiveLevel()
        if self._passing > _LEVEL:
            self._logger.setLevel(_LEVEL)
        self._logger.addFilter(self)

    def _detach(self) -> None:
        self._logger.removeFilter(self)
        self._logger.setLevel(self._set)


_tap = _Tap(_LOGGER)


@contextlib.contextmanager
def builder_messages(tell: Callable[[str], None]) -> Iterator[list[str]]:
    """Listen to what upstream's builder says in this thread.

    What it would have logged without us, it still logs; nothing else reaches
    the handlers of the process.

    Parameters
    ----------
    tell
        Called with each message below a warning.

    Yields
    ------
    list of str
        Gets each warning and error.
    """
    messages: list[str] = []

    def take(record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            messages.append(record.getMessage())
        else:
            tell(record.getMessage())

    with _tap.listening(take):
        yield messages
