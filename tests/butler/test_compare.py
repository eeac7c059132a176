"""Two collections compared, and the same by upstream's public interface."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lenticular.butler import CollectionKind, Repository, create_repository
from lenticular.butler.errors import DataError, NotFoundError, QueryCancelledError
from lenticular.butler.health import Comparison, compare_collections
from lenticular.butler.health.memberships import FIRST_MOMENT, LAST_MOMENT, read_kinds
from tests.butler.conftest import DATABASES
from tests.butler.generated import build, contents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa
    from lsst.daf.butler import Butler

    from tests.butler.conftest import Backend
    from tests.butler.generated import Content

    type Found = dict[tuple[Any, ...], UUID]

SETTINGS = settings(
    derandomize=True,
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking writes repositories without end
)
PARTS = ("only_in_a", "only_in_b", "same", "different")


@pytest.fixture(scope="module", params=DATABASES)
def empty(
    request: pytest.FixtureRequest,
    make_backend: Callable[[str], Backend],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Repository]:
    """Return a repository on each database, to be filled by the tests of this module."""
    made = make_backend(f"{request.param}-folder")
    folder = str(tmp_path_factory.mktemp("files"))
    with create_repository(made.root, database=made.database, datastore=folder) as repository:
        yield repository


def found_by_upstream(butler: Butler, name: str, collections: list[str], *, timed: bool) -> Found:
    """Return what a search finds, by its key, in upstream's way."""
    order = list(butler.collections.query(collections, flatten_chains=True))
    found: Found = {}
    if not timed:
        for ref in butler.query_datasets(name, order, limit=None, explain=False) if order else ():
            found[tuple(ref.dataId[d] for d in sorted(ref.dimensions.required))] = ref.id
        return found
    for collection in order:
        for one in butler.registry.queryDatasetAssociations(name, [collection]):
            is_run = butler.collections.get_info(collection).type.name != "CALIBRATION"
            ends = (None, None) if is_run or one.timespan is None else one.timespan.nsec
            key = tuple(one.ref.dataId[d] for d in sorted(one.ref.dimensions.required))
            found.setdefault((*key, *ends), one.ref.id)
    return found


def expected(butler: Butler, name: str, a: str, b: str, *, timed: bool) -> dict[str, Any]:
    """Return the rows of each part, as upstream's interface and Python's sets have them."""
    left, right = (found_by_upstream(butler, name, [one], timed=timed) for one in (a, b))
    both = left.keys() & right.keys()
    return {
        "only_in_a": {key: (left[key],) for key in left.keys() - right.keys()},
        "only_in_b": {key: (right[key],) for key in right.keys() - left.keys()},
        "same": {key: (left[key],) for key in both if left[key] == right[key]},
        "different": {key: (left[key], right[key]) for key in both if left[key] != right[key]},
    }


def rows_of(table: pa.Table) -> dict[tuple[Any, ...], tuple[UUID, ...]]:
    """Return an answer's rows by their keys."""
    ids = [name for name in table.column_names if name.startswith("dataset_id")]
    keys = [name for name in table.column_names if not name.startswith(("dataset_id", "run"))]
    timed = 2 * ("validity_begin" in keys)
    keys = [*sorted(keys[: len(keys) - timed]), *keys[len(keys) - timed :]]
    return {
        tuple(row[key] for key in keys): tuple(UUID(bytes=row[name]) for name in ids)
        for row in table.to_pylist()
    }


def is_timed(repository: Repository, name: str, *collections: str) -> bool:
    members = {member for one in collections for member in repository.search_order(one)}
    infos = [repository.collection(member) for member in members]
    return any(info.kind is CollectionKind.CALIBRATION and name in info.dataset_types for info in infos)


def check(comparison: Comparison, repository: Repository, a: str, b: str) -> None:
    """Check all numbers and rows of a comparison."""
    told = {one.dataset_type: one for one in comparison.types}
    names = {name for one in (a, b) for name in repository.collection(one).dataset_types}
    assert set(told) <= names
    for name in names:
        parts = expected(repository.butler, name, a, b, timed=is_timed(repository, name, a, b))
        numbers = {part: len(rows) for part, rows in parts.items()}
        if name not in told:
            assert not any(numbers.values())
            continue
        assert {part: getattr(told[name], part) for part in PARTS} == numbers
        for part, rows in parts.items():
            assert rows_of(getattr(comparison, part)(name)) == rows, (name, part)


@SETTINGS
@given(content=contents(), data=st.data())
def test_generated_collections_are_compared_as_upstream_would(
    empty: Repository, content: Content, data: st.DataObject
) -> None:
    made = build(content, empty)
    names = st.sampled_from(made.collections)
    chains = st.sampled_from([one.name for one in made.chains])
    for a, b in data.draw(st.lists(st.tuples(chains | names, names | chains), min_size=3, max_size=3)):
        check(compare_collections(empty, a, b), empty, a, b)


@settings(SETTINGS, max_examples=1)
@given(content=contents(), data=st.data())
def test_with_an_expression_the_same_comes_out(
    empty: Repository, content: Content, data: st.DataObject
) -> None:
    made = build(content, empty)
    names = st.sampled_from(made.collections)
    for a, b in data.draw(st.lists(st.tuples(names, names), min_size=2, max_size=2)):
        plain = compare_collections(empty, a, b)
        every = compare_collections(empty, a, b, where="1 = 1")
        assert every.types == plain.types
        for one in plain.types:
            for part in PARTS:
                ours, theirs = (getattr(way, part)(one.dataset_type) for way in (plain, every))
                assert rows_of(ours) == rows_of(theirs)
                assert ours.column_names == theirs.column_names


@SETTINGS
@given(content=contents(), cap=st.integers(0, 5))
def test_capped_numbers_stop_one_after_the_cap(empty: Repository, content: Content, cap: int) -> None:
    made = build(content, empty)
    a, b = made.collections[0], made.chains[-1].name
    exact = {one.dataset_type: one for one in compare_collections(empty, a, b).types}
    capped = compare_collections(empty, a, b, cap=cap)
    assert {one.dataset_type for one in capped.types} == set(exact)
    for one in capped.types:
        for part in PARTS:
            number = getattr(exact[one.dataset_type], part)
            assert getattr(one, part) == min(number, cap + 1)
            assert capped.shown(getattr(one, part)) == (f"{cap}+" if number > cap else number)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Repository, Repository]]:
    """Return two repositories with the same content, whose datasets are their own."""
    roots = [tmp_path_factory.mktemp(name) / "repository" for name in ("one", "two")]
    with create_repository(roots[0]) as one, create_repository(roots[1]) as two:
        for repository in (one, two):
            _fill(repository)
        yield one, two


def _fill(repository: Repository) -> None:
    from lsst.daf.butler import CollectionType, DatasetIdGenEnum, DatasetType, Timespan

    butler = repository.butler
    instrument = {"name": "Cam", "class_name": "x.Cam", "detector_max": 9}
    butler.registry.insertDimensionData("instrument", instrument)
    detectors = [{"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in range(4)]
    butler.registry.insertDimensionData("detector", *detectors)
    make: dict[str, Any] = {"universe": butler.dimensions, "storageClass": "StructuredDataDict"}
    raw = DatasetType("raw", ("instrument", "detector"), **make)
    note = DatasetType("note", ("instrument", "detector"), **make)
    total = DatasetType("total", (), **make)
    dark = DatasetType("dark", ("instrument", "detector"), isCalibration=True, **make)
    for kind in (raw, note, total, dark):
        butler.registry.registerDatasetType(kind)
    butler.collections.register("run")
    butler.collections.register("calib", CollectionType.CALIBRATION)
    ids = [{"instrument": "Cam", "detector": i} for i in range(3)]
    # UUIDs of raws follow from their data IDs and are the same everywhere.
    mode = DatasetIdGenEnum.DATAID_TYPE_RUN
    butler.registry.insertDatasets(raw, ids, run="run", idGenerationMode=mode)
    butler.registry.insertDatasets(note, ids[:2], run="run")
    butler.registry.insertDatasets(total, [{}], run="run")
    darks = butler.registry.insertDatasets(dark, ids, run="run")
    butler.registry.certify("calib", darks, Timespan(None, None))


def test_two_repositories_are_matched_by_data_id(pair: tuple[Repository, Repository]) -> None:
    one, two = pair
    comparison = compare_collections(one, "run", "run", other=two)
    told = {kind.dataset_type: (kind.same, kind.different) for kind in comparison.types}
    assert told == {"raw": (3, 0), "note": (0, 2), "total": (0, 1), "dark": (0, 3)}
    assert comparison.different("total").num_rows == 1
    assert comparison.a == f"run of {one.name}"
    table = comparison.different("note", limit=1)
    assert table.num_rows == 1
    assert table.column_names == [
        "instrument", "detector", "dataset_id_a", "run_a", "dataset_id_b", "run_b",
    ]  # fmt: skip
    calibrations = compare_collections(one, "calib", "calib", other=two)
    assert calibrations.different("dark")["validity_end"].to_pylist() == [LAST_MOMENT] * 3


def test_types_that_cannot_be_matched_are_said_so(pair: tuple[Repository, Repository], tmp_path: Any) -> None:
    from lsst.daf.butler import DatasetType

    with create_repository(tmp_path / "third") as third:
        butler = third.butler
        kind = DatasetType("note", (), "StructuredDataDict", universe=butler.dimensions)
        butler.registry.registerDatasetType(kind)
        butler.collections.register("run")
        butler.registry.insertDatasets(kind, [{}], run="run")
        (note,) = compare_collections(pair[0], "run", "run", other=third, dataset_types="note").types
    assert (note.only_in_a, note.only_in_b, note.same, note.different) == (2, 1, 0, 0)
    assert note.note == "by instrument, detector in A, but by nothing in B"


def test_an_expression_restricts_both(pair: tuple[Repository, Repository]) -> None:
    comparison = compare_collections(
        pair[0], "run", "run", dataset_types=["raw", "d*"], where="instrument = 'Cam' AND detector > 1"
    )
    assert [(one.dataset_type, one.same) for one in comparison.types] == [("dark", 1), ("raw", 1)]
    assert comparison.same("raw")["detector"].to_pylist() == [2]
    with pytest.raises(DataError, match="detektor"):
        compare_collections(pair[0], "run", "run", where="detektor = 1")


def test_what_does_not_exist_is_named(pair: tuple[Repository, Repository]) -> None:
    with pytest.raises(NotFoundError, match="'rum'") as raised:
        compare_collections(pair[0], "run", "rum")
    assert "run" in (raised.value.hint or "")
    comparison = compare_collections(pair[0], "run", "calib")
    with pytest.raises(NotFoundError, match="'rav'"):
        comparison.only_in_a("rav")


@pytest.mark.parametrize("where", ["", "detector > 0 AND instrument = 'Cam'"])
def test_a_comparison_can_be_given_up(pair: tuple[Repository, Repository], where: str) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(QueryCancelledError):
        compare_collections(pair[0], "run", "calib", where=where, cancel=event)


def test_a_comparison_is_told(pair: tuple[Repository, Repository]) -> None:
    one, two = pair
    equal = compare_collections(one, "run", ["run"])
    assert equal.is_equal
    assert str(equal) == "run and run hold the same datasets"
    unequal = compare_collections(one, "run", "run", other=two, cap=1)
    assert str(unequal).endswith("differ in dark, note, total")
    html = unequal._repr_html_()
    assert "<th>A</th>" in html
    assert "<td>1+</td>" in html
    assert unequal.as_dict()["dataset_types"][1]["different"] == 2
    assert unequal.as_dict()["equal"] is False


def test_unbounded_ends_are_written_as_upstream_does() -> None:
    from lsst.daf.butler.time_utils import TimeConverter

    converter = TimeConverter()
    assert (converter.min_nsec, converter.max_nsec) == (FIRST_MOMENT, LAST_MOMENT)


def test_kinds_are_those_of_upstream(pair: tuple[Repository, Repository]) -> None:
    kinds: Mapping[str, Any] = read_kinds(pair[0])
    assert list(kinds) == ["dark", "note", "raw", "total"]
    for name, kind in kinds.items():
        assert set(kind.info.dimensions) == set(pair[0].butler.get_dataset_type(name).dimensions.required)
