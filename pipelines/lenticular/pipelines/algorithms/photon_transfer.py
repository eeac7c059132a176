"""Gain, read noise, full well and linearity of an amplifier, from flats.

Light that arrives at random has a variance equal to its mean, in electrons.
In adu the ratio of the two is 1/gain: the photon transfer curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import clipped_mean, require_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = [
    "LinearityFit",
    "PairStatistics",
    "TransferFit",
    "fit_linearity",
    "fit_transfer",
    "pair_statistics",
]

_MIN_PAIRS = 3
"""Two parameters and something to judge them by."""

_TURN_OFF = 0.6
"""A pair with less than this share of the variance that smaller signals promise is at full well."""


@dataclass(frozen=True, slots=True)
class PairStatistics:
    """Mean and variance of one amplifier in two equal flats."""

    mean: float
    """Mean signal, adu."""

    variance: float
    """Variance of one frame without the pattern that both share, adu²."""

    n_pixels: int
    """Number of pixels that both come from."""


@dataclass(frozen=True, slots=True)
class TransferFit:
    """Result of a photon transfer curve."""

    gain: float
    """electron/adu."""

    gain_error: float
    """Standard error, electron/adu."""

    curvature: float
    """a in variance = noise² + mean/gain + a mean²; dimensionless."""

    full_well: float | None
    """Mean at which the variance turns off, adu; none if the ramp does not get there."""

    n_pairs: int
    """Number of pairs in the fit."""

    chi2: float
    """χ² per degree of freedom."""


@dataclass(frozen=True, slots=True)
class LinearityFit:
    """Result of a ramp of exposure times."""

    coefficient: float
    """c in e_true = e + c e², 1/electron."""

    coefficient_error: float
    """Standard error of c, 1/electron."""

    rate: float
    """True signal of the lamp, electron/s."""

    maximum: float
    """Largest signal in the fit, electron."""

    residual: float
    """Largest deviation from the fit, as a fraction of the signal."""


def pair_statistics(
    first: FloatImage, second: FloatImage, *, mask: BoolImage | None = None, n_sigma: float = 5.0
) -> PairStatistics:
    """Measure mean and variance of two equal flats of one amplifier.

    Parameters
    ----------
    first, second
        Without offset, adu; shape (n_y, n_x).
    mask
        Pixels to leave out.
    n_sigma
        Half-width of the clipping interval, standard deviations.

    Returns
    -------
    PairStatistics

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the shapes differ, too few pixels are left, or there is no light.

    Notes
    -----
    Janesick, *Photon Transfer* (2007), section 5: half the variance of the
    difference is free of the fixed pattern. A lamp that changed between the two
    is allowed for by scaling both to their geometric mean, which keeps the
    ratio of variance to mean to second order in the change.
    """
    require_shape("the second flat", second, first.shape)
    keep = np.isfinite(first) & np.isfinite(second)
    if mask is not None:
        keep &= ~mask
    mean_first, _, _ = clipped_mean(first[keep], n_sigma=n_sigma)
    mean_second, _, _ = clipped_mean(second[keep], n_sigma=n_sigma)
    if min(mean_first, mean_second) <= 0:
        raise MeasurementError(
            "a flat holds no light", hint="Look whether the shutter opened and the lamp was on"
        )
    mean = float(np.sqrt(mean_first * mean_second))
    difference = first[keep] * np.float32(mean / mean_first) - second[keep] * np.float32(mean / mean_second)
    _, width, n_pixels = clipped_mean(difference, n_sigma=n_sigma)
    return PairStatistics(mean, width**2 / 2, n_pixels)


def fit_transfer(
    pairs: Sequence[PairStatistics], noise: float, *, maximum_fraction: float = 0.9
) -> TransferFit:
    """Fit the gain to a photon transfer curve.

    Parameters
    ----------
    pairs
        One element for each pair of flats, in any order.
    noise
        Standard deviation of a pixel without light in frames treated like
        these, adu: read noise and what the offset correction adds.
    maximum_fraction
        Share of the full well up to which pairs are fitted.

    Returns
    -------
    TransferFit

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If fewer than three pairs lie on the rising part of the curve, or the
        slope is not positive.

    Notes
    -----
    Janesick (2007), equation 4.20, with the quadratic term that non-linearity
    and the brighter-fatter effect add: (variance - noise²)/mean = 1/gain + a mean,
    fitted with the weights of a sample variance, 2 variance²/n_pixels. For
    e_measured = e - c e², a is -3 c to first order.
    """
    ordered = sorted(pairs, key=lambda pair: pair.mean)
    n_rising = _rising(ordered, noise)
    full_well = ordered[n_rising].mean if n_rising < len(ordered) else None
    limit = np.inf if full_well is None else maximum_fraction * full_well
    used = [pair for pair in ordered[:n_rising] if pair.mean <= limit]
    if len(used) < _MIN_PAIRS:
        raise MeasurementError(
            f"{len(used)} pairs of flats lie below the full well",
            hint=f"A photon transfer curve needs {_MIN_PAIRS} exposure levels: take flats at more levels",
        )
    mean = np.array([pair.mean for pair in used])
    variance = np.array([pair.variance for pair in used])
    n_pixels = np.array([pair.n_pixels for pair in used])
    slope = (variance - noise**2) / mean
    error = variance * np.sqrt(2 / n_pixels) / mean
    (intercept, curvature), covariance, chi2 = _weighted_line(mean, slope, error)
    if intercept <= 0:
        raise MeasurementError(
            "the variance of the flats does not grow with their mean",
            hint="Check that the pairs are equal flats of one lamp, and that the offset was subtracted",
        )
    gain = 1 / intercept
    return TransferFit(
        gain, gain**2 * float(np.sqrt(covariance[0, 0])), curvature, full_well, len(used), chi2
    )


def fit_linearity(
    seconds: npt.NDArray[np.floating], electrons: npt.NDArray[np.floating], *, maximum: float | None = None
) -> LinearityFit:
    """Fit the non-linearity to flats of different exposure times under a constant lamp.

    Parameters
    ----------
    seconds
        Exposure times, s; shape (n,).
    electrons
        Mean measured signals, electron; shape (n,).
    maximum
        Signals above this are left out, electron; those at the full well must be.

    Returns
    -------
    LinearityFit

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If fewer than three points are left.

    Notes
    -----
    Janesick (2007), section 7: the true signal is rate × time. Requiring
    e + c e² = rate t with errors proportional to the signal makes it linear in
    (rate, c): 1 = rate (t/e) - c e.
    """
    use = (seconds > 0) & (electrons > 0)
    if maximum is not None:
        use &= electrons <= maximum
    t, e = np.asarray(seconds, np.float64)[use], np.asarray(electrons, np.float64)[use]
    if np.unique(t).size < _MIN_PAIRS:
        raise MeasurementError(
            f"{np.unique(t).size} exposure times lie below the full well",
            hint=f"A linearity curve needs {_MIN_PAIRS}: take flats of more exposure times",
        )
    design = np.stack([t / e, -e / e.max()], axis=1)
    solution, *_ = np.linalg.lstsq(design, np.ones_like(e), rcond=None)
    residual = design @ solution - 1
    degrees = max(e.size - 2, 1)
    covariance = np.linalg.inv(design.T @ design) * float(residual @ residual) / degrees
    rate, coefficient = float(solution[0]), float(solution[1] / e.max())
    error = float(np.sqrt(covariance[1, 1]) / e.max())
    return LinearityFit(coefficient, error, rate, float(e.max()), float(np.abs(residual).max()))


def _rising(ordered: Sequence[PairStatistics], noise: float) -> int:
    """Return how many pairs, from the faintest on, lie before the variance turns off."""
    best = 0.0
    for index, pair in enumerate(ordered):
        slope = (pair.variance - noise**2) / pair.mean
        if best > 0 and slope < _TURN_OFF * best:
            return index
        if pair.variance > 4 * noise**2:  # of fainter ones the slope is uncertain
            best = max(best, slope)
    return len(ordered)


def _weighted_line(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], error: npt.NDArray[np.float64]
) -> tuple[tuple[float, float], npt.NDArray[np.float64], float]:
    """Fit y = p + q x; return (p, q), their covariance and χ² per degree of freedom."""
    scale = float(x.max())
    design = np.stack([1 / error, x / scale / error], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    p, q = covariance @ design.T @ (y / error)
    chi2 = float(np.sum(((y - p - q * x / scale) / error) ** 2)) / max(x.size - 2, 1)
    return (float(p), float(q / scale)), covariance, chi2
