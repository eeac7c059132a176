"""What the files given to an ingest claim to be, before the registry is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsst.pipe.base import Instrument
from lsst.resources import ResourcePath

from lenticular.butler.errors import IngestError
from lenticular.pipelines.ingest.headers import read_header, read_headers
from lenticular.pipelines.ingest.known import known_instrument
from lenticular.pipelines.ingest.records import observe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lsst.daf.butler import Butler
    from lsst.resources import ResourcePathExpression

    from lenticular.pipelines.ingest.records import RawObservation
    from lenticular.pipelines.ingest.reports import Progress

__all__ = ["Candidate", "Instruments", "examine"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that can be read, and what it holds."""

    uri: ResourcePath
    """The file."""

    observations: tuple[RawObservation, ...]
    """Its detectors; mostly one."""

    @property
    def instrument(self) -> str:
        """Short name of the instrument."""
        return self.observations[0].instrument

    @property
    def exposure_id(self) -> int:
        """Exposure ID."""
        return self.observations[0].exposure_id

    @property
    def keys(self) -> tuple[tuple[int, int], ...]:
        """Exposure and detector ID of each observation."""
        return tuple(observation.key for observation in self.observations)

    @property
    def order(self) -> tuple[str, tuple[tuple[int, int], ...], str]:
        """By what files are sorted, so that all writers insert in the same order."""
        return self.instrument, self.keys, str(self.uri)


class Instruments:
    """The instruments of a repository, each looked up once.

    Parameters
    ----------
    butler
        The repository. The classes of its instruments are imported, which
        registers their header translators.
    """

    def __init__(self, butler: Butler) -> None:
        self._registry = butler.registry
        self._found: dict[str, Instrument] = {}
        self._unregistered: set[str] = set()
        Instrument.importAll(self._registry)

    def get(self, name: str, where: object) -> Instrument:
        """Return an instrument by its short name.

        One that is known but not registered is returned all the same, and
        one that is known stands in for a class that is not installed.

        Parameters
        ----------
        name
            Short name.
        where
            The file that it is wanted for, for messages.

        Raises
        ------
        lenticular.butler.errors.IngestError
            If it is neither registered nor known, or its class cannot be
            imported.
        """
        if name not in self._found:
            self._found[name] = self._load(name, where)
        return self._found[name]

    def ensure_registered(self, name: str) -> None:
        """Register an instrument that is known, if the repository lacks it.

        Parameters
        ----------
        name
            Short name of an instrument that `get` has returned.
        """
        if name in self._unregistered:
            self._found[name].register(self._registry)
            self._unregistered.discard(name)

    def _load(self, name: str, where: object) -> Instrument:
        try:
            return Instrument.fromName(name, self._registry)
        except LookupError as error:
            if (known := known_instrument(name)) is not None:
                self._unregistered.add(name)
                return known
            raise IngestError(
                f"The instrument {name!r} is not registered in this repository",
                where=where,
                hint="Register it first: `butler register-instrument REPOSITORY package.module.Class`.",
            ) from error
        except (ImportError, TypeError) as error:
            if (known := known_instrument(name)) is not None:
                return known
            raise IngestError(
                f"The class of the instrument {name!r} cannot be imported: {error}",
                where=where,
                hint="Install the package that the repository's instrument record names.",
            ) from error


def examine(
    files: Iterable[ResourcePathExpression],
    butler: Butler,
    instruments: Instruments,
    *,
    expected: str | None,
    progress: Progress,
) -> tuple[list[Candidate], list[tuple[str, IngestError]]]:
    """Read the headers of files.

    Parameters
    ----------
    files
        The files; one given twice counts once.
    butler
        The repository that they are for.
    instruments
        Its instruments.
    expected
        Short name of the instrument that all must be from, or none.
    progress
        Told of each file.

    Returns
    -------
    candidates
        Those that can be read, sorted by instrument, exposure and detector.
    failed
        The others, each with the reason.
    """
    uris = sorted(_distinct(files), key=str)
    candidates: list[Candidate] = []
    failed: list[tuple[str, IngestError]] = []
    for done, uri in enumerate(uris, start=1):
        try:
            candidates.append(_examine_one(uri, butler, instruments, expected))
        except IngestError as error:
            failed.append((str(uri), error))
        progress("read headers", done, len(uris))
    return sorted(candidates, key=lambda candidate: candidate.order), failed


def _distinct(files: Iterable[ResourcePathExpression]) -> set[ResourcePath]:
    return {ResourcePath(file, forceAbsolute=True) for file in files}


def _examine_one(
    uri: ResourcePath, butler: Butler, instruments: Instruments, expected: str | None
) -> Candidate:
    """Return what one file holds."""
    first = observe(read_header(uri), butler.dimensions, where=uri)
    if expected is not None and first.instrument != expected:
        raise IngestError(
            f"The file is from {first.instrument}, not from {expected}",
            where=uri,
            hint="Leave it out, or ingest without naming an instrument.",
        )
    card = getattr(instruments.get(first.instrument, uri), "detector_card", None)
    if card is None:
        return Candidate(uri, (first,))
    headers = read_headers(uri, card)
    observations = tuple(observe(header, butler.dimensions, where=uri) for header in headers)
    return Candidate(uri, tuple(sorted(observations, key=lambda observation: observation.key)))
