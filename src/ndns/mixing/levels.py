"""Active speech, the true SNR, and the mixture's level."""

from dataclasses import dataclass

import numpy as np

from ndns.audio.io import to_pcm16

FRAME = 320
"""Frame of the activity decision: 20 ms."""

MARGIN_DB = 15.9
"""Active frames lie at most this far below the active speech level (ITU-T P.56)."""

PEAK = 0.99
"""No sample of noisy, clean or noise exceeds this (challenge: `clipping_threshold`)."""


@dataclass(frozen=True)
class Mixture:
    """PCM16 signals `(samples,)` with `noisy == clean + noise` sample for sample, and the real level of `noisy`."""

    noisy: np.ndarray
    clean: np.ndarray
    noise: np.ndarray
    level_dbfs: float


def active_frames(clean: np.ndarray) -> np.ndarray:
    """Decide which 20 ms frames of clean speech `(samples,)` are active: `(samples // 320,)` booleans.

    The active speech level is the mean power of the active frames, and a frame is active if its power is at most
    15.9 dB below that level (the margin of ITU-T P.56, method B, here on frame powers without envelope and hangover).
    The largest set of frames that satisfies both is taken: start with all frames and drop those below the margin
    until none is. Independent of the scale; all frames of digital silence are active.
    """
    return _active(_powers(clean))


def active_snr_db(clean: np.ndarray, noise: np.ndarray) -> float:
    """Return the SNR in dB: mean power of `clean` over its active frames, over that of `noise` in the same frames.

    Both are `(samples,)` on one scale. Silent noise gives infinity, silent speech minus infinity or NaN.
    """
    speech_power, noise_power = active_powers(clean, noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(10 * np.log10(np.divide(speech_power, noise_power)))


def active_powers(clean: np.ndarray, noise: np.ndarray) -> tuple[float, float]:
    """Return the mean powers of `clean` and of `noise`, both over the active frames of `clean`."""
    powers = _powers(clean)
    active = _active(powers)
    return float(powers[active].mean()), float(_powers(noise)[active].mean())


def mix(clean: np.ndarray, noise: np.ndarray, snr_db: float, level_dbfs: float) -> Mixture:
    """Mix speech and noise `(samples,)`.

    The noise is scaled to the SNR over active speech, then the sum to an RMS of `level_dbfs` over the whole clip
    (0 dBFS: all samples at full scale, as in the challenge). If noisy, clean or noise would exceed 0.99, all three
    become softer together and `Mixture.level_dbfs` says how loud the clip really is. Clean and noise are rounded to
    PCM16, and noisy is their sum.

    Raises:
        ValueError: speech or noise has no power in the active frames.
    """
    clean, noise = np.asarray(clean, np.float64), np.asarray(noise, np.float64)
    speech_power, noise_power = active_powers(clean, noise)
    if not speech_power * noise_power > 0:
        raise ValueError("speech or noise is silent")
    noise = noise * np.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    noisy = clean + noise
    gain = 10 ** (level_dbfs / 20) / np.sqrt(np.mean(noisy**2))
    peak = max(float(max(signal.max(), -signal.min())) for signal in (noisy, clean, noise))
    gain = min(gain, PEAK / peak)
    clean_pcm, noise_pcm = to_pcm16(clean * gain), to_pcm16(noise * gain)
    noisy_pcm = clean_pcm + noise_pcm
    return Mixture(noisy_pcm, clean_pcm, noise_pcm, rms_dbfs(noisy_pcm))


def rms_dbfs(pcm: np.ndarray) -> float:
    """Return the RMS level of PCM16 samples in dBFS, to 0.0001 dB; the sum of squares is exact."""
    wide = pcm.astype(np.int64)
    energy = int(wide @ wide)
    return round(float(10 * np.log10(energy / (len(pcm) * 32768**2))), 4)


def _powers(samples: np.ndarray) -> np.ndarray:
    frames = np.asarray(samples[: len(samples) // FRAME * FRAME], np.float64).reshape(-1, FRAME)
    return np.mean(frames**2, axis=1)


def _active(powers: np.ndarray) -> np.ndarray:
    active = np.ones(len(powers), dtype=bool)
    while True:
        kept = powers >= powers[active].mean() * 10 ** (-MARGIN_DB / 10)
        if np.array_equal(kept, active):
            return active
        active = kept
