"""Instruments without a package of their own: names, detectors, filters, raw format.

The observatories' packages for DECam and Hyper Suprime-Cam need a C++ stack
that pip cannot install. What a registry has to know about the two cameras is
little, and is here, under the instruments' own names and numbers, so that
exposures and visits agree with those of a full installation.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, override

from astro_metadata_translator.translators import DecamTranslator, HscTranslator
from lsst.pipe.base import Instrument

from lenticular.pipelines.ingest.formatter import RawFormatter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lsst.daf.butler import DataId
    from lsst.daf.butler.registry import Registry

__all__ = ["DECam", "DetectorName", "HyperSuprimeCam", "RegisteredInstrument"]

ONE_TO_ONE = 0
"""Visit system in which each exposure is a visit."""


@dataclass(frozen=True, slots=True)
class DetectorName:
    """What a detector record holds."""

    id: int
    """Detector ID."""

    raft: str
    """Group of detectors it belongs to."""

    name_in_raft: str
    """Name within the group."""

    full_name: str
    """Name within the camera."""

    purpose: str = "SCIENCE"
    """What it is for."""


class RegisteredInstrument(Instrument):
    """An instrument whose registration is a matter of a few tables.

    Subclasses give the tables; `register` writes them, atomically, and a
    second time changes nothing.
    """

    raw_definition = ("raw", ("instrument", "exposure", "detector"), "RawImage")

    filters: ClassVar[Mapping[str, str | None]]
    """Band of each physical filter; none where a filter belongs to no band."""

    detector_max: ClassVar[int]
    """One more than the greatest detector ID."""

    exposure_max: ClassVar[int] = 2**31
    """One more than the greatest exposure ID, and the greatest visit ID."""

    detector_card: ClassVar[str | None] = None
    """Header card with the detector ID, if a raw file may hold several detectors."""

    @abstractmethod
    def detectors(self) -> Iterable[DetectorName]:
        """Return the detectors, in order of their IDs."""

    @override
    def register(self, registry: Registry, *, update: bool = False) -> None:
        """Insert the records of instrument, detectors, filters and visit system.

        Parameters
        ----------
        registry
            Registry to write to.
        update
            Replace records that differ, instead of refusing.

        Raises
        ------
        lsst.daf.butler.registry.ConflictingDefinitionError
            If a record exists and differs, and ``update`` is false.
        """
        name = self.getName()
        rows: list[tuple[str, dict[str, object]]] = [
            (
                "instrument",
                {
                    "name": name,
                    "detector_max": self.detector_max,
                    "visit_max": self.exposure_max,
                    "exposure_max": self.exposure_max,
                    "visit_system": ONE_TO_ONE,
                    "class_name": f"{type(self).__module__}.{type(self).__qualname__}",
                },
            ),
            ("visit_system", {"instrument": name, "id": ONE_TO_ONE, "name": "one-to-one"}),
        ]
        rows += [
            (
                "detector",
                {
                    "instrument": name,
                    "id": detector.id,
                    "full_name": detector.full_name,
                    "name_in_raft": detector.name_in_raft,
                    "raft": detector.raft,
                    "purpose": detector.purpose,
                },
            )
            for detector in self.detectors()
        ]
        rows += [
            ("physical_filter", {"instrument": name, "name": physical_filter, "band": band})
            for physical_filter, band in self.filters.items()
        ]
        with registry.transaction():
            for element, row in rows:
                registry.syncDimensionData(element, row, update=update)

    @override
    def getRawFormatter(self, dataId: DataId) -> type[RawFormatter]:
        """Return the formatter of raw files."""
        return RawFormatter


class DecamRawFormatter(RawFormatter):
    """Raws of DECam: a file holds the whole focal plane, one image per detector."""

    detector_card = "CCDNUM"


class DECam(RegisteredInstrument):
    """The Dark Energy Camera at the Blanco telescope."""

    # Names: NOIRLab, DECam filter information; as in the FILTER card.
    filters: ClassVar[Mapping[str, str | None]] = {
        "u DECam c0006 3500.0 1000.0": "u",
        "g DECam SDSS c0001 4720.0 1520.0": "g",
        "r DECam SDSS c0002 6415.0 1480.0": "r",
        "i DECam SDSS c0003 7835.0 1470.0": "i",
        "z DECam SDSS c0004 9260.0 1520.0": "z",
        "Y DECam c0005 10095.0 1130.0": "y",
        "VR DECam c0007 6300.0 2600.0": "VR",
        "N662 DECam c0009 6620.0 172.0": "N662",
        "N964 DECam c0008 9645.0 94.0": "N964",
        "solid plate 0.0 0.0": "opaque",
    }
    detector_max = 64
    exposure_max = 2**26
    detector_card = "CCDNUM"

    @classmethod
    @override
    def getName(cls) -> str:
        """Return the name in data IDs."""
        return "DECam"

    @override
    def detectors(self) -> Iterable[DetectorName]:
        """Return the science detectors that still work, by the number in the header."""
        return [
            DetectorName(id=number, raft=name[0], name_in_raft=name[1:], full_name=name)
            for number, name in sorted(DecamTranslator.detector_names.items())
        ]

    @override
    def getRawFormatter(self, dataId: DataId) -> type[RawFormatter]:
        """Return the formatter of raw files."""
        return DecamRawFormatter


class HyperSuprimeCam(RegisteredInstrument):
    """Hyper Suprime-Cam at the Subaru telescope."""

    filters: ClassVar[Mapping[str, str | None]] = {
        "HSC-G": "g",
        "HSC-R": "r",
        "HSC-R2": "r",
        "HSC-I": "i",
        "HSC-I2": "i",
        "HSC-Z": "z",
        "HSC-Y": "y",
        "NB0387": "N387",
        "NB0515": "N515",
        "NB0656": "N656",
        "NB0718": "N718",
        "NB0816": "N816",
        "NB0921": "N921",
        "NB1010": "N1010",
    }
    detector_max = 200
    exposure_max = 2**26

    _N_SCIENCE: ClassVar[int] = 104
    _N_DETECTORS: ClassVar[int] = 112

    @classmethod
    @override
    def getName(cls) -> str:
        """Return the name in data IDs."""
        return "HSC"

    @override
    def detectors(self) -> Iterable[DetectorName]:
        """Return the detectors; the last eight focus the telescope."""
        found = []
        for number in range(self._N_DETECTORS):
            full_name = HscTranslator({"DET-ID": number}).to_detector_unique_name()
            raft, name = full_name.split("_")
            purpose = "SCIENCE" if number < self._N_SCIENCE else "FOCUS"
            found.append(DetectorName(number, raft, name, full_name, purpose))
        return found
