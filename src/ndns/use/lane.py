"""One channel on its way through a network: resample to 16 kHz, denoise, drop the stream's delay, resample back."""

import numpy as np
import soxr

from ndns.audio.io import RATE
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.program import Program

MARGIN = 64
"""Silent samples at 16 kHz appended beyond the delay, so that rounding of rates never leaves the end short."""


class Lane:
    """A channel: blocks of any size at the recording's rate in and out, delay removed.

    Args:
        program: the network.
        rate: sampling rate of the recording, Hz.

    Raises:
        UserError: the network is none for audio.
    """

    def __init__(self, program: Program, rate: int) -> None:
        self._denoiser = Denoiser(program)
        self._late = self._denoiser.delay_samples
        self._pending = np.zeros(0)
        same = rate == RATE
        self._to_network = None if same else soxr.ResampleStream(rate, RATE, 1, "float64", "HQ")
        self._from_network = None if same else soxr.ResampleStream(RATE, rate, 1, "float64", "HQ")

    def push(self, block: np.ndarray, last: bool) -> np.ndarray:
        """Take samples `(n,)` and return those that are ready; with `last` at least as many as were taken in all."""
        parts = [self._pending, self._to_network.resample_chunk(block, last) if self._to_network else block]
        if last:
            parts.append(np.zeros(self._denoiser.delay_samples + MARGIN))
        samples = np.concatenate(parts)
        hop = self._denoiser.frames.hop
        if last:
            samples = np.pad(samples, (0, -len(samples) % hop))
        ready = len(samples) // hop * hop
        self._pending = samples[ready:]
        cleaned = self._denoiser.push(samples[:ready])
        early, self._late = self._late, max(0, self._late - len(cleaned))
        cleaned = cleaned[early:]
        return self._from_network.resample_chunk(cleaned, last) if self._from_network else cleaned
