"""The N-DNS task and the challenge's network in the NeuroBench harness, beside our own counts.

The harness counts through hooks on `torch.nn.Linear` and on registered activation modules, so the network's messages
pass through such modules on their way; what they carry is what the network sent. NeuroBench is optional: install it
with `pip install --no-deps neurobench==2.3.0 snntorch==1.0.0 tonic==1.7.0` (its torchaudio is not needed).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.abstract import WorkloadMetric
from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
from neurobench.models import TorchModel
from torch.utils.data import DataLoader, Dataset

from ndns.audio.io import read_pcm16
from ndns.files import read_csv
from ndns.metrics.power_proxy import synops_per_step
from ndns.metrics.si_snr import si_snr
from ndns.models.frontend import moduli, stft
from ndns.models.sdnn import LAYERS, Sdnn
from ndns.models.sigma_delta import quantise_weight


class NoisySpeech(Dataset):
    """The task's data: (noisy, clean) samples `(samples,)` of a mixture manifest; take them in batches of one."""

    def __init__(self, manifest: Path) -> None:
        self._rows, self._root = read_csv(manifest, ("noisy", "clean")), manifest.parent

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self._rows[index]
        noisy, clean = (read_pcm16(self._root / row[kind]).astype(np.float32) / 32768 for kind in ("noisy", "clean"))
        return torch.from_numpy(noisy), torch.from_numpy(clean)


class SiSnr(WorkloadMetric):
    """The task's quality: mean SI-SNR of what the model returns, dB."""

    def __init__(self) -> None:
        super().__init__(requires_hooks=False)

    def __call__(self, model: Any, preds: torch.Tensor, data: tuple[torch.Tensor, torch.Tensor]) -> float:
        """Return the mean over the batch."""
        return float(si_snr(preds, data[1]).mean())


class SiSnrImprovement(SiSnr):
    """Mean SI-SNR of the model's output minus that of its input, dB."""

    def __call__(self, model: Any, preds: torch.Tensor, data: tuple[torch.Tensor, torch.Tensor]) -> float:
        """Return the mean over the batch."""
        return super().__call__(model, preds, data) - float(si_snr(data[0], data[1]).mean())


class Messages(torch.nn.Module):
    """Hands messages on, so that the harness sees them."""

    def forward(self, messages: torch.Tensor) -> torch.Tensor:
        """Return the input."""
        return messages


class Observed(torch.nn.Module):
    """The sigma-delta network with its messages led through modules that the harness knows."""

    def __init__(self, model: Sdnn) -> None:
        super().__init__()
        self._model = (model.eval(),)
        weights = [quantise_weight(model.get_parameter(f"weight{index}")).detach() for index in (1, 2, 3)]
        self.synapses = torch.nn.ModuleList(torch.nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights)
        for layer, weight in zip(self.synapses, weights, strict=True):
            layer.weight.data = weight.clone()
        self.messages = torch.nn.ModuleList(Messages() for _ in LAYERS)
        self.currents: list[torch.Tensor] = []

    @torch.no_grad()
    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Denoise `(batch, samples)` as the network does; `currents` keeps what the synapses gave.

        They are `(batch, frame, neuron)` each, of the clip's own frames: silence that is heard after it while masks
        are awaited is not counted.
        """
        model = self._model[0]
        magnitude = moduli(stft(noisy, model.front_end))
        sent = model.events(magnitude)
        self.currents = [
            synapse(module(sent[name].transpose(1, 2)))
            for name, module, synapse in zip(LAYERS, self.messages, self.synapses, strict=True)
        ]
        return model(noisy).denoised


def benchmark(model: Sdnn, manifest: Path) -> dict[str, Any]:
    """Run the task in the harness; return its results under its own names."""
    wrapped = TorchModel(Observed(model))
    wrapped.add_activation_module(Messages)
    metrics = (
        [Footprint, ConnectionSparsity, ParameterCount],
        [
            ActivationSparsity,
            SynapticOperations,
            SiSnr,
            SiSnrImprovement,
        ],
    )
    loader = DataLoader(NoisySpeech(manifest), batch_size=1)
    return Benchmark(wrapped, loader, [], [], list(metrics)).run(quiet=True)


@torch.no_grad()
def own_counts(model: Sdnn, manifest: Path) -> Mapping[str, float]:
    """Count the same by this project's definitions, without the harness."""
    weights = [quantise_weight(model.get_parameter(f"weight{index}")) for index in (1, 2, 3)]
    neurons = np.array([weight.shape[1] for weight in weights])
    nonzero = [torch.count_nonzero(weight, dim=0).double() for weight in weights]
    dataset = NoisySpeech(manifest)
    events, steps, effective = np.zeros(len(LAYERS)), 0, 0.0
    for noisy, _ in (dataset[index] for index in range(len(dataset))):
        sent = model.events(moduli(stft(noisy[None], model.front_end)))
        for index, name in enumerate(LAYERS):
            fired = (sent[name][0] != 0).sum(dim=1).double()
            events[index] += float(fired.sum())
            effective += float(fired @ nonzero[index])
        steps += sent["input"].shape[-1]
    size = sum(weight.numel() for weight in weights)
    return {
        "parameters": size,
        "weights_zero": 1 - float(sum(n.sum() for n in nonzero)) / size,
        "silent_share": 1 - events.sum() / (neurons.sum() * steps),
        "synops_a_clip": effective / len(dataset),
        "synops_a_clip_dense_fan_out": synops_per_step(
            events / (neurons * steps), neurons, np.array([len(w) for w in weights])
        )
        * steps
        / len(dataset),
        "dense_a_clip": size * steps / len(dataset),
        "size_bytes_8_bit": size,
    }
