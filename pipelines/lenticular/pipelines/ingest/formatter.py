"""Raw FITS files as images, read from wherever they are without a temporary file."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from lsst.daf.butler import FormatterV2

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from typing import BinaryIO

    from lsst.images import Box, Image
    from lsst.resources import ResourceHandleProtocol

__all__ = ["RawFormatter"]

type _ImageHDU = fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU

_IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)

# Cards that tell how the file is laid out, which an image in memory is not.
_LAYOUT = frozenset(
    {"SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "PCOUNT", "GCOUNT"}
)
_DROPPED = _LAYOUT | {"", "COMMENT", "HISTORY", "BSCALE", "BZERO", "CHECKSUM", "DATASUM"}


class RawFormatter(FormatterV2):
    """Reads the storage class ``RawImage`` from the FITS file that a camera wrote.

    The components ``bbox`` and ``metadata`` read the header alone. The
    parameter ``bbox`` reads, of a compressed image, the tiles that it touches.
    """

    default_extension: ClassVar[str] = ".fits"
    supported_extensions: ClassVar[AbstractSet[str]] = frozenset({".fits", ".fits.fz", ".fz", ".fits.gz"})
    can_read_from_stream: ClassVar[bool] = True

    detector_card: ClassVar[str | None] = None
    """Header card by which to find the detector in a file that holds several."""

    def read_from_stream(
        self,
        stream: BinaryIO | ResourceHandleProtocol[bytes],
        component: str | None = None,
        expected_size: int = -1,  # noqa: ARG002 - upstream's signature
    ) -> Image | Box | dict[str, Any]:
        """Read the image, a part of it, or a component.

        Parameters
        ----------
        stream
            The file, open for reading bytes; on an object store each read is
            a request for a range.
        component
            ``bbox``, ``metadata`` or none.
        expected_size
            Not used.

        Returns
        -------
        lsst.images.Image
            Pixels as the file has them (for cerro: uint16), in adu unless the
            header says otherwise, the header's cards as metadata. With a
            component: a `lsst.images.Box`, or a dictionary of cards.

        Raises
        ------
        lenticular.butler.errors.DataError
            If the file holds no image for the detector, or the box is not
            within it.
        """
        box = (self.file_descriptor.parameters or {}).get("bbox")
        if component is None and box is None and self.detector_card is None:
            # All of it is wanted: one request instead of one per block.
            stream = io.BytesIO(stream.read())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(stream, lazy_load_hdus=True, memmap=False) as hdus:
                hdu = self._find(hdus)
                cards = _cards(hdus[0].header) | _cards(hdu.header)
                whole = _whole(hdu.header)
                if component == "bbox":
                    return whole
                if component == "metadata":
                    return cards
                if component is not None:
                    message = f"A raw image has no component {component!r}"
                    raise DataError(message, where=self.file_descriptor.location.uri)
                return self._image(hdu, cards, whole, whole if box is None else box)

    def _find(self, hdus: fits.HDUList) -> _ImageHDU:
        """Return the image of this dataset's detector."""
        detector = self.data_id["detector"] if self.detector_card else None
        index = 0
        while True:
            try:
                hdu = hdus[index]
            except IndexError:
                raise DataError(
                    "The file holds no image for this dataset",
                    where=self.file_descriptor.location.uri,
                    hint=f"Its data ID is {self.data_id}.",
                ) from None
            wanted = detector is None or hdu.header.get(self.detector_card) == detector
            if isinstance(hdu, _IMAGES) and hdu.header.get("NAXIS", 0) > 0 and wanted:
                return hdu
            index += 1

    def _image(self, hdu: _ImageHDU, cards: dict[str, Any], whole: Box, box: Box) -> Image:
        """Return the pixels within a box."""
        from lsst.images import Image

        if not whole.contains(box):
            raise DataError(
                f"The box {box} is not within the raw image, which is {whole}",
                where=self.file_descriptor.location.uri,
                hint="Raw pixels are counted from (0, 0), prescan and overscan included.",
            )
        pixels = hdu.data if box == whole else hdu.section[box.y.start : box.y.stop, box.x.start : box.x.stop]
        # FITS is big endian; everything after this is quicker in native order.
        array = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
        return Image(array, bbox=box, unit=_unit(cards), metadata=cards)


def _whole(header: fits.Header) -> Box:
    from lsst.images import Box

    return Box.factory[0 : header["NAXIS2"], 0 : header["NAXIS1"]]


def _cards(header: fits.Header) -> dict[str, Any]:
    """Return the cards about the observation with a plain value; of a repeated one, the last."""
    return {
        card.keyword: card.value
        for card in header.cards
        if card.keyword not in _DROPPED and isinstance(card.value, bool | int | float | str)
    }


def _unit(cards: dict[str, Any]) -> u.UnitBase:
    """Return the unit of the pixels; counts unless a readable BUNIT says otherwise."""
    try:
        return u.Unit(cards.get("BUNIT", "adu"))
    except (TypeError, ValueError):
        return u.adu
