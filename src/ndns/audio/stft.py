"""Causal short-time Fourier transform as a stream sees it: one hop in, one spectrum out, no centre padding.

Frame `t` covers samples `[(t + 1) * hop - n_fft, (t + 1) * hop)`; what lies before the first sample is zero.
Overlap-add of frame `t` completes samples `[(t + 1) * hop - n_fft, (t + 2) * hop - n_fft)`, so a sample leaves
`n_fft` samples after the first sample of its hop came in: 32 ms at 512/16 kHz, the challenge's buffer latency.

All arithmetic is float64 and row by row, so that one frame at a time equals the whole clip bit for bit.
"""

from dataclasses import dataclass

import numpy as np

WINDOWS = ("rectangular", "sqrt_hann")
BLOCK = 1024
"""Frames that `coded` holds at a time."""


@dataclass(frozen=True)
class Frames:
    """Framing of a signal: `n_fft` samples a frame, `hop` samples between frames, and the window used on both sides."""

    n_fft: int = 512
    hop: int = 128
    window: str = "rectangular"

    def __post_init__(self) -> None:
        if self.n_fft % self.hop or self.n_fft < 2 * self.hop:
            raise ValueError(f"n_fft {self.n_fft} must be a multiple of hop {self.hop}, at least twice")
        if self.window not in WINDOWS:
            raise ValueError(f"window {self.window!r} is not one of {WINDOWS}")

    @property
    def bins(self) -> int:
        """Number of frequency bins of a frame."""
        return self.n_fft // 2 + 1

    @property
    def overlap(self) -> int:
        """Samples by which overlap-add delays the output: n_fft - hop."""
        return self.n_fft - self.hop

    def taper(self) -> np.ndarray:
        """Return the window `(n_fft,)`, the same for analysis and synthesis."""
        if self.window == "rectangular":
            return np.ones(self.n_fft)
        return np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_fft) / self.n_fft))

    def gain(self) -> float:
        """Sum of analysis times synthesis window over overlapping frames (constant for the windows offered)."""
        return float((self.taper() ** 2).sum() / self.hop)

    def count(self, samples: int) -> int:
        """Frames needed so that overlap-add completes `samples` samples."""
        return -(-(samples + self.overlap) // self.hop)


class Encoder:
    """Stateful analysis: feed hops, get spectra."""

    def __init__(self, frames: Frames | None = None) -> None:
        self.frames = frames or Frames()
        self._taper = self.frames.taper()
        self._buffer = np.zeros(self.frames.n_fft)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take `(n * hop,)` samples, return complex128 `(bin, n)`.

        Raises:
            ValueError: the number of samples is not a multiple of the hop.
        """
        hop = self.frames.hop
        if len(samples) % hop:
            raise ValueError(f"{len(samples)} samples are not a multiple of the hop {hop}")
        held = np.concatenate([self._buffer[hop:], samples])
        step = held.itemsize
        rows = np.ndarray((len(samples) // hop, self.frames.n_fft), held.dtype, held, strides=(hop * step, step))
        self._buffer = np.concatenate([self._buffer, samples])[-self.frames.n_fft :]
        return np.fft.rfft(rows * self._taper, axis=1).T


class Decoder:
    """Stateful synthesis: feed spectra, get hops. The output lags the encoder's input by `frames.overlap` samples."""

    def __init__(self, frames: Frames | None = None) -> None:
        self.frames = frames or Frames()
        self._taper = self.frames.taper() / self.frames.gain()
        self._tail = np.zeros(self.frames.n_fft)

    def push(self, spectra: np.ndarray) -> np.ndarray:
        """Take complex `(bin, n)`, return `(n * hop,)` samples."""
        hop, n_fft = self.frames.hop, self.frames.n_fft
        rows = np.fft.irfft(spectra.T, n=n_fft, axis=1) * self._taper
        output = np.empty(len(rows) * hop)
        for index, row in enumerate(rows):
            self._tail += row
            output[index * hop : (index + 1) * hop] = self._tail[:hop]
            self._tail[:-hop] = self._tail[hop:]
            self._tail[-hop:] = 0
        return output


def encode(samples: np.ndarray, frames: Frames | None = None) -> np.ndarray:
    """Return the causal spectra `(bin, frames.count(samples))` of a whole signal, zero-padded at its end."""
    frames = frames or Frames()
    padded = np.zeros(frames.count(len(samples)) * frames.hop)
    padded[: len(samples)] = samples
    return Encoder(frames).push(padded)


def decode(spectra: np.ndarray, samples: int, frames: Frames | None = None) -> np.ndarray:
    """Return `samples` samples aligned with the signal that `encode` took: the overlap delay is removed."""
    frames = frames or Frames()
    return Decoder(frames).push(spectra)[frames.overlap : frames.overlap + samples]


def coded(samples: np.ndarray, frames: Frames | None = None) -> np.ndarray:
    """Return `decode(encode(samples, frames), len(samples), frames)`, bit for bit, without all spectra in memory."""
    frames = frames or Frames()
    encoder, decoder = Encoder(frames), Decoder(frames)
    padded = np.zeros(frames.count(len(samples)) * frames.hop)
    padded[: len(samples)] = samples
    block = BLOCK * frames.hop
    for start in range(0, len(padded), block):
        padded[start : start + block] = decoder.push(encoder.push(padded[start : start + block]))
    return padded[frames.overlap : frames.overlap + len(samples)]


def magnitude(spectra: np.ndarray) -> np.ndarray:
    """Return |X| by exactly rounded operations only (multiply, add, square root): equal on every machine."""
    return np.sqrt(spectra.real * spectra.real + spectra.imag * spectra.imag)
