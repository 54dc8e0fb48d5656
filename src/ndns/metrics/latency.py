"""Latency as the N-DNS challenge splits it: buffer, encoder and decoder, network."""

import time
from collections.abc import Callable, Iterable

import numpy as np

SAMPLES = 50_000
"""Samples at a clip's start in which the challenge looks for the network's delay."""


def buffer_s(n_fft: int, rate: int) -> float:
    """Return how long the encoder waits for a full frame, s.

    >>> buffer_s(512, 16_000)
    0.032
    """
    return n_fft / rate


def encdec_s(encode_decode: Callable[[np.ndarray], object], clip: np.ndarray, hop: int, repeats: int = 5) -> float:
    """Return the wall time that encoding and decoding take a hop, s: time of a clip / its samples * hop.

    The median over `repeats` runs after one that is not counted; the challenge takes one run of librosa's transforms.

    Args:
        encode_decode: turns samples into spectra and back.
        clip: samples `(samples,)`.
        hop: samples between frames.
        repeats: timed runs.
    """
    encode_decode(clip)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        encode_decode(clip)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) / len(clip) * hop


def lag(noisy: np.ndarray, denoised: np.ndarray) -> int | None:
    """Return by how many samples the denoised clip lags the noisy one: peak of the cross-correlation.

    Only the first 50 000 samples are looked at, as in the challenge (whose paper says clean, whose code says noisy).
    None if one of them is silent, so that there is no peak.

    >>> noise = np.random.default_rng(1).standard_normal(2000)
    >>> lag(noise, np.roll(noise, 7))
    7
    """
    first, second = (np.asarray(signal[:SAMPLES], np.float64) for signal in (noisy, denoised))
    if not first.any() or not second.any():
        return None
    length = len(first) + len(second) - 1
    size = 1 << (length - 1).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(second, size) * np.conj(np.fft.rfft(first, size)), size)
    peak = int(correlation.argmax())
    return peak if peak < len(second) else peak - size


def network_s(pairs: Iterable[tuple[np.ndarray, np.ndarray]], rate: int) -> float | None:
    """Return the mean lag of denoised clips behind noisy ones, s; None if no clip has a lag.

    Args:
        pairs: (noisy, denoised) samples of each clip.
        rate: samples a second.
    """
    lags = [found for noisy, denoised in pairs if (found := lag(noisy, denoised)) is not None]
    return float(np.mean(lags)) / rate if lags else None
