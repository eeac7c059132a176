"""Random numbers that do not depend on what else is drawn.

Each effect in each detector of each exposure draws from a stream of its own,
named by what it is for. Adding a visit, a detector or an effect therefore
changes nothing that was there before, and neither does the order of the work.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Stream", "stream"]


class Stream(IntEnum):
    """What a stream of random numbers is for. The numbers must never change."""

    AMPLIFIERS = 1
    RESPONSE = 2
    DARK_CURRENT = 3
    BIAS_STRUCTURE = 4
    BAD_PIXELS = 5
    CROSSTALK = 6
    THROUGHPUT = 7
    STARS = 10
    GALAXIES = 11
    TRANSIENTS = 12
    VARIABLES = 13
    POINTING = 20
    POINTING_ERROR = 21
    SEEING = 22
    SKY_LEVEL = 23
    TRANSPARENCY = 24
    TRAILS = 25
    PHOTON_NOISE = 30
    COSMIC_RAYS = 31
    READ_NOISE = 32
    BIAS_LEVEL = 33
    REFERENCES = 40


def stream(seed: int, purpose: Stream, *keys: int) -> np.random.Generator:
    """Return the random numbers for one purpose.

    Parameters
    ----------
    seed
        Seed of the survey.
    purpose
        What the numbers are for.
    *keys
        What it is about: exposure, detector, tile of the sky, ...; each >= 0.

    Returns
    -------
    numpy.random.Generator
        Always the same for the same arguments, independent of all others.
    """
    # Equal leading words and a different number of keys give different streams,
    # because the length is part of the entropy.
    entropy = [seed, int(purpose), len(keys), *keys]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
