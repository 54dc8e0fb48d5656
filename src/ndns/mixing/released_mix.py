"""The released generator's mixing, operation for operation, and what its clips really are."""

from typing import NamedTuple

import numpy as np

from ndns.mixing.levels import active_snr_db

EPS = np.finfo(float).eps
TARGET_DBFS = -25
CLIPPED = 0.99
"""Samples beyond this are clipping (`is_clipped`)."""

WRITTEN_BITS = 31
"""soundfile turns clipping on in libsndfile, which then rounds to 32 bits and drops the lower 16: PCM16 by floor."""


class Label(NamedTuple):
    """What mixing decides and what the clip is.

    Attributes:
        dropped: clean or noise clips although noisy does not; the generator discards the mixture.
        level: the file name's level, dBFS: the drawn one, or another if the mixture was made softer.
        true_snr_db: mean power of the clean signal over that of the noise, whole clip, before rounding to PCM16;
            infinite or NaN where one is silent.
        active_snr_db: the same over the active frames of speech, as `mix.method: true_snr` defines an SNR.
    """

    dropped: bool
    level: int
    true_snr_db: float
    active_snr_db: float


class Streams(NamedTuple):
    """Float64 signals `(samples,)`."""

    noisy: np.ndarray
    clean: np.ndarray
    noise: np.ndarray


def mix_released(clean: np.ndarray, noise: np.ndarray, snr: int, level: int) -> tuple[Streams, Label]:
    """Mix as `segmental_snr_mixer` does: the gain of the noise comes from levels that both no longer have."""
    clean, noise = (signal / (np.abs(signal).max() + EPS) for signal in (clean, noise))
    clean_rms, noise_rms = _rms(clean), _rms(noise)
    target = 10 ** (TARGET_DBFS / 20)
    clean = clean * (target / (clean_rms + EPS))
    noise = noise * (target / (noise_rms + EPS))
    noise = noise * (clean_rms / (10 ** (snr / 20)) / (noise_rms + EPS))
    noisy = clean + noise
    noisy_rms = _rms(noisy)
    gain = 10 ** (level / 20) / (noisy_rms + EPS)
    noisy, clean, noise = noisy * gain, clean * gain, noise * gain
    peak = np.abs(noisy).max()
    if peak > CLIPPED:
        softer = peak / (CLIPPED - EPS)
        noisy, clean, noise = noisy / softer, clean / softer, noise / softer
        level = int(20 * np.log10(gain / softer * (noisy_rms + EPS)))
    dropped = any(bool((np.abs(signal) > CLIPPED).any()) for signal in (clean, noise, noisy))
    with np.errstate(divide="ignore", invalid="ignore"):
        true_snr_db = float(10 * np.log10(np.mean(clean**2) / np.mean(noise**2)))
    return Streams(noisy, clean, noise), Label(dropped, level, true_snr_db, active_snr_db(clean, noise))


def written_pcm16(samples: np.ndarray) -> np.ndarray:
    """Return the int16 samples that soundfile writes for float samples within +-0.99."""
    return (np.rint(samples * 2**WRITTEN_BITS).astype(np.int64) >> 16).astype(np.int16)


def _rms(samples: np.ndarray) -> float:
    return (samples**2).mean() ** 0.5
