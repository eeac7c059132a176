"""Questions and answers about FITS files."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from lenticular.platform.server.models.base import Answer
from lenticular.platform.server.models.graphs import FileQuestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Cards",
    "Fits",
    "Hdu",
    "HduQuestion",
    "Picture",
    "PictureQuestion",
    "Stretch",
]

type Card = tuple[str, str | int | float | bool | None, str]


class Hdu(Answer):
    """A header and data unit."""

    index: int
    """Its place in the file, from 0."""
    name: str
    """EXTNAME, or `PRIMARY`."""
    type: str
    """`image`, `table`, or `other`."""
    shape: tuple[int, ...]
    """Of an image pixels, slowest axis first; of a table rows; else empty."""
    bitpix: int | None
    """BITPIX of the pixels; null for a table."""
    compression: str | None
    """Algorithm by which tiles are compressed."""
    plane: str | None
    """`image`, `mask` or `variance`, if it is this plane of an exposure."""
    planes: dict[str, int]
    """Of a mask the value of each mask plane's bit, by name."""
    picture: bool
    """Whether a picture of it can be had."""


class Fits(Answer):
    """What is in a FITS file."""

    hdus: tuple[Hdu, ...]
    """In the order of the file."""


class HduQuestion(FileQuestion):
    """An HDU of a FITS file."""

    hdu: Annotated[int, Field(ge=0, le=10_000)]
    """Its place in the file, from 0."""


class Cards(Answer):
    """A header."""

    cards: tuple[Card, ...]
    """Keyword, value and comment of each card, in their order."""


class Stretch(StrEnum):
    """How values become grey levels."""

    LINEAR = "linear"
    SQRT = "sqrt"
    ASINH = "asinh"
    LOG = "log"


class PictureQuestion(HduQuestion):
    """How to draw an image."""

    stretch: Stretch = Stretch.LINEAR
    """Curve from the values between the limits to grey levels."""
    limits: Annotated[str, StringConstraints(pattern=r"^(zscale|100|[1-9][0-9]?(\.[0-9]{1,3})?)$")] = "zscale"
    """`zscale`, or how many percent of the values, the central ones, are within the limits."""
    size: Annotated[int, Field(ge=16, le=4096)] = 1024
    """Pixels of the picture along its longer side at most."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An answer that is a picture: PNG, its lowest row at the bottom."""

    etag: str
    """Tells whether the browser has it already."""

    draw: Callable[[], bytes]
    """Draws it, if it does not."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """What else the browser is told."""
