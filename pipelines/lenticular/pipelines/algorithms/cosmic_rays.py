"""Cosmic rays: pixels that rise more steeply than light through the optics can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import MeasurementError
from lenticular.pipelines.algorithms.arrays import require_shape

if TYPE_CHECKING:
    import numpy.typing as npt

    from lenticular.pipelines.algorithms.arrays import BoolImage, FloatImage

__all__ = ["CosmicRays", "find_cosmic_rays", "gaussian_psf"]

_OPPOSITE = ((0, 1), (1, 0), (1, 1), (1, -1))
"""One neighbour of each of the four pairs that face each other across a pixel."""

_AROUND = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)

_FWHM_TO_SIGMA = 1 / (2 * np.sqrt(2 * np.log(2)))


@dataclass(frozen=True, slots=True)
class CosmicRays:
    """The cosmic rays of an image."""

    mask: npt.NDArray[np.bool_]
    """Pixels hit, shape (n_y, n_x)."""

    n_pixels: int
    """Their number."""

    n_iterations: int
    """Passes after which nothing more was found."""

    def _repr_html_(self) -> str:
        return f"<b>Cosmic rays</b>: {self.n_pixels} pixels after {self.n_iterations} passes"


def gaussian_psf(fwhm: float) -> npt.NDArray[np.float64]:
    """Return a 3 x 3 Gaussian of peak 1, for when the PSF has not been measured yet.

    Parameters
    ----------
    fwhm
        Full width at half maximum, pixels. Take the sharpest that occurs: a
        narrower PSF finds fewer cosmic rays, a wider one eats stars.
    """
    if not fwhm > 0:
        raise MeasurementError(f"a PSF cannot have a width of {fwhm} pixels", hint="Give a positive FWHM")
    y, x = np.mgrid[-1:2, -1:2]
    psf: npt.NDArray[np.float64] = np.exp(-0.5 * (x * x + y * y) / (fwhm * _FWHM_TO_SIGMA) ** 2)
    return psf


def find_cosmic_rays(
    image: FloatImage,
    variance: FloatImage,
    psf: npt.NDArray[np.floating],
    *,
    mask: BoolImage | None = None,
    n_sigma: float = 6.0,
    grow_n_sigma: float = 3.0,
    minimum: float = 60.0,
    safety: float = 0.7,
    noise_margin: float = 2.5,
    max_iterations: int = 10,
) -> CosmicRays:
    """Find cosmic rays by their peakiness.

    Parameters
    ----------
    image
        Sky-subtracted signal, electron; shape (n_y, n_x). Not changed.
    variance
        electron²; the same shape.
    psf
        Any odd, centred stamp of at least 3 x 3 pixels; only its inner 3 x 3
        matter. The sharpest PSF of the image, if it varies.
    mask
        Pixels that are no measurement (bad, saturated): never reported.
    n_sigma
        A hit begins with a pixel that stands this far above the sky, and above
        the mean of two opposite neighbours.
    grow_n_sigma
        The same for pixels that touch a hit.
    minimum
        A hit begins with at least this signal, electron.
    safety
        Allowance for errors of the PSF, 0 to 1; smaller spares more stars.
    noise_margin
        Noise to give the pixel and its neighbours in the peakiness test, sigma.
    max_iterations
        Number of passes at most.

    Returns
    -------
    CosmicRays

    Raises
    ------
    lenticular.butler.errors.MeasurementError
        If the shapes differ or the PSF is unusable.

    Notes
    -----
    After R. Lupton's test in the SDSS photometric pipeline (Lupton et al. 2001,
    ASP Conf. 238, 269; also in LSST's meas_algorithms): for two opposite
    neighbours with mean m, a pixel of signal I is hit if, in any of the four
    directions, I - m > n σ and

        safety (I - c σ) > (m + c σ_m) PSF(0) / PSF(neighbour).

    A hit pixel is then replaced by its good neighbours, and the pixels around it
    are looked at again, so that a wide track is peeled from its crest outwards.
    """
    require_shape("the variance", variance, image.shape)
    ratios = _psf_ratios(psf)
    peel = _Peel(image, variance, mask, ratios, safety)
    high = np.flatnonzero(peel.open & (image > max(minimum, 0)))
    y, x = np.divmod(high, image.shape[1])
    high_enough = image[y, x] > n_sigma * peel.sigma((y, x))
    crest = peel.test((y[high_enough], x[high_enough]), n_sigma, noise_margin)
    n_passes = 1
    while crest[0].size and n_passes < max_iterations:
        peel.take(crest)
        around = peel.neighbours(crest)
        keep = peel.signal[around] > grow_n_sigma * peel.sigma(around)
        crest = peel.test((around[0][keep], around[1][keep]), grow_n_sigma, 0.5 * noise_margin)
        n_passes += 1
    if crest[0].size:
        peel.take(crest)
    return CosmicRays(peel.hit, int(peel.hit.sum()), n_passes)


type _Pixels = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _psf_ratios(psf: npt.NDArray[np.floating]) -> dict[tuple[int, int], float]:
    """Return, per pair of neighbours, their mean as a share of the central pixel."""
    centre_y, centre_x = psf.shape[0] // 2, psf.shape[1] // 2
    peak = float(psf[centre_y, centre_x])
    if min(psf.shape) < 3 or not peak > 0:  # noqa: PLR2004  # a pixel and its neighbours
        raise MeasurementError(
            "the PSF has no peak at its centre",
            hint="Give an odd stamp of 3 x 3 pixels or more, centred on the star",
        )
    ratios = {}
    for dy, dx in _OPPOSITE:
        pair = float(psf[centre_y + dy, centre_x + dx] + psf[centre_y - dy, centre_x - dx]) / 2
        ratios[dy, dx] = min(max(pair / peak, 1e-3), 1.0)
    return ratios


class _Peel:
    """The working copy of an image while hits are taken off it."""

    def __init__(
        self,
        image: FloatImage,
        variance: FloatImage,
        mask: BoolImage | None,
        ratios: dict[tuple[int, int], float],
        safety: float,
    ) -> None:
        self.signal = image.copy()
        self.open = np.isfinite(image) if mask is None else np.isfinite(image) & ~mask
        self.hit = np.zeros_like(self.open)
        self._variance = variance
        self._ratios = ratios
        self._safety = safety

    def sigma(self, pixels: _Pixels) -> FloatImage:
        """Return the noise of pixels."""
        return np.sqrt(np.maximum(self._variance[pixels], 1e-6))

    def _shift(self, pixels: _Pixels, dy: int, dx: int) -> _Pixels:
        """Return the pixels beside these; at the edge of the image, themselves."""
        n_y, n_x = self.signal.shape
        return np.clip(pixels[0] + dy, 0, n_y - 1), np.clip(pixels[1] + dx, 0, n_x - 1)

    def test(self, pixels: _Pixels, n_sigma: float, margin: float) -> _Pixels:
        """Return those of the pixels that no star explains."""
        signal, sigma = self.signal[pixels], self.sigma(pixels)
        stands_out = np.zeros(signal.size, bool)
        too_sharp = np.zeros(signal.size, bool)
        for (dy, dx), ratio in self._ratios.items():
            one, other = self._shift(pixels, dy, dx), self._shift(pixels, -dy, -dx)
            mean = 0.5 * (self.signal[one] + self.signal[other])
            sigma_mean = 0.5 * np.hypot(self.sigma(one), self.sigma(other))
            stands_out |= signal - mean > n_sigma * sigma
            too_sharp |= self._safety * (signal - margin * sigma) > (mean + margin * sigma_mean) / ratio
        hit = stands_out & too_sharp
        return pixels[0][hit], pixels[1][hit]

    def take(self, pixels: _Pixels) -> None:
        """Mark pixels as hit and replace them by the mean of their good neighbours."""
        self.hit[pixels] = True
        self.open[pixels] = False
        total = np.zeros(pixels[0].size, np.float32)
        count = np.zeros(pixels[0].size, np.float32)
        for dy, dx in _AROUND:
            beside = self._shift(pixels, dy, dx)
            usable = self.open[beside]
            total += np.where(usable, self.signal[beside], 0)
            count += usable
        self.signal[pixels] = total / np.maximum(count, 1)

    def neighbours(self, pixels: _Pixels) -> _Pixels:
        """Return the open pixels that touch any of the given ones, each once."""
        width = self.open.shape[1]
        beside = [self._shift(pixels, dy, dx) for dy, dx in _AROUND]
        flat = np.unique(np.concatenate([y * width + x for y, x in beside]))
        flat = flat[self.open.ravel()[flat]]
        return flat // width, flat % width
