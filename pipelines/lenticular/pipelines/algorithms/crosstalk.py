"""Crosstalk coefficients from the ghosts that bright sources leave in other amplifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import robust_sigma, smooth_median

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["CrosstalkFit", "GhostSamples", "collect_ghosts", "fit_crosstalk"]

_N_ITERATIONS = 6
_CUT = 4.0
"""Residuals of more standard deviations than this are sources of the victim's own."""

_PATCH = 8
"""Side of a patch in which stars share their light, pixels."""

_FIRST_CUT = 0.01
"""Before the first fit, a ghost may be this share of its source."""


@dataclass(frozen=True, slots=True)
class GhostSamples:
    """Pixels of one amplifier (the victim) in which another one may have left a ghost."""

    sources: npt.NDArray[np.float32]
    """Signal of every amplifier there, adu, shape (n_pixels, n_amp); the victim's own is zero."""

    victim: npt.NDArray[np.float32]
    """Signal of the victim above its surroundings, adu, shape (n_pixels,)."""

    sigma: npt.NDArray[np.float32]
    """Noise of the victim on the scale of a star, adu, shape (n_pixels,)."""

    threshold: float
    """Signal that makes a pixel a source, adu."""


@dataclass(frozen=True, slots=True)
class CrosstalkFit:
    """Crosstalk between the amplifiers of a detector."""

    matrix: npt.NDArray[np.float64]
    """Victims in rows, sources in columns, shape (n_amp, n_amp)."""

    error: npt.NDArray[np.float64]
    """Standard errors; infinite where no bright source was seen."""

    n_pixels: tuple[int, ...]
    """Number of pixels in the fit of each victim."""


def collect_ghosts(
    amplifiers: Sequence[FloatImage],
    masks: Sequence[BoolImage],
    *,
    threshold: float = 5000.0,
    block: int = 32,
) -> list[GhostSamples]:
    """Collect the pixels of one exposure that tell about crosstalk.

    Parameters
    ----------
    amplifiers
        Signal above the offset, adu, in the order of reading; equal shapes.
    masks
        Pixels that are no measurement, for each amplifier.
    threshold
        Signal above its surroundings that makes a pixel a source, adu.
    block
        Side of the blocks from which the surroundings are estimated, pixels.

    Returns
    -------
    list
        One element for each victim.
    """
    above = np.stack([amplifier - smooth_median(amplifier, block, stride=2) for amplifier in amplifiers])
    bright = above > threshold
    samples = []
    for victim, (signal, mask) in enumerate(zip(above, masks, strict=True)):
        others = np.delete(bright, victim, axis=0).any(axis=0)
        use = others & ~mask & ~bright[victim]
        sources = above[:, use].T.copy()
        sources[:, victim] = 0
        sigma = np.full(sources.shape[0], _patch_sigma(signal), np.float32)
        samples.append(GhostSamples(sources, signal[use], sigma, threshold))
    return samples


def _patch_sigma(signal: FloatImage) -> float:
    """Return the noise of a pixel that averages over a patch of the size of a star would have.

    It equals that of single pixels where noise is white, and exceeds it where
    faint stars and galaxies crowd: their light is shared by neighbouring pixels
    and does not average out within a ghost.
    """
    n_y, n_x = (length // _PATCH * _PATCH for length in signal.shape)
    patches = signal[:n_y, :n_x].reshape(n_y // _PATCH, _PATCH, n_x // _PATCH, _PATCH).mean(axis=(1, 3))
    return max(_PATCH * robust_sigma(patches), robust_sigma(signal)) if patches.size else robust_sigma(signal)


def fit_crosstalk(exposures: Sequence[Sequence[GhostSamples]]) -> CrosstalkFit:
    """Fit the crosstalk matrix to the ghosts of several exposures.

    Parameters
    ----------
    exposures
        The result of `collect_ghosts` for each exposure.

    Returns
    -------
    CrosstalkFit

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If there is no exposure.

    Notes
    -----
    For each victim the model is linear, victim = Σ X_s source_s, and is fitted by
    weighted least squares over all pixels in which some other amplifier is
    bright (Freyhammer et al. 2001, *Exp. Astron.* 12, 147). Sources that the
    victim holds itself are clipped in repeated fits.
    """
    if not exposures:
        raise MeasurementError(
            "no exposure to measure crosstalk on", hint="Give at least one with bright stars"
        )
    count = len(exposures[0])
    matrix, error = np.zeros((count, count)), np.full((count, count), np.inf)
    n_pixels = []
    for victim in range(count):
        parts = [exposure[victim] for exposure in exposures]
        sources = np.concatenate([part.sources for part in parts]).astype(np.float64)
        signal = np.concatenate([part.victim for part in parts]).astype(np.float64)
        sigma = np.concatenate([part.sigma for part in parts]).astype(np.float64)
        others = [source for source in range(count) if source != victim]
        row, row_error, used = _fit_row(sources[:, others], signal, sigma, parts[0].threshold)
        matrix[victim, others], error[victim, others] = row, row_error
        n_pixels.append(used)
    return CrosstalkFit(matrix, error, tuple(n_pixels))


def _fit_row(
    sources: npt.NDArray[np.float64],
    signal: npt.NDArray[np.float64],
    sigma: npt.NDArray[np.float64],
    threshold: float,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Return the coefficients of one victim, their errors and the number of pixels used."""
    n_sources = sources.shape[1]
    row, error = np.zeros(n_sources), np.full(n_sources, np.inf)
    if signal.size == 0:
        return row, error, 0
    cut = _CUT * sigma + _FIRST_CUT * sources.max(axis=1)
    used = np.abs(signal) < cut
    # An amplifier that is never bright says nothing about its ghosts.
    seen = (sources * used[:, None]).max(axis=0, initial=0) > threshold
    for _ in range(_N_ITERATIONS):
        if used.sum() <= n_sources or not seen.any():
            break
        design = sources[used][:, seen] / sigma[used, None]
        normal = design.T @ design
        row[seen] = np.linalg.lstsq(normal, design.T @ (signal[used] / sigma[used]), rcond=None)[0]
        residual = (signal - sources @ row) / sigma
        chi2 = float(np.mean(residual[used] ** 2))
        error[seen] = np.sqrt(np.diag(np.linalg.pinv(normal)) * max(chi2, 1.0))
        used = np.abs(residual) < _CUT
    return row, error, int(used.sum())
