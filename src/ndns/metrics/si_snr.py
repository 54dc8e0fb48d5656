"""Scale-invariant signal-to-noise ratio, for NumPy arrays and (differentiable) torch tensors."""

EPS = 1e-8


def si_snr(estimate, target, eps: float = EPS):
    """Return the scale-invariant SNR in dB over the last axis.

    Both signals lose their mean, the estimate is projected on the target, and the ratio of the two energies is
    taken with `eps` in denominators and logarithm, as in the N-DNS challenge (arXiv 2303.09503, section III). A
    silent target or estimate therefore gives a finite, very low value instead of NaN.

    Args:
        estimate: `(..., samples)`, NumPy array or torch tensor.
        target: same shape.
        eps: absolute guard, 1e-8 in the challenge.

    Returns:
        `(...)` values in dB.

    >>> import numpy as np
    >>> t = np.sin(np.arange(1600.0))
    >>> bool(si_snr(3 * t, t) > 100)
    True
    """
    estimate = estimate - estimate.mean(-1)[..., None]
    target = target - target.mean(-1)[..., None]
    scale = (estimate * target).sum(-1)[..., None] / ((target * target).sum(-1)[..., None] + eps)
    projection = scale * target
    noise = estimate - projection
    ratio = (projection * projection).sum(-1) / ((noise * noise).sum(-1) + eps) + eps
    if hasattr(ratio, "log10"):
        return 10 * ratio.log10()
    import numpy as np

    return 10 * np.log10(ratio)
