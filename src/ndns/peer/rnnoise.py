"""RNNoise through the package `pyrnnoise`: 48 kHz, frames of 10 ms (Valin 2018; its network of 2024)."""

from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, limit_to_pcm16, resample
from ndns.config import Peer as Settings
from ndns.peer.base import Clip, Facts, advanced

LAG_MS = 20.0
"""By how much the output lags: one frame of look-ahead and one of overlap."""


class RNNoise:
    """Clips go up to 48 kHz and back; the lag is removed."""

    def __init__(self, settings: Settings) -> None:
        from pyrnnoise import rnnoise

        self._library = rnnoise
        self._lag = round(LAG_MS * RATE / 1000)
        self.facts = Facts(
            buffer_ms=10.0,
            lag_ms=LAG_MS,
            removed_samples=self._lag,
            size_kb=Path(rnnoise.LIBRNNOISE).stat().st_size / 1024,
            step_s=0.01,
            note="output lags 20 ms, removed before scoring; size is that of the compiled library, weights inside",
        )

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Run frame by frame in the library's own 16-bit samples."""
        library = self._library
        samples, _ = limit_to_pcm16(resample(clip.noisy, RATE, library.SAMPLE_RATE))
        size = library.FRAME_SIZE
        frames = np.pad(samples, (0, -len(samples) % size + 3 * size)).reshape(-1, size)
        state = library.create()
        out = np.concatenate([library.process_mono_frame(state, frame)[0] for frame in frames])
        library.destroy(state)
        denoised = resample(out / 32768, library.SAMPLE_RATE, RATE)
        return advanced(denoised, self._lag, len(clip.noisy)), {}
