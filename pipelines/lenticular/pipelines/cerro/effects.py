"""What a detector does to light: from expected electrons to the numbers in a raw.

The order is that of nature: light is collected (flat field, dark current,
photon noise), cosmic rays strike, wells overflow, the amplifier reads in its
own order (nonlinearity, gain, crosstalk), and adds its bias and its noise.
Not modelled: charge transfer inefficiency, brighter-fatter, fringes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from lenticular.butler.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lenticular.pipelines.cerro.camera import DetectorTruth

__all__ = ["Effects", "add_trail", "collect", "cosmic_rays", "overflow", "photon_noise", "read_out"]

COSMIC_RAY_RATE = 4.8e-7
"""Cosmic rays per pixel and second; a 1k x 1k detector gets 15 in 30 s."""

ADC_MAXIMUM = 65535
_POISSON_BELOW = 500


@dataclass(frozen=True, slots=True)
class Effects:
    """Which effects a simulation includes; each can be switched off alone."""

    photon_noise: bool = True
    """Electrons arrive at random."""

    dark_current: bool = True
    """Electrons come also without light."""

    flat: bool = True
    """Pixels and detectors differ in their response."""

    bad_pixels: bool = True
    """Dead and hot pixels, blocked columns."""

    cosmic_rays: bool = True
    """Tracks of charged particles."""

    saturation: bool = True
    """Wells are full, and what exceeds them bleeds along the column."""

    nonlinearity: bool = True
    """Amplifiers report less than they got."""

    crosstalk: bool = True
    """Amplifiers hear one another."""

    read_noise: bool = True
    """Every number read has noise."""

    bias_structure: bool = True
    """A fixed pattern that the overscan does not show."""

    bias_drift: bool = True
    """The bias level changes from exposure to exposure and from row to row."""

    sky: bool = True
    """The night sky is bright."""

    stars: bool = True
    """Stars, constant and variable."""

    galaxies: bool = True
    """Galaxies."""

    transients: bool = True
    """Things that were not there the first night."""

    trails: bool = True
    """Satellites cross some visits."""

    psf_variation: bool = True
    """The PSF changes over the focal plane."""

    distortion: bool = True
    """The optics distort."""

    pointing_error: bool = True
    """The header's WCS is not quite the true one."""

    @classmethod
    def only(cls, *names: str) -> Effects:
        """Return these effects alone.

        Raises
        ------
        ConfigError
            If there is no effect of such a name.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(names) - known):
            raise ConfigError(
                f"No such effect: {', '.join(unknown)}", hint=f"Effects are {', '.join(sorted(known))}."
            )
        return cls(**{name: name in names for name in known})

    def without(self, *names: str) -> Effects:
        """Return the same without these effects.

        Raises
        ------
        ConfigError
            If there is no effect of such a name.
        """
        Effects.only(*names)
        return replace(self, **dict.fromkeys(names, False))


def add_trail(
    image: NDArray[np.float32], *, x: float, y: float, angle: float, sigma: float, brightness: float
) -> None:
    """Add the trail of a satellite, a straight line of Gaussian profile, in place.

    Parameters
    ----------
    image : (n_y, n_x)
        Expected electrons.
    x, y
        A point of the line, in pixel coordinates; it may lie outside.
    angle
        Direction of the line from the x axis towards the y axis [rad].
    sigma
        Width of the profile [pixel].
    brightness
        Electrons per pixel of length.
    """
    rows, columns = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.sin(angle) * (columns - x) - np.cos(angle) * (rows - y)
    near_y, near_x = np.nonzero(np.abs(distance) < 5 * sigma)
    profile = np.exp(-0.5 * (distance[near_y, near_x] / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    image[near_y, near_x] += (brightness * profile).astype(np.float32)


def collect(
    light: NDArray[np.float32], truth: DetectorTruth, *, band: str, dark_time: float, effects: Effects
) -> NDArray[np.float32]:
    """Return the electrons that a detector is expected to hold.

    Parameters
    ----------
    light : (n_y, n_x)
        Electrons of a perfect detector. It is not changed.
    truth
        The detector.
    band
        The band of the light, for the flat field.
    dark_time
        Time for the dark current [s].
    effects
        ``flat``, ``dark_current`` and ``bad_pixels`` matter.

    Returns
    -------
    (n_y, n_x)
        Expected electrons.
    """
    held = light * truth.response[band] if effects.flat else light.copy()
    if effects.bad_pixels:
        held *= truth.dead
    if effects.dark_current:
        held += np.float32(dark_time) * truth.dark_current
        if effects.bad_pixels:
            held += np.float32(dark_time) * truth.hot
    return held


def photon_noise(expected: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return electrons drawn from Poisson's distribution.

    Where most pixels expect more than 500 electrons, those that do are drawn
    from the first two terms of the Cornish-Fisher expansion of Poisson's
    distribution (Abramowitz & Stegun 1964, 26.2.49), equal to it in mean,
    variance and skewness, three times faster and not in whole electrons.

    Parameters
    ----------
    expected : (n_y, n_x)
        Means [electron].
    rng
        Random numbers of this effect.

    Returns
    -------
    (n_y, n_x)
        Electrons, never negative.
    """
    if not expected.any():
        return expected.copy()
    faint = expected < _POISSON_BELOW
    if np.count_nonzero(faint) > faint.size // 2:
        return rng.poisson(expected).astype(np.float32)
    deviate = rng.standard_normal(expected.shape, dtype=np.float32)
    drawn = np.sqrt(expected) * deviate
    drawn += expected
    np.square(deviate, out=deviate)
    deviate -= 1
    deviate /= 6
    drawn += deviate
    drawn[faint] = rng.poisson(expected[faint])
    return drawn


def cosmic_rays(shape: tuple[int, int], time: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the electrons that cosmic rays leave.

    Parameters
    ----------
    shape
        Rows and columns.
    time
        Time since the detector was last cleared [s].
    rng
        Random numbers of this effect.

    Returns
    -------
    (n_y, n_x)
        Straight tracks, 12 pixels long on average, of some 600 electrons per
        half pixel; sharper than any star.
    """
    image = np.zeros(shape, np.float32)
    n = rng.poisson(COSMIC_RAY_RATE * shape[0] * shape[1] * time)
    length = np.maximum(rng.exponential(12, n), 1)
    angle, energy = rng.uniform(0, np.pi, n), 100 + rng.exponential(500, n)
    start_y, start_x = rng.uniform(0, shape[0], n), rng.uniform(0, shape[1], n)
    for k in range(n):
        along = np.arange(0, length[k], 0.5)
        y = np.floor(start_y[k] + along * np.sin(angle[k])).astype(int)
        x = np.floor(start_x[k] + along * np.cos(angle[k])).astype(int)
        inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
        np.add.at(image, (y[inside], x[inside]), energy[k])
    return image


def overflow(electrons: NDArray[np.float32], truth: DetectorTruth) -> NDArray[np.bool_]:
    """Let full wells bleed along their columns, in place.

    Half of what a run of full pixels cannot hold goes up and half goes down,
    filling wells on its way. It stays within the amplifier, because the other
    half of the column is clocked the other way, and is lost at its ends.

    Parameters
    ----------
    electrons : (n_y, n_x)
        Electrons before and after.
    truth
        The detector.

    Returns
    -------
    (n_y, n_x)
        Pixels whose wells are full.
    """
    full = np.zeros(electrons.shape, bool)
    for amplifier, well in zip(truth.model.amplifiers, truth.full_well.astype(np.float32), strict=True):
        pixels = electrons[amplifier.bbox.slices]
        for column in np.flatnonzero((pixels > well).any(axis=0)):
            _bleed(pixels[:, column], float(well))
        full[amplifier.bbox.slices] = pixels >= well
    return full


def _bleed(column: NDArray[np.float32], well: float) -> None:
    over = np.flatnonzero(column > well)
    for run in np.split(over, np.flatnonzero(np.diff(over) > 1) + 1):
        excess = float((column[run] - np.float32(well)).sum())
        column[run] = well
        _fill(column[run[-1] + 1 :], excess / 2, well)
        _fill(column[: run[0]][::-1], excess / 2, well)


def _fill(wells: NDArray[np.float32], charge: float, well: float) -> None:
    """Pour charge into the wells, one after the other, until nothing is left."""
    room = np.maximum(well - wells.astype(np.float64), 0)
    before = np.cumsum(room) - room
    wells += np.clip(charge - before, 0, room).astype(np.float32)
    # Sums of float32 may end just below the brim; a full well is exactly full.
    np.copyto(wells, np.float32(well), where=(charge - before >= room) & (room > 0))


def read_out(
    electrons: NDArray[np.float32],
    truth: DetectorTruth,
    *,
    effects: Effects,
    noise: np.random.Generator,
    drift: np.random.Generator,
) -> NDArray[np.uint16]:
    """Return the raw image that the amplifiers make of electrons.

    Parameters
    ----------
    electrons : (n_y, n_x)
        Electrons in the wells.
    truth
        The detector.
    effects
        ``nonlinearity``, ``crosstalk``, ``read_noise``, ``bias_structure`` and
        ``bias_drift`` matter.
    noise, drift
        Random numbers of the read noise and of the bias level.

    Returns
    -------
    (raw n_y, raw n_x)
        Prescan and overscan included [adu].
    """
    model = truth.model
    signals = _signals(electrons, truth, effects)
    raw = np.empty(model.raw_shape, np.float32)
    rows = drift.standard_normal(model.raw_shape[0], dtype=np.float32)
    steps = 2 * drift.standard_normal(len(model.amplifiers))
    for k, amplifier in enumerate(model.amplifiers):
        out = raw[amplifier.raw_bbox.slices]
        out[...] = truth.bias_level[k] + (steps[k] if effects.bias_drift else 0)
        if effects.read_noise:
            scale = np.float32(truth.read_noise[k] / truth.gain[k])
            out += scale * noise.standard_normal(out.shape, dtype=np.float32)
        data = raw[amplifier.raw_data_bbox.slices]
        data += amplifier.to_readout_order(signals[k])
        if effects.bias_structure:
            data += truth.bias_structure[amplifier.bbox.slices]
    if effects.bias_drift:
        raw += rows[:, None]
    np.rint(raw, out=raw)
    return np.clip(raw, 0, ADC_MAXIMUM, out=raw).astype(np.uint16)


def _signals(electrons: NDArray[np.float32], truth: DetectorTruth, effects: Effects) -> NDArray[np.float32]:
    """Return what each amplifier reads, without bias: (n_amp, n_y, n_x), in readout order [adu]."""
    signals: list[NDArray[np.float32]] = []
    for k, amplifier in enumerate(truth.model.amplifiers):
        signal = amplifier.to_readout_order(electrons[amplifier.bbox.slices])
        if effects.nonlinearity and (c := truth.linearity[k]):
            # The root of e_true = e + c e^2.
            root = np.sqrt(1 + np.float32(4 * c) * signal)
            signal = np.float32(2) * signal / (1 + root)
        signals.append((signal / np.float32(truth.gain[k])).astype(np.float32, copy=False))
    stack = np.stack(signals)
    if effects.crosstalk:
        stack += np.tensordot(truth.crosstalk.astype(np.float32), stack, 1)
    return stack
