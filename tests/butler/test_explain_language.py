"""Wrong expressions: what is wrong, where it is, and what to write instead."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from lenticular.butler import create_repository
from lenticular.butler.columns import query_data_ids
from lenticular.butler.errors import DataError, ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lenticular.butler import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Return a repository with two instruments and nothing else."""
    with create_repository(tmp_path_factory.mktemp("language") / "repository") as made:
        for name in ("Cam", "HSC"):
            made.butler.registry.insertDimensionData("instrument", {"name": name, "class_name": "x.Cam"})
        yield made


def refused(repository: Repository, where: str, **options: Any) -> ExpressionError:
    """Return the error for an expression."""
    with pytest.raises(ExpressionError) as caught:
        query_data_ids(repository, ["visit", "detector"], where=where, **options)
    return caught.value


@pytest.mark.parametrize(
    ("where", "marked", "what", "hint"),
    [
        # Characters and words.
        ('instrument = "Cam"', '"Cam"', "no string", "write 'Cam'"),
        ("visit = \u20183\u2019", "\u20183\u2019", "no string", "'3'"),
        ("instrument = 'Cam AND visit = 3", "'Cam AND visit = 3", "no end", "single quote"),
        ("visit = 1 && detector = 2", "&&", "written AND", "AND"),
        ("visit = 1 | detector = 2", "|", "written OR", "OR"),
        ("!(visit = 1)", "!", "written NOT", "NOT"),
        ("visit IN [1, 2]", "[", "brackets", "round brackets"),
        ("visit = 1; detector = 2", ";", "means nothing", "single quotes"),
        ("visit.timespan.begin.day = 1", ".", "means nothing", "three parts"),
        ("visit == 1", "==", "written =", "Write =."),
        ("visit <> 1", "<>", "written !=", "Write !=."),
        ("visit => 1", "=>", "written >=", "Write >=."),
        ("visit = 1 AND", "AND", "Nothing follows AND", "condition after AND"),
        ("visit =", "=", "Nothing follows =", "value after ="),
        ("AND visit = 1", "AND", "no condition before", "between two conditions"),
        ("visit = 1 AND AND detector = 2", "AND", "no condition before", "between two"),
        ("visit = AND detector = 2", "=", "no value after =", "Write one"),
        ("(visit = 1", "(", "not closed", "Close it"),
        ("visit = 1)", ")", "closes nothing", "Leave it out"),
        ("visit IN 3", "3", "in brackets", "IN (3)"),
        ("visit IN (1 + 2)", "+", "not expected", "single quotes"),
        ("visit IN (POINT(1, 2))", "IN", "Unsupported type", "bound names"),
        ("visit = 1 detector = 2", "detector", "missing between 1 and detector", "AND"),
        ("physical_filter LIKE 'HSC-%'", "LIKE", "no LIKE", "GLOB(physical_filter, 'HSC-*')"),
        ("visit BETWEEN 1 AND 5", "BETWEEN", "no BETWEEN", "visit IN (1..5)"),
        ("visit IS NULL", "IS", "no IS", "visit = NULL"),
        ("visit.timespan OVERLAPS T'tomorrow'", "T'tomorrow'", "does not match", "MJD"),
        ("visit.region OVERLAPS CIRCLE(1, 2)", "CIRCLE(1, 2)", "three arguments", "CIRCLE(ra, dec, radius)"),
        ("GLOB(3, 'x')", "GLOB(3, 'x')", "identifier", "GLOB(physical_filter"),
        # Names.
        ("vist = 1", "vist", "no dimension or field 'vist'", "visit"),
        ("visit.exposre_time > 1", "visit.exposre_time", "no field 'exposre_time'", "exposure_time"),
        ("visit.id.begin = 1", "visit.id.begin", "no 'begin'", "span of time"),
        ("instrument = HSC", "HSC", "'HSC'", "write 'HSC' in single quotes"),
        ("visit = :number", ":number", "No value is given", "bind={'number': ...}"),
        ("ABS(visit) = 1", "ABS", "no function", "GLOB"),
        ("image.run = 'x'", "image.run", "not what the query searches for", "in a query for datasets"),
        ("vsit.timespan OVERLAPS exposure.timespan", "vsit.timespan", "no dimension", "visit"),
        # Types.
        ("visit = 'one'", "visit = 'one'", "visit is a number", "text with text"),
        ("visit = '12'", "visit = '12'", "'12' is text", "Write 12, without quotes."),
        ("detector NOT IN ('a')", "detector NOT IN ('a')", "number", "text with text"),
        ("day_obs = '2026-01-31'", "day_obs = '2026-01-31'", "YYYYMMDD", "day_obs = 20260131"),
        ("day_obs > T'2026-01-31'", "day_obs > T'2026-01-31'", "YYYYMMDD", "20260131"),
        ("visit = T'2026-01-31'", "visit = T'2026-01-31'", "not a time", "visit.timespan"),
        ("band = 3", "band = 3", "band is text", "band = '3'"),
        ("visit.timespan OVERLAPS '2026-01-01'", "visit.timespan OVERLAPS '2026-01-01'", "span", "(T'"),
        ("visit.timespan.begin > '2026'", "visit.timespan.begin > '2026'", "is a time", "T'2026'"),
        ("visit.region OVERLAPS 3", "visit.region OVERLAPS 3", "region of the sky", "CIRCLE"),
        ("visit OVERLAPS 3", "visit OVERLAPS 3", "overlaps nothing", "OVERLAP"),
        ("GLOB(visit, '3*')", "GLOB(visit, '3*')", "no text", "GLOB is for text"),
        ("visit", "visit", "alone is no condition", "Compare"),
        ("visit = 1 OR (band = 'r' AND detector = 'x')", "detector = 'x'", "number", "text with text"),
        # What is left open.
        ("detector = 1 AND visit = 3", "detector", "without its instrument", "There is Cam, HSC."),
    ],
)  # fmt: skip
def test_a_fault_is_marked_and_a_remedy_told(
    repository: Repository, where: str, marked: str, what: str, hint: str
) -> None:
    from lsst.daf.butler import InvalidQueryError

    with pytest.raises((InvalidQueryError, ValueError, AssertionError)):
        repository.butler.query_data_ids(["visit", "detector"], where=where)
    error = refused(repository, where)
    assert error.position is not None
    assert where[error.position : error.position + error.length] == marked
    assert what in error.what
    assert error.hint is not None
    assert hint in error.hint


def test_the_nearest_bound_name_is_told(repository: Repository) -> None:
    error = refused(repository, "visit IN (:visits)", bind={"visit_s": [1, 2]})
    assert "Did you mean visit_s?" in str(error.hint)


def test_bound_names_hide_what_they_are_named_after(repository: Repository) -> None:
    table = query_data_ids(repository, "instrument", where="instrument = mine", bind={"mine": "HSC"})
    assert table.num_rows == 1


def test_a_fault_in_a_later_line_is_shown_there(repository: Repository) -> None:
    error = refused(repository, "instrument = 'Cam'\n  AND bnd = 'r'\n  AND visit = 1")
    assert error.pointer == "  AND bnd = 'r'\n      ^^^"
    assert str(error).splitlines()[1:] == ["      AND bnd = 'r'", "          ^^^"]
    assert "<pre>  AND bnd" in error._repr_html_()


def test_a_fault_survives_pickling(repository: Repository) -> None:
    error = refused(repository, "vist = 1")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made a moment before
    assert (type(again), str(again), again.position, again.length) == (ExpressionError, str(error), 0, 4)


def test_a_masked_credential_leaves_no_place() -> None:
    error = ExpressionError("Wrong", where="x = 'postgresql://ana:secret@db'", position=3)
    assert error.position is None
    assert "secret" not in str(error)
    assert error.pointer == error.where


def test_what_is_deep_is_refused(repository: Repository) -> None:
    error = refused(repository, "NOT " * 3000 + "visit = 1")
    assert "deeply" in error.what or error.position is not None


WHERE = "instrument = 'Cam' AND (visit IN (1..5) OR NOT detector != :n) AND visit.exposure_time > 1.5"


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    place=st.integers(0, len(WHERE)),
    removed=st.integers(0, 6),
    added=st.sampled_from(["", "'", '"', "(", ")", "AND", "=", "3", "x", ":", ",", "T'", "..", "\n"]),
)
def test_whatever_is_mistyped_is_answered_or_refused_with_a_place(
    repository: Repository, place: int, removed: int, added: str
) -> None:
    where = WHERE[:place] + added + WHERE[place + removed :]
    error = error_of(repository, where)
    if error is not None:
        assert error.hint
        if isinstance(error, ExpressionError) and error.position is not None:
            assert 0 <= error.position <= len(where)
            assert error.pointer


def error_of(repository: Repository, where: str) -> DataError | None:
    """Return the error for an expression, if it is one of ours."""
    try:
        query_data_ids(repository, ["visit", "detector"], where=where, bind={"n": 1})
    except DataError as error:
        return error
    return None
