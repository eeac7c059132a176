"""Pages in any order, forwards and backwards, hold what upstream finds."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import event

from lenticular.butler.browse import NEWEST, read_page, read_query_page, read_records
from lenticular.butler.columns import DatasetQuery, query_datasets, query_dimension_records
from lenticular.butler.database import reader
from lenticular.butler.errors import DataError
from tests.butler.generated import KINDS, build, contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lenticular.butler import Repository
    from lenticular.butler.browse import DatasetPage, DatasetRow
    from tests.butler.generated import Content

EXAMPLES = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def forwards(repository: Repository, query: DatasetQuery, limit: int) -> list[DatasetPage]:
    """Return all pages, read from the first."""
    pages = [read_query_page(repository, query, limit=limit)]
    while pages[-1].next is not None:
        pages.append(read_query_page(repository, query, limit=limit, after=pages[-1].next))
    return pages


def backwards(
    repository: Repository, query: DatasetQuery, limit: int, last: DatasetPage
) -> list[DatasetPage]:
    """Return all pages before one, read towards the first."""
    pages = [last]
    while pages[0].previous is not None:
        pages.insert(0, read_query_page(repository, query, limit=limit, before=pages[0].previous))
    return pages


def rows_of(pages: Sequence[DatasetPage]) -> list[DatasetRow]:
    """Return the rows of some pages."""
    return [row for page in pages for row in page.rows]


def same(repository: Repository, query: DatasetQuery, limit: int) -> list[DatasetRow]:
    """Compare all pages of a query with upstream's answer; return their rows."""
    refs = repository.butler.query_datasets(
        query.dataset_type,
        query.collections,
        find_first=query.find_first,
        where=query.where,
        data_id=dict(query.data_id),
        explain=False,
        limit=None,
    )
    pages = forwards(repository, query, limit)
    rows = rows_of(pages)
    expected = {
        str(ref.id): (ref.run, tuple(ref.dataId[name] for name in pages[0].dimensions)) for ref in refs
    }
    assert {row.id: (row.run, row.values) for row in rows} == expected
    assert len(rows) == len(expected)
    assert all(len(page.rows) == limit for page in pages[:-1])
    assert pages[0].previous is None
    assert rows_of(backwards(repository, query, limit, pages[-1])) == rows
    return rows


def searches(content: Content) -> Iterator[tuple[str, list[str]]]:
    """Yield dataset types and collections to search."""
    plain = [run.name for run in content.runs] + [one.name for one in content.tagged]
    for kind, (_, is_calibration) in KINDS.items():
        yield kind, [content.runs[0].name]
        # A calibration type has no first dataset in a CALIBRATION collection.
        yield kind, plain if is_calibration else [content.chains[-1].name]


@EXAMPLES
@given(content=contents())
def test_pages_by_data_id_are_what_upstream_finds(shared: Repository, content: Content) -> None:
    made = build(content, shared)
    for kind, collections in searches(made):
        rows = same(shared, DatasetQuery(dataset_type=kind, collections=collections), 7)
        assert [row.values for row in rows] == sorted(row.values for row in rows)


def test_a_data_id_restricts_pages(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    data_id = {"instrument": made.instruments[0].name, "detector": 1}
    for kind in ("image", "raw", "flat"):
        query = DatasetQuery(dataset_type=kind, collections=[run.name for run in made.runs], data_id=data_id)
        assert same(repository, query, 3)


def test_pages_of_one_go_along_the_records(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    for kind in ("image", "coadd"):
        assert same(repository, DatasetQuery(dataset_type=kind, collections=[made.chains[-1].name]), 2)


def test_what_is_found_several_times_is_given_once(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    names = [run.name for run in made.runs] + [one.name for one in made.tagged]
    query = DatasetQuery(dataset_type="image", collections=names, find_first=False)
    refs = repository.butler.query_datasets("image", names, find_first=False, limit=None)
    assert len(same(repository, query, 5)) < len(refs)


def test_pages_of_the_newest_begin_with_what_came_last(filled: tuple[Repository, Content]) -> None:
    shared, made = filled
    for kind in ("raw", "image", "note"):
        query = DatasetQuery(dataset_type=kind, collections=[made.chains[-1].name], order_by=[NEWEST])
        rows = same(shared, query, 5)
        if kind != "raw":  # whose UUIDs tell nothing
            assert [row.id for row in rows] == sorted((row.id for row in rows), reverse=True)


ORDERS = (
    ("visit", "detector"),
    ("-instrument", "-visit", "-detector"),
    ("-visit",),
    ("-visit.exposure_time",),
    ("visit.target_name", "-detector"),
    ("-visit.timespan.begin",),
    ("visit.timespan.end", "detector"),
    ("-ingest_date",),
    ("run", "-visit"),
    ("band", "physical_filter", "-day_obs"),
)


@pytest.mark.parametrize("order", ORDERS, ids=",".join)
def test_pages_in_any_order_are_in_that_of_upstream(
    order: tuple[str, ...], filled: tuple[Repository, Content]
) -> None:
    repository, made = filled
    collections = [made.chains[0].name]
    for where in ("", f"instrument = '{made.instruments[0].name}' AND visit > 2"):
        query = DatasetQuery(dataset_type="image", collections=collections, where=where, order_by=order)
        rows = same(repository, query, 20)
        refs = repository.butler.query_datasets(
            "image", collections, where=where, order_by=order, explain=False, limit=None
        )
        known = query_datasets(
            repository,
            "image",
            collections,
            where=where,
            columns=[
                "ingest_date",
                *(f"visit.{name}" for name in ("exposure_time", "target_name", "timespan")),
            ],
        )
        keys = {
            str(UUID(bytes=one["dataset_id"])): [one[_column(term)] for term in order]
            for one in known.to_pylist()
        }
        assert [keys[row.id] for row in rows] == [keys[str(ref.id)] for ref in refs]


def _column(term: str) -> str:
    """Return the column that has what is sorted by."""
    return term.removeprefix("-").replace("timespan.", "timespan_")


def test_pages_of_what_a_database_cannot_decide_are_what_upstream_finds(
    filled: tuple[Repository, Content],
) -> None:
    repository, made = filled
    where = f"instrument = '{made.instruments[0].name}' AND visit.region OVERLAPS CIRCLE(1.0, 1.0, 0.4)"
    for order in ((), ("-visit", "detector")):
        query = DatasetQuery(
            dataset_type="image", collections=[run.name for run in made.runs], where=where, order_by=order
        )
        rows = same(repository, query, 2)
        numbers = [row.values[1] for row in rows]
        assert numbers == sorted(numbers, reverse=bool(order))


def test_of_a_calibration_type_all_are_given(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    for calibration, kind in itertools.product(made.calibrations, ("dark", "flat")):
        refs = repository.butler.query_datasets(
            kind, calibration.name, find_first=False, explain=False, limit=None
        )
        page = read_page(repository, kind, [calibration.name], limit=3)
        rows = list(page.rows)
        while page.next is not None:
            page = read_page(repository, kind, [calibration.name], limit=3, after=page.next)
            rows += page.rows
        assert sorted(row.id for row in rows) == sorted({str(ref.id) for ref in refs})
        assert [row.values for row in rows] == sorted(row.values for row in rows)


@pytest.mark.parametrize(
    "order", [(), ("-visit.timespan.begin",), ("visit.target_name", "-visit")], ids=",".join
)
def test_records_come_in_pages(order: tuple[str, ...], filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    where = f"instrument = '{made.instruments[0].name}'"
    pages = [read_records(repository, "visit", where=where, order_by=order, limit=4)]
    while pages[-1].next is not None:
        after = pages[-1].next
        pages.append(read_records(repository, "visit", where=where, order_by=order, limit=4, after=after))
    expected = query_dimension_records(repository, "visit", where=where, order_by=order or ["visit"])
    rows = [dict(zip(page.columns, row, strict=True)) for page in pages for row in page.rows]
    shown = [name for name in pages[0].columns if name in expected.column_names]
    assert {"timespan_begin", "timespan_end", "exposure_time"} <= set(shown)
    if not order or order[0] != "-visit.timespan.begin":  # else some are equal
        timeless = [name for name in shown if not name.startswith("timespan")]
        assert [[row[name] for name in timeless] for row in rows] == [
            [row[name] for name in timeless] for row in expected.to_pylist()
        ]
    assert sorted(row["id"] for row in rows) == sorted(expected.column("id").to_pylist())
    back = [pages[-1]]
    while back[0].previous is not None:
        before = back[0].previous
        back.insert(0, read_records(repository, "visit", where=where, order_by=order, limit=4, before=before))
    assert [row for page in back for row in page.rows] == [row for page in pages for row in page.rows]


def test_a_page_does_not_depend_on_what_came_or_went_meanwhile(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    query = DatasetQuery(dataset_type="image", collections=[made.chains[0].name])
    whole = rows_of(forwards(repository, query, 1000))
    mark = read_query_page(repository, query, limit=3).next
    assert mark is not None
    rest = read_query_page(repository, query, limit=1000, after=mark)
    assert list(rest.rows) == whole[3:]


def test_a_mark_of_another_order_is_refused(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    collections = [made.chains[0].name]
    mark = read_page(repository, "image", collections, order_by=["-visit.exposure_time"], limit=2).next
    assert mark is not None
    with pytest.raises(DataError, match="another order"):
        read_page(repository, "image", collections, limit=2, after=mark)
    with pytest.raises(DataError, match="not both"):
        read_page(repository, "image", collections, limit=2, after=mark, before=mark)
    with pytest.raises(DataError, match="room"):
        read_page(repository, "image", collections, limit=0)


def test_a_page_is_a_few_statements_wherever_it_is(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    statements: list[str] = []
    most = 12

    @event.listens_for(reader(repository.engine), "before_cursor_execute")
    def count(*arguments: Any) -> None:
        statements.append(arguments[2])

    query = DatasetQuery(dataset_type="image", collections=[made.chains[0].name])
    page = read_query_page(repository, query, limit=1)
    for _ in range(5):
        statements.clear()
        page = read_query_page(repository, query, limit=1, after=page.next)
        assert page.rows
        assert 0 < len(statements) < most
    event.remove(reader(repository.engine), "before_cursor_execute", count)


def test_a_page_shows_its_rows(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    page = read_page(repository, "image", [made.chains[0].name], limit=1)
    shown = page._repr_html_()
    assert page.rows[0].run in shown
    assert "detector" in shown
