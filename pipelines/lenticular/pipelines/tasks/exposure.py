"""What the tasks know about an exposure besides its pixels: its data ID, its header, its WCS."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsst.images import DetectorFrame, SkyProjection
from lsst.pipe.base import AlgorithmError

from lenticular.butler.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lsst.daf.butler import DataCoordinate
    from lsst.images import Box

__all__ = ["ExposureFacts", "IsrError", "nominal_projection", "plain_cards"]

_WCS_CARD = re.compile(
    r"(WCSAXES|CTYPE\d|CRVAL\d|CRPIX\d|CUNIT\d|CDELT\d|(PC|CD|PV)\d_\d+|(A|B|AP|BP)_(ORDER|DMAX|\d_\d)"
    r"|LONPOLE|LATPOLE|RADESYS|EQUINOX)$"
)
_FILE_CARD = re.compile(
    r"(SIMPLE|XTENSION|EXTEND|BITPIX|NAXIS\d?|PCOUNT|GCOUNT|TFIELDS|T(TYPE|FORM|UNIT)\d|BZERO|BSCALE"
    r"|EXTNAME|EXTVER|INHERIT|CHECKSUM|DATASUM|Z[A-Z]+\d?)$"
)


class IsrError(MeasurementError, AlgorithmError):
    """A raw image from which the signature of the instrument cannot be removed.

    To the executors it is an `lsst.pipe.base.AlgorithmError`: to try again is
    of no use.
    """

    @property
    def metadata(self) -> dict[str, Any]:
        """What the metadata of the task says about the failure."""
        return {"what": self.what, "hint": self.hint or ""}


@dataclass(frozen=True, slots=True)
class ExposureFacts:
    """What the task needs to know about an exposure besides its pixels."""

    instrument: str
    """Short name of the instrument."""

    exposure: int
    """Exposure ID."""

    detector: int
    """Detector ID."""

    dark_time: float
    """Time between the last clearing and the readout, s."""

    observation_type: str
    """``science``, ``flat``, ``dark``, ``bias``, ..."""

    @classmethod
    def from_data_id(cls, data_id: DataCoordinate) -> ExposureFacts:
        """Read them from a data ID with dimension records, for any instrument.

        Raises
        ------
        IsrError
            If the data ID has no records, or the exposure no time.
        """
        record = data_id.records["exposure"] if data_id.hasRecords() else None
        if record is None:
            raise IsrError(
                f"{data_id} has no exposure record", hint="Expand the data ID by the registry first"
            )
        dark_time = record.exposure_time if record.dark_time is None else record.dark_time
        if dark_time is None:
            raise IsrError(
                "the exposure has no exposure time", where=data_id, hint="Mend its dimension record"
            )
        instrument, detector = str(data_id["instrument"]), int(data_id["detector"])
        return cls(
            instrument, int(data_id["exposure"]), detector, float(dark_time), str(record.observation_type)
        )

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> ExposureFacts:
        """Read them from the header of a cerro raw, for use without a butler.

        Raises
        ------
        IsrError
            If a card is missing or has the wrong type.
        """
        try:
            dark_time = header["DARKTIME"] if "DARKTIME" in header else header["EXPTIME"]
            instrument, exposure, detector = (header[card] for card in ("INSTRUME", "EXPID", "DETNUM"))
            return cls(
                str(instrument), int(exposure), int(detector), float(dark_time), str(header["OBSTYPE"])
            )
        except KeyError as error:
            raise IsrError(f"the header has no card {error}", hint="Ingest a complete raw file") from error
        except (TypeError, ValueError) as error:
            raise IsrError(f"a card cannot be read: {error}", hint="Look at the header of the raw") from error

    def __str__(self) -> str:
        return f"{self.instrument} exposure {self.exposure} detector {self.detector}"


def nominal_projection(
    header: Mapping[str, Any], bbox: Box, facts: ExposureFacts
) -> SkyProjection[Any] | None:
    """Return the WCS of the header.

    Parameters
    ----------
    header
        Cards of the raw; the WCS is that of the trimmed detector.
    bbox
        The trimmed detector, where the projection is valid.
    facts
        The exposure.

    Returns
    -------
    lsst.images.SkyProjection or None
        None for an exposure that is not of the sky and has no WCS.

    Raises
    ------
    IsrError
        If a science exposure has no WCS, or one that makes no sense.
    """
    from astropy.io.fits import Header
    from astropy.wcs import WCS

    cards = Header([(key, value) for key, value in header.items() if _WCS_CARD.match(key)])
    if "CTYPE1" not in cards or "CRVAL1" not in cards:
        if facts.observation_type == "science":
            raise IsrError(
                "the header has no WCS (CTYPE1, CRVAL1)",
                where=facts,
                hint="A science exposure needs a nominal WCS: ingest a complete raw file",
            )
        return None
    frame = DetectorFrame(
        instrument=facts.instrument, detector=facts.detector, visit=facts.exposure, bbox=bbox
    )
    return SkyProjection.from_fits_wcs(WCS(cards), frame, pixel_bounds=bbox)


def plain_cards(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cards that stay true of the trimmed image: neither WCS nor layout of the file.

    Parameters
    ----------
    header
        Cards of the raw.
    """
    return {
        key: value for key, value in header.items() if not _WCS_CARD.match(key) and not _FILE_CARD.match(key)
    }
