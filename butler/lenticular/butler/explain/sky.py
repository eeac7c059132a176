"""How far things are from each other on the sky, and how much wider to look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.butler.explain.constraints import Change
from lenticular.butler.explain.nearby import Candidate, values_of
from lenticular.butler.explain.terms import Leaf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsst.sphgeom import Region

    from lenticular.butler.columns.requests import Request
    from lenticular.butler.explain.probes import Probe

__all__ = ["Spot", "nearest_pair", "regions", "spot_of", "wider"]

MOST_REGIONS = 5000
"""Regions that are looked at."""

_PAIRS = 2000
_STEP = 1e-3


@dataclass(frozen=True, slots=True)
class Spot:
    """The circle around a region."""

    vector: Any
    """Its centre, a unit vector."""

    lon: float
    """Right ascension of the centre, degrees."""

    lat: float
    """Declination of the centre, degrees."""

    radius: float
    """Its radius, degrees."""

    def to(self, other: Spot) -> float:
        """Return the distance from centre to centre, degrees."""
        cosine = max(-1.0, min(1.0, self.vector.dot(other.vector)))
        return math.degrees(math.acos(cosine))

    def gap(self, other: Spot) -> float:
        """Return the distance between the circles, degrees; 0 if they touch."""
        return max(0.0, self.to(other) - self.radius - other.radius)


def spot_of(region: Region) -> Spot:
    """Return the circle around a region."""
    from lsst.sphgeom import LonLat

    circle = region.getBoundingCircle()
    place = LonLat(circle.getCenter())
    radius = max(0.0, circle.getOpeningAngle().asDegrees())
    return Spot(circle.getCenter(), place.getLon().asDegrees(), place.getLat().asDegrees(), radius)


def regions(probe: Probe, element: str, local: Request) -> list[tuple[dict[str, Any], Spot]]:
    """Return the data IDs of an element with where they are.

    Parameters
    ----------
    probe
        Asks the repository.
    element
        A dimension element with regions.
    local
        A question whose expression and values concern the element alone.
    """
    from lsst.sphgeom import Region

    leaf = Leaf(element, "region", "region", "overlaps", ())
    rows = values_of(probe, leaf, local, limit=MOST_REGIONS)
    return [(row, spot_of(Region.decode(row["region"]))) for row in rows if row["region"] is not None]


def wider(probe: Probe, leaf: Leaf, local: Request) -> list[Candidate]:
    """Return what is nearest to a region that nothing overlaps.

    Parameters
    ----------
    probe
        Asks the repository.
    leaf
        The comparison with the region.
    local
        A question whose expression and values concern the element alone.
    """
    asked = spot_of(leaf.values[0])
    found = sorted(regions(probe, leaf.element, local), key=lambda one: asked.gap(one[1]))
    return [_candidate(leaf, asked, row, spot) for row, spot in found]


def _candidate(leaf: Leaf, asked: Spot, row: dict[str, Any], spot: Spot) -> Candidate:
    # As far as its centre, so that the shape of the region does not matter.
    radius = math.ceil((asked.to(spot) + _STEP) / _STEP) * _STEP
    key = " ".join(f"{name} {row[name]}" for name in _names(leaf.element, row))
    text = f"{leaf.column} OVERLAPS CIRCLE({asked.lon:.6g}, {asked.lat:.6g}, {radius:.6g})"
    return Candidate(f"{key}, {asked.to(spot):.3g}° away", Change(text), row)


def _names(element: str, row: dict[str, Any]) -> Sequence[str]:
    if element in row:
        return (element,)
    return [name for name in ("visit", "exposure", "detector", "tract", "patch") if name in row]


def nearest_pair(
    one: Sequence[tuple[dict[str, Any], Spot]], other: Sequence[tuple[dict[str, Any], Spot]]
) -> tuple[dict[str, Any], dict[str, Any], float] | None:
    """Return what is nearest to each other of two kinds, and how far apart, in degrees.

    The distance is between the circles around them. Of very many, only some are compared.
    """
    step = max(1, len(one) * len(other) // (_PAIRS * 100))
    pairs = ((first, second) for first in one[::step] for second in other)
    best = min(pairs, key=lambda pair: pair[0][1].gap(pair[1][1]), default=None)
    return None if best is None else (best[0][0], best[1][0], best[0][1].gap(best[1][1]))
