"""Crosstalk, gain, linearity, dark current and flat field: each effect and its inverse order.

What the electronics do last is undone first: crosstalk mixes the adu that the
amplifiers put out, the gain and the non-linearity make those adu from
electrons, and the dark current and the response of the pixels make the
electrons from light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import require_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = [
    "correct_crosstalk",
    "divide_flat",
    "linearize",
    "subtract_dark",
    "to_electrons",
    "variance_plane",
]


def correct_crosstalk(amplifiers: Sequence[FloatImage], matrix: npt.NDArray[Any]) -> list[FloatImage]:
    """Undo the mixing of the signals of amplifiers that are read at the same time.

    Parameters
    ----------
    amplifiers
        Pixels of each amplifier, adu, all of the same shape and with the
        pixels that are read together at the same place.
    matrix
        Shape (n_amp, n_amp); element [v, s] is the share of the signal of
        source s that appears in victim v.

    Returns
    -------
    list
        Corrected pixels of each amplifier, adu, as views into one new array.

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If shapes differ, or the matrix cannot be inverted.

    Notes
    -----
    Observed y = (1 + X) x, hence x = (1 + X)⁻¹ y exactly; Freyhammer et al.
    (2001, *Exp. Astron.* 12, 147) subtract X y, which is the first order.
    """
    count = len(amplifiers)
    require_shape("the crosstalk matrix", matrix, (count, count))
    if not np.any(matrix):
        return list(amplifiers)
    if len({amplifier.shape for amplifier in amplifiers}) != 1:
        raise MeasurementError(
            "crosstalk between amplifiers of different sizes cannot be corrected",
            hint="Switch the correction off (doCrosstalk = False) for this camera",
        )
    try:
        inverse = np.linalg.inv(np.eye(count) + matrix).astype(np.float32)
    except np.linalg.LinAlgError as error:
        raise MeasurementError(
            "the crosstalk matrix is singular", hint="Measure the crosstalk again"
        ) from error
    stack = np.stack(amplifiers)
    mixed = inverse @ stack.reshape(count, -1)
    return list(mixed.reshape(stack.shape))


def to_electrons(adu: FloatImage, gain: float) -> None:
    """Turn adu into electrons, in place.

    Parameters
    ----------
    adu
        Signal, adu; becomes electron.
    gain
        electron/adu.
    """
    adu *= np.float32(gain)


def linearize(electrons: FloatImage, coefficient: float) -> None:
    """Undo the non-linearity of an amplifier, in place.

    Parameters
    ----------
    electrons
        Measured signal, electron; becomes the true signal.
    coefficient
        c in e_true = e + c e², 1/electron.
    """
    if coefficient:
        electrons *= 1 + np.float32(coefficient) * electrons


def variance_plane(electrons: FloatImage, read_noise: float) -> FloatImage:
    """Return the variance of measured electrons, electron².

    Parameters
    ----------
    electrons
        Linear signal with the dark current still in it, electron.
    read_noise
        electron.

    Notes
    -----
    Poisson: σ² = max(e, 0) + read_noise². Estimated from the measured signal
    itself, it is low where the signal fluctuated low: weight by a smooth model
    of the sky where that matters.
    """
    return np.maximum(electrons, 0) + np.float32(read_noise**2)


def subtract_dark(electrons: FloatImage, dark: FloatImage, seconds: float) -> None:
    """Subtract the charge that gathers without light, in place.

    Parameters
    ----------
    electrons
        electron; shape (n_y, n_x).
    dark
        Dark current, electron/s; the same shape.
    seconds
        Time between the last clearing and the readout, s.
    """
    require_shape("the dark", dark, electrons.shape)
    electrons -= dark * np.float32(seconds)


def divide_flat(
    electrons: FloatImage, variance: FloatImage, flat: FloatImage, *, minimum: float = 0.05
) -> BoolImage:
    """Divide by the relative response of the pixels, in place.

    Parameters
    ----------
    electrons, variance
        electron and electron²; shape (n_y, n_x).
    flat
        Relative response, mean 1; the same shape.
    minimum
        A pixel of smaller or undefined response is not divided.

    Returns
    -------
    BoolImage
        The pixels that were not divided, which hold no measurement.
    """
    require_shape("the flat", flat, electrons.shape)
    dead = ~(flat > minimum)  # also true of NaN
    response = np.where(dead, np.float32(1), flat)
    electrons /= response
    variance /= np.square(response)
    return dead
