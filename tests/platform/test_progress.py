"""What a person at a terminal sees of a long step."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from lenticular.platform.progress import Console

if TYPE_CHECKING:
    from collections.abc import Callable


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def seconds(*values: float) -> Callable[[], float]:
    """Return a clock that shows these values in turn."""
    return iter(values).__next__


def test_in_a_log_a_step_is_one_line_with_its_time() -> None:
    stream = io.StringIO()
    with Console(stream, clock=seconds(0, 75)).step("Reducing") as advance:
        advance("visit 1", 1, 2)
    assert stream.getvalue() == "  Reducing - 1 min 15 s\n"


def test_on_a_terminal_the_line_is_rewritten_and_nothing_is_left_behind() -> None:
    stream = Terminal()
    with Console(stream, clock=seconds(0, 0.25)).step("Reducing") as advance:
        advance("a long detail of what is being done", 1, 20)
        advance("", 2, 20)
    lines = stream.getvalue().split("\r")
    assert lines[-3].startswith("  Reducing ... 1/20 a long detail")
    assert lines[-2].rstrip() == "  Reducing ... 2/20"
    assert len(lines[-2]) >= len(lines[-3])
    assert lines[-1].rstrip() == "  Reducing - 0.2 s"


def test_a_step_that_fails_is_not_called_done() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Console(stream, clock=seconds(0, 1)).step("Reducing"):
        raise RuntimeError
    assert stream.getvalue() == "  Reducing - not finished\n"


def test_no_line_shows_a_password() -> None:
    stream = io.StringIO()
    Console(stream).say("at postgresql://ana:pa55word@db")
    assert "pa55word" not in stream.getvalue()


def test_what_is_handed_over_is_whole() -> None:
    stream = io.StringIO()
    Console(stream).hand_over("Open http://127.0.0.1:8888/lab?token=0123456789")
    assert stream.getvalue() == "Open http://127.0.0.1:8888/lab?token=0123456789\n"
