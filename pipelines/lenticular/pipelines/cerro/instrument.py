"""The camera of the simulated survey as the middleware knows instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, override

from lenticular.pipelines.cerro.camera import (
    CAMERA_NAME,
    DETECTOR_COUNT,
    PHYSICAL_FILTERS,
    cerro_camera,
)
from lenticular.pipelines.cerro.formatter import CerroRawFormatter
from lenticular.pipelines.cerro.translator import CerroTranslator
from lenticular.pipelines.ingest.instruments import DetectorName, RegisteredInstrument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lsst.daf.butler import DataId

__all__ = ["CerroCam"]

RAFT = "R00"
"""The one group of detectors that the camera has."""


class CerroCam(RegisteredInstrument):
    """The instrument of the survey cerro: all the detectors there are, used or not."""

    translator: ClassVar[type[CerroTranslator]] = CerroTranslator
    """Translator of its headers; importing this module registers it."""

    filters: ClassVar[Mapping[str, str | None]] = {name: band for band, name in PHYSICAL_FILTERS.items()}
    detector_max = DETECTOR_COUNT

    @classmethod
    @override
    def getName(cls) -> str:
        """Return the name in data IDs."""
        return CAMERA_NAME

    @override
    def detectors(self) -> Iterable[DetectorName]:
        """Return the detectors of the camera."""
        return [
            DetectorName(id=detector.id, raft=RAFT, name_in_raft=detector.name, full_name=detector.name)
            for detector in cerro_camera().detectors
        ]

    @override
    def getRawFormatter(self, dataId: DataId) -> type[CerroRawFormatter]:
        """Return the formatter of raw files."""
        return CerroRawFormatter
