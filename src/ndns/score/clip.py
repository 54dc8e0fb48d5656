"""All metrics of one clip."""

import math

import numpy as np

from ndns.audio import stft
from ndns.config import Score
from ndns.metrics.dnsmos import dnsmos
from ndns.metrics.estoi import estoi
from ndns.metrics.pesq import pesq_wb
from ndns.metrics.si_snr import si_snr, si_snr_aligned
from ndns.score.scores import QUALITY, SI_SNR

Row = dict[str, float | None]


def measure(denoised: np.ndarray, clean: np.ndarray, noisy: np.ndarray | None, settings: Score) -> Row:
    """Return the metrics of one clip under their column names; None where a metric is undefined or not asked for.

    `si_snri_data` is the gain over the noisy clip, `si_snri_encdec` the gain over the noisy clip after it went
    through the causal encoder and decoder and nothing else (arXiv 2303.09503, section III). `si_snr_aligned` is the
    SI-SNR once the delay of `delay_samples` is removed; no gain uses it. docs/metrics.md says what special clips give.

    Args:
        denoised: `(samples,)` at 16 kHz; samples beyond full scale are limited for DNSMOS alone.
        clean: same shape.
        noisy: same shape, or None, which leaves the gains empty.
        settings: which metrics.
    """
    row = dict.fromkeys(QUALITY) | _si_snr_row(denoised, clean, noisy)
    if settings.dnsmos:
        row |= dnsmos(np.clip(denoised, -1, 1), settings.dnsmos_windows == "all")._asdict()
    if settings.pesq:
        row["pesq"] = pesq_wb(denoised, clean)
    if settings.estoi:
        row["estoi"] = estoi(denoised, clean)
    return {name: value if value is not None and math.isfinite(value) else None for name, value in row.items()}


def _si_snr_row(denoised: np.ndarray, clean: np.ndarray, noisy: np.ndarray | None) -> Row:
    row: Row = dict.fromkeys(SI_SNR)
    if _is_silent(clean):
        return row
    row["si_snr"] = value = float(si_snr(denoised, clean))
    row["si_snr_aligned"], row["delay_samples"] = si_snr_aligned(denoised, clean)
    if noisy is not None:
        through = stft.coded(noisy)
        row["si_snri_data"] = value - float(si_snr(noisy, clean))
        row["si_snri_encdec"] = value - float(si_snr(through, clean))
    return row


def _is_silent(samples: np.ndarray) -> bool:
    return not np.ptp(samples) > 0
