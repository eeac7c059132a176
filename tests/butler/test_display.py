"""The pieces of HTML displays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenticular.butler.display import Piece, display, grouped, labels, pairs, rows, shown_size

settings.register_profile("display", derandomize=True, max_examples=100)
SETTINGS = settings.get_profile("display")


@SETTINGS
@given(st.text(max_size=40))
def test_no_text_becomes_markup(text: str) -> None:
    html = display(text, text, pairs([("a", text), (text, "b")]), labels([text]), rows([text], [[text]]))
    own = display("", "", pairs([("a", "x"), ("", "b")]), labels([""]), rows([""], [[""]]))
    tags = re.compile(r"<[^<>]*>")
    left_out = 0 if text else 1  # a pair without a value
    assert len(tags.findall(html)) == len(tags.findall(own)) - 6 * left_out


@pytest.mark.parametrize("text", ["postgresql://ada:hunter2@db/r", "https://b/x?X-Amz-Signature=hunter2"])
def test_credentials_are_masked_everywhere(text: str) -> None:
    assert "hunter2" not in display(text, text, pairs([(text, text)]), labels([text]), rows([text], [[text]]))


def test_no_colour_is_named_that_could_clash_with_a_theme() -> None:
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb\(|\b(?:black|white)\b(?!-)", display("Kind", "name"))


def test_whole_numbers_are_set_to_the_right_with_their_thousands_apart() -> None:
    html = rows(("name", "number"), [("a", 1234567), ("b", None), ("c", -1000)])
    assert '<th class="lv-n">number</th>' in html
    assert f'<td class="lv-n">{grouped(1234567)}</td>' in html
    assert '<td class="lv-n"></td>' in html
    assert '<td class="lv-n">-1\N{NARROW NO-BREAK SPACE}000</td>' in html
    assert "<td>a</td>" in html


def test_a_column_with_something_else_in_it_is_not_one_of_numbers() -> None:
    html = rows(("mixed", "truth", "empty"), [(1234, True, None), ("1 000+", False, None)])
    assert "lv-n" not in html
    assert "<td>1234</td>" in html
    assert "<td>True</td>" in html


def test_what_is_not_shown_of_a_table_is_counted() -> None:
    assert f"and {grouped(12_343)} more" in rows(("a",), [["x"], ["y"]], total=12_345)
    assert "more" not in rows(("a",), [["x"], ["y"]], total=2)
    assert "more" not in rows(("a",), [["x"], ["y"]])


def test_pairs_without_a_value_are_left_out() -> None:
    assert pairs([("a", None), ("b", "")]) == ""
    assert "<th>c</th><td>0</td>" in pairs([("a", None), ("c", 0)])


def test_of_many_names_only_the_first_are_shown() -> None:
    assert "and 3 more" in labels(f"name{number}" for number in range(43))


def test_finished_markup_is_not_escaped_again() -> None:
    assert "<td><i>x</i></td>" in rows(("a",), [[Piece("<i>x</i>")]])


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (10**21, "1000 EB"),
    ],
)
def test_sizes_are_said_as_people_say_them(size: int, shown: str) -> None:
    assert shown_size(size) == shown
