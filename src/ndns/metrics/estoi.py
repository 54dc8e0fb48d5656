"""Extended short-time objective intelligibility (Jensen and Taal, IEEE TASLP 24(11), 2016)."""

from functools import cache

import numpy as np

RATE, INNER_RATE = 16_000, 10_000
FRAME, HOP, N_FFT = 256, 128, 512
SEGMENT = 30
BANDS, LOWEST_HZ = 15, 150.0
RANGE_DB = 40.0
TINY = 1e-12
BLOCK = 4096
"""Frames (52 s) that are held at a time: a segment a frame, 450 numbers each."""


def estoi(estimate: np.ndarray, target: np.ndarray) -> float | None:
    """Return ESTOI, about 0 (unintelligible) to 1 (equal envelopes), or None where it is undefined.

    Signals are resampled to 10 kHz, frames 40 dB below the target's loudest are left out of both, and the band
    envelopes of 30 successive frames (384 ms), normalised over time and then over bands, are correlated.

    What it says about special input: a silent target, and a target with fewer than 30 frames above the 40 dB range,
    are undefined; a silent estimate gives 0; level does not matter; a delay counts as distortion.

    Args:
        estimate: `(samples,)` at 16 kHz.
        target: same shape.

    Raises:
        ValueError: the shapes differ, or a sample is not a number.
    """
    estimate, target = np.asarray(estimate, np.float64), np.asarray(target, np.float64)
    if estimate.shape != target.shape or estimate.ndim != 1:
        raise ValueError(f"expected two signals of one length, got shapes {estimate.shape} and {target.shape}")
    if not (np.isfinite(estimate).all() and np.isfinite(target).all()):
        raise ValueError("samples are not a number")
    if not target.any():
        return None
    signals = _drop_silence(_resample(estimate), _resample(target))
    envelopes = [_envelopes(signal) for signal in signals]
    segments = len(envelopes[0]) - SEGMENT + 1
    if segments < 1:
        return None
    total = 0.0
    for block in _blocks(segments):
        first, second = (_normalised(envelope[block.start : block.stop + SEGMENT - 1]) for envelope in envelopes)
        total += float(np.einsum("sbt,sbt->", first, second))
    return total / (SEGMENT * segments)


def _resample(samples: np.ndarray) -> np.ndarray:
    """Return samples at 10 kHz; linear phase, 60 dB rejection, transition a tenth of the cutoff (as Octave's)."""
    from scipy.signal import resample_poly

    return resample_poly(samples, 5, 8, window=_low_pass(8))


@cache
def _low_pass(factor: int) -> np.ndarray:
    """Return the taps of the Kaiser-windowed low-pass at half the rate divided by `factor`, with sum 1."""
    cutoff = 1 / (2 * factor)
    half = int(np.ceil((60 - 8) / (28.714 * cutoff / 10)))
    taps = np.kaiser(2 * half + 1, 0.1102 * (60 - 8.7)) * np.sinc(2 * cutoff * np.arange(-half, half + 1))
    return taps / taps.sum()


def _frames(samples: np.ndarray) -> np.ndarray:
    """Return a view of the frames `(frame, 256)`; one that ends with the signal is left out, as in the original."""
    if len(samples) <= FRAME:
        return np.zeros((0, FRAME))
    return np.lib.stride_tricks.sliding_window_view(samples[:-1], FRAME)[::HOP]


@cache
def _window() -> np.ndarray:
    return np.hanning(FRAME + 2)[1:-1]


def _blocks(frames: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, frames)) for start in range(0, frames, BLOCK)]


def _drop_silence(estimate: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlap-add the frames in which the target is within 40 dB of its loudest frame."""
    frames = _frames(target)
    norm = [np.linalg.norm(frames[block] * _window(), axis=1) for block in _blocks(len(frames))]
    energy = 20 * np.log10(np.concatenate([np.zeros(0), *norm]) + np.finfo(float).eps)
    kept = np.flatnonzero(energy > energy.max(initial=-np.inf) - RANGE_DB)
    return _overlap_add(_frames(estimate), kept), _overlap_add(frames, kept)


def _overlap_add(frames: np.ndarray, kept: np.ndarray) -> np.ndarray:
    halves = np.zeros((len(kept) + 1, HOP))
    for block in _blocks(len(kept)):
        rows = frames[kept[block]] * _window()
        halves[block] += rows[:, :HOP]
        halves[block.start + 1 : block.stop + 1] += rows[:, HOP:]
    return halves.ravel()


def _envelopes(samples: np.ndarray) -> np.ndarray:
    """Return the third-octave band envelopes `(frame, band)`."""
    frames = _frames(samples)
    envelopes = np.empty((len(frames), BANDS))
    for block in _blocks(len(frames)):
        spectra = np.fft.rfft(frames[block] * _window(), n=N_FFT, axis=1)
        envelopes[block] = np.sqrt((spectra.real**2 + spectra.imag**2) @ _third_octaves())
    return envelopes


@cache
def _third_octaves() -> np.ndarray:
    """Return the matrix `(bin, band)` of 15 adjoining third-octave bands from 150 Hz; edges at the nearest bin."""
    grid = np.arange(N_FFT // 2 + 1) * INNER_RATE / N_FFT
    edges = LOWEST_HZ * 2.0 ** ((2 * np.arange(BANDS + 1) - 1) / 6)
    nearest = np.abs(grid[:, None] - edges).argmin(axis=0)
    index = np.arange(len(grid))[:, None]
    return ((index >= nearest[:-1]) & (index < nearest[1:])).astype(np.float64)


def _normalised(envelopes: np.ndarray) -> np.ndarray:
    """Return all segments `(segment, band, 30)` with mean 0 and norm 1 over time, then over bands."""
    segments = np.lib.stride_tricks.sliding_window_view(envelopes, SEGMENT, axis=0)
    return _unit(_unit(segments, 2), 1)


def _unit(values: np.ndarray, axis: int) -> np.ndarray:
    centred = values - values.mean(axis=axis, keepdims=True)
    norm = np.sqrt((centred * centred).sum(axis=axis, keepdims=True))
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > TINY)
