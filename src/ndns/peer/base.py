"""What a peer is: it denoises clips and says what is known of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ndns.audio.io import RATE
from ndns.errors import UserError
from ndns.files import check_sha256


@dataclass(frozen=True)
class Clip:
    """A noisy clip: its name, float64 samples in [-1, 1) at 16 kHz, and the file of the clean speech."""

    name: str
    noisy: np.ndarray
    clean: Path


@dataclass(frozen=True)
class Facts:
    """What is known of a peer before it runs; None where it is not known.

    Attributes:
        buffer_ms: how long it waits for a full frame; None if it hears the whole clip first.
        lag_ms: how far its output lags beyond that; removed before scoring and part of its latency.
        removed_samples: how far its stream lags its input, overlap-add included; removed before scoring.
        parameters: numbers that were learned.
        size_kb: of what has to be stored, in KB of 1024 bytes.
        macs_s: multiply-accumulates of a second of audio, counted densely.
        step_s: time between frames.
        timed: whether the time that `denoise` takes is that of the denoiser.
        known: whether its settings, weights and this package's code say all that its output depends on.
        oracle: whether it knows the clean speech, so that it bounds the others and is none of them.
        note: what a reader of its row has to know.
    """

    buffer_ms: float | None
    lag_ms: float = 0.0
    removed_samples: int = 0
    parameters: int | None = None
    size_kb: float | None = None
    macs_s: float | None = None
    step_s: float | None = None
    timed: bool = True
    known: bool = True
    oracle: bool = False
    note: str = ""

    @property
    def algorithmic_ms(self) -> float | None:
        """Latency that no faster machine shortens; None if the whole clip is awaited."""
        return None if self.buffer_ms is None else self.buffer_ms + self.lag_ms


class Peer(Protocol):
    """A denoiser. `denoise` returns samples `(samples,)` aligned with the noisy clip, and counted operations.

    Operations are `power_proxy_ops_s` and `power_proxy_events_ops_s`, or nothing.
    """

    facts: Facts

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Denoise one clip."""
        ...


def finite(samples: np.ndarray, peer: Peer, name: str) -> np.ndarray:
    """Return what a peer made of the recording `name`, float64.

    Raises:
        UserError: a sample is NaN or infinite.
    """
    samples = np.asarray(samples, np.float64)
    if not np.isfinite(samples).all():
        raise UserError(f"peer {type(peer).__name__}: gave NaN or infinite samples for {name}; mend it.")
    return samples


def advanced(output: np.ndarray, delay: int, samples: int) -> np.ndarray:
    """Remove `delay` samples from the start and return `samples`; what is missing at the end is silence.

    >>> advanced(np.array([0.0, 1.0, 2.0]), 1, 3)
    array([1., 2., 0.])
    """
    kept = np.asarray(output, np.float64)[delay : delay + samples]
    return np.pad(kept, (0, samples - len(kept)))


def lengthened(noisy: np.ndarray, samples: int) -> np.ndarray:
    """Return float32 `noisy` with silence after it up to `samples`, which centred frames need for their first one.

    >>> lengthened(np.ones(2), 3)
    array([1., 1., 0.], dtype=float32)
    """
    return np.pad(noisy.astype(np.float32), (0, max(samples - len(noisy), 0)))


def milliseconds(samples: int) -> float:
    """Return the duration of `samples` at 16 kHz, ms."""
    return 1000 * samples / RATE


def checked_weights(path: str | None, sha256: str | None, peer: str) -> Path:
    """Return the file of weights after checking that it is there and has the expected hash.

    Raises:
        UserError: no file is named, it is missing, or its SHA-256 differs.
    """
    if path is None:
        raise UserError(f"models: the peer {peer} needs `weights`, the file of its released weights.")
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file of weights for the peer {peer}.")
    if sha256:
        check_sha256(file, sha256)
    return file
