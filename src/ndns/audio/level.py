"""Running level of a sound as a power of two: what is divided by it has the same size however loud the sound is.

    m[t] = mean of |X[t]| over frequency bins
    e[t] = mean of those of m[0..t] that are `FLOOR` or more, of which a share of 1 / `FRAMES` is forgotten each frame
    exponent[t] = floor(log2(max(e[t], m[t] / `RISE`, FLOOR)))

What follows a pause would else be divided by the level of the pause, and overflow: digital silence has no level, and a
sound has at once a share of its own. A sound twice as loud gives the same `|X[t]| * 2**-exponent[t]`. A division by a
power of two is a shift of integers.
"""

import math

import numba
import numpy as np

FRAMES = 256
"""Frames (2 s at 125 Hz) over which the level is taken, once as many were heard."""

KEPT = 1 - 1 / FRAMES
"""Share of the level that the next frame keeps."""

FLOOR = 2.0**-8
"""Level (about -73 dBFS of white noise at 512 samples a frame) below which a sound counts as silence."""

RISE = 16.0
"""How many times as loud as its level a frame can be at most."""

FAINTEST = 1e-30
"""Least weight that frames are given: in minutes of silence that of all before fades away."""

_UNIT = 2.0**16


class Level:
    """The level of a stream, frame by frame.

    Sums are of whole numbers (units of 2^-16), hence exact in any order, so that every machine gives the same.
    """

    def __init__(self) -> None:
        self._sum = self._weight = 0.0

    def exponents(self, magnitude: np.ndarray) -> np.ndarray:
        """Take |X| `(bin, n)` of the next frames, return their exponents, int64 `(n,)`."""
        found = np.empty(magnitude.shape[1], np.int64)
        for index, mean in enumerate(_means(magnitude).tolist()):
            heard = mean >= FLOOR
            self._sum = KEPT * self._sum + heard * mean
            self._weight = KEPT * self._weight + heard
            level = self._sum / max(self._weight, FAINTEST)
            found[index] = math.frexp(max(level, mean / RISE, FLOOR))[1] - 1
        return found


@numba.njit(cache=True, nogil=True)
def _means(magnitude):
    """Return the mean over frequency bins of `(bin, n)` in whole units, `(n,)`; numpy's calls cost more a frame."""
    bins, frames = magnitude.shape
    means = np.empty(frames)
    for t in range(frames):
        total = 0.0
        for k in range(bins):
            total += np.rint(magnitude[k, t] * _UNIT)
        means[t] = total / (bins * _UNIT)
    return means
