"""Requests: values that survive files and pipes, and say what is wrong with them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import ConfigError, GraphError
from lenticular.pipelines.graph import ConfigOverride, GraphRequest

names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text()
overrides = st.builds(ConfigOverride, names, names, scalars | st.lists(scalars, max_size=3))
requests = st.builds(
    GraphRequest,
    pipeline=names,
    inputs=st.lists(names).map(tuple),
    output=st.none() | names,
    output_run=st.none() | names,
    where=st.text(),
    config=st.lists(overrides, max_size=3).map(tuple),
    skip_existing_in=st.lists(names, max_size=2).map(tuple),
    instrument=st.none() | names,
)


@given(requests)
def test_a_request_survives_json(request: GraphRequest) -> None:
    assert GraphRequest.from_json(json.loads(json.dumps(request.to_json()))) == request


@given(names, names, scalars | st.lists(scalars, max_size=3))
def test_an_override_is_read_as_it_is_written_on_a_command_line(task: str, field: str, value: object) -> None:
    assert ConfigOverride.parse(f"{task}:{field}={json.dumps(value)}") == ConfigOverride(task, field, value)


def test_an_override_that_is_not_json_is_a_string() -> None:
    assert ConfigOverride.parse("isr:method=median") == ConfigOverride("isr", "method", "median")


@pytest.mark.parametrize("text", ["", "isr", "isr=3", ":x=3", "isr:=3", "isr:x"])
def test_an_override_without_its_parts_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="task:field=value"):
        ConfigOverride.parse(text)


def test_a_lone_collection_need_not_be_put_in_a_tuple() -> None:
    assert GraphRequest("p.yaml", inputs="seeds").inputs == ("seeds",)  # type: ignore[arg-type] # on purpose


def test_the_output_run_is_named_after_output_and_time() -> None:
    at = datetime(2026, 11, 22, 13, 4, 5, tzinfo=UTC)
    assert GraphRequest("p", output="u/ana").with_output_run(at).output_run == "u/ana/20261122T130405Z"
    assert GraphRequest("p", output_run="mine").with_output_run(at).output_run == "mine"


def test_a_request_without_output_says_so() -> None:
    with pytest.raises(GraphError, match="Set output"):
        GraphRequest("p").with_output_run(datetime.now(UTC))


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(GraphError, match="pipline"):
        GraphRequest.from_json({"pipline": "p"})
