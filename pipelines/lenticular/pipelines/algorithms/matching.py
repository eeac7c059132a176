"""Stars matched with a reference catalogue, given a rough WCS.

The nominal WCS is wrong by some arcseconds and a fraction of a degree. Every pair of a
bright star and a bright reference votes for the offset between them; true pairs agree, and
false ones spread over the plane (the first stage of most pattern matchers; see Tabur
2007, PASA 24, 189). The winning offset is refined by fits of rising degree between
shrinking radii.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.polynomials import n_terms, powers

if TYPE_CHECKING:
    import numpy.typing as npt
    from astropy.wcs import WCS

    type _Vector = npt.NDArray[np.float64]
    type _Index = npt.NDArray[np.intp]

__all__ = ["Matches", "match_to_references", "not_matched"]

_ROTATIONS = np.radians(np.arange(-0.4, 0.41, 0.1))
_BIN = 1.5
"""Side of a bin in which votes are counted, pixels; four neighbours count together."""

_DISTORTION_SLACK = 0.1
"""The distortion moves nothing by more than this part of the detector."""

_REFINEMENTS = ((5.0, 1), (3.5, 1), (2.0, 3), (1.0, 3))
"""Radius of the match, pixels, and degree of the fit that follows."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pairs of sources and references.

    Attributes
    ----------
    source, reference
        Indices, shape (k,). A reference has one source at most, the nearest.
    offset
        Median offset of the sources from where the nominal WCS puts their
        references, in x and y, pixels.
    votes
        Number of pairs of bright stars that voted for the offset.
    """

    source: _Index
    reference: _Index
    offset: tuple[float, float]
    votes: int

    def of(self, chosen: _Index) -> Matches:
        """Translate the indices of sources that were chosen from a longer list.

        Parameters
        ----------
        chosen
            Index in the longer list of each source that was offered.
        """
        return Matches(chosen[self.source], self.reference, self.offset, self.votes)

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"Matches({len(self)} pairs, offset=({self.offset[0]:+.1f}, {self.offset[1]:+.1f}) pixels)"


def match_to_references(
    x: _Vector,
    y: _Vector,
    flux: _Vector,
    reference_ra: _Vector,
    reference_dec: _Vector,
    reference_flux: _Vector,
    *,
    nominal: WCS,
    shape: tuple[int, int],
    max_offset: float = 80.0,
    n_bright: int = 150,
    min_matches: int = 10,
) -> Matches:
    """Match sources with a reference catalogue, given a rough WCS.

    Parameters
    ----------
    x, y, flux
        Positions, pixels, and fluxes in any unit, of well-measured sources,
        shape (n,).
    reference_ra, reference_dec, reference_flux
        Positions, degrees, and fluxes, of the references, shape (m,).
    nominal
        WCS that is right to ``max_offset`` and 0.4 degrees of rotation.
    shape
        Rows and columns of the detector.
    max_offset
        Largest offset that is looked for, pixels.
    n_bright
        Number of the brightest sources that vote.
    min_matches
        With fewer matches the field is called not matched.

    Returns
    -------
    Matches
        The pairs.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are no references, or too few agree.
    """
    on_image = _project(reference_ra, reference_dec, nominal, shape, max_offset)
    candidates = np.flatnonzero(np.isfinite(on_image[:, 0]) & np.isfinite(reference_flux))
    if len(candidates) < min_matches or len(x) < min_matches:
        raise not_matched(f"There are {len(x)} stars and {len(candidates)} references to match", min_matches)
    stars = np.column_stack([x, y])
    bright_stars = np.argsort(-flux, kind="stable")[:n_bright]
    n_references = int(1.3 * n_bright)
    by_flux = np.argsort(-reference_flux[candidates], kind="stable")
    bright = on_image[candidates[by_flux[:n_references]]]
    centre = (np.array(shape)[::-1] - 1) / 2
    votes, turn, offset = _vote(stars[bright_stars] - centre, bright - centre, max_offset)
    moved = (stars - centre) @ turn + offset + centre
    tree = cKDTree(on_image[candidates])
    for radius, degree in _REFINEMENTS:
        source, found = _pair(tree, moved, radius)
        if len(source) < min_matches:
            raise not_matched(f"Only {len(source)} stars lie on a reference", min_matches)
        fitted = degree if len(source) >= 2 * n_terms(degree) else 1
        moved = _follow(stars - centre, on_image[candidates[found]], source, fitted)
    source, found = _pair(tree, moved, _REFINEMENTS[-1][0])
    if len(source) < min_matches:
        raise not_matched(f"Only {len(source)} stars lie on a reference", min_matches)
    shift = np.median(stars[source] - on_image[candidates[found]], axis=0)
    return Matches(source, candidates[found], (float(shift[0]), float(shift[1])), votes)


def _project(
    ra: _Vector, dec: _Vector, wcs: WCS, shape: tuple[int, int], margin: float
) -> npt.NDArray[np.float64]:
    """Compute the pixels of sky positions, shape (m, 2); NaN for those not near the detector.

    Far from the detector the distortion's polynomials mean nothing and cannot
    be inverted, so that the positions are first narrowed down without them.
    """
    size = np.array(shape)[::-1]
    with np.errstate(invalid="ignore"):
        rough = np.asarray(wcs.wcs_world2pix(np.column_stack([ra, dec]), 0), dtype=np.float64)
        slack = margin + _DISTORTION_SLACK * size.max()
        near = np.flatnonzero(np.all((rough > -slack) & (rough < size + slack), axis=1))
        result = np.full((len(ra), 2), np.nan)
        if len(near):
            exact = wcs.all_world2pix(np.column_stack([ra, dec])[near], 0, quiet=True)
            inside = np.all((exact > -margin) & (exact < size + margin), axis=1)
            result[near[inside]] = exact[inside]
    return result


def not_matched(what: str, needed: int) -> MeasurementError:
    """Make the error that says that a field cannot be matched.

    Parameters
    ----------
    what
        What is missing.
    needed
        How many there must be.
    """
    return MeasurementError(
        f"{what}, {needed} are needed",
        where="astrometry",
        hint="Look whether the reference catalogue covers the field and whether the nominal WCS is right.",
    )


def _vote(
    stars: npt.NDArray[np.float64], references: npt.NDArray[np.float64], max_offset: float
) -> tuple[int, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Find rotation and offset on which most pairs agree: votes, matrix, offset."""
    n_bins = int(2 * max_offset / _BIN)
    limits = [[-max_offset, max_offset]] * 2
    best = (-1, np.eye(2), np.zeros(2))
    for angle in _ROTATIONS:
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        apart = (references[None, :, :] - (stars @ turn)[:, None, :]).reshape(-1, 2)
        count, edge_x, edge_y = np.histogram2d(apart[:, 0], apart[:, 1], bins=n_bins, range=limits)
        together = count[:-1, :-1] + count[1:, :-1] + count[:-1, 1:] + count[1:, 1:]
        i, j = np.unravel_index(int(together.argmax()), together.shape)
        if together[i, j] > best[0]:
            best = (int(together[i, j]), turn, np.array([edge_x[i + 1], edge_y[j + 1]]))
    return best


def _pair(tree: cKDTree, points: npt.NDArray[np.float64], radius: float) -> tuple[_Index, _Index]:
    """Pair points with the nearest of the tree; each of the tree keeps its nearest point."""
    found = tree.query(points, distance_upper_bound=radius)
    distance = np.asarray(found[0], dtype=np.float64)
    nearest = np.asarray(found[1], dtype=np.intp)
    order = np.lexsort((distance, nearest))
    order = order[np.isfinite(distance[order])]
    first = np.unique(nearest[order], return_index=True)[1]
    kept = np.sort(order[first])
    return kept.astype(np.intp), nearest[kept]


def _follow(
    stars: npt.NDArray[np.float64], targets: npt.NDArray[np.float64], source: _Index, degree: int
) -> npt.NDArray[np.float64]:
    """Fit a polynomial from matched stars to their targets and apply it to all stars."""
    terms = powers(stars[:, 0], stars[:, 1], 0, degree)
    solution = np.linalg.lstsq(terms[source], targets, rcond=None)[0]
    return np.asarray(terms @ solution, dtype=np.float64)
