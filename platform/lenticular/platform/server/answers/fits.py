"""FITS files: what is in them, their headers, and pictures of their images."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import DataError, LenticularError, NotFoundError
from lenticular.butler.redact import redact
from lenticular.platform.server.models.files import (
    Cards,
    Fits,
    Hdu,
    HduQuestion,
    Picture,
    PictureQuestion,
)
from lenticular.platform.server.models.graphs import FileQuestion
from lenticular.platform.server.work import AbandonedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lenticular.platform.server.access import Access

__all__ = ["MOST_PIXELS", "describe_fits", "draw_picture", "list_cards"]

MOST_PIXELS = 2**28
"""Most pixels of an image that is drawn: more take long, and a header may promise anything."""

_IMAGE_AXES = 2
_PLANES = {"IMAGE": "image", "SCI": "image", "MASK": "mask", "VARIANCE": "variance"}
_MASK_NAME = re.compile(r"MSKN(\d+)")
_MASK_PLANE = re.compile(r"MP_(\w+)")


def describe_fits(access: Access, question: FileQuestion) -> Fits:
    """List the HDUs of a FITS file; no pixel is read."""
    with _opened(access.files.file(question.path), question.path) as hdus:
        return Fits(hdus=tuple(_describe(index, hdu) for index, hdu in enumerate(hdus)))


def list_cards(access: Access, question: HduQuestion) -> Cards:
    """Give the header of an HDU, card by card."""
    with _opened(access.files.file(question.path), question.path) as hdus:
        header = _hdu(hdus, question).header
        return Cards(cards=tuple(_card(card) for card in header.cards))


def draw_picture(access: Access, question: PictureQuestion) -> Picture:
    """Draw an image as PNG, the array's first row at the bottom, in as many pixels as asked.

    Pixels are averaged; those without a value are transparent. The header
    ``X-Lenticular-Scale`` tells how many pixels are one of the picture's.
    """
    from lenticular.platform.server.answers.picture import scale_of

    file = access.files.file(question.path)
    state = file.stat()
    key = (str(file), state.st_mtime_ns, state.st_size, question.model_dump_json())
    with _opened(file, question.path) as hdus:
        found = _describe(question.hdu, _hdu(hdus, question))
    if not found.picture:
        raise DataError(
            "There is no picture of this HDU",
            where=f"{question.path}[{question.hdu}]",
            hint="It must be an image of two dimensions, with pixels in it, and of at most "
            f"{MOST_PIXELS:,} of them.",
        )

    def draw() -> bytes:
        from lenticular.platform.server.answers.picture import draw_image

        with _opened(file, question.path) as hdus:
            return draw_image(_hdu(hdus, question), question, is_mask=found.plane == "mask")

    scale = scale_of((found.shape[0], found.shape[1]), question.size)
    return Picture(
        etag=hashlib.sha256(repr(key).encode()).hexdigest()[:32],
        draw=draw,
        headers={"X-Lenticular-Scale": str(scale)},
    )


@contextmanager
def _opened(file: Path, shown: str) -> Iterator[Any]:
    """Open a FITS file; what is wrong with it is told as ours.

    A file may be damaged in any way, so that astropy may raise nearly anything.
    """
    from astropy.io import fits

    try:
        # Opened here: astropy would leave a file open that it cannot read. Not mapped into memory,
        # which it refuses for scaled integers; sections are read from the file all the same.
        with file.open("rb") as stream, fits.open(stream, memmap=False) as hdus:
            yield hdus
    except (LenticularError, AbandonedError):
        raise
    except Exception as error:
        raise DataError(
            "The file is not a FITS file that can be read",
            where=shown,
            hint="It may be damaged or incomplete.",
        ) from error


def _hdu(hdus: Any, question: HduQuestion) -> Any:
    if question.hdu >= len(hdus):
        raise NotFoundError(
            f"The file has no HDU {question.hdu}", where=question.path, hint=f"It has {len(hdus)}, from 0."
        )
    return hdus[question.hdu]


def _describe(index: int, hdu: Any) -> Hdu:
    from astropy.io import fits

    header = hdu.header
    is_table = isinstance(hdu, fits.BinTableHDU | fits.TableHDU)
    shape: tuple[int, ...] = ()
    if is_table:
        shape = (int(header.get("NAXIS2", 0)),)
    elif isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU):
        shape = tuple(int(size) for size in hdu.shape)
    is_image = not is_table and bool(shape)
    name = str(hdu.name) or ("PRIMARY" if index == 0 else "")
    return Hdu(
        index=index,
        name=name,
        type="table" if is_table else "image" if is_image else "other",
        shape=shape,
        bitpix=int(header["BITPIX"]) if is_image and "BITPIX" in header else None,
        compression=str(hdu.compression_type) if isinstance(hdu, fits.CompImageHDU) else None,
        plane=_PLANES.get(name) if is_image else None,
        planes=_mask_planes(header) if is_image else {},
        picture=len(shape) == _IMAGE_AXES and 0 < shape[0] * shape[1] <= MOST_PIXELS,
    )


def _mask_planes(header: Any) -> dict[str, int]:
    """Return the mask planes that a header names, as lsst.images or as lsst.afw writes them."""
    planes: dict[str, int] = {}
    for keyword in header:
        if match := _MASK_NAME.fullmatch(keyword):
            planes[str(header[keyword])] = int(header.get(f"MSKM{match[1]}", 0))
        elif match := _MASK_PLANE.fullmatch(keyword):
            planes[match[1]] = 1 << int(header[keyword])
    return planes


def _card(card: Any) -> tuple[str, str | int | float | bool | None, str]:
    from astropy.io import fits

    try:
        value = card.value
        comment = str(card.comment)
    except (fits.VerifyError, ValueError):
        value, comment = str(card.image)[10:].strip(), ""
    if isinstance(value, fits.card.Undefined):
        value = None
    elif not isinstance(value, bool | int | float | None):
        value = redact(value)
    return str(card.keyword), value, redact(comment)
