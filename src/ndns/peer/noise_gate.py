"""Spectral gating by the package `noisereduce`, non-stationary: it smooths over the whole clip, so it is no stream."""

import numpy as np

from ndns.audio.io import RATE
from ndns.config import Peer as Settings
from ndns.peer.base import Clip, Facts


class NoiseGate:
    """The package's defaults."""

    def __init__(self, settings: Settings) -> None:
        import noisereduce

        self._reduce = noisereduce.reduce_noise
        self.facts = Facts(buffer_ms=None, note="not causal: hears the whole clip first; nothing was learned")

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Gate one clip; silence stays silence."""
        if not clip.noisy.any():
            return np.zeros(len(clip.noisy)), {}
        return np.asarray(self._reduce(y=clip.noisy, sr=RATE), np.float64), {}
