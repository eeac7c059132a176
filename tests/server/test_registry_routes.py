"""What the routes say of repositories, collections and datasets."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lenticular.butler.browse import read_page
from lenticular.butler.errors import DataError
from lenticular.platform.server.repositories import RepositoryPool
from tests.server.conftest import DETECTORS

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from tests.server.conftest import Ask, Site


async def pages(ask: Ask, **question: Any) -> list[dict[str, Any]]:
    """Return all datasets of a question, page after page."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        answer = await ask("datasets", label="toy", **question, **after)
        assert answer.status == 200, answer.content
        assert len(answer.content["datasets"]) <= question.get("limit", 100)
        found += answer.content["datasets"]
        if answer.content["next"] is None:
            return found
        after = {"after": answer.content["next"]}


async def test_repositories_are_listed_without_being_opened(ask: Ask, site: Site) -> None:
    answer = await ask("repositories")
    assert answer.status == 200
    assert answer.content == {
        "repositories": [{"label": "toy", "address": str(site.repository)}],
        "read_only": True,
    }


@pytest.mark.parametrize(
    "lenticular_settings",
    [{"repositories": {"far": "postgresql://ana:geheim@db/registry", "gone": "s3://key:geheim@bucket/r"}}],
)
async def test_addresses_are_shown_without_their_passwords(ask: Ask) -> None:
    answer = await ask("repositories")
    assert [repository["label"] for repository in answer.content["repositories"]] == ["far", "gone"]
    assert b"geheim" not in answer.response.body


async def test_a_repository_says_how_large_it_is(ask: Ask, site: Site) -> None:
    answer = await ask("repository", label="toy")
    assert answer.content == {
        "label": "toy",
        "address": f"{site.repository}/",
        "registry": f"sqlite:///{site.repository}/gen3.sqlite3",
        "datastores": [f"{site.repository}"],
        "collections": 15,
        "dataset_types": 3,
    }


@pytest.mark.parametrize("label", ["tey", "https://example.org/repo", "../repository", "/etc"])
async def test_only_labels_name_a_repository(ask: Ask, label: str) -> None:
    answer = await ask("repository", label=label)
    assert answer.status == 404
    assert answer.error["kind"] == "RepositoryNotFoundError"
    assert "toy" in answer.error["hint"]


@pytest.mark.parametrize("lenticular_settings", [{"repositories": {"gone": "nowhere/at/all"}}])
async def test_a_repository_that_is_gone_is_told_each_time(ask: Ask) -> None:
    for _ in range(2):
        answer = await ask("collections", label="gone")
        assert answer.status == 404
        assert answer.error["what"] == "There is nothing here"


async def names(ask: Ask, **question: Any) -> list[str]:
    answer = await ask("collections", label="toy", **question)
    assert answer.status == 200, answer.content
    return [collection["name"] for collection in answer.content["collections"]]


async def test_the_tree_begins_with_what_is_in_no_chain(ask: Ask) -> None:
    assert await names(ask) == ["dark/1", "dark/2", "outer", *(f"spans/{n}" for n in range(6)), "tags"]


async def test_a_chain_has_its_members_in_the_order_of_the_search(ask: Ask) -> None:
    assert await names(ask, parent="outer") == ["inner", "calib", "notes"]
    assert await names(ask, parent="inner") == ["late", "seeds"]
    assert await names(ask, parent="outer", glob="*n*") == ["inner", "notes"]
    assert await names(ask, parent="seeds") == []


async def test_a_pattern_finds_collections_wherever_they_are(ask: Ask) -> None:
    assert await names(ask, glob="*e*s*") == ["notes", "seeds"]
    assert await names(ask, glob="spans/[0-2]") == ["spans/0", "spans/1", "spans/2"]
    assert await names(ask, glob="(late|seeds)") == []


async def test_a_limit_leaves_the_total(ask: Ask) -> None:
    answer = await ask("collections", label="toy", glob="spans/*", limit=2)
    assert [collection["name"] for collection in answer.content["collections"]] == ["spans/0", "spans/1"]
    assert answer.content["total"] == 6


async def test_a_collection_in_a_list_says_what_it_is(ask: Ask) -> None:
    answer = await ask("collections", label="toy", glob="inner")
    assert answer.content["collections"] == [
        {
            "name": "inner",
            "kind": "CHAINED",
            "children": 2,
            "documentation": "What came late before what came first.",
            "dataset_types": 1,
        }
    ]


async def test_an_unknown_collection_is_told_with_the_nearest(ask: Ask) -> None:
    for path, question in (("collection", {"name": "seedz"}), ("collections", {"parent": "seedz"})):
        answer = await ask(path, label="toy", **question)
        assert answer.status == 404
        assert answer.error["kind"] == "NotFoundError"
    assert "seeds" in (await ask("collection", label="toy", name="seedz")).error["hint"]


async def test_a_collection_knows_its_place_and_what_it_holds(ask: Ask) -> None:
    answer = await ask("collection", label="toy", name="inner")
    assert answer.content["children"] == ["late", "seeds"]
    assert answer.content["parents"] == ["outer"]
    assert answer.content["dataset_types"] == [
        {
            "name": "seed",
            "storage_class": "StructuredDataDict",
            "dimensions": ["instrument", "detector"],
            "is_calibration": False,
            "count": DETECTORS,
        }
    ]


@pytest.mark.parametrize("collection", ["seeds", "inner", "outer", "tags", "calib", "notes", "dark/1"])
@pytest.mark.parametrize("limit", [2, 100])
async def test_pages_hold_each_counted_dataset_once(ask: Ask, collection: str, limit: int) -> None:
    counted = (await ask("collection", label="toy", name=collection)).content["dataset_types"]
    assert counted
    for kind in counted:
        found = await pages(ask, dataset_type=kind["name"], collections=collection, limit=limit)
        assert len(found) == kind["count"]
        assert len({dataset["id"] for dataset in found}) == len(found)
        keys = [tuple(dataset["data_id"].values()) for dataset in found]
        assert keys == sorted(keys)


async def test_of_a_data_id_only_what_comes_first_is_seen(ask: Ask) -> None:
    found = await pages(ask, dataset_type="seed", collections="late,seeds", limit=3)
    assert [dataset["run"] for dataset in found].count("late") == 1
    assert [dataset["data_id"]["detector"] for dataset in found] == list(range(DETECTORS))
    again = await pages(ask, dataset_type="seed", collections="seeds,late", limit=3)
    assert {dataset["run"] for dataset in again} == {"seeds"}


async def test_in_a_calibration_collection_all_spans_of_time_are_seen(ask: Ask) -> None:
    found = await pages(ask, dataset_type="dark", collections="calib", limit=4)
    assert [dataset["data_id"]["detector"] for dataset in found] == [0, 1, 2, 3, 4, *[5] * 6]


async def test_an_expression_restricts_every_page(ask: Ask) -> None:
    where = "instrument = 'Toy' AND detector > 1 OR detector = 0"
    found = await pages(ask, dataset_type="seed", collections="seeds", where=where, limit=2)
    assert [dataset["data_id"]["detector"] for dataset in found] == [0, *range(2, DETECTORS)]


async def test_a_page_mark_belongs_to_its_question(ask: Ask) -> None:
    first = await ask("datasets", label="toy", dataset_type="seed", collections="seeds", limit=1)
    mark = first.content["next"]
    for wrong in ({"collections": "late", "after": mark}, {"collections": "seeds", "after": "bm9uc2Vuc2U"}):
        answer = await ask("datasets", label="toy", dataset_type="seed", **wrong)
        assert answer.status == 400
        assert answer.error["where"] == "after"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("detectr = 1", "detector"),
        ("detector = ", "Write a value after ="),
        ("detector = 99999999999999999999999", ""),
        ("(" * 3000 + "detector = 1" + ")" * 3000, "brackets"),
    ],
)
async def test_a_wrong_expression_is_told(ask: Ask, where: str, said: str) -> None:
    answer = await ask("datasets", label="toy", dataset_type="seed", collections="seeds", where=where)
    assert answer.status == 422
    assert answer.error["kind"] in {"DataError", "ExpressionError"}
    assert said in answer.error["hint"]


WORDS = st.sampled_from(
    [
        *("instrument", "detector", "visit", "seed", "dataset_id", "ingest_date", "nonsense", "x.y.z"),
        *("AND", "OR", "NOT", "IN", "OVERLAPS", "IS", "NULL", "GLOB", "POINT", "UUID"),
        *("=", "!=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ",", "..", ":", ";", "[", "]"),
        *("'Toy'", "''", "'", "1", "0", "-1", "1.5", "1e400", "9" * 30, "1..5:0", "T'2030-01-01'", "T'x'"),
    ]
)


@given(words=st.lists(WORDS, max_size=8) | st.lists(st.text(max_size=5), max_size=4))
@example(words=["detector", "=", "1", "/", "0"])
@example(words=["instrument", "=", "'Toy'", "AND", "detector", "IN", "(", "1..5:0", ")"])
@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_expression_is_answered_or_told_to_be_wrong(site: Site, words: list[str]) -> None:
    pool = POOLS.setdefault(str(site.repository), RepositoryPool({"toy": str(site.repository)}))
    with pool.use("toy") as repository, suppress(DataError):
        page = read_page(repository, "seed", ["seeds"], where=" ".join(words))
        assert len(page.rows) <= DETECTORS


POOLS: dict[str, RepositoryPool] = {}
"""One for all examples: opening a repository is what would take long."""


async def test_dataset_types_are_listed_by_pattern(ask: Ask) -> None:
    answer = await ask("dataset-types", label="toy", glob="*d*")
    assert [kind["name"] for kind in answer.content["dataset_types"]] == ["dark", "seed"]
    assert answer.content["total"] == 2
    assert [kind["is_calibration"] for kind in answer.content["dataset_types"]] == [True, False]


def size_of(uri: str) -> int:
    return Path(urlparse(uri).path).stat().st_size


async def test_a_dataset_says_everything_that_is_known(ask: Ask, site: Site) -> None:
    (listed,) = await pages(
        ask, dataset_type="seed", collections="seeds", where="instrument='Toy' AND detector=3"
    )
    answer = await ask("dataset", label="toy", id=listed["id"])
    content = answer.content
    assert content["data_id"] == {"instrument": "Toy", "detector": 3}
    assert content["records"]["detector"]["full_name"] == "D3"
    assert "region" not in content["records"]["instrument"]
    (artifact,) = content["artifacts"]
    assert artifact["uri"].startswith(site.repository.as_uri())
    assert artifact["bytes"] == size_of(artifact["uri"])
    assert content["provenance"] is None


async def test_an_unknown_dataset_is_told(ask: Ask) -> None:
    answer = await ask("dataset", label="toy", id="00000000-0000-4000-8000-000000000000")
    assert answer.status == 404
    assert answer.error["kind"] == "NotFoundError"


async def test_what_is_registered_meanwhile_is_seen(ask: Ask, site: Site) -> None:
    from lsst.daf.butler import Butler, DatasetType

    await pages(ask, dataset_type="seed", collections="seeds")
    with Butler.from_config(str(site.repository), writeable=True, run="meanwhile") as butler:
        kind = DatasetType("fresh", ("instrument",), "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.put({}, kind, instrument="Toy")
        try:
            (found,) = await pages(ask, dataset_type="fresh", collections="meanwhile")
            assert found["data_id"] == {"instrument": "Toy"}
        finally:
            butler.removeRuns(["meanwhile"])
            butler.registry.removeDatasetType("fresh")


@pytest.mark.parametrize(
    ("path", "question", "what", "hint"),
    [
        ("repository", {}, "missing", "label"),
        ("repository", {"lable": "toy"}, "missing", "label"),
        ("collections", {"label": "toy", "golb": "*"}, "no parameter 'golb'", "glob"),
        ("collections", {"label": "toy", "limit": "0"}, "greater than or equal to 1", "openapi"),
        ("collections", {"label": "toy", "limit": "many"}, "integer", "openapi"),
        ("collections", {"label": "t\x00y"}, "NUL", "openapi"),
        ("dataset", {"label": "toy", "id": "7"}, "UUID", "openapi"),
        ("datasets", {"label": "toy", "dataset_type": "seed", "collections": ""}, "collections", "openapi"),
    ],
)
async def test_a_wrong_parameter_is_named(
    ask: Ask, path: str, question: dict[str, str], what: str, hint: str
) -> None:
    answer = await ask(path, **question)
    assert answer.status == 400
    assert answer.error["kind"] == "ParameterError"
    assert what in answer.error["what"]
    assert hint in answer.error["hint"]


async def test_parameters_of_the_jupyter_server_are_let_pass(ask: Ask, jp_serverapp: ServerApp) -> None:
    assert (await ask("repositories", **{"1795368965987": ""})).status == 200
    assert (await ask("repositories", token=jp_serverapp.identity_provider.token)).status == 200
