"""The parts that an explanation is made of, each by itself."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from astropy.time import Time
from hypothesis import given, settings

from lenticular.butler.explain.conflicts import Oracle, corrections, minimal_conflict
from lenticular.butler.explain.nearby import as_glob, likeness, nearest
from lenticular.butler.explain.report import Rows
from lenticular.butler.explain.sky import Spot, spot_of
from lenticular.butler.explain.terms import join_terms, literal, split_terms
from lenticular.butler.explain.times import moment, shown_gap
from lenticular.butler.explain.upstream import parse_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SIZE = 6
_CONFLICTS = st.lists(st.frozensets(st.integers(0, SIZE - 1), min_size=1, max_size=4), min_size=1, max_size=5)


def _possible(conflicts: list[frozenset[int]]) -> Callable[[frozenset[int]], bool]:
    return lambda kept: not any(conflict <= kept for conflict in conflicts)


@FEW
@given(conflicts=_CONFLICTS)
def test_a_conflict_is_minimal(conflicts: list[frozenset[int]]) -> None:
    possible = _possible(conflicts)
    found = frozenset(minimal_conflict(Oracle(possible), range(SIZE)))
    assert not possible(found)
    assert all(possible(found - {one}) for one in found)


@FEW
@given(conflicts=_CONFLICTS)
def test_corrections_are_all_minimal_ones_smallest_first(conflicts: list[frozenset[int]]) -> None:
    possible, every = _possible(conflicts), frozenset(range(SIZE))
    found = corrections(Oracle(possible), range(SIZE), most=100, largest=SIZE)
    minimal = [
        set(given_up)
        for size in range(SIZE + 1)
        for given_up in itertools.combinations(range(SIZE), size)
        if possible(every - set(given_up))
        and not any(possible(every - (set(given_up) - {one})) for one in given_up)
    ]
    assert sorted(map(sorted, found)) == sorted(map(sorted, minimal))
    assert [len(one) for one in found] == sorted(len(one) for one in found)


def test_where_many_have_to_go_one_correction_is_found_all_the_same() -> None:
    conflicts = [frozenset({one}) for one in range(5)]
    assert corrections(Oracle(_possible(conflicts)), range(SIZE)) == [(0, 1, 2, 3, 4)]


def test_what_cannot_be_satisfied_at_all_has_neither() -> None:
    oracle = Oracle(lambda _kept: False)
    assert minimal_conflict(oracle, range(3)) == ()
    assert corrections(oracle, range(3)) == []


def test_an_oracle_concludes_instead_of_asking() -> None:
    oracle = Oracle(lambda kept: 3 not in kept)
    assert not oracle(frozenset({3}))
    assert not oracle(frozenset({1, 3}))
    assert oracle(frozenset({1, 2}))
    assert oracle(frozenset({2}))
    assert oracle.asked == 2


_LEAVES = st.sampled_from(["a = 1", "b IN (1, 2)", "GLOB(c, 'x AND y')", "d OVERLAPS (1, 2)", "(e + 1) > 2"])
_FORMULAS = st.recursive(
    _LEAVES,
    lambda inner: (
        st.builds("{} AND {}".format, inner, inner)
        | st.builds("{} OR {}".format, inner, inner)
        | st.builds("({})".format, inner)
        | st.builds("NOT ({})".format, inner)
    ),
    max_leaves=6,
)


def _holds(expression: str, truth: dict[str, bool]) -> bool:
    """Evaluate an expression whose conditions are known to hold or not."""
    text = expression
    for name, pattern in (("a", r"a = 1"), ("b", r"b IN \(1, 2\)"), ("c", r"GLOB\(c, 'x AND y'\)"),
                          ("d", r"d OVERLAPS \(1, 2\)"), ("e", r"\(e \+ 1\) > 2")):  # fmt: skip
        text = re.sub(pattern, str(truth[name]), text)
    for word in ("AND", "OR", "NOT"):
        text = text.replace(word, word.lower())
    return bool(eval(text))  # noqa: S307 - of words made above


@settings(FEW, max_examples=30)
@given(expression=_FORMULAS)
def test_the_conditions_together_mean_the_expression(expression: str) -> None:
    terms = split_terms(expression)
    joined = join_terms(terms)
    assert parse_failure(joined) is None
    for values in itertools.product((False, True), repeat=5):
        truth = dict(zip("abcde", values, strict=True))
        whole = _holds(expression, truth)
        assert whole is all(_holds(term.text, truth) for term in terms)
        assert whole is _holds(joined, truth)


def test_conditions_keep_their_text() -> None:
    where = "instrument='HSC'  AND (visit IN (1..5)\n OR detector=2) AND NOT (band='g' OR tract=1)"
    assert [term.text for term in split_terms(where)] == [
        "instrument='HSC'",
        "visit IN (1..5)\n OR detector=2",
        "NOT (band='g')",
        "NOT (tract=1)",
    ]
    assert join_terms(split_terms(where)[:2]) == "instrument='HSC' AND (visit IN (1..5)\n OR detector=2)"
    assert split_terms("  ") == ()


def test_too_many_alternatives_stay_one_condition() -> None:
    where = " OR ".join(f"(a{n} = 1 AND b{n} = 2)" for n in range(6))
    (term,) = split_terms(where)
    assert join_terms([term, "c = 3"]) == f"({where}) AND c = 3"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("HSC", "'HSC'"),
        ("it's", None),
        ("two\nlines", None),
        (3, "3"),
        (True, None),
        (0.1, "0.1"),
        (Time("2026-01-01T12:00:00.5", scale="tai"), "T'2026-01-01T12:00:00.5/tai'"),
        (b"", None),
    ],
)
def test_a_value_as_it_is_written(value: object, text: str | None) -> None:
    assert literal(value) == text


def test_moments_come_through_as_they_are_kept() -> None:
    assert literal(moment(1_735_689_600_123_456_789)) == "T'2025-01-01T00:00:00.123456789/tai'"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 seconds"), (180, "3 minutes"), (7200, "2 hours"), (172800, "2 days"), (1e9, "11574 days")],
)
def test_lengths_of_time_are_said_in_fitting_units(seconds: float, text: str) -> None:
    assert shown_gap(int(seconds * 1e9)) == text


def test_names_are_alike_but_for_case_and_parts() -> None:
    assert likeness("cosmos", "COSMOS") > likeness("COSMOS", "COSMO") > likeness("M31", "COSMOS")
    assert likeness("deepCoadd_calexp", "calexp") >= 0.6


@pytest.mark.parametrize(
    ("text", "pattern"), [("HSC-*", "HSC-*"), ("HSC_R%", "HSC?R*"), ("HSC_R", None), ("x[ab]", "x[ab]")]
)
def test_patterns_are_recognized(text: str, pattern: str | None) -> None:
    assert as_glob(text) == pattern


@FEW
@given(first=st.integers(0, 120), length=st.integers(0, 110))
def test_the_nearest_that_passes_is_found_with_few_questions(first: int, length: int) -> None:
    asked = []

    def passing(some: Sequence[int]) -> Sequence[int]:
        asked.append(some)
        return [one for one in some if one >= first]

    found = nearest(range(length), passing)
    assert found == (first if first < length else None)
    assert len(asked) <= 3


def test_distances_on_the_sky() -> None:
    from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

    def spot(ra: float, dec: float, radius: float) -> Spot:
        place = UnitVector3d(LonLat.fromDegrees(ra, dec))
        return spot_of(Circle(place, Angle.fromDegrees(radius)))

    one, other = spot(10, 0, 1), spot(15, 0, 0.5)
    assert one.to(other) == pytest.approx(5)
    assert one.gap(other) == pytest.approx(3.5)
    assert one.gap(spot(11, 0, 1)) == 0
    assert (one.lon, one.lat, one.radius) == pytest.approx((10, 0, 1))


def test_numbers_of_rows_are_said_as_they_were_counted() -> None:
    assert Rows(1).said == "1 row"
    assert "+ rows" in Rows(10_000, more=True).said
    assert not Rows(0)
