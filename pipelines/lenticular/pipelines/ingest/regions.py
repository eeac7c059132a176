"""Where on the sky each detector of an exposure looked.

Regions decide which references, patches and other visits a detector is joined
with, so each is made a little larger than the detector: enough for the error
of the pointing, and for what distortion does to a straight edge.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Protocol

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, WcsError
from lsst.sphgeom import ConvexPolygon, LonLat, UnitVector3d

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lsst.daf.butler import Butler, DimensionRecord
    from lsst.images import Box
    from numpy.typing import ArrayLike

    from lenticular.pipelines.camera import CameraModel, DetectorModel

__all__ = ["DEFAULT_PADDING", "CameraRegions", "HeaderRegions", "RegionSource", "polygon"]

DEFAULT_PADDING = 20.0
"""By how much a region is larger than the detector, on each side [arcsec]."""

_WIDEST = 10.0
"""No detector sees more of the sky than this [deg]."""

_DISTORTED = 1.5
"""No detector is larger or smaller than its pixel scale tells by more than this factor."""

_BATCH = 1000
"""How many exposures one query asks for."""

_CORNERS_X = np.array([0.0, 1.0, 1.0, 0.0])
_CORNERS_Y = np.array([0.0, 0.0, 1.0, 1.0])


class RegionSource(Protocol):
    """Knows the region of each detector of an exposure."""

    def detectors(self, exposures: Sequence[DimensionRecord]) -> Mapping[int, frozenset[int]]:
        """Return the IDs of the detectors of each exposure, by exposure ID.

        That is cheap where the regions are not: it tells which exposures
        need to be looked at. An exposure without detectors may be left out.
        """

    def __call__(self, exposure: DimensionRecord) -> Mapping[int, ConvexPolygon]:
        """Return the region of each detector that is known for this exposure.

        Raises
        ------
        lenticular.butler.errors.DataError
            If the exposure has no usable pointing.
        """


def polygon(ra: ArrayLike, dec: ArrayLike) -> ConvexPolygon:
    """Return the convex polygon around points on the sky.

    Parameters
    ----------
    ra, dec
        Coordinates of three points or more [deg].
    """
    pairs = zip(np.ravel(np.asarray(ra, dtype=float)), np.ravel(np.asarray(dec, dtype=float)), strict=True)
    return ConvexPolygon([UnitVector3d(LonLat.fromDegrees(float(lon), float(lat))) for lon, lat in pairs])


@dataclass(frozen=True, slots=True)
class CameraRegions:
    """Regions from the geometry of a camera and the pointing of the exposure record.

    A tangent plane projection about the tracking position (Calabretta &
    Greisen 2002, A&A 395, 1077, section 5.1.3), turned by ``sky_angle``.
    Costs no access to the raw files.
    """

    camera: CameraModel
    """The camera that took the exposures."""

    padding: float = DEFAULT_PADDING
    """Margin on each side [arcsec]."""

    def detectors(self, exposures: Sequence[DimensionRecord]) -> Mapping[int, frozenset[int]]:
        """Return the IDs of the detectors of the camera, by exposure ID."""
        of_camera = frozenset(detector.id for detector in self.camera.detectors)
        return {int(exposure.id): of_camera for exposure in exposures}

    def __call__(self, exposure: DimensionRecord) -> Mapping[int, ConvexPolygon]:
        """Return the region of each detector of the camera."""
        if exposure.tracking_ra is None or exposure.tracking_dec is None:
            raise DataError(
                "The exposure has no pointing",
                where=f"exposure {exposure.id}",
                hint="Give the header its RATEL and DECTEL cards, or leave the exposure out.",
            )
        return {detector.id: self._region(exposure, detector) for detector in self.camera.detectors}

    def _region(self, exposure: DimensionRecord, detector: DetectorModel) -> ConvexPolygon:
        pad = self.padding / self.camera.pixel_scale
        x0, y0 = detector.boresight_pixel()
        x = -0.5 - pad + _CORNERS_X * (detector.n_x + 2 * pad) - x0
        y = -0.5 - pad + _CORNERS_Y * (detector.n_y + 2 * pad) - y0
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [exposure.tracking_ra, exposure.tracking_dec]
        wcs.wcs.crpix = [1.0, 1.0]  # FITS counts from one
        angle = math.radians(exposure.sky_angle or 0.0)
        step = self.camera.pixel_scale / 3600
        wcs.wcs.cd = step * np.array(
            [[-math.cos(angle), math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        return polygon(*wcs.all_pix2world(x, y, 0))


@dataclass(frozen=True, slots=True)
class HeaderRegions:
    """Regions from the world coordinate systems in the headers of the ingested raws.

    Reads the header of each detector of the exposure, and no pixels.
    """

    butler: Butler
    """Repository that holds the raws."""

    collections: Sequence[str] | str
    """Where to look for them."""

    dataset_type: str = "raw"
    """Their dataset type."""

    padding: float = DEFAULT_PADDING
    """Margin on each side [arcsec]."""

    def detectors(self, exposures: Sequence[DimensionRecord]) -> Mapping[int, frozenset[int]]:
        """Return the IDs of the detectors with a raw, by exposure ID; no file is read."""
        found: dict[int, set[int]] = {}
        for batch in batched(exposures, _BATCH, strict=False):
            refs = self.butler.query_datasets(
                self.dataset_type,
                collections=self.collections,
                where="exposure IN (ids)",
                bind={"ids": [int(exposure.id) for exposure in batch]},
                instrument=str(batch[0].instrument),
                explain=False,
                limit=None,
            )
            for ref in refs:
                found.setdefault(int(ref.dataId["exposure"]), set()).add(int(ref.dataId["detector"]))
        return {exposure: frozenset(detectors) for exposure, detectors in found.items()}

    def __call__(self, exposure: DimensionRecord) -> Mapping[int, ConvexPolygon]:
        """Return the region of each detector with a raw."""
        refs = self.butler.query_datasets(
            self.dataset_type,
            collections=self.collections,
            data_id=exposure.dataId,
            explain=False,
            limit=None,
        )
        regions = {}
        for ref in sorted(refs, key=lambda ref: int(ref.dataId["detector"])):
            cards = self.butler.get(ref.makeComponentRef("metadata"))
            box = self.butler.get(ref.makeComponentRef("bbox"))
            detector = int(ref.dataId["detector"])
            where = f"exposure {exposure.id}, detector {detector}"
            regions[detector] = _header_region(cards, box, self.padding, where)
        if not regions:
            raise DataError(
                "The exposure has no raw to tell where it looked",
                where=f"exposure {exposure.id}",
                hint="Ingest its raws first, or give the collection that holds them.",
            )
        return regions


def _header_region(cards: Mapping[str, object], box: Box, padding: float, where: str) -> ConvexPolygon:
    """Return the region of an image from its header and size."""
    with warnings.catch_warnings():
        # Headers of real cameras are full of what the standard deprecates.
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            wcs = _celestial(cards)
            scale = math.sqrt(wcs.proj_plane_pixel_area().to_value("arcsec2"))
            pad = padding / scale
            x = -0.5 - pad + _CORNERS_X * (box.x.size + 2 * pad)
            y = -0.5 - pad + _CORNERS_Y * (box.y.size + 2 * pad)
            ra, dec = wcs.all_pix2world(x, y, 0)
        except (ValueError, KeyError, TypeError, WcsError) as error:
            message = f"The header holds no usable world coordinate system: {error}"
            raise DataError(message, where=where, hint="Give regions from a camera model instead.") from error
    # The image's diagonal on the sky, as it would be without any distortion.
    diagonal = math.hypot(box.x.size + 2 * pad, box.y.size + 2 * pad) * scale / 3600
    if np.all(np.isfinite([ra, dec])) and diagonal < _WIDEST:
        region = polygon(ra, dec)
        found = 2 * region.getBoundingCircle().getOpeningAngle().asDegrees()
        if 1 / _DISTORTED < found / diagonal < _DISTORTED:
            return region
    raise DataError(
        "The header's world coordinate system makes no sense over the image",
        where=where,
        hint="Give regions from a camera model instead.",
    )


def _celestial(cards: Mapping[str, object]) -> WCS:
    wcs = WCS(fits.Header(dict(cards))).celestial
    if not wcs.has_celestial:
        message = "there is no celestial axis"
        raise ValueError(message)
    return wcs
