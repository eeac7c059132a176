"""Configurations as plain values, and values that are refused with a helpful word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import ConfigError, GraphError
from lenticular.pipelines.graph import (
    ConfigField,
    ConfigOverride,
    GraphRequest,
    describe_config,
    load_pipeline,
)
from tests.trivial.repository import write_pipeline

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("pipelines") / "stages.yaml"
    return write_pipeline(path, ["one", "two"], {"two": {"increment": 7}})


def described(pipeline: str, task: str, *overrides: ConfigOverride) -> dict[str, ConfigField]:
    """Return the fields of a task by name."""
    loaded = load_pipeline(GraphRequest(pipeline, config=overrides))
    return {field.name: field for field in describe_config(loaded, task)}


def test_fields_tell_value_and_default(pipeline: str) -> None:
    field = described(pipeline, "two")["increment"]
    assert (field.type, field.default, field.value, field.changed) == ("int", 1, 7, True)
    assert field.doc == "Number to add."


def test_fields_tell_what_they_allow(pipeline: str) -> None:
    fields = described(pipeline, "one")
    assert (fields["gain"].minimum, fields["gain"].maximum, fields["gain"].range) == (0.0, 10.0, "[0.0,10.0)")
    assert dict(fields["method"].choices) == {"mean": "The mean.", "median": "The median."}
    assert fields["fails_at"].type == "list of int"
    assert fields["nested.depth"].value == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("increment", 3),
        ("gain", 2.5),
        ("gain", 3),
        ("method", "median"),
        ("fails_at", [1, 2]),
        ("nested.depth", 4),
        ("weights", {"r": 0.5}),
        ("saveLogOutput", False),
        # These would be looked up, or computed, by upstream's reader of values.
        ("label", "signal"),
        ("label", "Path"),
        ("label", "parameters.secret"),
        ("label", "__import__('os').getcwd()"),
        ("label", "12"),
    ],
)
def test_a_value_arrives_as_it_was_given(pipeline: str, field: str, value: Any) -> None:
    assert described(pipeline, "one", ConfigOverride("one", field, value))[field].value == value


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_text_arrives_as_it_was_given(pipeline: str, text: str) -> None:
    assert described(pipeline, "one", ConfigOverride("one", "label", text))["label"].value == text


def test_later_values_win(pipeline: str) -> None:
    fields = described(
        pipeline, "one", ConfigOverride("one", "increment", 2), ConfigOverride("one", "increment", 3)
    )
    assert fields["increment"].value == 3


@pytest.mark.parametrize(
    ("override", "word"),
    [
        (ConfigOverride("on", "increment", 2), "Did you mean one"),
        (ConfigOverride("one", "incremnt", 2), "Did you mean increment"),
        (ConfigOverride("one", "nested.dept", 2), "Did you mean nested.depth"),
        (ConfigOverride("one", "increment", "two"), "a value of type int"),
        (ConfigOverride("one", "increment", value=True), "a value of type int"),
        (ConfigOverride("one", "gain", 10.0), r"within \[0.0,10.0\)"),
        (ConfigOverride("one", "method", "mode"), "one of mean, median"),
        (ConfigOverride("one", "fails_at", ["a"]), "list of int"),
    ],
)
def test_a_wrong_value_is_refused_with_a_hint(pipeline: str, override: ConfigOverride, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_pipeline(GraphRequest(pipeline, config=(override,)))


def test_describing_an_unknown_task_names_the_known(pipeline: str) -> None:
    with pytest.raises(ConfigError, match="Did you mean one"):
        describe_config(load_pipeline(GraphRequest(pipeline)), "ones")


def test_labels_and_subsets_select_tasks(pipeline: str) -> None:
    assert set(load_pipeline(GraphRequest(f"{pipeline}#two")).task_labels) == {"two"}
    assert set(load_pipeline(GraphRequest(f"{pipeline}#start")).task_labels) == {"one"}


def test_an_unknown_label_names_the_known(pipeline: str) -> None:
    with pytest.raises(GraphError, match=r"Tasks: one, two\. Subsets: start"):
        load_pipeline(GraphRequest(f"{pipeline}#three"))


def test_a_missing_pipeline_says_where_it_was_sought(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"nowhere\.yaml"):
        load_pipeline(GraphRequest(str(tmp_path / "nowhere.yaml")))


def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(GraphError, match="could not be used"):
        load_pipeline(GraphRequest(str(tmp_path / "p.yaml")))
