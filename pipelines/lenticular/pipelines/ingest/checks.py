"""What a registry would refuse, or would take and should not, found file by file."""

from __future__ import annotations

from itertools import batched
from typing import TYPE_CHECKING, Any

from lenticular.butler.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lsst.daf.butler import Butler, DimensionRecord

    from lenticular.pipelines.ingest.candidates import Candidate
    from lenticular.pipelines.ingest.records import RawObservation

__all__ = ["RegistryChecks"]

_BATCH = 1000
"""How many exposures one query asks for."""


class RegistryChecks:
    """What the registry knows of one instrument and of the exposures that files claim.

    Parameters
    ----------
    butler
        The repository.
    instrument
        Short name of the instrument, which is registered.
    candidates
        The files, in the order in which they are to be ingested: of two that
        contradict each other the first one counts.
    """

    def __init__(self, butler: Butler, instrument: str, candidates: Iterable[Candidate]) -> None:
        self._instrument = instrument
        (self._record,) = butler.query_dimension_records("instrument", instrument=instrument)
        self._detectors = {
            int(record.id)
            for record in butler.query_dimension_records("detector", instrument=instrument, explain=False)
        }
        self._filters = {
            str(record.name)
            for record in butler.query_dimension_records(
                "physical_filter", instrument=instrument, explain=False
            )
        }
        self._by_id: dict[int, DimensionRecord] = {}
        self._by_name: dict[str, int] = {}
        self._taken: dict[tuple[int, int], str] = {}
        self._learn(butler, candidates)

    def _learn(self, butler: Butler, candidates: Iterable[Candidate]) -> None:
        """Fetch the exposures that share an ID or a name with one of the files."""
        wanted = {candidate.exposure_id: candidate.observations[0].exposure for candidate in candidates}
        for batch in batched(sorted(wanted), _BATCH, strict=False):
            binding: dict[str, Any] = {"ids": list(batch), "names": [wanted[id_].obs_id for id_ in batch]}
            records = butler.query_dimension_records(
                "exposure",
                where="exposure IN (ids) OR exposure.obs_id IN (names)",
                bind=binding,
                instrument=self._instrument,
                explain=False,
                limit=None,
            )
            for record in records:
                self._by_id[int(record.id)] = record
                self._by_name[record.obs_id] = int(record.id)

    def check(self, candidate: Candidate) -> None:
        """Accept a file, and remember what it claims.

        Raises
        ------
        lenticular.butler.errors.IngestError
            If its detector or filter is unknown, its exposure contradicts one
            that is known, or another file already stands for its detector.
        """
        for observation in candidate.observations:
            self._check_known(observation, candidate)
            self._check_exposure(observation, candidate)
        for key in candidate.keys:
            if key in self._taken:
                raise IngestError(
                    f"Exposure {key[0]}, detector {key[1]} is also in {self._taken[key]}",
                    where=candidate.uri,
                    hint="Give one file for each detector of an exposure.",
                )
        for observation in candidate.observations:
            self._taken[observation.key] = str(candidate.uri)
            self._by_id.setdefault(observation.exposure_id, observation.exposure)
            self._by_name.setdefault(observation.exposure.obs_id, observation.exposure_id)

    def _check_known(self, observation: RawObservation, candidate: Candidate) -> None:
        """Check that detector, filter and exposure ID are the instrument's."""
        if observation.detector not in self._detectors:
            raise IngestError(
                f"{self._instrument} has no detector {observation.detector}",
                where=candidate.uri,
                hint="Register the instrument again if it has got new detectors.",
            )
        if observation.exposure.physical_filter not in self._filters:
            raise IngestError(
                f"{self._instrument} has no physical filter {observation.exposure.physical_filter!r}",
                where=candidate.uri,
                hint="Add it to the instrument's filters and register the instrument again.",
            )
        limit = self._record.exposure_max
        if not 0 <= observation.exposure_id < limit:
            raise IngestError(
                f"The exposure ID {observation.exposure_id} is not below {limit}, the instrument's greatest",
                where=candidate.uri,
                hint="Check the card that numbers the exposures.",
            )

    def _check_exposure(self, observation: RawObservation, candidate: Candidate) -> None:
        """Check that the exposure is new, or known by the same values."""
        record = observation.exposure
        known = self._by_id.get(observation.exposure_id)
        if known is not None and known != record:
            names = [name for name in record.__slots__ if getattr(known, name) != getattr(record, name)]
            raise IngestError(
                f"Exposure {record.id} is known with other values of {', '.join(names)}",
                where=candidate.uri,
                hint="All files of an exposure must agree: mend the header, or remove the other exposure.",
            )
        other = self._by_name.get(record.obs_id, observation.exposure_id)
        if other != observation.exposure_id:
            raise IngestError(
                f"The observation {record.obs_id!r} is already exposure {other}, not {record.id}",
                where=candidate.uri,
                hint="Observation and exposure ID must belong together: mend the header.",
            )
