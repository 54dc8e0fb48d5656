"""`ndns.audio.level` in torch: a whole clip at once, or one frame."""

import torch

from ndns.audio.level import FLOOR, KEPT
from ndns.models.scan import diagonal_scan

State = tuple[torch.Tensor, torch.Tensor]
"""Weighted sum of the frames' means `(batch,)`, and the sum of the weights."""


def leveled(magnitude: torch.Tensor) -> torch.Tensor:
    """Return |STFT| `(batch, bin, frame)` over the power of two that is its running level, same shape."""
    mean = magnitude.mean(1, keepdim=True)
    kept = torch.cat([mean.new_full((1, 1), KEPT), mean.new_zeros(1, 1)])
    total = diagonal_scan(kept, torch.cat([mean, torch.zeros_like(mean)], dim=1).transpose(1, 2))[:, None, :, 0]
    frames = torch.arange(1, mean.shape[2] + 1, dtype=torch.float64, device=mean.device)
    weight = (1 - KEPT**frames) / (1 - KEPT)
    return magnitude * _factor(total / weight.to(total.dtype))


def leveled_frame(magnitude: torch.Tensor, before: State | None) -> tuple[torch.Tensor, State]:
    """Return the same for one frame `(batch, bin)`, and the state for the next."""
    total, weight = before or (torch.zeros_like(magnitude[:, 0]), magnitude.new_zeros(()))
    after = KEPT * total + magnitude.mean(1), KEPT * weight + 1
    return magnitude * _factor(after[0] / after[1])[:, None], after


def _factor(level: torch.Tensor) -> torch.Tensor:
    exponent = torch.frexp(level.clamp(min=FLOOR))[1] - 1
    return torch.ldexp(torch.ones_like(level), -exponent)
