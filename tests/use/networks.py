"""Networks for tests of `ndns.use`."""

from pathlib import Path

import numpy as np

from ndns.config import FrontEnd
from ndns.loihi2.nodes import Delta, Sigma, Synapse
from ndns.loihi2.program import Program

S5 = Path(__file__).parents[1] / "quantize/golden/s5_sparse.net"
"""A tiny network that learned to remove noise from tones, with frames of 64 samples every 16."""


def passing(n_fft: int = 512, hop: int = 128) -> Program:
    """A network without weights: its output is 0 and the mask 1, so what comes in goes out, delayed."""
    bins = n_fft // 2 + 1
    nodes = (Delta(bins, 6), Synapse(np.zeros((bins, bins), int)), Sigma(bins))
    return Program(nodes, ("input", "fc", "output"), front_end=FrontEnd(n_fft=n_fft, hop=hop))


def noise(frames: int, channels: int = 1, seed: int = 0, keep: float = 1.0) -> np.ndarray:
    """White noise `(frames, channels)`, or only the lowest share `keep` of its band."""
    sound = np.random.default_rng(seed).standard_normal((frames, channels)) * 0.05
    if keep == 1.0:
        return sound
    spectrum = np.fft.rfft(sound, axis=0)
    spectrum[int(keep * len(spectrum)) :] = 0
    return np.fft.irfft(spectrum, frames, axis=0)
