"""What the routes say of a selection of datasets, empty or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.server.conftest import DETECTORS

if TYPE_CHECKING:
    from tests.server.conftest import Ask

SEEDS = {"label": "toy", "dataset_type": "seed", "collections": "seeds"}


async def test_facets_count_each_value_of_each_dimension(ask: Ask) -> None:
    answer = await ask("facets", **SEEDS)
    assert answer.status == 200, answer.content
    assert answer.content["total"] == DETECTORS
    facets = {facet["dimension"]: facet for facet in answer.content["facets"]}
    assert facets["instrument"]["values"] == [{"value": "Toy", "count": DETECTORS}]
    assert facets["detector"]["distinct"] == DETECTORS
    assert facets["detector"]["values"] == [{"value": i, "count": 1} for i in range(DETECTORS)]


async def test_facets_name_only_as_many_values_as_are_asked_for(ask: Ask) -> None:
    answer = await ask("facets", **SEEDS, limit=2)
    detector = next(facet for facet in answer.content["facets"] if facet["dimension"] == "detector")
    assert [value["value"] for value in detector["values"]] == [0, 1]
    assert detector["distinct"] == DETECTORS


async def test_an_empty_selection_is_explained_with_changes_that_give_what_they_say(ask: Ask) -> None:
    answer = await ask("explanation", **SEEDS, where="instrument = 'Toy' AND detector = 77")
    assert answer.status == 200, answer.content
    assert answer.content["rows"]["number"] == 0
    (reason,) = answer.content["reasons"]
    assert reason["constraints"] == ["detector = 77"]
    assert reason["only"]
    assert answer.content["changes"]
    for change in answer.content["changes"]:
        found = await ask(
            "datasets",
            label="toy",
            dataset_type=change["dataset_type"],
            collections=",".join(change["collections"]),
            where=change["where"],
        )
        assert len(found.content["datasets"]) == change["rows"]["number"] > 0


async def test_a_selection_that_is_not_empty_says_so(ask: Ask) -> None:
    answer = await ask("explanation", **SEEDS)
    assert answer.content["rows"]["number"] == DETECTORS
    assert answer.content["reasons"] == answer.content["changes"] == []


@pytest.mark.parametrize("route", ["facets", "explanation"])
async def test_a_wrong_expression_is_an_error_that_helps(ask: Ask, route: str) -> None:
    answer = await ask(route, **SEEDS, where="detectr = 1")
    assert answer.status == 422
    assert "detector" in answer.error["hint"]


@pytest.mark.parametrize("route", ["facets", "explanation"])
async def test_what_does_not_exist_is_told_with_what_is_near(ask: Ask, route: str) -> None:
    answer = await ask(route, label="toy", dataset_type="sed", collections="seeds")
    assert answer.status == 404
    assert "seed" in answer.error["hint"]
