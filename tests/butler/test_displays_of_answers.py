"""What a notebook is shown of repositories, collections, datasets and answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pytest

from lenticular.butler import CollectionInfo, CollectionKind, DatasetTypeInfo, Repository, create_repository
from lenticular.butler.browse import Artifact, DatasetDetails
from lenticular.butler.columns import query_data_ids, query_datasets, query_dimension_records
from lenticular.butler.columns.layout import Column
from lenticular.butler.columns.shown import UNBOUNDED, table_html
from lenticular.butler.display import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """Return a repository with thirty notes."""
    from lsst.daf.butler import DatasetType

    with create_repository(tmp_path_factory.mktemp("r") / "r") as repository:
        insert = repository.butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 99})
        insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(30)))
        universe = repository.butler.dimensions
        note = DatasetType("note", ("instrument", "detector"), "StructuredDataDict", universe=universe)
        repository.butler.registry.registerDatasetType(note)
        repository.butler.collections.register("u/<b>run</b>")
        ids = [{"instrument": "Cam", "detector": i} for i in range(30)]
        repository.butler.registry.insertDatasets(note, ids, run="u/<b>run</b>")
        yield repository


def test_a_repository_is_shown_with_what_it_has(filled: Repository) -> None:
    html = filled._repr_html_()
    assert "<th>collections</th><td>1 RUN</td>" in html
    assert "<th>dataset types</th><td>1</td>" in html
    assert '<span class="lv-chip">Cam</span>' in html
    assert "<th>access</th><td>read and write</td>" in html


def test_a_repository_is_shown_without_its_database(
    filled: Repository, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("gone") / "r"
    with create_repository(root) as repository:
        for file in root.glob("gen3.sqlite3*"):
            file.write_bytes(b"no database any more" * 1000)
        repository.engine.dispose()
        html = repository._repr_html_()
    assert "not known now: " in html
    assert "<th>datastores</th>" in html
    del filled


def test_a_collection_is_shown_with_its_members_in_order() -> None:
    info = CollectionInfo("a", CollectionKind.CHAINED, ("z", "b"), "docs & more", ("note",))
    html = info._repr_html_()
    assert html.index(">z<") < html.index(">b<")
    assert "docs &amp; more" in html
    assert "<th>kind</th><td>CHAINED</td>" in html
    assert ">note</span>" in html


def test_a_dataset_type_is_shown_with_its_dimensions() -> None:
    html = DatasetTypeInfo("note", "Dict", ("instrument", "detector"), is_calibration=True)._repr_html_()
    assert html.index(">instrument<") < html.index(">detector<")
    assert "valid for ranges of dates" in html
    assert "<td>none</td>" in DatasetTypeInfo("all", "Dict", (), is_calibration=False)._repr_html_()


def test_a_dataset_is_shown_with_its_files_and_their_sizes() -> None:
    files = (Artifact("s3://b/k", 1_500_000, "wcs"), Artifact("s3://b/l", None, None))
    whole = DatasetDetails("id", "note", "Dict", ("detector",), "run", {"detector": 3}, {}, files)
    html = whole._repr_html_()
    assert "<td>1.5 MB</td>" in html
    assert "<th>detector</th><td>3</td>" in html
    none = DatasetDetails("id", "note", "Dict", (), "run", {}, {}, ())
    assert "It has no file." in none._repr_html_()


def test_an_answer_is_shown_with_its_question_and_how_much_of_it(filled: Repository) -> None:
    table = query_datasets(filled, "note", "u/<b>run</b>", where="instrument = 'Cam' AND detector >= 5")
    html = table_html(table)
    assert "showing 20 of 25 rows" in html
    assert "note</div>" in html
    assert "u/&lt;b&gt;run&lt;/b&gt;" in html
    assert "detector &gt;= 5" in html
    assert html.count("<tr>") == 20 + 1 + 2
    assert str(UUID(bytes=table["dataset_id"][0].as_py())) in html
    assert "25 rows" in table_html(table, most=100)


def test_answers_of_all_kinds_have_their_titles(filled: Repository) -> None:
    assert "Data IDs</span>instrument" in table_html(query_data_ids(filled, ["instrument"]))
    html = table_html(query_dimension_records(filled, "detector", limit=0))
    assert "Records</span>detector" in html
    assert "0 rows" in html
    assert "<th>limit</th><td>0</td>" in html
    assert "Table</span>" in table_html(pa.table({"a": [1]}))


def test_the_title_stays_with_a_plain_answer(filled: Repository) -> None:
    assert "Datasets</span>note" in table_html(filled.datasets("note", "u/<b>run</b>", limit=3))


def test_values_are_shown_as_a_person_reads_them() -> None:
    from lsst.daf.butler.time_utils import TimeConverter
    from lsst.sphgeom import Circle, UnitVector3d

    converter = TimeConverter()
    assert (converter.min_nsec, converter.max_nsec) == UNBOUNDED
    columns: list[tuple[Column, list[list[Any]]]] = [
        (Column("span", "visit", "timespan", "timespan"), [[UNBOUNDED[0]], [1_700_000_000_123_000_000]]),
        (Column("area", "visit", "region", "region"), [[Circle(UnitVector3d(1, 0, 0), 0.1).encode()]]),
        (Column("hash", "skymap", "hash", "hash"), [[b"12345"]]),
        (Column("visit", "visit", None, "int"), [[903334]]),
        (Column("name", "visit", "name", "string"), [[None]]),
    ]
    fields = [field for column, _ in columns for field in column.fields]
    values = [one for _, given in columns for one in given]
    arrays = [pa.array(one, field.type) for one, field in zip(values, fields, strict=True)]
    table = pa.table(arrays, schema=pa.schema(fields))
    html = table_html(table)
    assert "unbounded" in html
    assert "2023-11-14T22:13:20.123<" in html
    assert "<td>circle</td>" in html
    assert "<td>5 bytes</td>" in html
    assert "<td>903334</td>" in html
    assert '<span class="lv-muted">-</span>' in html


def test_long_values_and_many_columns_are_cut() -> None:
    html = table_html(pa.table({f"c{i}": ["x" * 1000, "y"] for i in range(30)}))
    assert "x" * 121 not in html
    assert "2 rows, 24 of 30 columns" in html
    numbers = table_html(pa.table({"n": [1234567]}))
    assert f'<td class="lv-n">{grouped(1234567)}</td>' in numbers


def test_credentials_in_an_answer_are_masked() -> None:
    html = table_html(pa.table({"a": ["postgresql://ada:hunter2@db/r"]}))
    assert not re.search("hunter2", html)
