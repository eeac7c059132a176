"""What a browser is told of a repository is what upstream's answers add up to."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from lenticular.butler import CollectionKind
from lenticular.butler.browse import (
    Count,
    CountKind,
    count,
    read_facets,
    read_footprints,
    read_members,
    read_shadowed,
)
from lenticular.butler.columns import DatasetQuery
from lenticular.butler.errors import DataError, NotFoundError
from tests.butler.generated import KINDS, build, contents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lsst.daf.butler import DatasetRef

    from lenticular.butler import Repository
    from tests.butler.generated import Content

EXAMPLES = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def refs_of(repository: Repository, query: DatasetQuery) -> Sequence[DatasetRef]:
    """Return upstream's answer."""
    return repository.butler.query_datasets(
        query.dataset_type,
        query.collections,
        find_first=query.find_first,
        where=query.where,
        data_id=dict(query.data_id),
        explain=False,
        limit=None,
    )


def questions(made: Content) -> Iterator[DatasetQuery]:
    """Yield queries of all kinds: by tables, planned, and refined by shape."""
    instrument = made.instruments[0].name
    chain, names = made.chains[-1].name, [run.name for run in made.runs]
    names += [one.name for one in made.tagged]
    for kind, (_, is_calibration) in KINDS.items():
        collections = names if is_calibration else [chain]
        yield DatasetQuery(dataset_type=kind, collections=collections)
        yield DatasetQuery(dataset_type=kind, collections=collections, find_first=False)
        if kind in ("image", "flat", "warp"):
            yield DatasetQuery(dataset_type=kind, collections=collections, data_id={"instrument": instrument})
    for calibration in made.calibrations:
        yield DatasetQuery(dataset_type="flat", collections=[calibration.name], find_first=False)
    for where in (
        f"instrument = '{instrument}' AND visit > 2 AND band = 'r'",
        f"instrument = '{instrument}' AND visit.region OVERLAPS CIRCLE(1.0, 1.0, 0.4)",
        f"instrument = '{instrument}' AND visit = 77",
    ):
        yield DatasetQuery(dataset_type="image", collections=names, where=where)


def test_collections_are_those_of_upstream(filled: tuple[Repository, Content]) -> None:
    repository, _ = filled
    butler = repository.butler
    ours = {info.name: info for info in repository.collections()}
    assert list(ours) == sorted(ours)
    for theirs in butler.collections.query_info("*", include_summary=True, include_doc=True):
        info = ours.pop(theirs.name)
        assert info.kind.value == theirs.type.name
        assert info.children == theirs.children
        assert info.documentation == theirs.doc
        assert set(info.dataset_types) == set(theirs.dataset_types or ())
        summary = butler.registry.getCollectionSummary(theirs.name)
        assert set(info.instruments) == set(summary.governors.get("instrument", ()))
        assert set(info.skymaps) == set(summary.governors.get("skymap", ()))
    assert not ours


def test_dataset_types_are_those_of_upstream(filled: tuple[Repository, Content]) -> None:
    repository, _ = filled
    assert {info.name for info in repository.dataset_types()} == set(KINDS)
    for info in repository.dataset_types():
        theirs = repository.butler.get_dataset_type(info.name)
        assert set(info.dimensions) == set(theirs.dimensions.required)
        assert set(info.all_dimensions) == set(theirs.dimensions.names)
        assert info.storage_class == theirs.storageClass_name
        assert info.is_calibration is theirs.isCalibration()


def test_collections_are_counted_when_asked(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    butler = repository.butler
    assert all(info.counts is None for info in repository.collections())
    prefix = made.runs[0].name.removesuffix("run0")
    for info in repository.collections(f"{prefix}*", counts=True):
        assert info.counts is not None
        timed = {member.name for member in made.calibrations} & set(repository.search_order(info.name))
        for kind in info.dataset_types:
            hides = info.kind is CollectionKind.CHAINED and not (KINDS[kind][1] and timed)
            refs = butler.query_datasets(kind, info.name, find_first=hides, explain=False, limit=None)
            assert info.counts.get(kind, 0) == len({ref.id for ref in refs})
        assert info.name in info._repr_html_()


@EXAMPLES
@given(content=contents())
def test_counts_are_those_of_upstream(shared: Repository, content: Content) -> None:
    made = build(content, shared)
    for query in questions(made):
        number = len(refs_of(shared, query))
        assert count(shared, query, "exact") == Count(number, CountKind.EXACT)
        expected = Count(3, CountKind.CAPPED) if number > 3 else Count(number, CountKind.EXACT)
        assert count(shared, query, cap=3) == expected


def test_no_more_are_counted_than_a_query_is_limited_to(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    query = DatasetQuery(dataset_type="image", collections=[made.chains[0].name], limit=2)
    for how in ("exact", "capped", "estimate"):
        assert count(repository, query, how).value == 2
    assert count(repository, query, cap=1) == Count(1, CountKind.CAPPED)


def test_an_estimate_is_never_called_exact(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    for query in questions(made):
        found = count(repository, query, "estimate", cap=5)
        simple = not query.where and query.find_first
        if simple and found.value:
            assert found.kind is CountKind.ESTIMATE
            assert str(found).startswith("about ")
        if found.kind is not CountKind.ESTIMATE:
            assert found == count(repository, query, cap=5)


def test_counts_are_said_as_people_say_them() -> None:
    assert str(Count(1234, CountKind.EXACT)).split() == ["1", "234"]
    assert str(Count(10_000, CountKind.CAPPED)).split() == ["10", "000+"]
    assert str(Count(1_234_567, CountKind.ESTIMATE)) == "about 1.2 million"
    assert str(Count(0, CountKind.ESTIMATE)) == "about 0"
    assert str(Count(999_999_999, CountKind.ESTIMATE)) == "about 1 billion"


def test_wrong_questions_are_told(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    good = DatasetQuery(dataset_type="image", collections=[made.chains[0].name])
    how: Any = "roughly"
    with pytest.raises(DataError, match="roughly"):
        count(repository, good, how)
    with pytest.raises(DataError, match="below one"):
        count(repository, good, cap=0)
    with pytest.raises(DataError, match="no dimension 'tract'"):
        read_facets(repository, good, ["tract"])
    with pytest.raises(NotFoundError, match="imagine"):
        count(repository, replace(good, dataset_type="imagine"))
    with pytest.raises(NotFoundError, match="nowhere"):
        read_facets(repository, replace(good, collections=["nowhere"]))
    with pytest.raises(NotFoundError, match="nowhere"):
        read_members(repository, "nowhere")
    with pytest.raises(DataError, match="no place on the sky"):
        read_footprints(repository, replace(good, dataset_type="raw"))
    with pytest.raises(DataError, match="no region by 'tract'"):
        read_footprints(repository, good, element="tract")


@EXAMPLES
@given(content=contents())
def test_facets_count_what_upstream_finds(shared: Repository, content: Content) -> None:
    made = build(content, shared)
    for query in questions(made):
        refs = refs_of(shared, query)
        facets = read_facets(shared, query)
        assert facets.total == len(refs)
        assert {facet.dimension for facet in facets} == set(
            shared.butler.get_dataset_type(query.dataset_type).dimensions.names
        )
        for facet in facets:
            numbers = Counter(ref.dataId[facet.dimension] for ref in refs)
            assert dict(facet.values) == numbers
            assert facet.distinct == len(numbers)


def test_of_many_values_the_first_are_given(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    query = DatasetQuery(dataset_type="image", collections=[made.chains[0].name])
    whole = read_facets(repository, query, ["visit"])["visit"]
    facets = read_facets(repository, query, ["visit", "band"], most=1)
    assert [facet.dimension for facet in facets] == ["visit", "band"]
    assert facets["visit"].values == whole.values[:1]
    assert facets["visit"].more == whole.distinct - 1 > 0
    assert f"and {whole.distinct - 1} more" in facets._repr_html_()
    with pytest.raises(KeyError):
        facets["detector"]


@EXAMPLES
@given(content=contents())
def test_members_contribute_what_a_search_finds_in_them(shared: Repository, content: Content) -> None:
    made = build(content, shared)
    for chain in made.chains:
        told = {(one.member, one.dataset_type): one for one in read_members(shared, chain.name).contributions}
        order = [info.name for info in map(shared.collection, shared.search_order(chain.name))]
        assert read_members(shared, chain.name).members == tuple(
            name for name in order if shared.collection(name).kind is not CollectionKind.CHAINED
        )
        for kind, member in itertools.product(KINDS, read_members(shared, chain.name).members):
            _check_member(shared, order, kind, member, told.get((member, kind)))


def _check_member(repository: Repository, order: Sequence[str], kind: str, member: str, told: Any) -> None:
    """Compare with what follows from the collections one by one."""
    held = _by_data_id(repository, kind, member)
    if told is None:
        assert not held
        return
    assert told.held == len({ref for refs in held.values() for ref in refs})
    if repository.collection(member).kind is CollectionKind.CALIBRATION:
        assert told.contributed is None
        return
    earlier: dict[Any, tuple[str, Any]] = {}
    for name in order[: order.index(member)]:
        if repository.collection(name).kind in (CollectionKind.RUN, CollectionKind.TAGGED):
            for key, refs in _by_data_id(repository, kind, name).items():
                earlier.setdefault(key, (name, refs))
    assert told.contributed == sum(key not in earlier for key in held)
    assert told.repeated == sum(key in earlier and earlier[key][1] == refs for key, refs in held.items())
    hidden = Counter(
        earlier[key][0] for key, refs in held.items() if key in earlier and earlier[key][1] != refs
    )
    assert dict(told.shadowed_by or {}) == hidden
    assert told.shadowed == sum(hidden.values())


def _by_data_id(repository: Repository, kind: str, name: str) -> dict[Any, set[Any]]:
    found: dict[Any, set[Any]] = {}
    if kind in repository.collection(name).dataset_types:
        for ref in repository.butler.query_datasets(kind, name, find_first=False, explain=False, limit=None):
            found.setdefault(ref.dataId, set()).add(ref.id)
    return found


def test_what_is_shadowed_is_told_by_data_id(filled: tuple[Repository, Content]) -> None:
    repository, made = filled
    chain = made.chains[-1].name
    order = repository.search_order(chain)
    told = 0
    for kind, (dimensions, is_calibration) in KINDS.items():
        rows = read_shadowed(repository, chain, kind, limit=1000)
        told += len(rows)
        for row in rows:
            assert set(row.data_id) == set(dimensions)
            places = [order.index(name) for name, _ in (row.winner, *row.hidden)]
            assert places == sorted(places)
            assert len({dataset for _, dataset in (row.winner, *row.hidden)}) == len(places)
        if not is_calibration and rows:
            data_id: dict[str, Any] = dict(rows[0].data_id)
            theirs = repository.butler.find_dataset(kind, data_id, collections=chain)
            assert theirs is not None
            assert str(theirs.id) == rows[0].winner[1]
        assert read_shadowed(repository, chain, kind, limit=2) == rows[:2]
    assert told > 0
    assert chain in read_members(repository, chain)._repr_html_()


@pytest.mark.parametrize(
    ("kind", "element"),
    [
        ("image", None),
        ("image", "visit"),
        ("summary", None),
        ("coadd", None),
        ("coadd", "tract"),
        ("warp", None),
    ],
)
def test_footprints_are_the_regions_of_what_upstream_finds(
    kind: str, element: str | None, filled: tuple[Repository, Content]
) -> None:
    repository, made = filled
    instrument = made.instruments[0].name
    wheres = [""]
    if "visit" in KINDS[kind][0]:
        wheres.append(f"instrument = '{instrument}' AND visit > 2")
        wheres.append(f"instrument = '{instrument}' AND visit.region OVERLAPS CIRCLE(1.0, 1.0, 0.4)")
    for where in wheres:
        query = DatasetQuery(dataset_type=kind, collections=[run.name for run in made.runs], where=where)
        found = read_footprints(repository, query, element=element)
        records = {
            record.dataId: record.region for record in repository.butler.query_dimension_records(
                found.element, explain=False, limit=None
            )
        }  # fmt: skip
        group = repository.butler.dimensions[found.element].minimal_group
        ids = {ref.dataId.subset(group) for ref in refs_of(repository, query)}
        assert found.number == len(ids)
        assert found.unplaced == sum(records.get(data_id) is None for data_id in ids)
        assert len(found.polygons) == found.number - found.unplaced
        for one in found.polygons:
            data_id: Any = dict(one.data_id)
            region: Any = next(region for known, region in records.items() if dict(known.required) == data_id)
            (corners,) = one.polygons
            assert len(corners) == len(region.getVertices())
            assert _contains(region, corners)


def _contains(region: Any, corners: Sequence[tuple[float, float]]) -> bool:
    """Tell whether corners are those of a region, but for rounding."""
    from lsst.sphgeom import LonLat, UnitVector3d

    given = [UnitVector3d(LonLat.fromDegrees(lon, lat)) for lon, lat in corners]
    return all(one.dot(other) > 1 - 1e-15 for one, other in zip(given, region.getVertices(), strict=True))


def test_many_footprints_are_a_coverage(filled: tuple[Repository, Content]) -> None:
    from lsst.sphgeom import HealpixPixelization, RangeSet

    repository, made = filled
    query = DatasetQuery(dataset_type="summary", collections=[run.name for run in made.runs])
    regions = read_footprints(repository, query)
    many = read_footprints(repository, query, most=1, order=8)
    assert not many.polygons
    assert (many.number, many.unplaced) == (regions.number, regions.unplaced)
    coverage = many.coverage
    assert coverage is not None
    flat = [
        number
        for order, pixels in coverage.cells.items()
        for pixel in pixels
        for number in range(pixel << 2 * (8 - order), (pixel + 1) << 2 * (8 - order))
    ]
    assert len(flat) == len(set(flat))
    assert len(coverage.cells) > 1
    covered, pixelization = RangeSet(flat), HealpixPixelization(8)
    where = [record.region for record in repository.butler.query_dimension_records("visit", limit=None)]
    placed = [region for region in where if region is not None]
    for one in regions.polygons:
        number = one.data_id["visit"]
        assert number is not None
    touched = RangeSet()
    for region in placed:
        touched = touched.union(pixelization.envelope(region))
    assert covered.isWithin(touched)
    assert coverage.area == pytest.approx(len(flat) * coverage.resolution**2)
    assert set(coverage.as_json()) == {str(order) for order in coverage.cells}
    assert "deg²" in many._repr_html_()
