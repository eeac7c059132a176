"""Streaming, interruption and failure of queries in columns, and the parts they are made of."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import given, settings

from lenticular.butler import create_repository, upstream
from lenticular.butler.columns import (
    DataIdQuery,
    DatasetQuery,
    query_data_ids,
    query_datasets,
    query_dimension_records,
    read,
    stream,
)
from lenticular.butler.columns.cursors import _Sink
from lenticular.butler.columns.decode import decode_batch
from lenticular.butler.columns.layout import Column
from lenticular.butler.columns.plan import Ranking, Refinement
from lenticular.butler.columns.refine import Refiner, first_of_each
from lenticular.butler.errors import (
    DatabaseUnreachableError,
    DataError,
    QueryCancelledError,
    RepositoryError,
)
from tests.butler.conftest import DATABASES
from tests.fixtures_services import unique_name

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable

    from lenticular.butler import Repository
    from lenticular.platform.services import PostgresServer

STEADY = settings(max_examples=40, deadline=None, derandomize=True, database=None)
PAIRS = DataIdQuery(dimensions=("visit", "detector"))
SIZE = 45_000


@pytest.fixture(scope="session", params=DATABASES)
def wide(
    request: pytest.FixtureRequest,
    postgres_servers: Callable[[int], PostgresServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterable[Repository]:
    """Return a repository with more pairs of a visit and a detector than a batch holds."""
    from lsst.daf.butler import DatasetType

    url = None
    if request.param != "sqlite":
        server = postgres_servers(int(request.param.removeprefix("postgresql")))
        url = server.create_database(unique_name("wide"))
    with create_repository(tmp_path_factory.mktemp("wide") / "repository", database=url) as repository:
        insert = repository.butler.registry.insertDimensionData
        insert("instrument", {"name": "Cam", "class_name": "x.Cam"})
        insert("physical_filter", {"instrument": "Cam", "name": "f", "band": "g"})
        insert("day_obs", {"instrument": "Cam", "id": 1})
        insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(150)))
        visit = {"instrument": "Cam", "day_obs": 1, "physical_filter": "f", "seq_num": 1}
        insert("visit", *({**visit, "id": i, "name": f"v{i}"} for i in range(300)))
        universe = repository.butler.dimensions
        kind = DatasetType("note", ("instrument", "detector"), "StructuredDataDict", universe=universe)
        repository.butler.registry.registerDatasetType(kind)
        repository.butler.collections.register("run")
        ids = [{"instrument": "Cam", "detector": i} for i in range(150)]
        repository.butler.registry.insertDatasets(kind, ids, run="run")
        yield repository


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an answer come in many pieces, so that most are under way when a test interrupts it."""
    monkeypatch.setattr("lenticular.butler.columns.cursors._CHUNK", 4096)


def test_batches_hold_no_more_rows_than_wanted_and_all_of_them(wide: Repository) -> None:
    with stream(wide, PAIRS, rows=7000) as reader:
        batches = list(reader)
    assert max(batch.num_rows for batch in batches) <= 7000
    whole = pa.Table.from_batches(batches)
    assert whole.num_rows == SIZE == len(whole.group_by(["visit", "detector"]).aggregate([]))
    schema = read(wide, PAIRS).schema.remove_metadata()  # which tells the question
    assert schema.equals(whole.schema, check_metadata=True)


def test_a_stream_is_read_by_arrow_itself(wide: Repository) -> None:
    with stream(wide, DatasetQuery(dataset_type="note", collections=("run",))) as reader:
        table = reader.read_all()
    assert table.num_rows == 150
    assert reader.schema.field("dataset_id").metadata[b"kind"] == b"uuid"


def test_a_stream_left_early_leaves_the_butler_as_it_was(wide: Repository) -> None:
    for _ in range(3):
        with stream(wide, PAIRS, rows=100) as reader:
            assert reader.read_next_batch().num_rows == 100
        assert query_dimension_records(wide, "detector").num_rows == 150
    assert not upstream.in_transaction(wide.butler)
    assert not [thread for thread in threading.enumerate() if thread.name == "lenticular-copy"]


def test_a_stream_left_early_does_not_undo_the_transaction_around_it(wide: Repository) -> None:
    butler = wide.butler
    with butler.transaction():
        butler.registry.syncDimensionData("instrument", {"name": "New", "class_name": "x"})
        with stream(wide, PAIRS, rows=100) as reader:
            reader.read_next_batch()
        assert "New" in query_data_ids(wide, "instrument").column("instrument").to_pylist()
    assert "New" in query_data_ids(wide, "instrument").column("instrument").to_pylist()


def test_an_error_of_the_reader_stays_its_own(wide: Repository) -> None:
    def fail() -> None:
        with stream(wide, PAIRS, rows=100) as reader:
            reader.read_next_batch()
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail()
    assert query_data_ids(wide, "detector").num_rows == 150


def test_a_query_is_given_up_when_an_event_is_set(wide: Repository) -> None:
    given_up = threading.Event()
    with stream(wide, PAIRS, rows=100, cancel=given_up) as reader:
        reader.read_next_batch()
        given_up.set()
        with pytest.raises(QueryCancelledError, match="cancelled"):
            reader.read_next_batch()
    assert query_data_ids(wide, "detector").num_rows == 150


def test_a_whole_answer_is_given_up_between_batches(wide: Repository) -> None:
    asked = iter([False, False, True])
    with pytest.raises(QueryCancelledError):
        query_data_ids(wide, ["visit", "detector"], cancel=lambda: next(asked))
    assert list(asked) == []
    with pytest.raises(QueryCancelledError):
        query_datasets(wide, "note", "run", cancel=lambda: True)
    assert query_data_ids(wide, "detector").num_rows == 150


def test_what_was_put_in_an_open_transaction_is_seen(wide: Repository) -> None:
    butler = wide.butler

    def put_and_fail() -> None:
        with butler.transaction():
            butler.registry.insertDimensionData("instrument", {"name": "Gone", "class_name": "x"})
            assert "Gone" in query_data_ids(butler, "instrument").column("instrument").to_pylist()
            raise KeyError

    with pytest.raises(KeyError):
        put_and_fail()
    assert "Gone" not in query_data_ids(butler, "instrument").column("instrument").to_pylist()


@pytest.mark.parametrize("most", [100, 150, 151])
def test_an_answer_too_large_to_be_packed_is_the_same(
    wide: Repository, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    expected = query_datasets(wide, "note", "run").sort_by("detector")
    monkeypatch.setattr("lenticular.butler.columns.packed.PACKED_ROWS", most)
    found = query_datasets(wide, "note", "run").sort_by("detector")
    assert found.num_rows == 150
    assert found.to_pylist() == expected.to_pylist()


def test_a_driver_that_is_not_known_is_left_to_upstream(
    wide: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = query_datasets(wide, "note", "run", order_by="detector")
    monkeypatch.setattr("lenticular.butler.columns.cursors._RUNNERS", {})
    assert query_datasets(wide, "note", "run", order_by="detector").equals(expected)


ON_POSTGRESQL = pytest.mark.parametrize("wide", [n for n in DATABASES if n != "sqlite"], indirect=True)


@ON_POSTGRESQL
def test_what_the_database_refuses_while_it_computes_is_told(wide: Repository) -> None:
    with pytest.raises(RepositoryError, match="division by zero"):
        query_data_ids(wide, "visit", where="instrument = 'Cam' AND 1 / (visit.seq_num - 1) = 3")
    assert query_data_ids(wide, "detector").num_rows == 150


@ON_POSTGRESQL
def test_a_connection_lost_in_the_midst_is_told_and_the_next_query_has_another(wide: Repository) -> None:
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def read_on() -> None:
        with stream(wide, PAIRS, rows=100) as reader:
            reader.read_next_batch()
            with wide.engine.connect() as connection:
                connection.execute(sqlalchemy.text(f"SELECT pg_terminate_backend(pid) {others}"))
            list(reader)

    with pytest.raises(DatabaseUnreachableError):
        read_on()
    assert query_data_ids(wide, "detector").num_rows == 150


@STEADY
@given(ids=st.lists(st.uuids(), max_size=20), dashes=st.booleans(), start=st.integers(0, 5))
def test_uuids_are_decoded(ids: list[uuid.UUID], dashes: bool, start: int) -> None:  # noqa: FBT001
    text = pa.array([str(one) if dashes else one.hex for one in ids], pa.string()).slice(start)
    column = Column("dataset_id", "image", "dataset_id", "uuid", nullable=False)
    raw = pa.RecordBatch.from_arrays([text], names=["image:dataset_id"])
    found = decode_batch(raw, [column], {("image", "dataset_id"): "image:dataset_id"})
    assert found.column("dataset_id").to_pylist() == [one.bytes for one in ids[start:]]


def test_ranges_of_postgresql_are_decoded() -> None:
    from lsst.daf.butler import Timespan

    first, last = Timespan(None, None).nsec
    text = pa.array(["[-5,7)", "[3,)", "(,9)", "(,)", "empty", None])
    column = Column("timespan", "flat", "timespan", "timespan")
    raw = pa.RecordBatch.from_arrays([text], names=["flat:timespan"])
    found = decode_batch(raw, [column], {("flat", "timespan"): "flat:timespan"}).to_pydict()
    begin, end = Timespan.makeEmpty().nsec
    assert found["timespan_begin"] == [-5, 3, first, first, begin, None]
    assert found["timespan_end"] == [7, last, 9, last, end, None]


_FIELD = st.text('a\n,"x', max_size=4)


@STEADY
@given(
    rows=st.lists(st.lists(_FIELD, min_size=2, max_size=2), max_size=12),
    cuts=st.lists(st.integers(0, 120), max_size=8),
)
def test_text_cut_anywhere_comes_in_whole_rows(rows: list[list[str]], cuts: list[int]) -> None:
    lines = [",".join('"' + field.replace('"', '""') + '"' for field in row) + "\n" for row in rows]
    text = "".join(lines).encode()
    ends = {sum(map(len, lines[:count])) for count in range(len(lines) + 1)}
    sink = _Sink()
    sink.queue.maxsize = 0
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    for start, stop in pairwise(places):
        sink.write(text[start:stop])
    pieces = []
    while not sink.queue.empty():
        pieces.append(sink.queue.get())
    assert b"".join(piece for piece in pieces if isinstance(piece, bytes)) == text
    length = 0
    for piece in pieces:
        assert isinstance(piece, bytes)
        length += len(piece)
        assert length in ends


_KEYS = st.tuples(st.integers(-3, 3), st.sampled_from("ab"), st.integers(0, 3))


@STEADY
@given(rows=st.lists(_KEYS, unique=True, max_size=30), order=st.permutations(range(4)))
def test_the_first_of_each_is_that_of_the_first_collection(
    rows: list[tuple[int, str, int]], order: list[int]
) -> None:
    numbers = [10, 11, 12, 13]
    ranking = Ranking(
        keys=("visit", "band"),
        collection="key",
        ranks={numbers[place]: rank for rank, place in enumerate(order)},
        run="run",
        runs=tuple(f"r{place}" for place in order),
    )
    table = pa.table(
        {
            "visit": pa.array([row[0] for row in rows], pa.int64()),
            "band": pa.array([row[1] for row in rows], pa.string()),
            "key": pa.array([numbers[row[2]] for row in rows], pa.int64()),
        }
    )
    best = {row[:2]: min(order.index(r[2]) for r in rows if r[:2] == row[:2]) for row in rows}
    expected = [
        {"visit": row[0], "band": row[1], "key": numbers[row[2]], "run": f"r{row[2]}"}
        for row in rows
        if order.index(row[2]) == best[row[:2]]
    ]
    assert first_of_each(table, ranking).to_pylist() == expected


def _circle(place: int) -> Any:
    from lsst.sphgeom import Angle, Circle, LonLat, UnitVector3d

    return Circle(UnitVector3d(LonLat.fromDegrees(place, 0)), Angle.fromDegrees(1.1))


_PLACES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


@STEADY
@given(
    places=_PLACES, given_place=st.integers(0, 6), limit=st.none() | st.integers(0, 5), cut=st.integers(0, 25)
)
def test_rows_stay_if_their_regions_overlap(
    places: list[tuple[int, int]], given_place: int, limit: int | None, cut: int
) -> None:
    from base64 import b64encode

    text = {place: b64encode(_circle(place).encode()).decode() for place in range(7)}
    both = [f"{text[a]}&{text[b]}" for a, b in places]
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(range(len(places))),
            pa.array([text[a] for a, _ in places]),
            pa.array([text[b] for _, b in places]),
            pa.array([r"\x" + pair.encode().hex() if i % 2 else pair for i, pair in enumerate(both)]),
        ],
        names=["number", "a", "b", "sum"],
    )
    one = Refiner(Refinement(pairs=(("a", "b"),), given=(("a", _circle(given_place)),), limit=limit))
    kept = [
        n for batch in (rows.slice(0, cut), rows.slice(cut)) for n in one.apply(batch)["number"].to_pylist()
    ]
    circles = {place: _circle(place) for place in range(7)}
    near = [circles[a].overlaps(circles[b]) is not False for a, b in places]
    there = [circles[a].overlaps(circles[given_place]) is not False for a, _ in places]
    expected = [n for n in range(len(places)) if near[n] and there[n]]
    assert kept == expected[:limit]
    assert one.done == (limit is not None and len(expected) >= limit)
    summed = Refiner(Refinement(sums=("sum",))).apply(rows)["number"].to_pylist()
    assert summed == [n for n in range(len(places)) if near[n]]


def test_several_calibrations_are_an_error_only_among_the_rows_wanted() -> None:
    rows = pa.RecordBatch.from_arrays([pa.array([1, 1, 2])], names=["matches"])
    assert Refiner(Refinement(matches="matches", limit=2)).apply(rows).num_rows == 2
    with pytest.raises(DataError, match="several calibrations"):
        Refiner(Refinement(matches="matches")).apply(rows)


def test_a_number_that_a_database_cannot_hold_finds_nothing_or_is_told(wide: Repository) -> None:
    question = DataIdQuery(dimensions=("detector",), where=f"instrument = 'Cam' AND detector = {10**30}")
    if wide.engine.dialect.name == "sqlite":
        with pytest.raises(DataError, match="64 bits"):
            read(wide, question)
    else:
        assert read(wide, question).num_rows == 0
