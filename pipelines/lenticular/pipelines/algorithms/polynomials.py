"""Polynomials in two variables, by their monomials, and how well they predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["UNIT", "exponents", "n_terms", "powers", "predicted_rms"]

UNIT = 1000.0
"""Pixels per unit of the polynomials' arguments, which keeps them well conditioned."""


def exponents(lowest: int, highest: int) -> list[tuple[int, int]]:
    """List the exponents (p, q) of the monomials u**p v**q, by rising degree p + q.

    Parameters
    ----------
    lowest, highest
        First and last degree.
    """
    return [(degree - q, q) for degree in range(lowest, highest + 1) for q in range(degree + 1)]


def n_terms(degree: int) -> int:
    """Count the monomials up to a degree."""
    return (degree + 1) * (degree + 2) // 2


def powers(
    u: npt.NDArray[np.float64], v: npt.NDArray[np.float64], lowest: int, highest: int
) -> npt.NDArray[np.float64]:
    """Evaluate monomials in the order of `exponents`.

    Parameters
    ----------
    u, v
        Arguments, pixels, shape (n,); they are divided by `UNIT` first.
    lowest, highest
        First and last degree.

    Returns
    -------
    numpy.ndarray
        Shape (n, number of monomials).
    """
    columns = [(u / UNIT) ** p * (v / UNIT) ** q for p, q in exponents(lowest, highest)]
    return np.stack(columns, axis=1) if columns else np.empty((len(u), 0))


def predicted_rms(
    terms: npt.NDArray[np.float64], target: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> float:
    """Compute the r.m.s. residual of each point, predicted from all others.

    It tells what degree of polynomial the points bear: a coefficient that they
    do not determine makes the prediction of one from the others worse.

    Parameters
    ----------
    terms
        Design matrix, shape (n, k) with k < n.
    target
        Values to fit, shape (n,) or (n, m).
    weight
        Inverse standard deviations, shape (n,).

    Returns
    -------
    float
        Square root of the weighted mean square, over points, of the predicted
        residuals, summed over the columns of ``target``.

    Notes
    -----
    The predicted residual is the residual over one less the leverage, the
    diagonal of the projection matrix (Allen 1974, Technometrics 16, 125).
    """
    values = target.reshape(len(target), -1) * weight[:, None]
    basis = np.linalg.qr(terms * weight[:, None])[0]
    leverage = np.minimum(np.square(basis).sum(axis=1), 1 - 1e-9)
    predicted = (values - basis @ (basis.T @ values)) / (1 - leverage)[:, None]
    return float(np.sqrt(np.square(predicted).sum() / np.square(weight).sum()))
