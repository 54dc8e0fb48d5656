"""`ndns.audio.level` in torch: a whole clip at once, or one frame."""

import torch

from ndns.audio.level import FAINTEST, FLOOR, KEPT, RISE
from ndns.models.scan import diagonal_scan

State = tuple[torch.Tensor, torch.Tensor]
"""Weighted sum of the frames' means `(batch,)`, and the sum of the weights `(batch,)`."""


def leveled(magnitude: torch.Tensor) -> torch.Tensor:
    """Return |STFT| `(batch, bin, frame)` over the power of two that is its running level, same shape."""
    mean = magnitude.mean(1, keepdim=True)
    kept = torch.cat([mean.new_full((1, 1), KEPT), mean.new_zeros(1, 1)])
    sums = diagonal_scan(kept, torch.cat(_heard(mean), dim=1).transpose(1, 2)).transpose(1, 2)
    return magnitude * _factor(sums[:, :1], sums[:, 1:], mean)


def leveled_frame(magnitude: torch.Tensor, before: State | None) -> tuple[torch.Tensor, State]:
    """Return the same for one frame `(batch, bin)`, and the state for the next."""
    total, weight = before or (torch.zeros_like(magnitude[:, 0]),) * 2
    mean = magnitude.mean(1)
    heard, one = _heard(mean)
    after = KEPT * total + heard, KEPT * weight + one
    return magnitude * _factor(*after, mean)[:, None], after


def _heard(mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the frames' means and weights, both 0 in silence."""
    heard = (mean >= FLOOR).to(mean.dtype)
    return mean * heard, heard


def _factor(total: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    level = torch.maximum(total / weight.clamp(min=FAINTEST), mean / RISE)
    exponent = torch.frexp(level.clamp(min=FLOOR))[1] - 1
    return torch.ldexp(torch.ones_like(level), -exponent)
