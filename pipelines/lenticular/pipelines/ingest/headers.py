"""The headers of a raw file, without its pixels."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from lenticular.butler.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lsst.resources import ResourcePath

__all__ = ["read_header", "read_headers"]

_IMAGES = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)


def read_header(uri: ResourcePath) -> fits.Header:
    """Read the header of the first image in a FITS file, joined with the primary header.

    Only header blocks are read: for a remote file a few kilobytes. The length
    of the file is compared with what the header announces, so that a copy that
    broke off is found here and not when somebody reads the pixels.

    Parameters
    ----------
    uri
        The file, local or remote.

    Returns
    -------
    astropy.io.fits.Header
        The image's cards, and those of the primary header that the image does
        not repeat. For a tile-compressed image, the cards of the image itself.

    Raises
    ------
    lenticular.butler.errors.IngestError
        If the file does not exist, is not FITS, holds no image, or is
        shorter than its header announces.
    """
    return _read(uri, None)[0]


def read_headers(uri: ResourcePath, card: str) -> list[fits.Header]:
    """Read the header of each image that carries a given card.

    Parameters
    ----------
    uri
        The file, local or remote.
    card
        Keyword that tells the detectors of a file apart, as ``CCDNUM``.

    Returns
    -------
    list of astropy.io.fits.Header
        As from `read_header`, in the order of the file.

    Raises
    ------
    lenticular.butler.errors.IngestError
        As from `read_header`.
    """
    return _read(uri, card)


def _read(uri: ResourcePath, card: str | None) -> list[fits.Header]:
    length = _length(uri)
    try:
        with uri.open("rb") as stream, warnings.catch_warnings():
            # astropy warns of a truncated file and of cards that it mends: the
            # first is found below and raised, the second is nobody's fault.
            warnings.simplefilter("ignore", AstropyWarning)
            with fits.open(stream, lazy_load_hdus=True, memmap=False) as hdus:
                found = list(_images(hdus, card))
    except (OSError, ValueError, TypeError, KeyError, EOFError, fits.VerifyError) as error:
        raise IngestError(
            "The file is not readable as FITS", where=uri, hint="Copy it again, or leave it out."
        ) from error
    if not found:
        raise IngestError("The file holds no image", where=uri, hint="Give files with raw exposures.")
    end = max(end for _, end in found)
    if length < end:
        message = f"The file is truncated: it has {length} bytes of {end}"
        raise IngestError(message, where=uri, hint="Copy it again from where it came.")
    return [header for header, _ in found]


def _length(uri: ResourcePath) -> int:
    """Return the length of a file in bytes; that tells a missing file from a broken one."""
    try:
        if uri.isdir():
            raise IngestError("This is a folder", where=uri, hint="Give the files in it.")
        return uri.size()
    except FileNotFoundError:
        raise IngestError("The file does not exist", where=uri, hint="Check the path.") from None
    except OSError as error:
        message = f"The file cannot be read: {error}"
        raise IngestError(message, where=uri, hint="Check its permissions and the connection.") from error


def _images(hdus: fits.HDUList, card: str | None) -> Iterator[tuple[fits.Header, int]]:
    """Yield the joined header of each image, and the byte at which its data end."""
    index = 0
    while True:
        try:
            hdu = hdus[index]
        except IndexError:
            return
        is_image = isinstance(hdu, _IMAGES) and hdu.header.get("NAXIS", 0) > 0
        if is_image and (card is None or card in hdu.header):
            place = hdu.fileinfo()
            header = hdu.header.copy()
            if index:
                header.extend(hdus[0].header, strip=True, unique=True)
            yield header, int(place["datLoc"] + place["datSpan"])
            if card is None:
                return
        index += 1
