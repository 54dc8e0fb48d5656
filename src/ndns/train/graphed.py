"""A training step's kernels recorded as CUDA graphs: hundreds of small launches become two."""

import torch

from ndns.metrics.si_snr import si_snr


def measured(
    network: torch.nn.Module, noisy: torch.Tensor, clean: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Return a network's loss, mean SI-SNR in dB and event rates for noisy and clean `(batch, samples)`."""
    output = network(noisy)
    return network.loss(output, clean), si_snr(output.denoised.detach(), clean).mean(), output.rates


class StepLoss(torch.nn.Module):
    """What a training step needs of a network: `forward` returns its loss and the mean SI-SNR in dB of a batch."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Noisy and clean are `(batch, samples)`."""
        return measured(self.network, noisy, clean)[:2]


class GraphedLoss:
    """`StepLoss` that is recorded at its first call and replayed from then on.

    A recording holds for one shape of a batch and one state of the network: without rounding, or with. The steps that
    torch runs before it records leave no trace in the batch statistics and observed ranges.

    Args:
        network: on a GPU, in training mode.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self._network = network
        self._recorded: dict[tuple[torch.Size, bool], torch.nn.Module] = {}

    def __call__(self, noisy: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return loss and mean SI-SNR; the loss is differentiable."""
        key = noisy.shape, getattr(getattr(self._network, "quantizer", None), "enabled", False)
        if key not in self._recorded:
            before = [buffer.clone() for buffer in self._network.buffers()]
            sample = noisy.clone(), clean.clone()
            self._recorded[key] = torch.cuda.make_graphed_callables(StepLoss(self._network), sample)
            for buffer, value in zip(self._network.buffers(), before, strict=True):
                buffer.copy_(value)
        return self._recorded[key](noisy, clean)
