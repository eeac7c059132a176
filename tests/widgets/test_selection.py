"""What a person has chosen, as the registry reads it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.butler.errors import DataError
from lenticular.widgets.selection import quoted, where_of


def expand(where: str) -> set[int]:
    """Return the visits that an expression's list of visits stands for."""
    listed = re.search(r"visit IN \((.*)\)", where)
    assert listed is not None
    found: set[int] = set()
    for part in listed[1].split(", "):
        first, _, last = part.partition("..")
        found |= set(range(int(first), int(last or first) + 1))
    return found


@given(visits=st.sets(st.integers(1, 200), min_size=1))
def test_the_visits_in_an_expression_are_those_chosen(visits: set[int]) -> None:
    assert expand(where_of("Cam", visits=visits)) == visits


def test_many_visits_in_a_row_are_written_as_a_range() -> None:
    assert where_of("Cam", visits=[5, 3, 4, 9]) == "instrument = 'Cam' AND visit IN (3..5, 9)"


def test_bands_and_nights_count_until_visits_are_chosen() -> None:
    bands, nights = ["r", "g"], [20261101]
    assert (
        where_of("Cam", bands=bands, nights=nights)
        == "instrument = 'Cam' AND band IN ('g', 'r') AND day_obs IN (20261101)"
    )
    assert where_of("Cam", visits=[7], bands=bands, nights=nights) == "instrument = 'Cam' AND visit IN (7)"


def test_a_further_constraint_keeps_its_own_or() -> None:
    where = where_of("Cam", expression="visit = 1 OR visit = 2 ")
    assert where == "instrument = 'Cam' AND (visit = 1 OR visit = 2)"


def test_nothing_chosen_is_no_constraint() -> None:
    assert where_of("") == ""


@pytest.mark.parametrize("name", ["O'Neil", "back\\slash"])
def test_a_name_that_would_end_its_own_quotes_is_refused(name: str) -> None:
    with pytest.raises(DataError):
        quoted(name)
