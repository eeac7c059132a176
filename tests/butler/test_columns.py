"""Answers in columns are those of upstream's own interface, on every database."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from lenticular.butler import create_repository, upstream
from lenticular.butler.columns import (
    query_data_ids,
    query_dataset_types,
    query_datasets,
    query_dimension_records,
)
from lenticular.butler.errors import DataError, ExpressionError, NotFoundError
from tests.butler.conftest import DATABASES
from tests.fixtures_services import unique_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa
    from lsst.daf.butler import Butler, DatasetRef, DatasetType

    from lenticular.platform.services import PostgresServer

DAY = "2025-01-01"
VISITS = range(1, 9)
DETECTORS = range(3)
EXAMPLES = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_counter = itertools.count()


@pytest.fixture(scope="session", params=DATABASES)
def butler(
    request: pytest.FixtureRequest,
    postgres_servers: Callable[[int], PostgresServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterable[Butler]:
    """Return a Butler with an observed sky on each database in turn."""
    url = None
    if request.param != "sqlite":
        server = postgres_servers(int(request.param.removeprefix("postgresql")))
        url = server.create_database(unique_name("columns"))
    with create_repository(tmp_path_factory.mktemp("columns") / "repository", database=url) as repository:
        _observe(repository.butler)
        yield repository.butler.clone(dataId={"instrument": "Cam", "skymap": "map"})


def _observe(butler: Butler) -> None:
    """Insert an instrument with two nights of visits, and a sky map below them."""
    from lsst.daf.butler import DatasetType

    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": "Cam", "class_name": "x.Cam", "detector_max": 9, "visit_max": 99})
    insert("physical_filter", *({"instrument": "Cam", "name": f"Cam-{b}", "band": b} for b in "gr"))
    insert("detector", *({"instrument": "Cam", "id": i, "full_name": f"D{i}"} for i in DETECTORS))
    insert("day_obs", *({"instrument": "Cam", "id": day, "timespan": _night(day)} for day in (1, 2)))
    insert("group", *({"instrument": "Cam", "name": f"g{i}"} for i in VISITS))
    insert("visit_system", {"instrument": "Cam", "id": 0, "name": "one-to-one"})
    for number in VISITS:
        _expose(insert, number)
    insert(
        "skymap",
        {"name": "map", "hash": b"\x00\xff\x10", "tract_max": 2, "patch_nx_max": 2, "patch_ny_max": 2},
    )
    for tract in range(2):
        insert("tract", {"skymap": "map", "id": tract, "region": _square(2.0 * tract + 1, 1, 2.2)})
        for patch in range(4):
            x, y = patch % 2, patch // 2
            region = _square(2.0 * tract + x + 0.5, y + 0.5, 1.1)
            place = {"skymap": "map", "tract": tract, "id": patch, "cell_x": x, "cell_y": y}
            insert("patch", {**place, "region": region})
    for name, dimensions, calibration in (
        ("image", ("instrument", "visit", "detector"), False),
        ("note", ("instrument",), False),
        ("remark", (), False),
        ("coadd", ("skymap", "tract", "patch", "band"), False),
        ("flat", ("instrument", "detector", "physical_filter"), True),
    ):
        butler.registry.registerDatasetType(
            DatasetType(
                name,
                dimensions,
                "StructuredDataDict",
                universe=butler.dimensions,
                isCalibration=calibration,
            )
        )


def _expose(insert: Callable[..., None], number: int) -> None:
    day, band = 1 + number // 5, "gr"[number % 2]
    common = {"instrument": "Cam", "id": number, "day_obs": day, "physical_filter": f"Cam-{band}"}
    when = _span(day * 100 + number, day * 100 + number + 1)
    # Some are without a target, a duration or a place.
    insert(
        "visit",
        {
            **common,
            "name": f"v{number}",
            "exposure_time": 0.1 + number / 3 if number % 4 else None,
            "target_name": ("", 'M 31, "core"', None, "two\nlines")[number % 4],
            "region": _square(0.5 * number, 1, 0.8) if number < VISITS[-1] else None,
            "timespan": when if number != VISITS[0] else None,
        },
    )
    insert(
        "exposure",
        {
            **common,
            "group": f"g{number}",
            "obs_id": f"o{number}",
            "exposure_time": 30.0,
            "can_see_sky": bool(number % 3) if number % 5 else None,
            "timespan": when,
        },
    )
    insert("visit_definition", {"instrument": "Cam", "exposure": number, "visit": number})
    insert("visit_system_membership", {"instrument": "Cam", "visit_system": 0, "visit": number})
    for detector in DETECTORS:
        region = _square(0.5 * number + 0.25 * (detector - 1), 1, 0.25)
        place = {"instrument": "Cam", "visit": number, "detector": detector}
        insert("visit_detector_region", {**place, "region": region})


def _square(ra: float, dec: float, side: float) -> Any:
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    half = side / 2
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra + x, dec + y)) for x, y in corners])


def _span(begin: float | None, end: float | None) -> Any:
    """Return a timespan of seconds since the beginning of 2025."""
    from astropy.time import Time, TimeDelta
    from lsst.daf.butler import Timespan

    zero = Time(f"{DAY}T00:00:00", scale="tai")
    first, last = (
        None if seconds is None else zero + TimeDelta(seconds, format="sec", scale="tai")
        for seconds in (begin, end)
    )
    return Timespan(first, last)


def _night(day: int) -> Any:
    return _span(day * 100, (day + 1) * 100)


def rows_of_refs(refs: Iterable[DatasetRef]) -> list[dict[str, Any]]:
    """Return what columns should hold of some datasets."""
    return [
        {"dataset_id": ref.id.bytes, "run": ref.run, **{k: ref.dataId[k] for k in ref.dimensions.names}}
        for ref in refs
    ]


def plain(value: Any) -> Any:
    """Return a value of upstream's as Arrow keeps it."""
    if hasattr(value, "encode") and not isinstance(value, str):
        return value.encode()
    return getattr(value, "bytes", value)


def rows_of_records(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return what columns should hold of some records."""
    rows = []
    for record in records:
        fields = record.toDict()
        if "timespan" in fields:
            span = fields.pop("timespan")
            ends = (None, None) if span is None else span.nsec
            fields |= dict(zip(("timespan_begin", "timespan_end"), ends, strict=True))
        rows.append({name: plain(value) for name, value in fields.items()})
    return rows


def same(table: pa.Table, expected: Sequence[Mapping[str, Any]], *, ordered: bool = False) -> None:
    """Compare rows; without an order, as upstream gives none either."""
    found = table.to_pylist()
    if not ordered:
        found = sorted(found, key=_sort_key)
        expected = sorted(expected, key=_sort_key)
    assert found == list(expected)


def _sort_key(row: Mapping[str, Any]) -> str:
    return repr(sorted(row.items()))


@pytest.mark.parametrize(
    ("dimensions", "where"),
    [
        (("visit",), ""),
        (("visit", "detector"), "instrument = 'Cam' AND visit.exposure_time > 1.2"),
        (("visit", "exposure"), "visit.day_obs = 2"),
        (("detector", "exposure"), "exposure.can_see_sky"),
        (("visit",), f"visit.timespan OVERLAPS (T'{DAY}T00:03:20/tai', T'{DAY}T00:03:27/tai')"),
        (("visit", "tract"), ""),
        (("visit", "detector", "patch"), "instrument = 'Cam' AND skymap = 'map'"),
        (("visit", "patch"), "band = 'g'"),
        # The overlap of what is left out of the answer.
        (("visit",), "instrument = 'Cam' AND skymap = 'map' AND tract = 1 AND patch = 3"),
        (("visit",), "visit IN (1..5:2) AND detector = 1 AND patch = 0 AND tract = 0"),
        (("tract",), "skymap = 'map' AND instrument = 'Cam' AND visit = 2 AND detector = 0"),
        (("visit", "detector"), "visit_detector_region.region OVERLAPS POINT(1.6, 1.0)"),
        (("patch",), "patch.region OVERLAPS CIRCLE(1.0, 1.0, 0.4)"),
        (("visit",), "visit.region OVERLAPS POLYGON(1, 0.5, 2.1, 0.5, 1.5, 1.4)"),
        (("htm7",), "instrument = 'Cam' AND visit = 3"),
        (("visit",), "instrument = 'Cam' AND htm7 = 259089"),
        (("exposure",), f"exposure.timespan.end > T'{DAY}T00:03:25/tai'"),
        (("band",), ""),
        (("visit",), "instrument = 'Cam' AND visit = 77"),
    ],
)  # fmt: skip
def test_data_ids_are_those_of_upstream(butler: Butler, dimensions: tuple[str, ...], where: str) -> None:
    expected = butler.query_data_ids(dimensions, where=where, explain=False, limit=None)
    table = query_data_ids(butler, dimensions, where=where)
    same(table, [dict(data_id.mapping) for data_id in expected])


def test_the_overlaps_above_are_refined_by_shape(butler: Butler) -> None:
    """Without which the comparison would say nothing of refinement."""
    with butler.query() as query:
        results = query.data_ids(["visit", "detector", "patch"])
        assert results.count(exact=False) > results.count(discard=True) > 0


@pytest.mark.parametrize(
    "element",
    ["instrument", "visit", "exposure", "detector", "patch", "skymap", "visit_detector_region",
     "visit_definition", "visit_system_membership", "physical_filter", "day_obs", "band"],
)  # fmt: skip
def test_records_are_those_of_upstream(butler: Butler, element: str) -> None:
    expected = butler.query_dimension_records(element, explain=False, limit=None)
    assert expected
    same(query_dimension_records(butler, element), rows_of_records(expected))


def test_records_of_a_pixelization_of_the_sky_have_their_regions(butler: Butler) -> None:
    where = "instrument = 'Cam' AND visit = 3"
    expected = butler.query_dimension_records("htm7", where=where)
    same(query_dimension_records(butler, "htm7", where=where), rows_of_records(expected))


@pytest.mark.parametrize("limit", [0, 1, 3, 1000])
@pytest.mark.parametrize("order_by", [("visit", "detector"), ("-visit.timespan.begin", "visit", "-detector")])
def test_order_and_limit_are_those_of_upstream(butler: Butler, order_by: tuple[str, ...], limit: int) -> None:
    for dimensions in (("visit", "detector"), ("visit", "detector", "tract")):  # the latter is refined
        order = (*order_by, *dimensions[2:])
        expected = butler.query_data_ids(dimensions, order_by=order, limit=limit, explain=False)
        table = query_data_ids(butler, dimensions, order_by=order, limit=limit)
        same(table, [dict(data_id.mapping) for data_id in expected], ordered=True)
        assert "visit" in table.column_names


_SOME = st.sets(st.tuples(st.sampled_from(VISITS), st.sampled_from(DETECTORS)), max_size=12)


@EXAMPLES
@given(contents=st.lists(_SOME, min_size=1, max_size=4), data=st.data())
def test_datasets_in_chains_and_tags_are_those_of_upstream(
    butler: Butler, contents: list[set[tuple[int, int]]], data: st.DataObject
) -> None:
    from lsst.daf.butler import CollectionType

    kind = butler.get_dataset_type("image")
    prefix = f"e{next(_counter)}"
    members = []
    for place, content in enumerate(contents):
        run = f"{prefix}/run{place}"
        butler.collections.register(run)
        ids = [{"instrument": "Cam", "visit": v, "detector": d} for v, d in sorted(content)]
        refs = butler.registry.insertDatasets(kind, ids, run=run)
        members.append(run)
        chosen = data.draw(st.lists(st.sampled_from(refs), unique=True)) if refs else []
        butler.collections.register(f"{prefix}/tag{place}", CollectionType.TAGGED)
        butler.registry.associate(f"{prefix}/tag{place}", chosen)
        members.append(f"{prefix}/tag{place}")
    chain = f"{prefix}/chain"
    butler.collections.register(chain, CollectionType.CHAINED)
    order = data.draw(st.permutations(members))
    butler.collections.redefine_chain(chain, order[: data.draw(st.integers(1, len(order)))])
    runs = [name for name in order if "run" in name]
    where = data.draw(
        st.sampled_from(
            ["", "detector = 1", "visit.exposure_time < 2", "band = 'r' AND skymap = 'map' AND tract = 1"]
        )
    )
    for collections, first in itertools.product(([chain], runs, order), (True, False)):
        _compare_datasets(butler, kind, collections, where=where, find_first=first)


def _compare_datasets(
    butler: Butler, kind: DatasetType, collections: Sequence[str], *, find_first: bool, **options: Any
) -> None:
    expected = butler.query_datasets(
        kind.name, collections, find_first=find_first, explain=False, limit=None, **options
    )
    table = query_datasets(butler, kind.name, collections, find_first=find_first, **options)
    same(table, rows_of_refs(expected))
    options |= {"find_first": find_first, "order_by": ("-run", *kind.dimensions.required)}
    for limit in (None, 4):
        ordered = butler.query_datasets(kind.name, collections, explain=False, limit=limit, **options)
        table = query_datasets(butler, kind.name, collections, limit=limit, **options)
        same(table, rows_of_refs(ordered), ordered=True)


_VALIDITY = st.tuples(st.sampled_from([None, 100, 150, 205]), st.sampled_from([None, 160, 210, 300])).filter(
    lambda span: span[0] is None or span[1] is None or span[0] < span[1]
)


@EXAMPLES
@given(validity=st.lists(st.tuples(st.sampled_from(DETECTORS), _VALIDITY), min_size=1, max_size=5))
def test_calibrations_are_those_of_upstream(
    butler: Butler, validity: list[tuple[int, tuple[int | None, int | None]]]
) -> None:
    from lsst.daf.butler import CollectionType
    from lsst.daf.butler.registry import ConflictingDefinitionError

    kind = butler.get_dataset_type("flat")
    prefix = f"c{next(_counter)}"
    calibrations = f"{prefix}/calib"
    butler.collections.register(calibrations, CollectionType.CALIBRATION)
    for place, (detector, span) in enumerate(validity):
        run = f"{prefix}/run{place}"
        butler.collections.register(run)
        data_id = {"instrument": "Cam", "detector": detector, "physical_filter": "Cam-g"}
        refs = butler.registry.insertDatasets(kind, [data_id], run=run)
        try:
            butler.registry.certify(calibrations, refs, _span(*span))
        except ConflictingDefinitionError:
            continue  # it overlaps another one in time
    runs = [f"{prefix}/run{place}" for place in range(len(validity))]
    for collections in ([calibrations], [calibrations, *runs]):
        _compare_datasets(butler, kind, collections, find_first=False)
        for where in ("", "detector = 1", "instrument = 'Cam' AND exposure = 3", "exposure IN (1, 2, 7)"):
            _compare_lookup(butler, collections, where)
    _compare_fields(
        butler, "flat", [calibrations], ["timespan", "collection", "ingest_date"], find_first=False
    )


def _compare_lookup(butler: Butler, collections: list[str], where: str) -> None:
    """Compare a search for what comes first, which calibrations may make ambiguous."""
    from lsst.daf.butler import CalibrationLookupError

    try:
        expected = rows_of_refs(
            butler.query_datasets("flat", collections, where=where, explain=False, limit=None)
        )
    except CalibrationLookupError:
        with pytest.raises(DataError, match="several calibrations"):
            query_datasets(butler, "flat", collections, where=where)
    else:
        same(query_datasets(butler, "flat", collections, where=where), expected)


def _compare_fields(
    butler: Butler, name: str, collections: list[str], columns: list[str], *, find_first: bool
) -> None:
    """Compare fields of datasets and records with upstream's general query."""
    kind = butler.get_dataset_type(name)
    own: set[Any] = {column for column in columns if "." not in column} | {"dataset_id", "run"}
    fields: dict[str, set[str]] = {}
    for table, _, field in (column.partition(".") for column in columns if "." in column):
        fields.setdefault(table, set()).add(field)
    with butler.query() as query:
        joined = query.join_dataset_search(name, collections)
        results = joined.general(
            kind.dimensions, dimension_fields=fields, dataset_fields={name: own}, find_first=find_first
        )
        expected = [_renamed(row, name) for row in results]
    table = query_datasets(butler, name, collections, columns=columns, find_first=find_first)
    assert table.num_rows
    same(table, expected)


def _renamed(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    from lsst.daf.butler.time_utils import TimeConverter

    renamed: dict[str, Any] = {}
    for key, value in row.items():
        short = key.removeprefix(f"{name}.")
        if short.endswith("timespan"):
            ends = (None, None) if value is None else value.nsec
            renamed |= {f"{short}_begin": ends[0], f"{short}_end": ends[1]}
        elif short == "ingest_date" and not isinstance(value, int):
            renamed[short] = TimeConverter().astropy_to_nsec(value)
        else:
            renamed[short] = plain(value)
    return renamed


@pytest.fixture(scope="session")
def filled(butler: Butler) -> Butler:
    """Return the Butler with two runs of images, of which one hides some of the other."""
    from lsst.daf.butler import CollectionType

    kind = butler.get_dataset_type("image")
    for run, visits in (("new", VISITS[4:]), ("old", VISITS)):
        butler.collections.register(run)
        ids = [{"instrument": "Cam", "visit": v, "detector": d} for v in visits for d in DETECTORS]
        butler.registry.insertDatasets(kind, ids, run=run)
    butler.registry.insertDatasets(butler.get_dataset_type("note"), [{"instrument": "Cam"}], run="old")
    butler.registry.insertDatasets(butler.get_dataset_type("remark"), [{}], run="old")
    butler.collections.register("both", CollectionType.CHAINED)
    butler.collections.redefine_chain("both", ["new", "old"])
    return butler


@pytest.mark.parametrize("find_first", [True, False])
@pytest.mark.parametrize(
    "columns",
    [["visit.exposure_time", "visit.target_name"], ["visit.timespan", "ingest_date"], ["collection"],
     ["visit.region", "visit_detector_region.region"], ["detector.full_name", "day_obs.timespan"]],
)  # fmt: skip
def test_further_columns_are_those_of_upstream(
    filled: Butler,
    columns: list[str],
    find_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    _compare_fields(filled, "image", ["both"], columns, find_first=find_first)


def test_a_dataset_type_with_one_dimension_or_none(filled: Butler) -> None:
    for name in ("note", "remark"):
        _compare_datasets(filled, filled.get_dataset_type(name), ["both"], find_first=True)
        assert query_datasets(filled, name, "both").num_rows == 1


def test_values_and_data_ids_bind_as_upstream_does(filled: Butler) -> None:
    options: dict[str, Any] = {
        "where": "visit IN (wanted) AND visit.timespan OVERLAPS night",
        "bind": {"wanted": [1, 2, 6, 7], "night": _night(2)},
        "data_id": {"instrument": "Cam", "detector": 2},
    }
    expected = rows_of_refs(filled.query_datasets("image", "both", **options))
    assert expected
    same(query_datasets(filled, "image", "both", **options), expected)


def test_patterns_for_collections_need_no_order(filled: Butler) -> None:
    expected = rows_of_refs(filled.query_datasets("image", ["n*w", "ol?"], find_first=False, limit=None))
    assert len(expected) == 36
    same(query_datasets(filled, "image", ["n*w", "ol?"], find_first=False), expected)
    with pytest.raises(DataError, match="find_first=False"):
        query_datasets(filled, "image", "n*w")


@pytest.mark.parametrize("version", ["29.2025.4800", "31.0", "30.2026.4299", "30.2026.4300rc1", "unknown"])
def test_with_another_version_of_upstream_the_answer_is_the_same(
    filled: Butler, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    questions: list[Callable[[], pa.Table]] = [
        lambda: query_datasets(filled, "image", "both", order_by=("visit", "detector")),
        lambda: query_datasets(
            filled, "image", "both", columns=["visit.timespan", "ingest_date", "visit.region"],
            order_by=("visit", "detector"),
        ),
        lambda: query_data_ids(filled, ["visit", "patch"], order_by=("visit", "tract", "patch")),
        lambda: query_dimension_records(filled, "visit", order_by="visit"),
        lambda: query_dimension_records(filled, "skymap"),
        lambda: query_datasets(filled, "image", "both", where="visit = 99"),
    ]  # fmt: skip
    planned = [question() for question in questions]
    monkeypatch.setattr("importlib.metadata.version", lambda _name: version)
    if not version.endswith("rc1"):
        monkeypatch.setattr(upstream, "plan_query", None)
    for question, table in zip(questions, planned, strict=True):
        assert question().schema.equals(table.schema, check_metadata=True)
        assert question().to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("vist = 1", "visit"),
        ("visit.exposre_time > 1", "exposure_time"),
        ('instrument = "Cam"', "single quotes"),
        ("visit = 'one'", "text with text"),
        ("visit = ", "value after ="),
        ("visit OVERLAPS 3", "spans of time"),
    ],
)  # fmt: skip
def test_a_wrong_expression_is_explained_as_upstream_refuses_it(
    butler: Butler, where: str, hint: str
) -> None:
    from lsst.daf.butler import InvalidQueryError

    with pytest.raises(InvalidQueryError):
        butler.query_data_ids(["visit"], where=where)
    with pytest.raises(ExpressionError) as caught:
        query_data_ids(butler, ["visit"], where=where)
    assert hint in str(caught.value.hint)
    assert caught.value.position is not None


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (lambda b: query_datasets(b, "image", "bth"), "no collection 'bth'.*both"),
        (lambda b: query_datasets(b, "imago", "both"), "no dataset type 'imago'.*image"),
        (lambda b: query_datasets(b, "image", "both", limit=-1), "negative"),
        (lambda b: query_datasets(b, "image", "both", columns=["visit.colour"]), "no field 'colour'"),
        (lambda b: query_datasets(b, "image", "both", columns=["colour"]), "no column 'colour'"),
        (lambda b: query_datasets(b, "image", "both", columns=["patch.region"]), "no column 'patch.region'"),
        (lambda b: query_data_ids(b, []), "Name a dimension"),
        (lambda b: query_data_ids(b, ["vist"]), "visit"),
        (lambda b: query_dimension_records(b, "detectr"), "detector"),
        (lambda b: query_data_ids(b, ["visit"], order_by="-detctor"), "detector"),
        (lambda b: query_data_ids(b, ["visit"], data_id={"instrumnt": "Cam"}), "instrument"),
    ],
)
def test_what_does_not_exist_is_named_with_what_does(
    filled: Butler, question: Callable[[Butler], pa.Table], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        question(filled)


def test_what_is_missing_is_not_found(filled: Butler) -> None:
    with pytest.raises(NotFoundError):
        query_datasets(filled, "image", "bth")
    with pytest.raises(NotFoundError):
        query_datasets(filled, "imago", "both")


def test_dataset_types_by_pattern_and_collection(filled: Butler) -> None:
    table = query_dataset_types(filled, ["*a*", "note"])
    kinds = filled.registry.queryDatasetTypes(["*a*", "note"])
    assert table.column("name").to_pylist() == sorted(kind.name for kind in kinds)
    held = query_dataset_types(filled, collections="both").to_pylist()
    assert [row["name"] for row in held] == ["image", "note", "remark"]
    assert held[0]["dimensions"] == ["instrument", "detector", "visit"]
    assert held[0]["storage_class"] == "StructuredDataDict"
    flats = query_dataset_types(filled, "flat").to_pylist()
    assert [row["is_calibration"] for row in flats] == [True]


_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
) | st.sampled_from(["", "\\.", "\\N", "NULL", "NaN", '"', ",", "\r\n", " ", "t", "1e5"])


@EXAMPLES
@given(texts=st.lists(st.none() | _TEXT, min_size=1, max_size=8))
def test_any_text_comes_through(butler: Butler, texts: list[str | None]) -> None:
    name = f"I{next(_counter)}"
    butler.registry.insertDimensionData("instrument", {"name": name, "class_name": ""})
    detectors = [
        {"instrument": name, "id": i, "full_name": f"D{i}", "purpose": text} for i, text in enumerate(texts)
    ]
    butler.registry.insertDimensionData("detector", *detectors)
    expected = rows_of_records(
        butler.query_dimension_records("detector", instrument=name, order_by="detector")
    )
    options: dict[str, Any] = {"data_id": {"instrument": name}}
    same(query_dimension_records(butler, "detector", **options), expected)
    table = query_dimension_records(butler, "detector", order_by="detector", **options)
    same(table, expected, ordered=True)
    assert table.column("purpose").to_pylist() == texts


@EXAMPLES
@given(numbers=st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=8))
def test_any_number_comes_through(butler: Butler, numbers: list[float | None]) -> None:
    name = f"I{next(_counter)}"
    insert = butler.registry.insertDimensionData
    insert("instrument", {"name": name, "class_name": ""})
    insert("day_obs", {"instrument": name, "id": 1})
    insert("physical_filter", {"instrument": name, "name": "f", "band": "g"})
    place = {"instrument": name, "day_obs": 1, "physical_filter": "f"}
    insert("visit", *({**place, "id": i, "name": str(i), "azimuth": x} for i, x in enumerate(numbers)))
    table = query_dimension_records(butler, "visit", data_id={"instrument": name}, order_by="visit")
    assert table.column("azimuth").to_pylist() == numbers


def test_when_datasets_came_in_the_older_layout(tmp_path: Any) -> None:
    from lsst.daf.butler.registry.datasets.byDimensions import (
        ByDimensionsDatasetRecordStorageManagerUUID as Manager,
    )

    older = {"cls": f"{Manager.__module__}.{Manager.__name__}", "config": {"schema_version": "1.0.0"}}
    managers = {"registry": {"managers": {"datasets": older}}}
    with create_repository(tmp_path / "old", config=managers) as repository:
        butler = repository.butler
        _observe(butler)
        butler.collections.register("run")
        kind = butler.get_dataset_type("note")
        butler.registry.insertDatasets(kind, [{"instrument": "Cam"}], run="run")
        _compare_fields(butler, "note", ["run"], ["ingest_date"], find_first=True)
        (row,) = query_datasets(repository, "note", "run", columns=["ingest_date"]).to_pylist()
        age = dt.datetime.now(dt.UTC).timestamp() + 37 - row["ingest_date"] / 1e9
        assert -2 < age < 600
