"""What upstream's builder logs goes to who asked, and not to the terminal."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from lenticular.pipelines.graph.messages import builder_messages

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("lsst.pipe.base.quantum_graph_builder")


def ignore(line: str) -> None:
    """Do nothing with a line."""


class Terminal(logging.Handler):
    """A handler of the root logger that takes whatever it is given."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.lines.append(record.getMessage())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Return a handler of a root logger that is set to show errors only."""
    root = logging.getLogger()
    level, handler = root.level, Terminal()
    root.setLevel(logging.ERROR)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def test_messages_are_told_and_do_not_reach_the_terminal(terminal: Terminal) -> None:
    told: list[str] = []
    with builder_messages(told.append) as messages:
        LOGGER.info("5 quanta")
        LOGGER.warning("no rows")
        LOGGER.error("broken")
    assert told == ["5 quanta"]
    assert messages == ["no rows", "broken"]
    assert terminal.lines == ["broken"]


def test_who_wants_to_see_the_messages_still_does(terminal: Terminal) -> None:
    logging.getLogger().setLevel(logging.INFO)
    with builder_messages(ignore):
        LOGGER.info("5 quanta")
    assert terminal.lines == ["5 quanta"]


def test_two_at_once_hear_their_own_and_leave_the_logger_as_it_was(terminal: Terminal) -> None:
    before = (LOGGER.level, list(LOGGER.filters), list(LOGGER.handlers), LOGGER.propagate)
    first: list[str] = []
    second: list[str] = []
    listening, done = threading.Event(), threading.Event()

    def other() -> None:
        with builder_messages(second.append):
            listening.set()
            done.wait(timeout=60)
            LOGGER.info("second")

    thread = threading.Thread(target=other)
    with builder_messages(first.append):
        thread.start()
        assert listening.wait(timeout=60)
        LOGGER.info("first")
    # The first to begin is the first to end: the other still listens.
    done.set()
    thread.join(timeout=60)
    assert (first, second) == (["first"], ["second"])
    assert terminal.lines == []
    assert (LOGGER.level, list(LOGGER.filters), list(LOGGER.handlers), LOGGER.propagate) == before


def test_a_thread_that_does_not_listen_is_neither_heard_nor_shown(terminal: Terminal) -> None:
    told: list[str] = []
    with builder_messages(told.append):
        thread = threading.Thread(target=LOGGER.info, args=("of another",))
        thread.start()
        thread.join(timeout=60)
    assert told == []
    assert terminal.lines == []


def test_listening_ends_with_an_error_too() -> None:
    with pytest.raises(ValueError, match="bad"), builder_messages(ignore):
        raise ValueError("bad")
    assert LOGGER.filters == []
