"""The journal: what is written is read, and a torn line harms itself only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenticular.platform.execution import Journal, JournalReader
from lenticular.platform.execution.journal import begin_session

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def names(path: Path) -> list[str]:
    return [event.name for event in JournalReader(path).read()]


def test_what_is_written_is_read(path: Path) -> None:
    with Journal(path, clock=lambda: 12.5) as journal:
        journal.write("done", quantum="q", wall=1.5, nested={"a": [1, None]})
    (event,) = JournalReader(path).read()
    assert (event.time, event.name) == (12.5, "done")
    assert event.fields == {"quantum": "q", "wall": 1.5, "nested": {"a": [1, None]}}


def test_an_event_is_in_the_file_when_write_returns(path: Path) -> None:
    journal = Journal(path)
    journal.write("start")
    assert names(path) == ["start"]
    journal.close()


def test_a_reader_goes_on_where_it_was(path: Path) -> None:
    reader = JournalReader(path)
    assert reader.read() == []
    with Journal(path) as journal:
        journal.write("one")
        assert [event.name for event in reader.read()] == ["one"]
        journal.write("two")
        assert [event.name for event in reader.read()] == ["two"]
    assert reader.read() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0))
def test_a_torn_last_line_is_left_out_and_the_next_writer_goes_on(path: Path, cut: int) -> None:
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        journal.write("one", text="é" * 5)
        journal.write("two", text="ü" * 5)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % (len(whole) + 1)])
    survivors = path.read_bytes().count(b"\n")
    both = ["one", "two"]
    assert names(path) == both[:survivors]
    with Journal(path) as journal:
        journal.write("three")
    # A line that lacked nothing but its newline counts from now on.
    assert names(path) in (
        [*both[:survivors], "three"],
        [*both[: survivors + 1], "three"],
    )


def test_a_half_line_is_not_read_until_it_is_whole(path: Path) -> None:
    reader = JournalReader(path)
    line = json.dumps({"time": 1, "event": "one"}).encode() + b"\n"
    path.write_bytes(line[:9])
    assert reader.read() == []
    path.write_bytes(line)
    assert [event.name for event in reader.read()] == ["one"]


@pytest.mark.parametrize(
    "rubbish", ["", "[]", "null", '{"event": "x"}', '{"time": "x", "event": "y"}', "\0\0"]
)
def test_lines_that_are_no_events_are_passed_over(path: Path, rubbish: str) -> None:
    path.write_text(rubbish + "\n")
    with Journal(path) as journal:
        journal.write("one")
    assert names(path) == ["one"]


def test_credentials_do_not_reach_the_file(path: Path) -> None:
    with Journal(path) as journal:
        journal.write("fail", error={"message": "postgresql://ana:geheim@db"}, all=["password=geheim"])
    assert "geheim" not in path.read_text()


def test_sessions_are_numbered(path: Path) -> None:
    assert [begin_session(path) for _ in range(3)] == [1, 2, 3]
