"""Processor times of the steps of a task."""

from __future__ import annotations

import pytest

from lenticular.pipelines.tasks.timing import timed


def test_a_step_is_noted_under_its_name() -> None:
    seconds: dict[str, float] = {}
    with timed(seconds, "one"):
        assert seconds == {}
    assert seconds["one"] >= 0


def test_a_step_that_fails_is_noted_and_its_error_goes_on() -> None:
    seconds: dict[str, float] = {}
    with pytest.raises(ValueError, match="bad"), timed(seconds, "two"):
        raise ValueError("bad")
    assert list(seconds) == ["two"]
