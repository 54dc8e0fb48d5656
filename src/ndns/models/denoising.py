"""The denoising task: what a network returns for noisy clips, and the loss it learns from."""

from dataclasses import dataclass

import torch

from ndns.config import FrontEnd
from ndns.metrics.si_snr import si_snr
from ndns.models.frontend import moduli, stft


@dataclass(frozen=True)
class Output:
    """What a network makes of noisy clips.

    Attributes:
        denoised: `(batch, samples)`, aligned with the noisy clips.
        magnitude: |STFT| after the mask, `(batch, bin, frame)`; the loss needs it.
        rates: mean event rate of each layer that sends messages, in `[0, 1]`, one scalar a layer.
    """

    denoised: torch.Tensor
    magnitude: torch.Tensor
    rates: dict[str, torch.Tensor]


def loss(output: Output, clean: torch.Tensor, front_end: FrontEnd, magnitude_weight: float = 0.001) -> torch.Tensor:
    """Return the N-DNS baseline's loss: `magnitude_weight * MSE(|denoised|, |clean|) + 100 - mean SI-SNR`.

    Args:
        output: of a network.
        clean: `(batch, samples)`.
        front_end: of the network.
        magnitude_weight: 0.001 in the baseline (`-lam` of its train_sdnn.py).
    """
    target = moduli(stft(clean, front_end))
    # in memory order: the gradient of a transposed tensor would be laid out anew, and with it all that follows
    difference = torch.nn.functional.mse_loss(output.magnitude.transpose(1, 2), target.transpose(1, 2))
    return magnitude_weight * difference + (100 - si_snr(output.denoised, clean).mean())
