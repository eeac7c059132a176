"""A sky map of one tract: the pixel grid that coadds are made on.

A tract is a tangent plane (gnomonic) projection about the centre of a field.
It is divided into n x n patches that overlap by a border, and each patch into
square cells, the units in which coadds are built. The cells of neighbouring
patches coincide.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Self

from astropy.wcs import WCS
from lsst.images import YX, Box, SkyProjection, TractFrame
from lsst.images.cells import CellGrid, PatchDefinition
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lenticular.butler.errors import NotFoundError
from lenticular.pipelines.ingest.regions import polygon

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lsst.daf.butler import Butler, DatasetRef
    from lsst.sphgeom import ConvexPolygon

__all__ = ["DATASET_TYPE", "RUN", "DiscreteSkyMap", "register_skymap"]

DATASET_TYPE = "skyMap"
"""Dataset type under which a sky map is stored."""

RUN = "skymaps"
"""RUN collection that holds sky maps."""

TRACT = 0
"""The one tract there is."""


class DiscreteSkyMap(BaseModel):
    """One tract of ``n_patches`` x ``n_patches`` patches about a point on the sky."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, description="Name, as in a data ID.")
    ra: float = Field(ge=0, lt=360, description="Right ascension of the centre [deg].")
    dec: float = Field(ge=-90, le=90, description="Declination of the centre [deg].")
    pixel_scale: float = Field(default=0.2, gt=0, description="Scale at the centre [arcsec/pixel].")
    n_patches: int = Field(default=2, ge=1, description="Patches along each side of the tract.")
    patch_size: int = Field(
        default=1000, gt=0, description="Side of a patch's own part, without border [pixel]."
    )
    border: int = Field(default=100, ge=0, description="How far a patch reaches beyond its own part [pixel].")
    cell_size: int = Field(default=100, gt=0, description="Side of a cell [pixel].")

    @model_validator(mode="after")
    def _check_cells(self) -> Self:
        if self.patch_size % self.cell_size or self.border % self.cell_size:
            message = f"Patches of {self.patch_size} and borders of {self.border} pixels are not whole cells"
            raise ValueError(message)
        return self

    @classmethod
    def covering(
        cls,
        name: str,
        *,
        ra: float,
        dec: float,
        radius: float,
        pixel_scale: float = 0.2,
        n_patches: int = 2,
        cell_size: int = 100,
    ) -> DiscreteSkyMap:
        """Return the smallest map about a point that covers a square field.

        Parameters
        ----------
        name
            Name of the sky map.
        ra, dec
            Centre of the field [deg].
        radius
            Half the side of the field [deg].
        pixel_scale
            Scale at the centre [arcsec/pixel].
        n_patches
            Patches along each side.
        cell_size
            Side of a cell [pixel]; also the border of the patches.
        """
        # A tangent plane stretches distances from its centre by the tangent.
        half = math.degrees(math.tan(math.radians(radius))) * 3600 / pixel_scale
        cells = max(1, math.ceil(2 * half / n_patches / cell_size))
        return cls(
            name=name,
            ra=ra % 360,
            dec=dec,
            pixel_scale=pixel_scale,
            n_patches=n_patches,
            patch_size=cells * cell_size,
            border=cell_size,
            cell_size=cell_size,
        )

    @property
    def sha1(self) -> bytes:
        """Digest of all parameters: 20 bytes, the same for equal maps on any machine."""
        text = self.model_dump_json()
        return hashlib.sha1(text.encode(), usedforsecurity=False).digest()

    @property
    def bbox(self) -> Box:
        """All pixels of the tract, borders included."""
        side = self.n_patches * self.patch_size + 2 * self.border
        return Box.factory[0:side, 0:side]

    def wcs(self) -> WCS:
        """Return the world coordinate system of the tract."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        wcs.wcs.crval = [self.ra, self.dec]
        step = self.pixel_scale / 3600
        wcs.wcs.cdelt = [-step, step]
        wcs.wcs.crpix = [self.bbox.x.size / 2 + 0.5, self.bbox.y.size / 2 + 0.5]
        wcs.wcs.radesys = "ICRS"
        wcs.wcs.set()
        return wcs

    def projection(self) -> SkyProjection[TractFrame]:
        """Return the projection of the tract as coadds carry it."""
        frame = TractFrame(skymap=self.name, tract=TRACT, bbox=self.bbox)
        return SkyProjection.from_fits_wcs(self.wcs(), frame)

    def patch(self, patch: int) -> PatchDefinition:
        """Return the pixels and cells of a patch.

        Parameters
        ----------
        patch
            Patch ID: counted row by row from the south-east corner.

        Raises
        ------
        lenticular.butler.errors.NotFoundError
            If there is no such patch.
        """
        if not 0 <= patch < self.n_patches**2:
            raise NotFoundError(
                f"There is no patch {patch}",
                where=f"sky map {self.name}",
                hint=f"Its patches are 0 to {self.n_patches**2 - 1}.",
            )
        row, column = divmod(patch, self.n_patches)
        y, x = self.border + row * self.patch_size, self.border + column * self.patch_size
        inner = Box.factory[y : y + self.patch_size, x : x + self.patch_size]
        outer = Box.factory[
            inner.y.start - self.border : inner.y.stop + self.border,
            inner.x.start - self.border : inner.x.stop + self.border,
        ]
        cells = CellGrid(bbox=outer, cell_shape=YX(y=self.cell_size, x=self.cell_size))
        return PatchDefinition(id=patch, index=YX(y=row, x=column), inner_bbox=inner, cells=cells)

    def patches(self) -> Iterator[PatchDefinition]:
        """Yield all patches, in order of their IDs."""
        return (self.patch(patch) for patch in range(self.n_patches**2))

    def region(self, bbox: Box | None = None) -> ConvexPolygon:
        """Return the region of the tract, or of a box within it.

        Straight lines in a tangent plane are great circles, so that the
        polygon of the corners is exact.
        """
        box = self.bbox if bbox is None else bbox
        x0, x1 = box.x.start - 0.5, box.x.stop - 0.5
        y0, y1 = box.y.start - 0.5, box.y.stop - 0.5
        return polygon(*self.wcs().all_pix2world([x0, x1, x1, x0], [y0, y0, y1, y1], 0))

    def covers(self, regions: Iterable[ConvexPolygon]) -> bool:
        """Tell whether all regions lie within the tract."""
        tract = self.region()
        return all(tract.contains(region) for region in regions)

    def _repr_html_(self) -> str:
        return (
            f"<p><b>{self.name}</b>: {self.n_patches} × {self.n_patches} patches of {self.patch_size} pixels "
            f"(border {self.border}, cells {self.cell_size}), {self.pixel_scale}″ per pixel, "
            f"centre {self.ra:.4f}°, {self.dec:+.4f}°</p>"
        )


def register_skymap(butler: Butler, skymap: DiscreteSkyMap) -> DatasetRef:
    """Insert the records of a sky map, and store it, unless that is done already.

    Parameters
    ----------
    butler
        The repository, open for writing.
    skymap
        The sky map.

    Returns
    -------
    lsst.daf.butler.DatasetRef
        The dataset ``skyMap`` in the run ``skymaps``.

    Raises
    ------
    lsst.daf.butler.registry.ConflictingDefinitionError
        If another sky map of the same name is registered.
    """
    from lsst.daf.butler import DatasetType

    registry = butler.registry
    dataset_type = DatasetType(DATASET_TYPE, ("skymap",), "DiscreteSkyMap", universe=butler.dimensions)
    registry.registerDatasetType(dataset_type)
    butler.collections.register(RUN)
    with butler.transaction():
        registry.syncDimensionData(
            "skymap",
            {
                "name": skymap.name,
                "hash": skymap.sha1,
                "tract_max": TRACT + 1,
                "patch_nx_max": skymap.n_patches,
                "patch_ny_max": skymap.n_patches,
            },
        )
        registry.syncDimensionData("tract", {"skymap": skymap.name, "id": TRACT, "region": skymap.region()})
        for patch in skymap.patches():
            registry.syncDimensionData(
                "patch",
                {
                    "skymap": skymap.name,
                    "tract": TRACT,
                    "id": patch.id,
                    "cell_x": patch.index.x,
                    "cell_y": patch.index.y,
                    "region": skymap.region(patch.outer_bbox),
                },
            )
        stored = butler.find_dataset(dataset_type, skymap=skymap.name, collections=RUN)
        return stored if stored is not None else butler.put(skymap, dataset_type, skymap=skymap.name, run=RUN)
