"""The zero point: from electrons to nanojansky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import robust_sigma

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["NJY_MAGNITUDE", "ZeroPoint", "fit_zero_point"]

NJY_MAGNITUDE = 31.4
"""AB magnitude of one nanojansky (Oke & Gunn 1983, ApJ 266, 713)."""


@dataclass(frozen=True, slots=True, eq=False)
class ZeroPoint:
    """A photometric zero point.

    Attributes
    ----------
    scale
        Nanojansky per electron.
    scale_err
        Its standard deviation.
    scatter
        Robust standard deviation of single stars about it, magnitudes.
    used
        True for the matches that the fit used, shape (k,).
    """

    scale: float
    scale_err: float
    scatter: float
    used: npt.NDArray[np.bool_]

    @property
    def magnitude(self) -> float:
        """AB magnitude of a source that gives one electron."""
        return NJY_MAGNITUDE - 2.5 * float(np.log10(self.scale))

    def __repr__(self) -> str:
        return f"ZeroPoint({self.magnitude:.3f} mag, scatter={self.scatter:.4f} mag, {self.used.sum()} stars)"


def fit_zero_point(
    flux: npt.NDArray[np.float64],
    flux_err: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64],
    reference_err: npt.NDArray[np.float64],
    *,
    n_sigma: float = 4.0,
    error_floor: float = 0.005,
    min_stars: int = 5,
) -> ZeroPoint:
    """Fit the factor between instrumental fluxes and those of the references.

    The factor is the mean of the logarithms of the ratios, weighted by their
    errors, after stars far from the median, such as variables and blends,
    are left out.

    Parameters
    ----------
    flux, flux_err
        Instrumental fluxes, electrons, and standard deviations, shape (k,).
    reference, reference_err
        Fluxes of their references, nanojansky, and standard deviations, shape
        (k,).
    n_sigma
        Stars further off than this many robust standard deviations are left
        out.
    error_floor
        Added to the relative errors in quadrature.
    min_stars
        With fewer stars there is no zero point.

    Returns
    -------
    ZeroPoint
        The factor.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        Raised if there are fewer than ``min_stars`` usable stars.
    """
    good = np.isfinite(flux) & np.isfinite(reference) & (flux > 0) & (reference > 0) & np.isfinite(flux_err)
    if good.sum() < min_stars:
        raise MeasurementError(
            f"There are {good.sum()} stars for the zero point, {min_stars} are needed",
            where="photometric calibration",
            hint="Look whether the reference catalogue has fluxes in this band.",
        )
    ratio = np.full(len(flux), np.nan)
    ratio[good] = np.log(reference[good] / flux[good])
    error = np.full(len(flux), np.inf)
    error[good] = np.sqrt(
        (flux_err[good] / flux[good]) ** 2
        + np.nan_to_num(reference_err[good] / reference[good]) ** 2
        + error_floor**2
    )
    used = good.copy()
    for _ in range(3):
        pull = (ratio - np.median(ratio[used])) / error
        width = max(robust_sigma(pull[used]), 1.0)
        inside = good & (np.abs(np.nan_to_num(pull, nan=np.inf)) < n_sigma * width)
        if inside.sum() < min_stars:
            break
        used = inside
    weight = error[used] ** -2
    mean = float(np.average(ratio[used], weights=weight))
    scale = float(np.exp(mean))
    mag = 2.5 / np.log(10.0)
    return ZeroPoint(scale, scale * float(weight.sum() ** -0.5), mag * robust_sigma(ratio[used]), used)
