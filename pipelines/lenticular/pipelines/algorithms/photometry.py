"""Fluxes of point sources, all fitted at once.

The pixels of an image are modelled as a sum of
point-spread functions, whose fluxes follow from sparse normal equations, and whose
positions follow from the same equations with the derivatives of the function added
(Stetson 1987, PASP 99, 191, section III; solved at once as in crowdsource, Schlafly et
al. 2018, ApJS 234, 39, section 3). Weights are those of the sky: they do not depend on
the flux, so that the flux is unbiased (Portillo et al. 2020, AJ 159, 165).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage
    from lenticular.pipelines.algorithms.psf_sampler import SampledPsf

__all__ = ["PsfPhotometry", "fit_psf_fluxes"]

_RIDGE = 1e-9
"""Relative to the diagonal: keeps the equations solvable when two sources coincide."""

_MAX_STEP = 0.5
_MAX_DRIFT = 1.5
_BLOCK = 256
_MIN_INFORMATION = 1e-3
"""A source whose stamp holds less than this part of the usual information is not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class PsfPhotometry:
    """What a simultaneous fit of point-spread functions gives.

    Attributes
    ----------
    x, y
        Fitted positions, pixels, float64, shape (n,).
    x_err, y_err
        Their standard deviations, pixels, shape (n,); infinite where the flux
        is not positive.
    flux, flux_err
        Fitted fluxes and standard deviations, in the unit of the image, shape
        (n,). NaN where no usable pixel is under the source.
    residual
        The image less all sources, shape (ny, nx).
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    x_err: npt.NDArray[np.float64]
    y_err: npt.NDArray[np.float64]
    flux: npt.NDArray[np.float64]
    flux_err: npt.NDArray[np.float64]
    residual: FloatImage

    @property
    def signal_to_noise(self) -> npt.NDArray[np.float64]:
        """Flux over its standard deviation, shape (n,)."""
        return self.flux / self.flux_err

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"PsfPhotometry({len(self)} sources)"


class _Design:
    """The stamps of all sources as columns of one sparse matrix."""

    def __init__(
        self,
        psf: SampledPsf,
        x: npt.NDArray[np.float64],
        y: npt.NDArray[np.float64],
        shape: tuple[int, int],
        weight: npt.NDArray[np.float64],
    ) -> None:
        half = psf.size // 2
        offset = np.arange(-half, half + 1)
        rows = np.floor(y + 0.5).astype(np.int64)[:, None, None] + offset[None, :, None]
        columns = np.floor(x + 0.5).astype(np.int64)[:, None, None] + offset[None, None, :]
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        pixel = rows * shape[1] + columns
        self._inside = inside
        self._pixel = pixel[inside]
        self._ends = np.concatenate([[0], np.cumsum(inside.sum(axis=(1, 2)))])
        self._n_pixels = shape[0] * shape[1]
        self._weight = weight
        self.stamps = psf.stamps(x, y)

    def matrix(self, stamps: npt.NDArray[np.float64], *, weighted: bool = True) -> sparse.csc_matrix:
        """Columns for one kind of stamp, shape (number of pixels, n)."""
        values = stamps[self._inside]
        if weighted:
            values = values * self._weight[self._pixel]
        shape = (self._n_pixels, len(stamps))
        return sparse.csc_matrix((values, self._pixel, self._ends), shape=shape)

    def sums(self, values: npt.NDArray[np.float64], power: int) -> npt.NDArray[np.float64]:
        """Sum stamps over their pixels, times a power of the weight, shape (n,)."""
        weighted = values[self._inside] * self._weight[self._pixel] ** power
        total = np.concatenate([[0.0], np.cumsum(weighted)])[self._ends]
        return np.diff(total)


def fit_psf_fluxes(
    image: FloatImage,
    noise: FloatImage,
    mask: BoolImage,
    psf: SampledPsf,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    *,
    n_recentre: int = 3,
) -> PsfPhotometry:
    """Fit the fluxes and positions of all sources of an image at once.

    Parameters
    ----------
    image
        Background-subtracted pixels, electron, shape (ny, nx).
    noise
        Standard deviation of the sky, electron, shape (ny, nx), positive.
    mask
        True where a pixel must not be used, shape (ny, nx).
    psf
        The point-spread function.
    x, y
        Approximate positions of the sources, pixels, shape (n,).
    n_recentre
        Rounds in which the positions are improved, before a last round in
        which only the fluxes are fitted. A position moves by half a pixel in
        a round and by 1.5 pixels altogether at most.

    Returns
    -------
    PsfPhotometry
        Positions, fluxes, and the image without the sources.
    """
    weight = np.where(mask, 0.0, 1.0 / noise).astype(np.float64).ravel()
    pixels = np.where(mask, 0.0, image).astype(np.float64).ravel() * weight
    here_x, here_y = x.astype(np.float64), y.astype(np.float64)
    for _ in range(n_recentre if len(x) else 0):
        design = _Design(psf, here_x, here_y, image.shape, weight)
        step_x, step_y = _steps(design, pixels)
        here_x = x + np.clip(here_x + step_x - x, -_MAX_DRIFT, _MAX_DRIFT)
        here_y = y + np.clip(here_y + step_y - y, -_MAX_DRIFT, _MAX_DRIFT)
    if not len(x):
        empty = np.empty(0)
        return PsfPhotometry(empty, empty, empty, empty, empty, empty, image.copy())
    return _fluxes(_Design(psf, here_x, here_y, image.shape, weight), pixels, image, here_x, here_y)


def _steps(
    design: _Design, pixels: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Solve for flux and shift together and return the shifts, pixels, shape (n,) each."""
    columns = sparse.hstack([design.matrix(stamps) for stamps in design.stamps], format="csc")
    solution = _solve(columns, pixels)[0]
    flux, shift_x, shift_y = np.split(solution, 3)
    positive = flux > 0
    scale = np.where(positive, flux, 1.0)
    step_x = np.where(positive, np.clip(shift_x / scale, -_MAX_STEP, _MAX_STEP), 0.0)
    step_y = np.where(positive, np.clip(shift_y / scale, -_MAX_STEP, _MAX_STEP), 0.0)
    return step_x, step_y


def _solve(
    columns: sparse.csc_matrix, pixels: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], linalg.SuperLU]:
    """Solve normal equations; returns the solution and the factors."""
    normal = (columns.T @ columns).tocsc()
    diagonal = normal.diagonal()
    floor = _RIDGE * max(float(np.median(diagonal)), 1e-300)
    normal = normal + sparse.diags(_RIDGE * diagonal + floor, format="csc")
    factors = linalg.splu(normal.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return factors.solve(columns.T @ pixels), factors


def _fluxes(
    design: _Design,
    pixels: npt.NDArray[np.float64],
    image: FloatImage,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
) -> PsfPhotometry:
    """Fit fluxes at fixed positions and work out all errors.

    A source's own photons add its flux times its profile P to the variance of
    the sky. The estimate sum(w P d) / sum(w P P) with w = 1 / variance of the
    sky then gains the variance flux * sum(w w P P P) / sum(w P P)^2, and a
    position likewise with the slope of P.
    """
    value, by_x, by_y = design.stamps
    flux, factors = _solve(design.matrix(value), pixels)
    information = design.sums(value**2, 2)
    measured = information > _MIN_INFORMATION * np.median(information)
    flux = np.where(measured, flux, np.nan)
    photons = np.where(flux > 0, flux, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = photons * design.sums(value**3, 4) / information**2
        errors = []
        for slope in (by_x, by_y):
            stiffness = design.sums(slope**2, 2)
            noise = 1 / stiffness + photons * design.sums(value * slope**2, 4) / stiffness**2
            errors.append(np.where(photons > 0, np.sqrt(noise) / photons, np.inf))
    model = design.matrix(value, weighted=False) @ np.nan_to_num(flux)
    return PsfPhotometry(
        x=x,
        y=y,
        x_err=errors[0],
        y_err=errors[1],
        flux=flux,
        flux_err=np.where(measured, np.sqrt(_inverse_diagonal(factors, len(x)) + own), np.nan),
        residual=(image - model.reshape(image.shape)).astype(np.float32),
    )


def _inverse_diagonal(factors: linalg.SuperLU, n: int) -> npt.NDArray[np.float64]:
    """Diagonal of the inverse of a factored matrix, solved a block of columns at a time."""
    diagonal = np.empty(n)
    for start in range(0, n, _BLOCK):
        columns = np.arange(start, min(start + _BLOCK, n))
        unit = np.zeros((n, len(columns)))
        unit[columns, np.arange(len(columns))] = 1.0
        diagonal[columns] = factors.solve(unit)[columns, np.arange(len(columns))]
    return diagonal
