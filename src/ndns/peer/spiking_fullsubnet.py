"""Spiking-FullSubNet, the winner of Track 1 (Hao et al. 2024): a network that loads the released weights of S and M.

A full-band network hears the 64 lowest bins of |X|^0.5; its output, repeated over all bins, is context for three
sub-band networks (bins 0, 32, 128 to 256), each run on several units of neighbouring bins with the same weights. They
give complex filters over past frames of the noisy spectrum. Neurons: gated spiking, decay and input from one current.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from ndns.audio.io import RATE
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.models.slayer import unpacked
from ndns.peer.base import Clip, Facts, checked_weights, lengthened, milliseconds

N_FFT, HOP = 512, 128
STEP_S = HOP / RATE
BINS, FULL = 256, 64
BANDS = ((0, 32, 4), (32, 128, 32), (128, 256, 64))
"""First bin, end, and bins that one unit filters."""
NEIGHBOURS = 15
EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Counts:
    """Operations of one network in one frame, for one unit: `units` of them run."""

    synops: float
    neuron_ops: int
    units: int


class GatedSpiking(torch.nn.Module):
    """One layer: current c, `v = norm(f v + (1 - f)(c + b2))` with `f = sigmoid(c + b1)`, a spike where v >= 0."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_ih = torch.nn.Parameter(torch.empty(hidden, inputs).uniform_(-1, 1) / hidden**0.5)
        self.weight_hh = torch.nn.Parameter(torch.empty(hidden, hidden).uniform_(-1, 1) / hidden**0.5)
        self.bias_ih = torch.nn.Parameter(torch.zeros(2 * hidden))
        self.batchnorm = torch.nn.BatchNorm1d(hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Take `(frame, unit, input)`, return spikes 0 or 1 `(frame, unit, neuron)`."""
        driven = x @ self.weight_ih.T
        decay_bias, input_bias = self.bias_ih.chunk(2)
        scale = self.batchnorm.weight / torch.sqrt(self.batchnorm.running_var + self.batchnorm.eps)
        shift = self.batchnorm.bias - self.batchnorm.running_mean * scale
        recurrent = self.weight_hh.T.contiguous()
        spikes = torch.empty_like(driven)
        potential = sent = driven.new_zeros(driven.shape[1:])
        for frame, current in enumerate(driven):
            current = torch.addmm(current, sent, recurrent)
            keep = torch.sigmoid(current + decay_bias)
            target = current + input_bias
            potential = torch.addcmul(shift, target + keep * (potential - target), scale)
            sent = (potential >= 0).to(driven.dtype)
            spikes[frame] = sent
        return spikes


class Subnetwork(torch.nn.Module):
    """Two spiking layers and a linear readout."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        layers = [torch.nn.ModuleDict({"cell": GatedSpiking(width, hidden)}) for width in (inputs, hidden)]
        self.sequence_model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList(layers)})
        self.fc_output_layer = torch.nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Counts]:
        """Take `(unit, input, frame)`, return `(unit, output, frame)` and the operations of one unit.

        A spike meets the weights of the next layer and the layer's own recurrent ones; neuron operations are the
        release's own count: inputs, neurons and outputs.
        """
        hidden = self.fc_output_layer.in_features
        first = self.sequence_model["layers"][0]["cell"](x.permute(2, 0, 1))
        second = self.sequence_model["layers"][1]["cell"](first)
        out = self.fc_output_layer(second).permute(1, 2, 0)
        synops = float(first.mean()) * hidden * 2 * hidden + float(second.mean()) * hidden * (out.shape[1] + hidden)
        return out, Counts(synops, x.shape[1] + 2 * hidden + out.shape[1], len(x))


class SpikingFullSubNet(torch.nn.Module):
    """The whole network; `norm` divides by the mean so far (`causal`) or of the whole clip (`offline`, as trained)."""

    def __init__(self, full_hidden: int, band_hidden: int, orders: tuple[int, ...], norm: str = "causal") -> None:
        super().__init__()
        self.orders, self.norm = orders, norm
        self.fb_model = Subnetwork(FULL, full_hidden, FULL)
        bands = [
            Subnetwork(2 * (width + NEIGHBOURS), band_hidden, 2 * width * order)
            for (_, _, width), order in zip(BANDS, orders, strict=True)
        ]
        self.sb_model = torch.nn.ModuleDict({"sb_models": torch.nn.ModuleList(bands)})

    @torch.no_grad()
    def forward(self, noisy: torch.Tensor) -> tuple[torch.Tensor, list[Counts]]:
        """Take samples `(samples,)`, return the denoised samples and the operations of each network."""
        window = torch.hann_window(N_FFT)
        spectrum = torch.stft(noisy, N_FFT, HOP, window=window, return_complex=True)
        magnitude = spectrum[:-1].abs().sqrt()
        context, counted = self.fb_model(normalised(magnitude[None, :FULL], self.norm))
        context, counts = context[0].repeat(BINS // FULL, 1), [counted]
        enhanced = spectrum.clone()
        for model, band, order in zip(self.sb_model["sb_models"], BANDS, self.orders, strict=True):
            start, end, width = band
            heard = torch.cat([units(magnitude, *band, NEIGHBOURS), units(context, *band, 0)], dim=1)
            taps, counted = model(normalised(heard, self.norm))
            counts.append(counted)
            taps = taps.reshape(len(taps), 2, width, order, -1).permute(1, 0, 2, 3, 4)
            taps = taps.reshape(2, end - start, order, -1)
            past = functional.pad(torch.view_as_real(spectrum[start:end]), (0, 0, order - 1, 0))
            past = torch.view_as_complex(past.contiguous()).unfold(1, order, 1)
            enhanced[start:end] = (past * torch.complex(taps[0], taps[1]).transpose(1, 2)).sum(-1)
        return torch.istft(enhanced, N_FFT, HOP, window=window, length=len(noisy)), counts


def normalised(x: torch.Tensor, norm: str) -> torch.Tensor:
    """Divide `(unit, input, frame)` by its mean over units, inputs and frames, or frames so far."""
    mean = x.mean(dim=(0, 1))
    if norm == "offline":
        return x / (mean.mean() + EPSILON)
    return x / (mean.cumsum(0) / torch.arange(1, len(mean) + 1) + EPSILON)


def units(x: torch.Tensor, start: int, end: int, width: int, neighbours: int) -> torch.Tensor:
    """Cut bins `(256, frame)` into `(unit, width + 2 * neighbours, frame)`, reflected beyond the first and last bin."""
    padded = functional.pad(x.T[None], (neighbours, neighbours), mode="reflect")[0].T if neighbours else x
    return padded[start : end + 2 * neighbours].unfold(0, width + 2 * neighbours, width).transpose(1, 2)


def proxy(counts: list[Counts], every_unit: bool) -> float:
    """Return the power proxy, operations a second: each network once, as on the board, or every unit that runs."""
    operations = sum((each.synops + 10 * each.neuron_ops) * (each.units if every_unit else 1) for each in counts)
    return operations / STEP_S


def load(path: Path, norm: str) -> SpikingFullSubNet:
    """Read a released state dict; sizes follow from its shapes.

    Raises:
        UserError: not a state dict of tensors, or not of this network.
    """
    state = unpacked(path)
    try:
        readouts = [state[f"sb_model.sb_models.{index}.fc_output_layer.weight"] for index in range(len(BANDS))]
        orders = tuple(len(weight) // (2 * width) for weight, (_, _, width) in zip(readouts, BANDS, strict=True))
        full = state["fb_model.fc_output_layer.weight"].shape[1]
        model = SpikingFullSubNet(full, readouts[0].shape[1], orders, norm)
        model.load_state_dict(state)
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not the weights of Spiking-FullSubNet S or M ({reason}).") from None
    return model.eval()


class SpikingFullSubNetPeer:
    """The network as a peer."""

    def __init__(self, settings: Settings) -> None:
        path = checked_weights(settings.weights, settings.sha256, "spiking_fullsubnet")
        self._model = load(path, settings.norm)
        parameters = sum(parameter.numel() for parameter in self._model.parameters())
        causal = settings.norm == "causal"
        self.facts = Facts(
            buffer_ms=milliseconds(N_FFT) if causal else None,
            removed_samples=N_FFT - HOP,
            parameters=parameters,
            size_kb=4 * parameters / 1024,
            step_s=STEP_S,
            note="power proxy counts each network once, as on the board; the counted one every unit that runs"
            + ("" if causal else "; not causal: divides by the mean of the whole clip"),
        )

    def denoise(self, clip: Clip) -> tuple[np.ndarray, Mapping[str, float]]:
        """Run the whole clip."""
        out, counts = self._model(torch.from_numpy(lengthened(clip.noisy, N_FFT)))
        figures = {"power_proxy_ops_s": proxy(counts, False), "power_proxy_events_ops_s": proxy(counts, True)}
        return out[: len(clip.noisy)].numpy().astype(np.float64), figures
