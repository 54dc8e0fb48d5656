"""The challenge's network built from lava-dl slayer's own blocks: the reference of `ndns.models.sdnn`."""

import torch

from ndns.loihi2 import lava_shim
from ndns.models import Sdnn, to_slayer_state_dict


def slayer():
    """Return lava-dl's slayer package."""
    lava_shim.apply()
    from lava.lib.dl import slayer

    return slayer


class SlayerNetwork(torch.nn.Module):
    """As `Network` of the challenge's train_sdnn.py, for any width and threshold; `forward` gives the raw output."""

    def __init__(self, model: Sdnn) -> None:
        super().__init__()
        lib = slayer()
        hidden, bins = model.weight1.shape
        neuron = {
            "threshold": model.settings.threshold,
            "tau_grad": 0.1,
            "scale_grad": 0.8,
            "requires_grad": False,
            "shared_param": True,
            "activation": torch.nn.functional.relu,
        }
        blocks = lib.block.sigma_delta
        delays = {"weight_norm": False, "delay": True, "delay_shift": True}
        self.offset = model.settings.offset
        self.blocks = torch.nn.ModuleList(
            [
                blocks.Input(neuron),
                blocks.Dense(neuron, bins, hidden, **delays),
                blocks.Dense(neuron, hidden, hidden, **delays),
                blocks.Output(neuron, hidden, bins, weight_norm=False),
            ]
        )
        self.blocks[0].pre_hook_fx = lambda x: lib.utils.quantize(x, step=1 / 64)
        for index in (1, 2):
            self.blocks[index].delay.max_delay = model.settings.max_delay
        with torch.no_grad():
            self(torch.zeros(1, bins, 4))
        self.load_state_dict(to_slayer_state_dict(model))

    def forward(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Raw output `(batch, bin, frame)` of |STFT|, same shape."""
        return self.messages(magnitude)[-1]

    def messages(self, magnitude: torch.Tensor) -> list[torch.Tensor]:
        """What each of the four blocks gives."""
        values, given = magnitude - self.offset, []
        for block in self.blocks:
            values = block(values)
            given.append(values)
        return given
