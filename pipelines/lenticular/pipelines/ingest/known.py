"""What is known of instruments before a repository or a file is looked at.

A process that has imported no instrument can read no header but those of the
cameras that `astro_metadata_translator` itself knows, and a new repository has
no instrument at all. Both are mended here.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from lsst.utils import doImportType

if TYPE_CHECKING:
    from lsst.pipe.base import Instrument

__all__ = ["KNOWN_INSTRUMENTS", "known_instrument", "load_translators"]

KNOWN_INSTRUMENTS = {
    "CerroCam": "lenticular.pipelines.cerro.instrument.CerroCam",
    "DECam": "lenticular.pipelines.ingest.instruments.DECam",
    "HSC": "lenticular.pipelines.ingest.instruments.HyperSuprimeCam",
}
"""Class of each instrument that an ingest registers by itself, by short name.

The classes are named and not imported, since that of the simulated camera is
made with this package.
"""

_GROUP = "astro_metadata_translators"
"""Entry points by which installed packages offer header translators."""

_log = logging.getLogger(__name__)


def known_instrument(name: str) -> Instrument | None:
    """Return an instrument that needs no package but this one.

    Parameters
    ----------
    name
        Short name, as in data IDs.

    Returns
    -------
    lsst.pipe.base.Instrument or None
        The instrument; none if there is none of this name.
    """
    path = KNOWN_INSTRUMENTS.get(name)
    if path is None:
        return None
    instrument: Instrument = doImportType(path)()
    return instrument


@cache
def load_translators() -> tuple[str, ...]:
    """Import the header translators of all installed packages, once in a process.

    `astro_metadata_translator` looks at this group of entry points only to
    tell which packages there are. One that cannot be imported is logged: it is
    no reason to refuse the files of other instruments.

    Returns
    -------
    tuple of str
        Names of the entry points that could be imported, sorted.
    """
    loaded: list[str] = []
    for point in sorted(entry_points(group=_GROUP), key=lambda point: point.name):
        try:
            point.load()
        except Exception as error:  # noqa: BLE001 - a package of somebody else's may fail in any way
            _log.warning("The header translators of %s cannot be imported: %s", point.value, error)
        else:
            loaded.append(point.name)
    return tuple(loaded)
