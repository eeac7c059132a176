"""Reading an exposure from a repository, a plane at a time and only when it is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import LenticularError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from lenticular.butler import Repository

__all__ = ["CATALOGUES", "ExposureSource", "MaskData", "SkyGrid", "Stars"]

CATALOGUES = {
    "preliminary_visit_image": "single_visit_star_unstandardized",
    "visit_image": "single_visit_star_unstandardized",
}
"""Dataset type of the stars measured on an exposure, by the exposure's own."""

_NODES = 17


@dataclass(frozen=True, slots=True)
class MaskData:
    """The mask of an exposure."""

    bits: NDArray[np.integer]
    """Mask values, shape (y, x)."""

    planes: Mapping[str, int]
    """Bit value of each plane, by name."""

    counts: Mapping[str, int]
    """Pixels in each plane."""


@dataclass(frozen=True, slots=True)
class SkyGrid:
    """Directions on a coarse grid, for a page to interpolate in."""

    x: NDArray[np.float64]
    """Pixel coordinates of the columns."""

    y: NDArray[np.float64]
    """Pixel coordinates of the rows."""

    vectors: NDArray[np.float64]
    """Unit vectors (ICRS), shape (rows, columns, 3). Vectors have neither a
    pole nor a seam at 0 h, so they interpolate where angles do not."""


@dataclass(frozen=True, slots=True)
class Stars:
    """Stars measured on an exposure."""

    x: NDArray[np.float64]
    """Pixel coordinates."""

    y: NDArray[np.float64]
    """Pixel coordinates."""

    magnitude: NDArray[np.float64]
    """AB magnitudes from the PSF flux; NaN where that is not positive."""


class ExposureSource:
    """An exposure in a repository.

    Each plane is fetched once, when it is first asked for, and kept.

    Parameters
    ----------
    repository
        The repository.
    dataset_type
        Dataset type of the exposure: an image, with or without a mask.
    data_id
        Its data ID.
    collections
        Collections to search.
    """

    def __init__(
        self,
        repository: Repository,
        dataset_type: str,
        data_id: Mapping[str, Any],
        collections: Sequence[str],
    ) -> None:
        self.dataset_type = dataset_type
        self.data_id = dict(data_id)
        self._repository = repository
        self._collections = list(collections)
        self._image: tuple[NDArray[np.float32], tuple[int, int], str] | None = None
        self._mask: MaskData | None = None

    def image(self) -> tuple[NDArray[np.float32], tuple[int, int], str]:
        """Return the image plane, the (x, y) of its first pixel, and its unit.

        Raises
        ------
        NotFoundError
            Raised if there is no such exposure.
        """
        if self._image is None:
            image = self._component("image")
            unit = "" if image.unit is None else f"{image.unit}"
            self._image = (
                np.asarray(image.array, np.float32),
                (int(image.bbox.x.start), int(image.bbox.y.start)),
                unit,
            )
        return self._image

    def mask(self) -> MaskData:
        """Return the mask.

        Raises
        ------
        NotFoundError
            Raised if there is no such exposure, or it has no mask.
        """
        if self._mask is None:
            mask = self._component("mask")
            planes = [plane for plane in mask.schema if plane is not None]
            # Every plane gets a bit of one word, however many bytes it takes.
            word = np.uint32 if len(planes) <= 32 else np.uint64  # noqa: PLR2004  bits
            bits = np.zeros(mask.bbox.shape, word)
            counts = {}
            for number, plane in enumerate(planes):
                where = mask.get(plane.name)
                bits |= np.where(where, word(1 << number), word(0))
                counts[plane.name] = int(np.count_nonzero(where))
            self._mask = MaskData(bits, {plane.name: 1 << i for i, plane in enumerate(planes)}, counts)
        return self._mask

    def sky_grid(self) -> SkyGrid | None:
        """Return directions on a grid, or `None` if the exposure has no projection."""
        try:
            projection = self._component("sky_projection")
        except NotFoundError:
            return None
        if projection is None:
            return None
        plane, (x0, y0), _ = self.image()
        x = np.linspace(x0 - 0.5, x0 + plane.shape[1] - 0.5, _NODES)
        y = np.linspace(y0 - 0.5, y0 + plane.shape[0] - 0.5, _NODES)
        grid_x, grid_y = np.meshgrid(x, y)
        sky = projection.pixel_to_sky(x=grid_x.ravel(), y=grid_y.ravel())
        vectors = np.stack([axis.value for axis in sky.cartesian.xyz], axis=-1)
        return SkyGrid(x, y, vectors.reshape(_NODES, _NODES, 3))

    def stars(self) -> Stars | None:
        """Return the stars measured on the exposure, or `None` if there is no catalogue."""
        name = CATALOGUES.get(self.dataset_type)
        try:
            table = None if name is None else self._get(name)
        except NotFoundError:
            return None
        if table is None or not {"x", "y"} <= set(table.colnames):
            return None
        flux = (
            np.asarray(table["psfFlux"], float)
            if "psfFlux" in table.colnames
            else np.full(len(table), np.nan)
        )
        magnitude = np.full(len(flux), np.nan)
        # AB magnitude of a flux in nJy.
        np.log10(flux, out=magnitude, where=flux > 0)
        return Stars(np.asarray(table["x"], float), np.asarray(table["y"], float), 31.4 - 2.5 * magnitude)

    def _component(self, name: str) -> Any:
        known = {info.name: info for info in self._repository.dataset_types(self.dataset_type)}
        info = known.get(self.dataset_type)
        if info is None:
            raise NotFoundError(
                f"There is no dataset type {self.dataset_type!r}", where=self._repository.name
            )
        if info.storage_class in ("ImageV2", "RawImage"):
            # An image is its own and only plane.
            if name == "image":
                return self._get(self.dataset_type)
            if name == "mask":
                raise NotFoundError("This image has no mask", where=self.dataset_type)
        return self._get(f"{self.dataset_type}.{name}")

    def _get(self, name: str) -> Any:
        from lsst.daf.butler import DatasetNotFoundError

        where = f"{name} at {self.data_id}"
        try:
            return self._repository.butler.get(name, self.data_id, collections=self._collections)
        except DatasetNotFoundError as error:
            hint = f"Searched {', '.join(self._collections)}."
            raise NotFoundError("There is no such dataset", where=where, hint=hint) from error
        except (FileNotFoundError, KeyError) as error:
            raise NotFoundError("The dataset's file, or this part of it, is missing", where=where) from error
        except LenticularError:
            raise
        except OSError as error:
            raise NotFoundError(f"The dataset cannot be read: {error}", where=where) from error
