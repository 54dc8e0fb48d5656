"""RNNoise through the package `pyrnnoise`: 48 kHz, frames of 10 ms (Valin 2018; its network of 2024)."""

import ctypes
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, limit_to_pcm16, resample
from ndns.config import Peer as Settings
from ndns.peer.base import Clip, Facts, advanced

LAG_MS = 20.0
"""By how much the output lags: one frame of look-ahead and one of overlap."""
STEP_S = 0.01
LEARNED = ("_weights_float", "_weights_diag")


class _Array(ctypes.Structure):
    """An entry of the library's table `rnnoise_arrays`, which ends with an empty name."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("bytes", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


class RNNoise:
    """Clips go up to 48 kHz and back; the lag is removed."""

    def __init__(self, settings: Settings) -> None:
        from pyrnnoise import rnnoise

        self._library = rnnoise
        self._lag = round(LAG_MS * RATE / 1000)
        found = sizes(rnnoise.lib)
        weights = sum(size for name, size in found.items() if name.endswith(LEARNED)) // 4
        biases = sum(size for name, size in found.items() if name.endswith("_bias")) // 4
        self.facts = Facts(
            buffer_ms=10.0,
            lag_ms=LAG_MS,
            removed_samples=self._lag,
            parameters=weights + biases or None,
            size_kb=(stored(found) if found else Path(rnnoise.LIBRNNOISE).stat().st_size) / 1024,
            macs_s=weights / STEP_S or None,
            step_s=STEP_S,
            note="output lags 20 ms, removed before scoring; size with 8-bit weights where the library has them",
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


def sizes(library: ctypes.CDLL) -> dict[str, int]:
    """Return name -> bytes of the arrays of weights in the compiled library; none where it exports no table of them.

    Every layer runs once a frame, so a weight is a multiply-accumulate a frame.
    """
    try:
        entry = _Array.in_dll(library, "rnnoise_arrays")
    except ValueError:
        return {}
    found, address = {}, ctypes.addressof(entry)
    while entry.name:
        found[entry.name.decode()] = entry.bytes
        address += ctypes.sizeof(_Array)
        entry = _Array.from_address(address)
    return found


def stored(found: dict[str, int]) -> int:
    """Return the bytes that the network needs: of a layer's float and 8-bit weights those of 8 bits."""
    twins = {name for name in found if name.replace("_float", "_int8") in found and name.endswith("_float")}
    return sum(size for name, size in found.items() if name not in twins)
