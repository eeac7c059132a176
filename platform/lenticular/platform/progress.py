"""Telling a person at a terminal what is being done and how far it is."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from lenticular.butler.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Console"]


class Console:
    """A stream on which steps appear as they begin, advance and end.

    On a terminal the line of a step is rewritten as it advances; in a log
    file each step is one line, written at its end.

    Parameters
    ----------
    stream
        Where to write; standard error by default, since standard output is
        for results.
    clock
        Seconds, monotonic; to be replaced in tests.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._live = self._stream.isatty()
        self._width = 0

    def say(self, text: str) -> None:
        """Write a line of its own."""
        self._write(redact(text), end="\n")

    def hand_over(self, text: str) -> None:
        """Write a line as it is, token and all: to the one person whom it lets in."""
        self._write(text, end="\n")

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str, int, int], None]]:
        """Show a step from its beginning to its end.

        Parameters
        ----------
        name
            What is being done, as in "Reducing 18 exposures".

        Yields
        ------
        Callable
            To be called with a detail, the number of parts done, and of all
            parts (0 where it is not known).
        """
        began = self._clock()
        if self._live:
            self._write(f"  {name} ...")

        def advance(detail: str, done: int, total: int) -> None:
            if self._live:
                share = f" {done}/{total}" if total else f" {done}" if done else ""
                self._write(redact(f"  {name} ...{share} {detail}".rstrip()))

        try:
            yield advance
        except BaseException:
            self._write(f"  {name} - not finished", end="\n")
            raise
        self._write(f"  {name} - {_duration(self._clock() - began)}", end="\n")

    def _write(self, text: str, *, end: str = "") -> None:
        # A line that wraps cannot be rewritten.
        shown = text if end else text[: shutil.get_terminal_size().columns - 1]
        padding = " " * max(0, self._width - len(shown))
        head = "\r" if self._live and (self._width or not end) else ""
        self._stream.write(f"{head}{shown}{padding}{end}")
        self._stream.flush()
        self._width = 0 if end else len(shown)


def _duration(seconds: float) -> str:
    if seconds < 0.95:  # noqa: PLR2004  below a second tenths are told
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
