"""A reduced survey beside the truth: positions, fluxes, completeness, purity, size of the PSF.

::

    report = measure_accuracy(butler, truth_tables(plan), collections="u/me/run")
    report.table()
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from lenticular.butler.errors import NotFoundError
from lenticular.pipelines.algorithms.arrays import robust_sigma
from lenticular.pipelines.algorithms.shapes import adaptive_sigma_of_mixture
from lenticular.pipelines.cerro.optics import PSF_VARIANCES, PSF_WEIGHTS
from lenticular.pipelines.cerro.sky import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from astropy.table import Table
    from lsst.daf.butler import Butler

    type _Vector = npt.NDArray[np.float64]

__all__ = ["AccuracyReport", "DetectorAccuracy", "compare_detector", "measure_accuracy"]

STARS = "single_visit_star_unstandardized"

MATCH_RADIUS = 0.4
"""A source is a true star if it is no further from it than this, arcseconds."""

PURITY_RADIUS = 0.6
"""A source is real if any true source is no further from it than this, arcseconds."""

_DETECTABLE = 10.0
_PRECISE = 100.0
_REAL = 1.0
_SATURATION = 0.8
"""Stars whose peak is above this part of the full well are left out of all comparisons."""

_UNITS = {
    "astrometry": "mas",
    "photometric_bias": "mmag",
    "photometric_scatter": "mmag",
    "psf_size_error": "%",
}


def _effective_area() -> float:
    """Inverse of the integral of the squared PSF, in units of the squared FWHM."""
    sums = PSF_VARIANCES[:, None] + PSF_VARIANCES
    return float(1.0 / (np.outer(PSF_WEIGHTS, PSF_WEIGHTS) / (2 * np.pi * sums)).sum())


_AREA = _effective_area()
_PEAK = float((PSF_WEIGHTS / (2 * np.pi * PSF_VARIANCES)).sum())
_SIGMA = adaptive_sigma_of_mixture(PSF_WEIGHTS, PSF_VARIANCES)


@dataclass(frozen=True, slots=True)
class DetectorAccuracy:
    """How well one detector of one visit was reduced.

    Stars are point sources, variable ones included, that are not saturated. Their
    true signal to noise is that of an ideal measurement, from true flux, sky,
    read noise and PSF.
    """

    visit: int
    """Visit ID."""

    detector: int
    """Detector ID."""

    band: str
    """Band."""

    n_star: int
    """Stars of true signal to noise above 10."""

    n_bright: int
    """Of these, stars above 100 that were found."""

    astrometry: float
    """Median distance of the found bright stars from their true places, mas."""

    photometric_bias: float
    """Median of measured minus true magnitude of the bright stars, mmag."""

    photometric_scatter: float
    """Robust standard deviation of the same, mmag."""

    completeness: float
    """Part of the stars above 10 that were found."""

    purity: float
    """Part of the sources found that are real."""

    psf_size_error: float
    """Median relative error of the radius of the PSF over the sources found, percent."""


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """How well a survey was reduced, detector by detector."""

    detectors: tuple[DetectorAccuracy, ...]
    """One per detector and visit, by visit and detector."""

    @property
    def astrometry(self) -> float:
        """Largest of the detectors' astrometric errors, mas."""
        return max(d.astrometry for d in self.detectors)

    @property
    def photometric_bias(self) -> float:
        """Median of the detectors' photometric biases, mmag."""
        return float(np.median([d.photometric_bias for d in self.detectors]))

    @property
    def photometric_scatter(self) -> float:
        """Median of the detectors' photometric scatters, mmag."""
        return float(np.median([d.photometric_scatter for d in self.detectors]))

    @property
    def completeness(self) -> float:
        """Part of all stars above signal to noise 10 that were found."""
        total = sum(d.n_star for d in self.detectors)
        return sum(d.completeness * d.n_star for d in self.detectors) / total

    @property
    def purity(self) -> float:
        """Mean of the detectors' purities."""
        return float(np.mean([d.purity for d in self.detectors]))

    @property
    def psf_size_error(self) -> float:
        """Largest of the detectors' errors of the PSF's size, without sign, percent."""
        return max(abs(d.psf_size_error) for d in self.detectors)

    def summary(self) -> dict[str, float]:
        """Return the figures of the whole survey by name."""
        return {
            "astrometry": self.astrometry,
            "photometric_bias": self.photometric_bias,
            "photometric_scatter": self.photometric_scatter,
            "completeness": self.completeness,
            "purity": self.purity,
            "psf_size_error": self.psf_size_error,
        }

    def table(self) -> Table:
        """Return one row per detector and visit, with units."""
        from astropy.table import Table

        table = Table(rows=[asdict(d) for d in self.detectors])
        for name, unit in _UNITS.items():
            table[name].unit = unit
        return table

    def _repr_html_(self) -> str:
        names = [field.name for field in fields(DetectorAccuracy)]
        heads = "".join(
            f"<th>{name.replace('_', ' ')}{f' [{_UNITS[name]}]' if name in _UNITS else ''}</th>"
            for name in names
        )
        rows = "".join(
            "<tr>" + "".join(f"<td>{_format(getattr(d, name))}</td>" for name in names) + "</tr>"
            for d in self.detectors
        )
        total = self.summary()
        last = "".join(f"<td><b>{_format(total[n])}</b></td>" if n in total else "<td></td>" for n in names)
        return (
            "<table><caption>Accuracy against the truth; last row: astrometry and PSF size are the worst, "
            f"bias and scatter the median</caption><tr>{heads}</tr>{rows}<tr>{last}</tr></table>"
        )


def _format(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def measure_accuracy(
    butler: Butler, truth: Mapping[str, Table], *, collections: str | list[str]
) -> AccuracyReport:
    """Compare all reduced detectors of a survey with the truth.

    Parameters
    ----------
    butler
        The repository.
    truth
        Tables of `lenticular.pipelines.cerro.truth.truth_tables`.
    collections
        Where the reduced data are.

    Returns
    -------
    AccuracyReport
        One entry per star table in the collections.

    Raises
    ------
    lenticular.butler.errors.NotFoundError
        Raised if there is no star table, or no truth about one.
    """
    from lsst.daf.butler import MissingDatasetTypeError

    try:
        refs = butler.query_datasets(STARS, collections=collections, explain=False, limit=None)
    except MissingDatasetTypeError:
        refs = []
    if not refs:
        raise NotFoundError(
            f"There is no {STARS}",
            where=collections,
            hint="Run the pipeline single-visit first, or give the collection of its outputs.",
        )
    refs = sorted(refs, key=lambda ref: (int(ref.dataId["visit"]), int(ref.dataId["detector"])))
    return AccuracyReport(
        tuple(
            compare_detector(
                butler.get(ref), truth, visit=int(ref.dataId["visit"]), detector=int(ref.dataId["detector"])
            )
            for ref in refs
        )
    )


def compare_detector(
    stars: Table, truth: Mapping[str, Table], *, visit: int, detector: int
) -> DetectorAccuracy:
    """Compare the star table of one detector of one visit with the truth.

    Parameters
    ----------
    stars
        As ``calibrateImage`` writes it.
    truth
        Tables of `lenticular.pipelines.cerro.truth.truth_tables`.
    visit, detector
        The data ID.

    Returns
    -------
    DetectorAccuracy
        NaN where there is no star to tell from.

    Raises
    ------
    lenticular.butler.errors.NotFoundError
        Raised if the truth knows nothing of this detector and visit.
    """
    real = _true_sources(truth, visit, detector)
    centre = float(np.median(real["dec"]))
    places = _plane(real["ra"], real["dec"], centre)
    found = _plane(np.asarray(stars["ra"]), np.asarray(stars["dec"]), centre)
    distance, index = _nearest(found, places)
    matched = (distance < MATCH_RADIUS) & real["star"]
    bright = matched & (real["signal_to_noise"] > _PRECISE)
    wanted = real["star"] & (real["signal_to_noise"] > _DETECTABLE)
    ratio = np.asarray(stars["psfFlux"])[index[bright]] / real["flux"][bright]
    difference = -2500.0 * np.log10(np.where(ratio > 0, ratio, np.nan))
    near, _ = _nearest(places[real["signal_to_noise"] > _REAL], found)
    return DetectorAccuracy(
        visit=visit,
        detector=detector,
        band=real["band"],
        n_star=int(wanted.sum()),
        n_bright=int(bright.sum()),
        astrometry=_median(1000.0 * distance[bright]),
        photometric_bias=_median(difference),
        photometric_scatter=robust_sigma(difference) if len(difference) else math.nan,
        completeness=float(matched[wanted].mean()) if wanted.any() else math.nan,
        purity=float((near < PURITY_RADIUS).mean()),
        psf_size_error=_psf_size_error(stars, real["psf_fwhm"][matched], index[matched]),
    )


def _median(values: _Vector) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _nearest(points: _Vector, to: _Vector) -> tuple[_Vector, npt.NDArray[np.intp]]:
    """Distance to, and index of, the nearest of some points."""
    distance, index = cKDTree(points).query(to)
    return np.asarray(distance, dtype=np.float64), np.asarray(index, dtype=np.intp)


def _plane(ra: _Vector, dec: _Vector, centre: float) -> _Vector:
    """Local plane coordinates, arcseconds, shape (n, 2); a detector is small."""
    return np.column_stack([ra * math.cos(math.radians(centre)), dec]) * 3600.0


def _true_sources(truth: Mapping[str, Table], visit: int, detector: int) -> dict[str, Any]:
    """Collect what is true of the sources of one detector."""

    def rows(name: str) -> Table:
        table = truth[name]
        return table[(table["exposure"] == visit) & (table["detector"] == detector)]

    exposure, fluxes = rows("exposures"), rows("source_fluxes")
    if len(exposure) != 1 or len(fluxes) == 0:
        raise NotFoundError(
            f"There is no truth about visit {visit} detector {detector}",
            hint="Give the truth of the survey that was reduced.",
        )
    amplifiers = truth["amplifiers"][truth["amplifiers"]["detector"] == detector]
    sources = truth["sources"]
    row = np.searchsorted(np.asarray(sources["id"]), np.asarray(fluxes["id"]))
    fwhm, electrons = np.asarray(fluxes["psf_fwhm"]), np.asarray(fluxes["electrons"])
    sky = float(exposure["sky_level"][0])
    read_noise = float(np.mean(amplifiers["read_noise"]))
    noise = np.sqrt(np.maximum(electrons, 0) + _AREA * fwhm**2 * (sky + read_noise**2))
    peak = electrons * _PEAK / fwhm**2 + sky
    stellar = np.isin(np.asarray(fluxes["kind"]), (Kind.STAR, Kind.VARIABLE))
    return {
        "band": str(exposure["band"][0]),
        "ra": np.asarray(sources["ra"], dtype=np.float64)[row],
        "dec": np.asarray(sources["dec"], dtype=np.float64)[row],
        "flux": np.asarray(fluxes["flux"], dtype=np.float64),
        "psf_fwhm": fwhm,
        "signal_to_noise": electrons / noise,
        "star": stellar & (peak < _SATURATION * float(np.min(amplifiers["full_well"]))),
    }


def _psf_size_error(stars: Table, true_fwhm: _Vector, index: npt.NDArray[np.intp]) -> float:
    """Median relative error of the radius of the PSF at matched sources, percent."""
    xx, yy, xy = (np.asarray(stars[f"i{axes}PSF"], dtype=np.float64)[index] for axes in ("xx", "yy", "xy"))
    radius = np.maximum(xx * yy - xy**2, 0.0) ** 0.25
    error = 100.0 * (radius / (_SIGMA * true_fwhm) - 1.0)
    return _median(error[np.isfinite(error)])
