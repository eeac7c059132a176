"""Repositories made up by hypothesis: their content as a value, and what writes it.

A `Content` says what a repository holds: instruments with overlapping visits, maps of the sky, and
collections of every kind, in which runs hide parts of each other. `contents` is the strategy that
makes them, `build` writes one into a repository. Making a repository takes a second, so that many
contents share one: `build` gives all names, but those of the dataset types, a prefix of their own
and returns the content as it was written::

    @given(content=contents())
    def test(repository, content):
        made = build(content, repository)
        for name in made.collections: ...
"""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lsst.daf.butler import Butler, DatasetRef, DatasetType

    from lenticular.butler import Repository

    type Key = tuple[int | str, ...]
    """Values of a dataset type's dimensions, in the order of `KINDS`."""

__all__ = [
    "KINDS",
    "Calibration",
    "Chain",
    "Content",
    "Instrument",
    "Run",
    "SkyMap",
    "Tagged",
    "Visit",
    "build",
    "contents",
    "example",
    "span",
]

KINDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "remark": ((), False),
    "note": (("instrument",), False),
    "summary": (("instrument", "visit"), False),
    "raw": (("instrument", "detector", "exposure"), False),
    "image": (("instrument", "detector", "visit"), False),
    "sources": (("instrument", "detector", "visit"), False),
    "dark": (("instrument", "detector"), True),
    "flat": (("instrument", "detector", "physical_filter"), True),
    "grid": (("skymap",), False),
    "coadd": (("band", "skymap", "tract", "patch"), False),
    "warp": (("instrument", "skymap", "tract", "patch", "visit"), False),
}
"""Required dimensions of each dataset type, and whether it is a calibration."""

_BY_DATA_ID = {"raw"}
"""Types whose UUIDs follow from their data IDs (version 5); the others have those of time (7)."""

DAYS = (20250101, 20250102, 20250103)
_SIDE = 2
"""Patches along each side of a tract."""

_prefixes = (f"g{number}" for number in itertools.count())


@dataclass(frozen=True)
class Visit:
    """A visit, and the exposure of the same number."""

    id: int
    day_obs: int
    physical_filter: str
    exposure_time: float | None
    target_name: str | None
    place: tuple[float, float] | None
    """Longitude and latitude of its centre [deg]."""

    begin: int | None
    """Its beginning, in seconds of 2025."""


@dataclass(frozen=True)
class Instrument:
    """An instrument, its filters with their bands, its detectors and visits."""

    name: str
    filters: tuple[tuple[str, str], ...]
    detectors: tuple[int, ...]
    visits: tuple[Visit, ...]


@dataclass(frozen=True)
class SkyMap:
    """A map of the sky with tracts side by side, of four patches each."""

    name: str
    tracts: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """A RUN collection, and the data IDs that it holds of each type."""

    name: str
    holds: tuple[tuple[str, tuple[Key, ...]], ...]


@dataclass(frozen=True)
class Tagged:
    """A TAGGED collection, and its datasets as type, run and data ID."""

    name: str
    members: tuple[tuple[str, str, Key], ...]


@dataclass(frozen=True)
class Calibration:
    """A CALIBRATION collection.

    Each member is a type, run and data ID with the beginning and the end, in
    seconds of 2025, of its validity.
    """

    name: str
    members: tuple[tuple[str, str, Key, int | None, int | None], ...]


@dataclass(frozen=True)
class Chain:
    """A CHAINED collection and its children in the order of the search."""

    name: str
    children: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """What a repository holds."""

    instruments: tuple[Instrument, ...]
    skymaps: tuple[SkyMap, ...]
    runs: tuple[Run, ...]
    tagged: tuple[Tagged, ...]
    calibrations: tuple[Calibration, ...]
    chains: tuple[Chain, ...]
    """Each after those that it holds."""

    @property
    def collections(self) -> tuple[str, ...]:
        """Names of all collections."""
        names = [run.name for run in self.runs] + [one.name for one in self.tagged]
        names += [one.name for one in self.calibrations] + [chain.name for chain in self.chains]
        return tuple(names)

    def renamed(self, prefix: str) -> Content:
        """Return the same with another prefix before the name of everything."""
        proper = {one.name for one in self.instruments} | {one.name for one in self.skymaps}
        proper |= {name for one in self.instruments for name, _ in one.filters}

        def key(values: Key) -> Key:
            return tuple(prefix + str(value) if value in proper else value for value in values)

        return Content(
            tuple(_renamed_instrument(one, prefix) for one in self.instruments),
            tuple(replace(one, name=prefix + one.name) for one in self.skymaps),
            tuple(
                Run(prefix + one.name, tuple((kind, tuple(map(key, keys))) for kind, keys in one.holds))
                for one in self.runs
            ),
            tuple(
                Tagged(
                    prefix + one.name,
                    tuple((kind, prefix + run, key(values)) for kind, run, values in one.members),
                )
                for one in self.tagged
            ),
            tuple(
                Calibration(
                    prefix + one.name,
                    tuple(
                        (kind, prefix + run, key(values), begin, end)
                        for kind, run, values, begin, end in one.members
                    ),
                )
                for one in self.calibrations
            ),
            tuple(
                Chain(prefix + one.name, tuple(prefix + child for child in one.children))
                for one in self.chains
            ),
        )


def _renamed_instrument(one: Instrument, prefix: str) -> Instrument:
    return replace(
        one,
        name=prefix + one.name,
        filters=tuple((prefix + name, band) for name, band in one.filters),
        visits=tuple(replace(visit, physical_filter=prefix + visit.physical_filter) for visit in one.visits),
    )


def contents(*, visits: int = 6, runs: int = 4) -> st.SearchStrategy[Content]:
    """Return the strategy that makes contents.

    Parameters
    ----------
    visits
        Visits of each instrument at most.
    runs
        Runs at most.
    """
    # Single data IDs are drawn from a seed: what a failure shrinks to is the number of things.
    return st.builds(
        _content,
        seed=st.integers(0, 2**32),
        instruments=st.integers(1, 2),
        skymaps=st.integers(0, 2),
        visits=st.integers(2, visits),
        runs=st.integers(1, runs),
        chains=st.integers(1, 3),
    )


def example() -> Content:
    """Return a content with something of everything, always the same."""
    return _content(seed=57, instruments=2, skymaps=2, visits=6, runs=4, chains=3)


def _content(*, seed: int, instruments: int, skymaps: int, visits: int, runs: int, chains: int) -> Content:
    chance = random.Random(seed)  # noqa: S311 - not for a secret
    cameras = tuple(_instrument(chance, number, visits) for number in range(instruments))
    maps = tuple(SkyMap(f"map{number}", tuple(range(1 + number))) for number in range(skymaps))
    possible = {kind: list(_keys(kind, cameras, maps)) for kind in KINDS}
    made = tuple(_run(chance, f"run{number}", possible) for number in range(runs))
    held = [(kind, run.name, key) for run in made for kind, keys in run.holds for key in keys]
    tagged = tuple(_tagged(chance, f"tag{number}", held) for number in range(2))
    calibrations = tuple(_calibration(chance, f"calib{number}", held) for number in range(2))
    members = [run.name for run in made] + [one.name for one in tagged] + [one.name for one in calibrations]
    linked: list[Chain] = []
    for number in range(chains):
        children = chance.sample(members, chance.randint(0 if number else 1, len(members)))
        linked.append(Chain(f"chain{number}", tuple(children)))
        members.append(linked[-1].name)
    return Content(cameras, maps, made, tagged, calibrations, tuple(linked))


def _instrument(chance: random.Random, number: int, visits: int) -> Instrument:
    # Two filters are of one band, and two instruments share bands.
    filters = tuple((f"F{number}-{name}", band) for name, band in (("g", "g"), ("r", "r"), ("r2", "r")))
    return Instrument(
        f"Cam{number}", filters, tuple(range(3 - number)), tuple(_visits(chance, filters, visits))
    )


def _visits(chance: random.Random, filters: tuple[tuple[str, str], ...], count: int) -> Iterator[Visit]:
    for number in range(1, count + 1):
        day = chance.randrange(len(DAYS))
        yield Visit(
            id=number,
            day_obs=DAYS[day],
            physical_filter=chance.choice(filters)[0],
            exposure_time=chance.choice([None, 15.0, 30.0, 0.1 + number / 3]),
            target_name=chance.choice([None, "", "COSMOS", 'M 31, "core"']),
            place=chance.choice([None, *[(0.5 * number, 1.0)] * 4]),
            begin=chance.choice([None, *[86400 * day + 60 * number] * 4]),
        )


def _keys(kind: str, cameras: Iterable[Instrument], maps: Iterable[SkyMap]) -> Iterator[Key]:
    """Yield all data IDs that a type could have."""
    dimensions = KINDS[kind][0]
    patches = [(one.name, tract, patch) for one in maps for tract in one.tracts for patch in range(_SIDE**2)]
    match kind:
        case "remark":
            yield ()
        case "grid":
            yield from ((one.name,) for one in maps)
        case "coadd":
            yield from ((band, *patch) for band in "gr" for patch in patches)
        case "warp":
            for one in cameras:
                for patch, visit in itertools.product(patches, one.visits):
                    yield (one.name, *patch, visit.id)
        case _:
            for one in cameras:
                numbers = tuple(visit.id for visit in one.visits)
                values = {
                    "detector": one.detectors,
                    "exposure": numbers,
                    "visit": numbers,
                    "physical_filter": tuple(name for name, _ in one.filters),
                }
                yield from itertools.product((one.name,), *(values[name] for name in dimensions[1:]))


def _run(chance: random.Random, name: str, possible: Mapping[str, list[Key]]) -> Run:
    holds = []
    for kind, keys in possible.items():
        share = chance.choice([0, 0, 0.4, 0.8, 1.0])
        chosen = chance.sample(keys, min(60, round(share * len(keys))))
        if chosen:
            holds.append((kind, tuple(chosen)))
    return Run(name, tuple(holds))


def _tagged(chance: random.Random, name: str, held: list[tuple[str, str, Key]]) -> Tagged:
    share = chance.choice([0, 0.3, 0.6])
    chosen = {(kind, key): run for kind, run, key in held if chance.random() < share}
    return Tagged(name, tuple((kind, run, key) for (kind, key), run in chosen.items()))


def _calibration(chance: random.Random, name: str, held: list[tuple[str, str, Key]]) -> Calibration:
    """Certify some calibrations, of which those of a data ID must not overlap in time."""
    members = []
    share = chance.choice([0, 0.5, 0.9])
    ends: dict[tuple[str, Key], int | None] = {}
    for kind, run, key in held:
        if KINDS[kind][1] and chance.random() < share and ends.get((kind, key), 0) is not None:
            begin = ends[kind, key] if (kind, key) in ends else chance.choice([None, 0])
            end = chance.choice([None, (begin or 0) + 86400])
            ends[kind, key] = end
            members.append((kind, run, key, begin, end))
    return Calibration(name, tuple(members))


def build(content: Content, repository: Repository) -> Content:
    """Write a content into a repository.

    Parameters
    ----------
    content
        What is to be written; its names get a new prefix.
    repository
        A repository open for writing, which may hold other contents already.

    Returns
    -------
    Content
        What was written, under the names in the repository.
    """
    made, butler = content.renamed(next(_prefixes)), repository.butler
    kinds = _register_kinds(butler)
    _register_collections(butler, made)
    # In one transaction, since each costs a database a wait for its disk.
    with butler.transaction():
        for instrument in made.instruments:
            _insert_instrument(butler, instrument)
        for skymap in made.skymaps:
            _insert_skymap(butler, skymap)
        refs = {
            (kind, run.name, key): ref
            for run in made.runs
            for kind, keys in run.holds
            for key, ref in zip(keys, _insert(butler, kinds[kind], keys, run.name), strict=True)
        }
        for tagged in made.tagged:
            butler.registry.associate(tagged.name, [refs[member] for member in tagged.members])
        for calibration in made.calibrations:
            _certify(butler, calibration, refs)
    return made


def _register_collections(butler: Butler, made: Content) -> None:
    from lsst.daf.butler import CollectionType

    for run in made.runs:
        butler.collections.register(run.name)
    for tagged in made.tagged:
        butler.collections.register(tagged.name, CollectionType.TAGGED)
    for calibration in made.calibrations:
        butler.collections.register(calibration.name, CollectionType.CALIBRATION, doc="flats and darks")
    for chain in made.chains:
        butler.collections.register(chain.name, CollectionType.CHAINED, doc=f"{len(chain.children)} members")
        butler.collections.redefine_chain(chain.name, chain.children)


def _certify(
    butler: Butler, calibration: Calibration, refs: Mapping[tuple[str, str, Key], DatasetRef]
) -> None:
    spans: dict[tuple[int | None, int | None], list[DatasetRef]] = {}
    for kind, run, key, begin, end in calibration.members:
        spans.setdefault((begin, end), []).append(refs[kind, run, key])
    for ends, members in spans.items():
        butler.registry.certify(calibration.name, members, span(*ends))


def _register_kinds(butler: Butler) -> dict[str, DatasetType]:
    from lsst.daf.butler import DatasetType

    kinds = {
        name: DatasetType(
            name,
            dimensions,
            "StructuredDataDict",
            universe=butler.dimensions,
            isCalibration=is_calibration,
        )
        for name, (dimensions, is_calibration) in KINDS.items()
    }
    for kind in kinds.values():
        butler.registry.registerDatasetType(kind)
    return kinds


def _insert(butler: Butler, kind: DatasetType, keys: Iterable[Key], run: str) -> list[DatasetRef]:
    from lsst.daf.butler import DatasetIdGenEnum

    ids = [dict(zip(KINDS[kind.name][0], key, strict=True)) for key in keys]
    mode = DatasetIdGenEnum.DATAID_TYPE_RUN if kind.name in _BY_DATA_ID else DatasetIdGenEnum.UNIQUE
    return butler.registry.insertDatasets(kind, ids, run=run, idGenerationMode=mode)


def _insert_instrument(butler: Butler, one: Instrument) -> None:
    insert, common = butler.registry.insertDimensionData, {"instrument": one.name}
    insert("instrument", {"name": one.name, "class_name": "x.Cam", "detector_max": 9, "visit_max": 99})
    insert("physical_filter", *({**common, "name": name, "band": band} for name, band in one.filters))
    insert("detector", *({**common, "id": i, "full_name": f"D{i}"} for i in one.detectors))
    days = enumerate(DAYS)
    insert("day_obs", *({**common, "id": d, "timespan": span(86400 * i, 86400 * (i + 1))} for i, d in days))
    insert("group", *({**common, "name": f"g{visit.id}"} for visit in one.visits))
    insert("visit", *(_visit(one.name, visit) for visit in one.visits))
    insert("exposure", *(_exposure(one.name, visit) for visit in one.visits))
    insert("visit_definition", *({**common, "exposure": v.id, "visit": v.id} for v in one.visits))
    # A visit may have a place while one of its detectors has none.
    insert(
        "visit_detector_region",
        *(
            {**common, "visit": visit.id, "detector": detector, "region": _beside(visit.place, detector)}
            for visit in one.visits
            for detector in one.detectors
            if visit.place is not None and (visit.id + detector) % 5
        ),
    )


def _visit(instrument: str, visit: Visit) -> dict[str, Any]:
    when = None if visit.begin is None else span(visit.begin, visit.begin + 30)
    return {
        **_common(instrument, visit),
        "name": f"v{visit.id}",
        "region": None if visit.place is None else _square(*visit.place, 0.8),
        "timespan": when,
    }


def _exposure(instrument: str, visit: Visit) -> dict[str, Any]:
    begin = 60 * visit.id if visit.begin is None else visit.begin
    return {
        **_common(instrument, visit),
        "group": f"g{visit.id}",
        "obs_id": f"o{visit.id}",
        "can_see_sky": (True, False, None)[visit.id % 3],
        "timespan": span(begin, begin + 30),
    }


def _common(instrument: str, visit: Visit) -> dict[str, Any]:
    return {
        "instrument": instrument,
        "id": visit.id,
        "day_obs": visit.day_obs,
        "physical_filter": visit.physical_filter,
        "exposure_time": visit.exposure_time,
        "target_name": visit.target_name,
    }


def _insert_skymap(butler: Butler, one: SkyMap) -> None:
    insert = butler.registry.insertDimensionData
    sign = hashlib.sha1(one.name.encode(), usedforsecurity=False).digest()
    insert(
        "skymap",
        {"name": one.name, "hash": sign, "tract_max": 9, "patch_nx_max": _SIDE, "patch_ny_max": _SIDE},
    )
    insert(
        "tract",
        *({"skymap": one.name, "id": t, "region": _square(2.0 * t + 1, 1, 2.2)} for t in one.tracts),
    )
    insert("patch", *_patches(one))


def _patches(one: SkyMap) -> Iterator[dict[str, Any]]:
    for tract, y, x in itertools.product(one.tracts, range(_SIDE), range(_SIDE)):
        yield {
            "skymap": one.name,
            "tract": tract,
            "id": _SIDE * y + x,
            "cell_x": x,
            "cell_y": y,
            "region": _square(2.0 * tract + x + 0.5, y + 0.5, 1.1),
        }


def _beside(place: tuple[float, float], detector: int) -> Any:
    return _square(place[0] + 0.25 * (detector - 1), place[1], 0.25)


def _square(ra: float, dec: float, side: float) -> Any:
    from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

    half = side / 2
    corners = ((-half, -half), (half, -half), (half, half), (-half, half))
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(ra + x, dec + y)) for x, y in corners])


def span(begin: float | None, end: float | None) -> Any:
    """Return a timespan, in seconds since the beginning of 2025."""
    from astropy.time import Time, TimeDelta
    from lsst.daf.butler import Timespan

    zero = Time("2025-01-01T00:00:00", scale="tai")

    def moment(seconds: float | None) -> Time | None:
        return None if seconds is None else zero + TimeDelta(seconds, format="sec", scale="tai")

    return Timespan(moment(begin), moment(end))
