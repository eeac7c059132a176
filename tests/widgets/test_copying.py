"""Code to take away: it means what was clicked."""

from __future__ import annotations

import ast
import shlex
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lenticular.pipelines.graph import ConfigOverride, GraphRequest
from lenticular.widgets.copying import call, literal, shell_word
from lenticular.widgets.requests import request_command, request_source

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner), max_leaves=8
)


@given(value=values)
def test_a_value_as_source_is_read_back_as_itself(value: Any) -> None:
    assert ast.literal_eval(literal(value)) == value


@given(text=st.text(min_size=1, alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_word_of_a_command_is_read_back_as_itself(text: str) -> None:
    assert shlex.split(shell_word(text)) == [text]


def test_a_request_as_source_makes_the_same_request() -> None:
    request = GraphRequest(
        pipeline="pipeline.yaml#isr",
        inputs=("CerroCam/defaults",),
        output="u/ana/first",
        where="instrument = 'CerroCam' AND visit IN (1, 2)",
        config=(ConfigOverride("isr", "doFlat", value=False), ConfigOverride("isr", "name", "it's")),
    )
    names: dict[str, Any] = {"GraphRequest": GraphRequest, "ConfigOverride": ConfigOverride}
    exec(request_source(request), names)  # noqa: S102  the source is what is tested
    assert names["request"] == request


def test_a_request_as_command_has_the_same_words() -> None:
    request = GraphRequest(
        "single-visit",
        ("a", "b"),
        "u/ana",
        where="band = 'r'",
        config=(ConfigOverride("isr", "doFlat", value=True),),
    )
    words = shlex.split(request_command("demo", request, workers=2))
    assert words[:3] == ["lenticular", "run", "demo"]
    assert words[3:] == [
        *["-p", "single-visit", "-i", "a", "-i", "b", "-o", "u/ana", "-d", "band = 'r'"],
        *["-c", "isr:doFlat=true", "-j", "2"],
    ]


def test_options_without_a_value_are_left_out_of_a_call() -> None:
    assert call("f", "x", a=None, b=(), c=1) == "f(x, c=1)"


def test_a_long_call_is_written_over_several_lines() -> None:
    written = call("function", *[f"argument_{number}" for number in range(12)])
    assert len(ast.parse(written).body) == 1
    assert written.count("\n") == 13
