"""The header of a cerro raw, in the terms of `astro_metadata_translator`.

Importing this module registers the translator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
from astro_metadata_translator import cache_translation
from astro_metadata_translator.translators import FitsTranslator
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time

from lenticular.pipelines.cerro.camera import CAMERA_NAME

if TYPE_CHECKING:
    from astropy.time import TimeDelta

__all__ = ["CerroTranslator", "translators"]

_SITE = (-70.75, -30.24, 2663.0)
"""Longitude [deg, east], latitude [deg] and height [m] of the simulated observatory."""

_DETECTORS_PER_EXPOSURE = 1000
"""Exposures are this far apart in the numbering of detector exposures."""


class CerroTranslator(FitsTranslator):
    """Translates the headers that `lenticular.pipelines.cerro` writes."""

    name = CAMERA_NAME
    """Name under which the translator is registered."""

    supported_instrument = CAMERA_NAME
    """Value of the INSTRUME card that it stands for."""

    _const_map: dict[str, Any] = {  # noqa: RUF012 - upstream declares it so
        "boresight_rotation_coord": "sky",
        "boresight_airmass": None,
        "altaz_begin": None,
        "altaz_end": None,
        "detector_group": None,
        "detector_serial": None,
        "focus_z": None,
        "has_simulated_content": True,
        "pressure": None,
        "relative_humidity": None,
        "temperature": None,
    }

    _trivial_map: dict[str, Any] = {  # noqa: RUF012 - upstream declares it so
        "exposure_id": "EXPID",
        "visit_id": "EXPID",
        "observation_id": "OBSID",
        "exposure_group": "OBSID",
        "exposure_time": ("EXPTIME", {"unit": u.s}),
        "exposure_time_requested": ("EXPTIME", {"unit": u.s}),
        "dark_time": ("DARKTIME", {"unit": u.s}),
        "physical_filter": "FILTER",
        "object": "OBJECT",
        "science_program": "PROGRAM",
        "observation_type": "OBSTYPE",
        "observation_reason": "REASON",
        "observation_counter": "SEQNUM",
        "observing_day": "DAYOBS",
        "detector_num": "DETNUM",
        "detector_name": "DETNAME",
        "detector_unique_name": "DETNAME",
    }

    @cache_translation
    def to_location(self) -> EarthLocation:
        """Return where the simulated observatory stands."""
        return EarthLocation.from_geodetic(*_SITE)

    @cache_translation
    def to_datetime_begin(self) -> Time:
        """Return the start of the exposure; cerro writes TAI, whatever TIMESYS says."""
        begin = Time(self._header["DATE-OBS"], format="isot", scale="tai")
        self._used_these_cards("DATE-OBS")
        return begin

    @cache_translation
    def to_datetime_end(self) -> Time:
        """Return the end of the exposure: its start and its exposure time."""
        return self.to_datetime_begin() + self.to_exposure_time()

    @cache_translation
    def to_tracking_radec(self) -> SkyCoord | None:
        """Return where the telescope believed it pointed, none for calibration exposures."""
        if not self.is_key_ok("RATEL") or not self.is_key_ok("DECTEL"):
            return None
        self._used_these_cards("RATEL", "DECTEL")
        return SkyCoord(self._header["RATEL"], self._header["DECTEL"], unit="deg", frame="icrs")

    @cache_translation
    def to_boresight_rotation_angle(self) -> u.Quantity | None:
        """Return the position angle of the focal plane, none for calibration exposures."""
        if not self.is_key_ok("ROTANG"):
            return None
        return self.quantity_from_card("ROTANG", u.deg)

    @cache_translation
    def to_detector_exposure_id(self) -> int:
        """Return a number of its own for each detector of each exposure."""
        return int(self.to_exposure_id()) * _DETECTORS_PER_EXPOSURE + int(self.to_detector_num())

    @classmethod
    def observing_date_to_offset(cls, observing_date: Time) -> TimeDelta | None:  # noqa: ARG003 - upstream's signature
        """Return none: the header tells the observing day."""
        return None


def translators() -> list[str]:
    """Return the names of the translators that importing this module registers.

    The entry point ``astro_metadata_translators`` asks for it.
    """
    return [CerroTranslator.name]
