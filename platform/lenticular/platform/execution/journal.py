"""The journal of a run: one line of JSON per event, only ever added to.

One process, the driver, writes; any number read, on any machine that sees the
file. A line counts once its newline is there, so a reader never meets half an
event, and a writer that died in the middle of a line harms that line only.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["Event", "Journal", "JournalReader", "begin_session"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a run."""

    time: float
    """When, in seconds since 1970 (UTC)."""

    name: str
    """What: ``session``, ``phase``, ``graph``, ``start``, ``done``, ``fail``,
    ``driver``, ``blocked``, ``interrupted`` or ``end``."""

    fields: Mapping[str, Any]
    """What else belongs to it."""


class Journal:
    """The writing end of a journal.

    Parameters
    ----------
    path
        File to add to; it is created if it does not exist.
    clock
        Seconds since 1970; to be replaced in tests.

    Notes
    -----
    Every event reaches the file before `write` returns, so that it survives
    the death of this process. (It is not forced onto the disk: what matters
    after a power cut is which metadata datasets are stored.)
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        torn = _lacks_newline(path)
        self._stream = path.open("ab", buffering=0)
        if torn:
            self._stream.write(b"\n")

    def write(self, name: str, **fields: Any) -> None:
        """Add one event; credentials in its texts are masked."""
        line = json.dumps(
            {"time": round(self._clock(), 3), "event": name, **_masked(fields)}, separators=(",", ":")
        )
        self._stream.write(line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class JournalReader:
    """The reading end of a journal, which remembers how far it has read.

    Parameters
    ----------
    path
        File to read; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Event]:
        """Return the events added since the last call."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                text = stream.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _parse(line)) is not None]


def begin_session(path: Path) -> int:
    """Note that another driver begins; to be called by the holder of the run's lock.

    Parameters
    ----------
    path
        File of the journal.

    Returns
    -------
    int
        Number of the session, from 1.
    """
    number = 1 + sum(event.name == "session" for event in JournalReader(path).read())
    with Journal(path) as journal:
        journal.write("session", number=number)
    return number


def _parse(line: bytes) -> Event | None:
    """Read one line; `None` for one that a dying writer left behind."""
    try:
        fields = json.loads(line)
        return Event(time=float(fields.pop("time")), name=str(fields.pop("event")), fields=fields)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _lacks_newline(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            if stream.seek(0, os.SEEK_END) == 0:
                return False
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) != b"\n"
    except FileNotFoundError:
        return False


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
