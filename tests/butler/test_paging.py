"""Pages and counts agree on every database and every datastore."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from lenticular.butler.browse import read_details, read_page
from lenticular.butler.errors import DataError, NotFoundError

if TYPE_CHECKING:
    from lenticular.butler import Repository
    from lenticular.butler.browse import DatasetRow


def all_rows(repository: Repository, kind: str, collections: list[str], *, limit: int) -> list[DatasetRow]:
    """Return the rows of all pages."""
    page = read_page(repository, kind, collections, limit=limit)
    rows = list(page.rows)
    while page.next is not None:
        page = read_page(repository, kind, collections, limit=limit, after=page.next)
        rows += page.rows
    return rows


def test_pages_hold_what_is_counted_in_the_order_of_the_data_ids(repository: Repository) -> None:
    for info in repository.collections():
        for kind, number in repository.visible_counts(info.name).items():
            for limit in (1, 2, 100):
                rows = all_rows(repository, kind, [info.name], limit=limit)
                assert len(rows) == len({row.id for row in rows}) == number
                assert [row.values for row in rows] == sorted(row.values for row in rows)


def test_of_a_data_id_the_first_collection_counts(repository: Repository) -> None:
    rows = all_rows(repository, "note", ["u/ana"], limit=2)
    assert [(row.values[1], row.run) for row in rows] == [
        (0, "u/ana/new"),
        (1, "u/ana/new"),
        (2, "u/ana/old"),
        (3, "u/ana/old"),
    ]
    assert repository.visible_counts("u/all") == {"note": 4, "remark": 1}
    assert repository.visible_counts("u/tags") == {}


def test_an_expression_restricts_each_page(repository: Repository) -> None:
    where = "instrument = 'Cam' AND detector = 0 OR detector = 3"
    first = read_page(repository, "note", ["u/ana"], where=where, limit=1)
    second = read_page(repository, "note", ["u/ana"], where=where, limit=1, after=first.next)
    assert [row.values[1] for row in (*first.rows, *second.rows)] == [0, 3]
    assert second.next is None


def test_what_a_database_cannot_compute_is_told(repository: Repository) -> None:
    for where in ("detector = 99999999999999999999", "instrument = 'Cam' AND 1"):
        with pytest.raises(DataError):
            read_page(repository, "note", ["u/ana"], where=where)


def test_unknown_names_are_told(repository: Repository) -> None:
    for kind, collection in (("nonsense", "u/ana"), ("note", "nonsense")):
        with pytest.raises(NotFoundError, match="nonsense"):
            read_page(repository, kind, [collection])
    with pytest.raises(NotFoundError, match="nonsense"):
        repository.visible_counts("nonsense")


def test_details_name_the_file_and_its_size(repository: Repository) -> None:
    (row,) = read_page(repository, "remark", ["u/ana/old"]).rows
    details = read_details(repository, UUID(row.id))
    assert (details.dataset_type, details.run, dict(details.data_id)) == (
        "remark",
        "u/ana/old",
        {"instrument": "Cam"},
    )
    (artifact,) = details.artifacts
    assert artifact.uri == str(repository.butler.getURI("remark", collections="u/ana/old", instrument="Cam"))
    assert artifact.bytes is not None
    assert artifact.bytes > 0
    assert details.records["instrument"]["detector_max"] == 9
    assert "u/ana/old" in details._repr_html_()


def test_a_dataset_that_is_not_there_is_told(repository: Repository) -> None:
    with pytest.raises(NotFoundError):
        read_details(repository, uuid4())


def test_a_clone_shares_connections_and_outlives_none(repository: Repository) -> None:
    twin = repository.clone()
    assert twin.engine is repository.engine
    assert twin.butler is not repository.butler
    assert len(twin.butler.query_datasets("note", "u/ana")) == 4
    twin.close()
    assert len(repository.butler.query_datasets("note", "u/ana")) == 4
