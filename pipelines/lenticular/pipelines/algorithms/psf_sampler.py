"""A point-spread function drawn once, then evaluated by interpolation.

Drawing a `piff` model takes more than a millisecond; simultaneous photometry wants some
thousands of stamps with their derivatives. `SampledPsf` draws the model on a few nodes
across the detector, at a fraction of a pixel, and interpolates: by Lagrange polynomials
from node to node, by cubic B-splines (Unser 1999, IEEE Signal Process. Mag. 16(6), 22)
from sample to sample. A profile wider than two pixels comes out to a ten-thousandth of
its peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["DrawPsf", "SampledPsf"]

_BATCH = 256
"""Sources evaluated at once: bounds the memory, and stays within the cache."""


class DrawPsf(Protocol):
    """A function that draws a point-spread function."""

    def __call__(
        self, x: float, y: float, /, *, offset: tuple[float, float], size: int
    ) -> npt.NDArray[np.floating]:
        """Draw the function of position (x, y) on a stamp.

        Parameters
        ----------
        x, y
            Position on the detector, pixels.
        offset
            Where the centre lies, in x and y from the middle pixel, pixels.
        size
            Side of the stamp, pixels, odd.
        """


@dataclass(frozen=True, slots=True, eq=False)
class SampledPsf:
    """A point-spread function that is cheap to evaluate anywhere on a detector.

    Attributes
    ----------
    nodes_x, nodes_y
        Coordinates of the nodes, pixels, shape (k,) each.
    coefficients
        B-spline coefficients of the drawn stamps, shape (k * k, m, m), node
        (j, i) at ``j * k + i``.
    size
        Side of the stamps that are given out, pixels, odd.
    oversampling
        Samples per pixel along each axis.
    """

    nodes_x: npt.NDArray[np.float64]
    nodes_y: npt.NDArray[np.float64]
    coefficients: npt.NDArray[np.float64]
    size: int
    oversampling: int

    @classmethod
    def from_draw(
        cls,
        draw: DrawPsf,
        shape: tuple[int, int],
        *,
        size: int = 25,
        n_nodes: int = 4,
        oversampling: int = 2,
    ) -> SampledPsf:
        """Draw a point-spread function on the nodes.

        Parameters
        ----------
        draw
            Draws one stamp.
        shape
            Rows and columns of the detector.
        size
            Side of the stamps to give out, pixels, odd.
        n_nodes
            Nodes along each axis; a model of order p in the position wants
            p + 1 to be exact.
        oversampling
            Samples per pixel along each axis.

        Returns
        -------
        SampledPsf
            Normalised so that a centred stamp sums to one at every node.
        """
        nodes_y, nodes_x = (_chebyshev_nodes(n, n_nodes) for n in shape)
        wide = size + 4
        fine = np.empty((n_nodes * n_nodes, wide * oversampling, wide * oversampling))
        for index in range(n_nodes * n_nodes):
            x, y = float(nodes_x[index % n_nodes]), float(nodes_y[index // n_nodes])
            for j in range(oversampling):
                for i in range(oversampling):
                    offset = (-i / oversampling, -j / oversampling)
                    fine[index, j::oversampling, i::oversampling] = draw(x, y, offset=offset, size=wide)
            centred = fine[index, ::oversampling, ::oversampling][2:-2, 2:-2]
            fine[index] /= centred.sum()
        splines = np.stack([ndimage.spline_filter(stamp, order=3, mode="mirror") for stamp in fine])
        return cls(nodes_x, nodes_y, splines, size, oversampling)

    def stamps(
        self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Evaluate the function and its derivatives for sources at given positions.

        Parameters
        ----------
        x, y
            Positions of the sources, pixels, shape (n,). Beyond the border of
            the detector the function of the border is used.

        Returns
        -------
        value, by_x, by_y
            Stamps, shape (n, size, size), whose middle pixel is the pixel
            nearest to the source; and the derivatives of the stamps with
            respect to the position of the source.
        """
        result = np.empty((3, len(x), self.size, self.size))
        for start in range(0, len(x), _BATCH):
            part = slice(start, start + _BATCH)
            fine = np.tensordot(self._node_weights(x[part], y[part]), self.coefficients, axes=1)
            along_y, slope_y = self._spline_matrices(y[part] - np.floor(y[part] + 0.5))
            along_x, slope_x = self._spline_matrices(x[part] - np.floor(x[part] + 0.5))
            across = fine @ along_x.transpose(0, 2, 1)
            result[0, part] = along_y @ across
            result[1, part] = along_y @ (fine @ slope_x.transpose(0, 2, 1))
            result[2, part] = slope_y @ across
        return result[0], result[1], result[2]

    def kernels(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Evaluate the function centred on the middle pixel of stamps.

        Parameters
        ----------
        x, y
            Positions on the detector, pixels, shape (n,).

        Returns
        -------
        numpy.ndarray
            Stamps of unit sum, shape (n, size, size).
        """
        fine = np.tensordot(self._node_weights(x, y), self.coefficients, axes=1)
        along, _ = self._spline_matrices(np.zeros(len(x)))
        stamps = along @ fine @ along.transpose(0, 2, 1)
        return np.asarray(stamps / stamps.sum(axis=(1, 2), keepdims=True), dtype=np.float64)

    def kernel(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """Evaluate the function at one position; see `kernels`."""
        return np.asarray(self.kernels(np.array([x]), np.array([y]))[0], dtype=np.float64)

    def _node_weights(
        self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Weights of the nodes at positions, shape (n, k * k)."""
        by_x = _lagrange(self.nodes_x, x)
        by_y = _lagrange(self.nodes_y, y)
        return (by_y[:, :, None] * by_x[:, None, :]).reshape(len(x), -1)

    def _spline_matrices(
        self, fraction: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Matrices from spline coefficients to pixels, and to their slopes.

        Parameters
        ----------
        fraction
            Positions of the sources relative to their nearest pixel, shape (n,).

        Returns
        -------
        value, slope
            Shape (n, size, m); the slope is with respect to ``fraction``.
        """
        n_fine = self.coefficients.shape[-1]
        place = self.oversampling * (2.0 - fraction)
        first = np.floor(place).astype(np.intp)
        t = place - first
        weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]) / 6
        slopes = np.stack([-((1 - t) ** 2), 3 * t**2 - 4 * t, 1 + 2 * t - 3 * t**2, t**2]) / 2
        value = np.zeros((len(fraction), self.size, n_fine))
        slope = np.zeros_like(value)
        source = np.arange(len(fraction))[:, None]
        pixel = np.arange(self.size)[None, :]
        for k in range(4):
            column = first[:, None] - 1 + k + self.oversampling * pixel
            value[source, pixel, column] = weights[k][:, None]
            slope[source, pixel, column] = -self.oversampling * slopes[k][:, None]
        return value, slope

    def __repr__(self) -> str:
        return f"SampledPsf({len(self.nodes_x)} x {len(self.nodes_y)} nodes, size={self.size})"


def _chebyshev_nodes(length: int, count: int) -> npt.NDArray[np.float64]:
    """Chebyshev nodes on the interval from the first pixel to the last, ascending."""
    angle = np.pi * (np.arange(count)[::-1] + 0.5) / count
    return np.asarray((length - 1) / 2 * (1 + np.cos(angle)), dtype=np.float64)


def _lagrange(nodes: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lagrange basis polynomials of the nodes, shape (n, k); constant beyond the detector."""
    reach = nodes[0] + nodes[-1]
    clipped = np.clip(at, 0.0, reach)
    basis = np.ones((len(at), len(nodes)))
    for i, node in enumerate(nodes):
        for j, other in enumerate(nodes):
            if i != j:
                basis[:, i] *= (clipped - other) / (node - other)
    return basis
