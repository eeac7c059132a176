"""From the header of a raw to the dimension records that a registry wants."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
from astro_metadata_translator import ObservationInfo
from lsst.daf.butler import Timespan

from lenticular.butler.errors import IngestError
from lenticular.pipelines.ingest.known import load_translators

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from lsst.daf.butler import DimensionElement, DimensionRecord, DimensionUniverse

__all__ = ["RawObservation", "observe"]

_REQUIRED = frozenset(
    {
        "instrument",
        "exposure_id",
        "observation_id",
        "exposure_group",
        "observing_day",
        "physical_filter",
        "detector_num",
        "exposure_time",
        "dark_time",
        "observation_type",
        "datetime_begin",
        "datetime_end",
    }
)
_OPTIONAL = frozenset(
    {
        "observation_reason",
        "observation_counter",
        "group_counter_start",
        "group_counter_end",
        "object",
        "science_program",
        "tracking_radec",
        "boresight_rotation_angle",
        "boresight_rotation_coord",
        "altaz_begin",
        "has_simulated_content",
        "can_see_sky",
    }
)


@dataclass(frozen=True, slots=True)
class RawObservation:
    """One detector's share of one exposure, as dimension records."""

    instrument: str
    """Short name of the instrument."""

    detector: int
    """Detector ID."""

    day_obs: DimensionRecord
    """Record of the observing day."""

    group: DimensionRecord
    """Record of the group of exposures."""

    exposure: DimensionRecord
    """Record of the exposure."""

    @property
    def exposure_id(self) -> int:
        """Exposure ID."""
        return int(self.exposure.id)

    @property
    def key(self) -> tuple[int, int]:
        """Exposure and detector ID, by which raws are ordered."""
        return self.exposure_id, self.detector


def observe(
    header: MutableMapping[str, Any], universe: DimensionUniverse, *, where: object
) -> RawObservation:
    """Translate a header into dimension records.

    Parameters
    ----------
    header
        Cards of one detector of one exposure. Known mistakes in them are
        mended in place, as `astro_metadata_translator` does.
    universe
        Dimensions of the repository that the records are for.
    where
        The file that the header is from, for messages.

    Returns
    -------
    RawObservation
        Angles in degrees, times in seconds, the timespan in TAI.

    Raises
    ------
    lenticular.butler.errors.IngestError
        If no translator knows the header, if a card is missing or makes no
        sense, or if a value does not fit into the registry.
    """
    info = _translate(header, where)
    name = str(info.instrument)
    values = _exposure_values(info)
    try:
        observation = RawObservation(
            instrument=name,
            detector=int(_known(info.detector_num)),
            day_obs=universe["day_obs"].RecordClass(instrument=name, id=info.observing_day),
            group=universe["group"].RecordClass(instrument=name, name=info.exposure_group),
            exposure=universe["exposure"].RecordClass(instrument=name, **values),
        )
    except (TypeError, ValueError) as error:
        message = f"The header makes no valid exposure record: {error}"
        raise IngestError(message, where=where, hint="Mend the header and ingest again.") from error
    for record in (observation.group, observation.exposure):
        _check_lengths(record, where)
    return observation


def _translate(header: MutableMapping[str, Any], where: object) -> ObservationInfo:
    """Return what a translator makes of a header."""
    load_translators()
    try:
        # Only what the records hold is computed: others may need tables of the
        # Earth's rotation from the network.
        info = ObservationInfo(
            header,
            filename=str(where),
            required=set(_REQUIRED),
            subset=set(_REQUIRED | _OPTIONAL),
            quiet=True,
        )
    except ValueError as error:
        if str(error).startswith("None of the registered translation classes"):
            raise _unknown_instrument(header, where) from error
        raise _untranslatable(error, where) from error
    except (KeyError, TypeError, RuntimeError, NotImplementedError) as error:
        raise _untranslatable(error, where) from error
    return info


def _unknown_instrument(header: MutableMapping[str, Any], where: object) -> IngestError:
    name = header.get("INSTRUME")
    told = "no INSTRUME card" if name is None else f"INSTRUME is {name!r}"
    return IngestError(
        f"No translator knows the instrument of this file ({told})",
        where=where,
        hint="Install the package of the instrument, then register it in the repository: "
        "`butler register-instrument REPOSITORY package.module.Class`.",
    )


def _untranslatable(error: BaseException, where: object) -> IngestError:
    """Return what to tell about a failed translation: which property failed, and of what."""
    text = str(error)
    found = re.search(r"property '?(\w+)", text)
    while error.__cause__ is not None:
        error = error.__cause__
    name = found[1] if found else "the exposure"
    if isinstance(error, KeyError):
        return IngestError(
            f"The header lacks a card that {name} is made of: {error.args[0] if error.args else error}",
            where=where,
            hint="Add the missing card to the header and ingest again.",
        )
    return IngestError(
        f"The header has a card that {name} cannot be made of: {error}",
        where=where,
        hint="Mend the header and ingest again.",
    )


def _exposure_values(info: ObservationInfo) -> dict[str, Any]:
    """Return the fields of an exposure record, but for the instrument."""
    pointing = None if info.tracking_radec is None else info.tracking_radec.icrs
    on_sky_angle = info.boresight_rotation_angle if info.boresight_rotation_coord == "sky" else None
    altaz = info.altaz_begin
    return {
        "id": info.exposure_id,
        "obs_id": info.observation_id,
        "physical_filter": info.physical_filter,
        "group": info.exposure_group,
        "day_obs": info.observing_day,
        "exposure_time": _number(info.exposure_time, u.s),
        "dark_time": _number(info.dark_time, u.s),
        "observation_type": info.observation_type,
        "observation_reason": info.observation_reason,
        "seq_num": info.observation_counter,
        "seq_start": info.group_counter_start,
        "seq_end": info.group_counter_end,
        "target_name": info.object,
        "science_program": info.science_program,
        "tracking_ra": None if pointing is None else _number(pointing.ra, u.deg),
        "tracking_dec": None if pointing is None else _number(pointing.dec, u.deg),
        "sky_angle": None if on_sky_angle is None else _number(on_sky_angle, u.deg),
        "azimuth": None if altaz is None else _number(altaz.az, u.deg),
        "zenith_angle": None if altaz is None else 90.0 - float(altaz.alt.to_value(u.deg)),
        "has_simulated": bool(info.has_simulated_content),
        "can_see_sky": info.can_see_sky,
        "timespan": Timespan(info.datetime_begin, info.datetime_end),
    }


def _number(quantity: u.Quantity | None, unit: u.UnitBase) -> float | None:
    """Return a quantity as a number; a NaN, which SQL would not keep, as none."""
    if quantity is None:
        return None
    value = float(quantity.to_value(unit))
    return value if math.isfinite(value) else None


def _known[T](value: T | None) -> T:
    """Return a value that the translation was required to give."""
    if value is None:
        message = "a required property is missing"
        raise TypeError(message)
    return value


def _check_lengths(record: DimensionRecord, where: object) -> None:
    """Check that each string fits its column: PostgreSQL refuses it, SQLite says nothing."""
    for name, length in _limits(record.definition).items():
        value = getattr(record, name)
        if isinstance(value, str) and len(value) > length:
            raise IngestError(
                f"{record.definition.name}.{name} has {len(value)} characters, the registry takes {length}",
                where=where,
                hint="Shorten the header card and ingest again.",
            )


def _limits(element: DimensionElement) -> dict[str, int]:
    """Return the greatest length of each string field of an element's own table."""
    columns = element.schema.all
    limits: dict[str, int] = {}
    for column in columns:
        length = getattr(column, "length", None)
        if isinstance(length, int):
            limits[column.name] = length
    return limits
