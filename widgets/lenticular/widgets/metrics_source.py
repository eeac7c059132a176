"""Reading how good exposures are from a repository: visit summaries and metric bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lenticular.butler import Repository

__all__ = ["BUNDLE_TYPE", "COLUMNS", "SUMMARY_TYPE", "read_bundle", "read_summaries"]

SUMMARY_TYPE = "preliminary_visit_summary"
BUNDLE_TYPE = "calibrate_image_metrics"

COLUMNS = {
    "fwhm": "PSF FWHM / arcsec",
    "zero_point": "zero point / mag",
    "astrometry": "astrometric scatter / mas",
    "depth": "5σ depth / mag",
    "noise": "sky noise / nJy",
    "stars": "PSF stars",
}
"""What is shown of a summary, with unit, by short name."""

_VISITS = 500
"""Summaries read at most: each is a file of its own."""

_SIGMA_TO_FWHM = 2.3548


def read_summaries(repository: Repository, collections: Sequence[str]) -> pd.DataFrame:
    """Read the summaries of all visits in some collections.

    Parameters
    ----------
    repository
        The repository.
    collections
        Collections to search.

    Returns
    -------
    pandas.DataFrame
        One row per visit and detector: ``instrument``, ``visit``,
        ``detector``, ``band`` and those of `COLUMNS` (units there) that the
        summaries have. At most 500 visits are read.

    Raises
    ------
    NotFoundError
        Raised if there is no such collection or dataset type.
    """
    found = repository.datasets(SUMMARY_TYPE, collections, limit=_VISITS, order_by=("visit",)).to_pylist()
    frames = [_read_one(repository, row, collections) for row in found]
    if not frames:
        return pd.DataFrame()
    return pd.concat(frames, ignore_index=True).sort_values(["visit", "detector"], ignore_index=True)


def read_bundle(
    repository: Repository, data_id: Mapping[str, Any], collections: Sequence[str]
) -> list[tuple[str, str, str, str]]:
    """Read the metrics of one detector of one visit.

    Returns
    -------
    list
        Action, metric, value with its unit, and description; empty if there
        are none.
    """
    from lsst.daf.butler import DatasetNotFoundError, MissingDatasetTypeError

    identifier = {key: data_id[key] for key in ("instrument", "visit", "detector")}
    try:
        bundle = repository.butler.get(BUNDLE_TYPE, identifier, collections=list(collections))
    except (DatasetNotFoundError, MissingDatasetTypeError, FileNotFoundError):
        return []
    return [
        (
            action,
            measurement.metric,
            "not measured"
            if measurement.value is None
            else f"{measurement.value:.5g} {measurement.unit}".strip(),
            measurement.description,
        )
        for action, measurement in bundle.rows()
    ]


def _read_one(repository: Repository, row: Mapping[str, Any], collections: Sequence[str]) -> pd.DataFrame:
    identifier = {"instrument": row["instrument"], "visit": row["visit"]}
    summary = repository.butler.get(SUMMARY_TYPE, identifier, collections=list(collections))
    number = len(summary)

    def column(name: str) -> Any:
        return summary[name].astype(float) if name in summary.colnames else pd.Series([float("nan")] * number)

    return pd.DataFrame(
        {
            "instrument": row["instrument"],
            "visit": row["visit"],
            "detector": [int(value) for value in summary["detector"]],
            "band": row.get("band", ""),
            "fwhm": _SIGMA_TO_FWHM * column("psfSigma") * column("pixelScale"),
            "zero_point": column("zeroPoint"),
            # Stored in arcseconds, spoken of in milliarcseconds.
            "astrometry": 1000 * column("astromOffsetStd"),
            "depth": column("magLim"),
            "noise": column("skyNoise"),
            "stars": column("nPsfStar"),
        }
    )
