"""The denoising task: what a network returns for noisy clips, and the loss it learns from."""

from dataclasses import dataclass

import torch

from ndns.metrics.si_snr import si_snr

COMPRESSION = 0.3
COMPRESSED_FLOOR = 1e-3
"""Added to a bin's share of the level (-60 dB) before its power is taken, whose slope at 0 is infinite."""
SILENT_LEVEL = 1e-3
"""Added to the RMS of |STFT| of the clean clip, so that a silent one counts for nothing."""


@dataclass(frozen=True)
class Output:
    """What a network makes of noisy clips.

    Attributes:
        denoised: `(batch, samples)`, aligned with the noisy clips.
        magnitude: |STFT| after the mask, `(batch, bin, frame)`; the loss needs it.
        rates: mean event rate of each layer that sends messages, in `[0, 1]`, one scalar a layer; S5 counts them in
            evaluation only.
    """

    denoised: torch.Tensor
    magnitude: torch.Tensor
    rates: dict[str, torch.Tensor]


def loss(output: Output, clean: torch.Tensor, target: torch.Tensor, magnitude_weight: float = 0.001) -> torch.Tensor:
    """Return the N-DNS baseline's loss: `magnitude_weight * MSE(|denoised|, |clean|) + 100 - mean SI-SNR`.

    Args:
        output: of a network.
        clean: `(batch, samples)`.
        target: its |STFT| `(batch, bin, frame)` as the network's front end takes it.
        magnitude_weight: 0.001 in the baseline (`-lam` of its train_sdnn.py).
    """
    # in memory order: the gradient of a transposed tensor would be laid out anew, and with it all that follows
    difference = torch.nn.functional.mse_loss(output.magnitude.transpose(1, 2), target.transpose(1, 2))
    return magnitude_weight * difference + (100 - si_snr(output.denoised, clean).mean())


def compressed_loss(output: Output, target: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of compressed magnitudes, `(|X| / rms)^0.3`, with the RMS of the clean clip.

    SI-SNR hears the loudest bins alone; compression lets the quiet ones count, where noise is heard between words
    (power 0.3: Braun and Tashev 2020, arXiv 2009.12286).

    Args:
        output: of a network.
        target: |STFT| of the clean clips, `(batch, bin, frame)`.
    """
    target = target.transpose(1, 2)
    level = target.square().mean((1, 2), keepdim=True).sqrt() + SILENT_LEVEL
    made = _compressed(output.magnitude.transpose(1, 2) / level)
    return torch.nn.functional.mse_loss(made, _compressed(target / level))


def _compressed(share: torch.Tensor) -> torch.Tensor:
    """Return `(share + floor)^0.3`; torch's own power takes three times as long, forward and backward."""
    return torch.exp(COMPRESSION * torch.log(share + COMPRESSED_FLOOR))
