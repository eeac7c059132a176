"""How a cerro raw is read."""

from __future__ import annotations

from typing import ClassVar

from lenticular.pipelines.ingest.formatter import RawFormatter

__all__ = ["CerroRawFormatter"]


class CerroRawFormatter(RawFormatter):
    """Raws of cerro: one detector per file, tile-compressed in the first extension."""

    default_extension: ClassVar[str] = ".fits.fz"
