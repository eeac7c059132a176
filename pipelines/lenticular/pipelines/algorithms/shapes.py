"""Sizes and shapes, as adaptive second moments.

The moments are weighted with the elliptical Gaussian that fits best (Bernstein & Jarvis
2002, AJ 123, 583, section 3; Hirata & Seljak 2003, MNRAS 343, 459), computed by `galsim`.
They are the ``SdssShape`` moments of Rubin's catalogues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["Moments", "adaptive_moments", "adaptive_sigma_of_mixture"]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Adaptive second moments of a number of stamps, in pixels squared.

    Attributes
    ----------
    xx, yy, xy
        Moments, shape (n,); NaN where they could not be measured.
    """

    xx: npt.NDArray[np.float64]
    yy: npt.NDArray[np.float64]
    xy: npt.NDArray[np.float64]

    @property
    def determinant_radius(self) -> npt.NDArray[np.float64]:
        """Fourth root of the determinant: sigma of a Gaussian, pixels, shape (n,)."""
        return np.asarray(np.maximum(self.xx * self.yy - self.xy**2, 0.0) ** 0.25, dtype=np.float64)

    @property
    def trace_radius(self) -> npt.NDArray[np.float64]:
        """Square root of half the trace, pixels, shape (n,)."""
        return np.sqrt(0.5 * (self.xx + self.yy))

    @property
    def ellipticity(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Distortion: (xx - yy) and 2 xy over the trace, shape (n,) each."""
        trace = self.xx + self.yy
        return (self.xx - self.yy) / trace, 2 * self.xy / trace

    def __len__(self) -> int:
        return len(self.xx)

    def __repr__(self) -> str:
        return f"Moments({len(self)} stamps)"


def adaptive_moments(
    stamps: npt.NDArray[np.floating], *, guess: float, usable: npt.NDArray[np.bool_] | None = None
) -> Moments:
    """Measure the adaptive moments of stamps.

    Parameters
    ----------
    stamps
        Images of one source each, near the middle of the stamp, shape
        (n, size, size).
    guess
        Standard deviation to start from, pixels.
    usable
        True for the pixels that may be used, same shape; all of them by
        default.

    Returns
    -------
    Moments
        NaN for stamps of which they cannot be measured.
    """
    import galsim

    parameters = galsim.hsm.HSMParams(max_mom2_iter=100)
    rows: list[tuple[float, float, float]] = []
    for k, stamp in enumerate(stamps):
        weight = None if usable is None else galsim.Image(usable[k].astype(np.int32))
        pixels = galsim.Image(np.ascontiguousarray(stamp, dtype=np.float64))
        blank = not pixels.array.any() or (weight is not None and not weight.array.any())
        if blank or not np.isfinite(pixels.array).all():
            rows.append((np.nan, np.nan, np.nan))
            continue
        found = galsim.hsm.FindAdaptiveMom(
            pixels, weight=weight, guess_sig=guess, strict=False, hsmparams=parameters
        )
        if found.error_message:
            rows.append((np.nan, np.nan, np.nan))
            continue
        e1, e2 = found.observed_shape.e1, found.observed_shape.e2
        half_trace = found.moments_sigma**2 / np.sqrt(max(1.0 - e1**2 - e2**2, 1e-12))
        rows.append((half_trace * (1 + e1), half_trace * (1 - e1), half_trace * e2))
    return Moments(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)


def adaptive_sigma_of_mixture(weights: npt.NDArray[np.float64], variances: npt.NDArray[np.float64]) -> float:
    """Compute the adaptive sigma of a sum of round, concentric Gaussians.

    Parameters
    ----------
    weights
        Part of the light in each Gaussian, shape (k,).
    variances
        Variance of each, shape (k,).

    Returns
    -------
    float
        Standard deviation of the Gaussian weight w for which the weighted
        second moment of the sum is half of w squared.

    Notes
    -----
    The product of Gaussians of variances v and s has the integral 1 / (v + s)
    and the variance v s / (v + s), up to common factors.
    """
    s = float(np.average(variances, weights=weights))
    for _ in range(500):
        share = weights / (variances + s)
        moment = float((share * variances * s / (variances + s)).sum() / share.sum())
        s, before = 2.0 * moment, s
        if abs(s - before) < 1e-14 * s:
            break
    return float(np.sqrt(s))
