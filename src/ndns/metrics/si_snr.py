"""Scale-invariant signal-to-noise ratio, for NumPy arrays and (differentiable) torch tensors, and alignment in time."""

import numpy as np

EPS = 1e-8
BLOCK = 1 << 20
"""Samples (65 s) that `delay` correlates at a time."""


def si_snr(estimate, target, eps: float = EPS):
    """Return the scale-invariant SNR in dB over the last axis.

    Both signals lose their mean, the estimate is projected on the target, and the ratio of the two energies is
    taken with `eps` in the last denominator and the logarithm, as in the N-DNS challenge (arXiv 2303.09503,
    section III). Unlike there, `eps` guards the projection's denominator too.

    What it says about special input: a silent (or constant) estimate or target gives 10 lg(eps) = -80 dB where the
    challenge gives NaN for the target; scale and offset of either signal do not matter as long as the energies stay
    far above `eps`; clipping counts as noise; a delay counts as noise, nearly all of it (see `delay`); NaN stays NaN.

    Args:
        estimate: `(..., samples)`, NumPy array or torch tensor.
        target: same shape.
        eps: absolute guard, 1e-8 in the challenge.

    Returns:
        `(...)` values in dB.

    Raises:
        ValueError: the numbers of samples differ.

    >>> t = np.sin(np.arange(1600.0))
    >>> bool(si_snr(3 * t, t) > 100)
    True
    """
    if estimate.shape[-1] != target.shape[-1]:
        raise ValueError(f"estimate has {estimate.shape[-1]} samples, target {target.shape[-1]}")
    estimate = estimate - estimate.mean(-1)[..., None]
    target = target - target.mean(-1)[..., None]
    scale = (estimate * target).sum(-1)[..., None] / ((target * target).sum(-1)[..., None] + eps)
    projection = scale * target
    noise = estimate - projection
    ratio = (projection * projection).sum(-1) / ((noise * noise).sum(-1) + eps) + eps
    return 10 * (np.log10(ratio) if isinstance(ratio, np.ndarray | np.generic) else ratio.log10())


def si_snr_improvement(estimate, noisy, target, eps: float = EPS):
    """Return SI-SNRi in dB: SI-SNR of `estimate` minus SI-SNR of `noisy`, both against `target`; shapes as `si_snr`."""
    return si_snr(estimate, target, eps) - si_snr(noisy, target, eps)


def delay(estimate: np.ndarray, target: np.ndarray, limit: int = 16_000) -> int:
    """Return by how many samples `estimate` lags `target` (negative: leads).

    The lag within `limit` samples at which the magnitude of the cross-correlation is largest; the smallest lag wins
    a tie, so silence gives 0. Whole samples only.

    Args:
        estimate: `(samples,)`.
        target: `(samples,)`.
        limit: largest lag looked at, samples; 1 s at 16 kHz.

    >>> t = np.random.default_rng(0).standard_normal(800)
    >>> delay(np.concatenate([np.zeros(20), t[:-20]]), t)
    20
    """
    from scipy.fft import irfft, next_fast_len, rfft

    limit = min(limit, len(estimate) - 1, len(target) - 1)
    correlation = np.zeros(2 * limit + 1)
    for start in range(0, len(target), BLOCK):
        part = np.asarray(target[start : start + BLOCK], np.float64)
        first, last = start - limit, start + len(part) + limit
        around = np.zeros(last - first)
        found = estimate[max(first, 0) : last]
        around[max(-first, 0) :][: len(found)] = found
        size = next_fast_len(len(around), real=True)
        correlation += irfft(rfft(around, size) * rfft(part, size).conj(), size)[: len(correlation)]
    lags = np.arange(-limit, limit + 1)
    lags = lags[np.argsort(np.abs(lags), kind="stable")]
    return int(lags[np.argmax(np.abs(correlation)[lags + limit])])


def aligned(estimate: np.ndarray, target: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the overlapping parts of both signals `(samples - |lag|,)` after `lag` samples of delay are removed."""
    estimate, target = estimate[max(lag, 0) :], target[max(-lag, 0) :]
    samples = min(len(estimate), len(target))
    return estimate[:samples], target[:samples]


def si_snr_aligned(estimate: np.ndarray, target: np.ndarray, limit: int = 16_000) -> tuple[float, int]:
    """Return the SI-SNR in dB over the overlap after `delay` is removed, and that delay in samples.

    Args:
        estimate: `(samples,)`.
        target: `(samples,)`.
        limit: largest delay looked for, samples.
    """
    lag = delay(estimate, target, limit)
    return float(si_snr(*aligned(estimate, target, lag))), lag
