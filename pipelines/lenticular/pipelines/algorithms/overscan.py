"""Electronic offset and noise from the pixels read after the last real column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import MAD_TO_SIGMA, require_finite

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import FloatImage

__all__ = ["Overscan", "measure_overscan", "subtract_overscan"]

MIN_COLUMNS = 3
"""Fewer columns than this give no scatter worth the name."""


@dataclass(frozen=True, slots=True)
class Overscan:
    """The offset of an amplifier, row by row."""

    level: npt.NDArray[np.float32]
    """Offset of each row, adu, shape (n_rows,)."""

    noise: float
    """Standard deviation of one overscan pixel about its row, adu."""

    n_clipped: int
    """Number of overscan pixels left out."""

    def _repr_html_(self) -> str:
        return (
            f"<b>Overscan</b> of {self.level.size} rows: level {np.median(self.level):.2f} adu, "
            f"noise {self.noise:.2f} adu, {self.n_clipped} pixels clipped"
        )


def measure_overscan(
    pixels: npt.NDArray[Any],
    *,
    method: Literal["row_mean", "row_median", "constant"] = "row_mean",
    skip_columns: int = 0,
    n_sigma: float = 4.0,
) -> Overscan:
    """Measure the offset of an amplifier from its serial overscan.

    Parameters
    ----------
    pixels
        Serial overscan, adu, shape (n_rows, n_columns), first column read first.
    method
        ``row_mean``: mean of each row without outliers; adds a variance of
        only noise²/n_columns to the image. ``row_median``: median of each row,
        π/2 times that variance. ``constant``: one value for all rows, for
        electronics whose offset does not drift.
    skip_columns
        Leading columns left out because charge of the last real column trails
        into them.
    n_sigma
        Half-width of the interval outside which pixels are left out.

    Returns
    -------
    Overscan

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If fewer than three columns are left or a pixel is not finite.

    Notes
    -----
    Janesick, *Scientific Charge-Coupled Devices* (2001), section 2.2: with n
    kept pixels in m rows, noise² = Σ (x - level_row)² / (n - m). The rounding
    of the converter (1/12 adu²) stays in the noise, for it is in the image too.
    """
    used = np.asarray(pixels[:, skip_columns:], dtype=np.float32)
    if used.shape[1] < MIN_COLUMNS:
        raise MeasurementError(
            f"the overscan has {used.shape[1]} usable columns",
            hint=f"At least {MIN_COLUMNS} are needed: skip fewer columns, or check the camera geometry",
        )
    require_finite("the overscan", used)
    median = np.median(used, axis=1)
    residual = used - median[:, None]
    cut = n_sigma * max(MAD_TO_SIGMA * float(np.median(np.abs(residual))), 0.5)
    kept = np.abs(residual) <= cut
    n_kept = np.maximum(kept.sum(axis=1), 1)
    # Summed as offsets from the median, so that float32 keeps all its digits.
    mean = median + np.where(kept, residual, 0).sum(axis=1) / n_kept
    scatter = np.where(kept, used - mean[:, None], 0)
    degrees = max(int(n_kept.sum()) - n_kept.size, 1)
    noise = float(np.sqrt(np.sum(np.square(scatter, dtype=np.float64)) / degrees))
    level = {"row_mean": mean, "row_median": median, "constant": np.full_like(mean, mean.mean())}[method]
    return Overscan(level.astype(np.float32), noise, int(kept.size - kept.sum()))


def subtract_overscan(data: npt.NDArray[Any], overscan: Overscan) -> FloatImage:
    """Return the pixels of an amplifier without its offset.

    Parameters
    ----------
    data
        Real pixels of the amplifier, adu, shape (n_rows, n_columns).
    overscan
        From `measure_overscan` on the same rows.

    Returns
    -------
    FloatImage
        New array, adu.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the number of rows differs.
    """
    if data.shape[0] != overscan.level.size:
        raise MeasurementError(
            f"an amplifier of {data.shape[0]} rows has an overscan of {overscan.level.size}",
            hint="Check the sections of this amplifier in the camera geometry",
        )
    signal: FloatImage = np.subtract(data, overscan.level[:, None], dtype=np.float32)
    return signal
