"""Where on the sky the datasets of a selection are.

Few regions come as polygons, many as a map of pixels of the sky that they
touch: a multi-order coverage map (MOC) in the JSON form of the IVOA's standard
(MOC 2.0, section 4.3.2), in HEALPix pixels (Gorski et al. 2005) with nested numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.browse.selection import select, with_plan
from lenticular.butler.browse.universe import dimension_order
from lenticular.butler.display import grouped
from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy
    from lsst.sphgeom import RangeSet, Region

    from lenticular.butler.browse.selection import Selection
    from lenticular.butler.browse.universe import Element
    from lenticular.butler.columns.plan import Plan
    from lenticular.butler.columns.requests import DatasetQuery
    from lenticular.butler.repository import Repository

__all__ = ["Coverage", "Footprint", "Footprints", "read_footprints"]

_PREFERRED = ("visit_detector_region", "patch", "visit", "tract")
"""Elements with a region, the smallest regions first."""

_CORNERS = 64
"""Corners of the polygon that stands for a circle."""

_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Footprint:
    """The region of one record, such as a visit."""

    data_id: Mapping[str, int | str]
    """Dimensions that identify the record."""

    polygons: tuple[tuple[tuple[float, float], ...], ...]
    """Its corners, as longitude and latitude (ICRS) [deg]; several polygons for
    a region of several parts."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Pixels of the sky that some regions touch."""

    order: int
    """HEALPix order of the smallest pixels."""

    cells: Mapping[int, tuple[int, ...]]
    """Nested numbers of pixels by their order."""

    @property
    def resolution(self) -> float:
        """Side of the smallest pixels [deg].

        All of the regions is covered, and what is covered beyond them is within
        one such pixel of their borders: no farther away than its diagonal,
        which is below twice this.
        """
        return math.degrees(math.sqrt(4 * math.pi / (12.0 * 4.0**self.order)))

    @property
    def area(self) -> float:
        """Area of all pixels [deg2]."""
        share = math.fsum(len(pixels) / (12.0 * 4.0**order) for order, pixels in self.cells.items())
        return share * 4 * math.pi * math.degrees(1) ** 2

    def as_json(self) -> dict[str, list[int]]:
        """Return the coverage in the JSON form of the IVOA's standard."""
        return {str(order): list(pixels) for order, pixels in sorted(self.cells.items())}


@dataclass(frozen=True, slots=True)
class Footprints:
    """Where on the sky a selection of datasets is."""

    element: str
    """The dimension element whose regions these are."""

    number: int
    """How many records there are."""

    unplaced: int
    """How many of them have no region."""

    polygons: tuple[Footprint, ...] = ()
    """The regions, unless there are too many."""

    coverage: Coverage | None = None
    """What they cover together, if there are too many."""

    def _repr_html_(self) -> str:
        what = f"{grouped(self.number)} regions by {self.element}"
        if self.coverage is None:
            return f"<span>{what}</span>"
        return (
            f"<span>{what}: about {self.coverage.area:.4g} deg², in pixels of "
            f"{self.coverage.resolution:.2g}°</span>"
        )


def read_footprints(
    repository: Repository,
    query: DatasetQuery,
    *,
    element: str | None = None,
    most: int = 2000,
    order: int = 9,
) -> Footprints:
    """Find where on the sky the datasets of a selection are.

    Parameters
    ----------
    repository
        The repository.
    query
        The selection; its order and limit do not matter.
    element
        Dimension element whose regions are wanted; by default the one with the
        smallest regions among those that the datasets have.
    most
        Regions that are returned as polygons; of more, the coverage.
    order
        HEALPix order of the coverage's smallest pixels: 9 is 6.9 arcmin.

    Returns
    -------
    Footprints
        Each region once, however many datasets it has.

    Raises
    ------
    DataError
        Raised if the datasets have no place on the sky, or no such element.
    NotFoundError
        Raised if a collection or the dataset type does not exist.
    """
    chosen = select(repository, query)
    wanted = _element(chosen, element)
    keys = sorted(wanted.required, key=dimension_order)
    namespace = repository.configuration.namespace
    if chosen.is_simple and not chosen.members:
        return Footprints(wanted.name, 0, 0)
    rows: list[tuple[Any, ...]] | None
    if chosen.is_simple:
        held = chosen.held(*keys).distinct()
        rows = repository.read(lambda connection: _regions(connection, held, wanted, keys, namespace))
    else:
        rows = with_plan(repository, query, lambda plan: _of_plan(plan, wanted, keys, namespace))
    if rows is None:
        rows = _of_columns(repository, query, wanted, keys)
    placed = [row for row in rows if row[-1] is not None]
    number, unplaced = len(rows), len(rows) - len(placed)
    if len(placed) > most:
        coverage = _covered((_decoded(row[-1]) for row in placed), order)
        return Footprints(wanted.name, number, unplaced, coverage=coverage)
    polygons = tuple(
        Footprint(dict(zip(keys, row[:-1], strict=True)), _polygons(_decoded(row[-1]))) for row in placed
    )
    return Footprints(wanted.name, number, unplaced, polygons)


def _element(chosen: Selection, name: str | None) -> Element:
    known = set(chosen.kind.dimensions)
    fitting = [one for one in _PREFERRED if set(chosen.universe[one].required) <= known]
    if name is None and fitting:
        return chosen.universe[fitting[0]]
    if name is None or name not in fitting:
        hint = f"They have {', '.join(fitting)}." if fitting else "Those of a visit or a patch have."
        what = "no place on the sky" if name is None else f"no region by {name!r}"
        raise DataError(f"Datasets of type {chosen.kind.name!r} have {what}", hint=hint)
    return chosen.universe[name]


def _regions(
    connection: sqlalchemy.Connection,
    held: Any,
    element: Element,
    keys: Sequence[str],
    namespace: str | None,
) -> list[tuple[Any, ...]]:
    """Return the keys of records and their regions, as base64."""
    import sqlalchemy

    table, rows = element.of_table(namespace), held.subquery()
    on = [rows.c[name] == table.c[element.column(name)] for name in keys]
    statement = (
        sqlalchemy.select(*(rows.c[name] for name in keys), table.c.region)
        .select_from(rows.outerjoin(table, sqlalchemy.and_(*on)))
        .order_by(*(rows.c[name] for name in keys))
    )
    return [tuple(row) for row in connection.execute(statement)]


def _of_plan(
    plan: Plan | None, element: Element, keys: Sequence[str], namespace: str | None
) -> list[tuple[Any, ...]] | None:
    if plan is None or plan.refinement:
        return None
    import sqlalchemy

    rows = plan.select.subquery()
    held = sqlalchemy.select(*(rows.c[plan.labels[name, None]].label(name) for name in keys)).distinct()
    return _regions(plan.connection, held, element, keys, namespace)


def _of_columns(
    repository: Repository, query: DatasetQuery, element: Element, keys: Sequence[str]
) -> list[tuple[Any, ...]]:
    """Read which records there are row by row, where a database alone cannot tell."""
    from dataclasses import replace

    import sqlalchemy

    from lenticular.butler.columns import plain_table, read

    table = plain_table(read(repository, replace(query, order_by=(), limit=None, columns=())))
    found = sorted({tuple(row.values()) for row in table.select(list(keys)).to_pylist()})
    records = element.of_table(repository.configuration.namespace)
    columns = [records.c[element.column(name)] for name in keys]

    def ask(connection: sqlalchemy.Connection) -> dict[tuple[Any, ...], Any]:
        known = {}
        for start in range(0, len(found), _CHUNK):
            some = sqlalchemy.tuple_(*columns).in_(found[start : start + _CHUNK])
            for *key, region in connection.execute(sqlalchemy.select(*columns, records.c.region).where(some)):
                known[tuple(key)] = region
        return known

    regions = repository.read(ask)
    return [(*key, regions.get(key)) for key in found]


def _decoded(text: str) -> Region:
    from lsst.sphgeom import Region

    return Region.decodeBase64(text)


def _polygons(region: Region) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return the corners of a region, or of a polygon that stands for it."""
    from lsst.sphgeom import Box, ConvexPolygon, LonLat, UnionRegion

    if isinstance(region, UnionRegion):
        parts = [region.cloneOperand(place) for place in range(region.nOperands())]
        return tuple(polygon for part in parts for polygon in _polygons(part))
    if isinstance(region, ConvexPolygon):
        corners = [LonLat(vertex) for vertex in region.getVertices()]
        return (tuple((one.getLon().asDegrees(), one.getLat().asDegrees()) for one in corners),)
    if isinstance(region, Box):
        lon, lat = region.getLon(), region.getLat()
        west, east = lon.getA().asDegrees(), lon.getB().asDegrees()
        south, north = lat.getA().asDegrees(), lat.getB().asDegrees()
        return (((west, south), (east, south), (east, north), (west, north)),)
    return (_around(region),)


def _around(region: Region) -> tuple[tuple[float, float], ...]:
    """Return a polygon along the circle around a region."""
    from lsst.sphgeom import LonLat

    circle = region.getBoundingCircle()
    centre, radius = LonLat(circle.getCenter()), circle.getOpeningAngle().asRadians()
    lat = centre.getLat().asRadians()
    corners = []
    for step in range(_CORNERS):
        angle = 2 * math.pi * step / _CORNERS
        # Direct problem on the sphere: from the centre, by the radius, towards an azimuth.
        sine = math.sin(lat) * math.cos(radius) + math.cos(lat) * math.sin(radius) * math.cos(angle)
        east = math.atan2(
            math.sin(angle) * math.sin(radius) * math.cos(lat), math.cos(radius) - math.sin(lat) * sine
        )
        corners.append(
            ((centre.getLon().asDegrees() + math.degrees(east)) % 360, math.degrees(math.asin(sine)))
        )
    return tuple(corners)


def _covered(regions: Iterable[Region], order: int) -> Coverage:
    """Return the pixels that regions touch."""
    from lsst.sphgeom import HealpixPixelization, RangeSet

    pixelization, whole = HealpixPixelization(order), RangeSet()
    for region in regions:
        whole = whole.union(_touched(pixelization, region))
    return Coverage(order, _cells(whole, order))


def _touched(pixelization: Any, region: Region) -> RangeSet:
    from lsst.sphgeom import Box, Circle, ConvexPolygon

    # Of what the pixelization knows no envelope, that of the circle around it.
    known = isinstance(region, Box | Circle | ConvexPolygon)
    found: RangeSet = pixelization.envelope(region if known else region.getBoundingCircle())
    return found


def _cells(pixels: RangeSet, order: int) -> dict[int, tuple[int, ...]]:
    """Return pixels with each four of a larger one put together."""
    import numpy as np

    ranges = [np.arange(begin, end, dtype=np.int64) for begin, end in pixels.ranges()]
    left = np.concatenate(ranges) if ranges else np.empty(0, np.int64)
    cells: dict[int, tuple[int, ...]] = {}
    for level in range(order, -1, -1):
        parents, counts = np.unique(left >> 2, return_counts=True)
        full = parents[counts == 4] if level else parents[:0]  # noqa: PLR2004 - a pixel has four children
        alone = left[~np.isin(left >> 2, full)]
        if len(alone):
            cells[level] = tuple(alone.tolist())
        left = full
    return dict(sorted(cells.items()))
