"""Reference catalogues: stars of known place and brightness, by pixels of the sky.

A catalogue is a dataset per trixel of the hierarchical triangular mesh
(Szalay et al. 2007, arXiv:cs/0701164) of level 7, about 0.3 square degrees
each. A task gets those that overlap its detector.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import astropy.units as u
import numpy as np
from astropy.table import Table
from lsst.sphgeom import HtmPixelization

from lenticular.butler.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lsst.daf.butler import Butler, DatasetRef
    from lsst.sphgeom import Region

    from lenticular.pipelines.ingest.reports import Progress

__all__ = [
    "LEVEL",
    "MAGNITUDE_ERROR",
    "POSITION_ERROR_MAS",
    "measured_references",
    "overlapping_trixels",
    "register_references",
    "within_trixel",
]

LEVEL = 7
"""Level of the mesh that the catalogue is divided by; the dimension ``htm7``."""

POSITION_ERROR_MAS = 1.0
"""Standard deviation of each coordinate [mas]."""

MAGNITUDE_ERROR = 0.005
"""Standard deviation of each magnitude [mag]."""

_NANOJANSKY_ZERO_POINT = 31.4
"""AB magnitude of one nanojansky."""

_PIXELS = HtmPixelization(LEVEL)


def measured_references(truth: Table, bands: Sequence[str], rng: np.random.Generator) -> Table:
    """Return a reference catalogue of stars: the truth, with errors of measurement.

    Parameters
    ----------
    truth
        Columns ``id``, ``ra``, ``dec`` [deg] and ``{band}_mag`` (AB).
    bands
        Bands to give fluxes for.
    rng
        Random numbers for the errors.

    Returns
    -------
    astropy.table.Table
        Sorted by ``id``: ``id``, ``ra``, ``dec`` [deg], and for each band
        ``{band}_flux`` and ``{band}_fluxErr`` [nJy]. Positions err by
        `POSITION_ERROR_MAS` along each axis, fluxes by `MAGNITUDE_ERROR`.

    Raises
    ------
    lenticular.butler.errors.DataError
        If the truth lacks a column.
    """
    needed = ["id", "ra", "dec", *(f"{band}_mag" for band in bands)]
    if missing := [name for name in needed if name not in truth.colnames]:
        raise DataError(
            f"A catalogue of references needs the columns {', '.join(missing)}",
            hint=f"There are {', '.join(truth.colnames)}.",
        )
    order = np.argsort(truth["id"], kind="stable")
    count = len(order)
    dec = np.asarray(truth["dec"], dtype=float)[order]
    step = POSITION_ERROR_MAS / 3.6e6
    east, north = rng.normal(0.0, step, (2, count))
    columns: dict[str, u.Quantity | np.ndarray] = {
        "id": np.asarray(truth["id"])[order],
        "ra": ((np.asarray(truth["ra"], dtype=float)[order] + east / np.cos(np.radians(dec))) % 360) * u.deg,
        "dec": np.clip(dec + north, -90, 90) * u.deg,
    }
    relative_error = MAGNITUDE_ERROR * math.log(10) / 2.5
    for band in bands:
        magnitude = np.asarray(truth[f"{band}_mag"], dtype=float)[order]
        measured = magnitude + rng.normal(0.0, MAGNITUDE_ERROR, count)
        flux = 10 ** (0.4 * (_NANOJANSKY_ZERO_POINT - measured))
        columns[f"{band}_flux"] = flux * u.nJy
        columns[f"{band}_fluxErr"] = flux * relative_error * u.nJy
    return Table(columns)


def overlapping_trixels(regions: Iterable[Region]) -> list[int]:
    """Return the trixels that overlap any of some regions, sorted."""
    found: set[int] = set()
    for region in regions:
        for first, last in _PIXELS.envelope(region).ranges():
            found.update(range(first, last))
    return sorted(found)


def within_trixel(trixel: int, table: Table) -> Table:
    """Return the rows of a table with ``ra`` and ``dec`` [deg] that lie within a trixel."""
    ra, dec = (np.radians(np.asarray(table[name], dtype=float)) for name in ("ra", "dec"))
    return table[_PIXELS.pixel(trixel).contains(ra, dec)]


def register_references(
    butler: Butler,
    trixels: Iterable[int],
    shard: Callable[[int], Table],
    *,
    dataset_type: str,
    run: str,
    progress: Progress | None = None,
) -> list[DatasetRef]:
    """Store the shards of a reference catalogue that are not stored yet.

    Parameters
    ----------
    butler
        The repository, open for writing.
    trixels
        Trixels of level 7 to store a shard for.
    shard
        Makes the shard of a trixel; called only where none is stored. It has
        to give the same table each time.
    dataset_type
        Name of the dataset type.
    run
        RUN collection.
    progress
        Called with what is done, how much is done, and how much there is.

    Returns
    -------
    list of lsst.daf.butler.DatasetRef
        One per trixel, stored now or before.
    """
    from lsst.daf.butler import DatasetType

    wanted = sorted(set(trixels))
    kind = DatasetType(dataset_type, (f"htm{LEVEL}",), "ArrowAstropy", universe=butler.dimensions)
    butler.registry.registerDatasetType(kind)
    butler.collections.register(run)
    stored = {
        int(ref.dataId[f"htm{LEVEL}"]): ref
        for ref in butler.query_datasets(kind, collections=run, find_first=False, explain=False, limit=None)
    }
    for done, trixel in enumerate(wanted, start=1):
        if trixel not in stored:
            data_id = {f"htm{LEVEL}": trixel}
            stored[trixel] = butler.put(shard(trixel), kind, data_id, run=run)
        if progress is not None:
            progress("store references", done, len(wanted))
    return [stored[trixel] for trixel in wanted]
