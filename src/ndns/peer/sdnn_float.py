"""A sigma-delta network in float, from the state dict that the challenge released (`network.pt`)."""

import numpy as np

from ndns.audio.io import RATE
from ndns.config import Peer as Settings
from ndns.metrics import power_proxy
from ndns.peer.base import Clip, Facts, checked_weights, lengthened, milliseconds


class SdnnFloat:
    """The network as it was trained: weights rounded to 8 bits, activations in float."""

    def __init__(self, settings: Settings) -> None:
        from ndns.models.slayer import load_slayer

        path = checked_weights(settings.weights, settings.sha256, "sdnn_float")
        self._model = load_slayer(path).eval()
        self._frames = self._model.front_end.frames()
        weights = [self._model.get_parameter(f"weight{index}") for index in (1, 2, 3)]
        self._fan_out = np.array([len(weight) for weight in weights])
        self._neurons = np.array([weight.shape[1] for weight in weights])
        self._step_s = self._frames.hop / RATE
        parameters = sum(weight.numel() for weight in weights)
        self.facts = Facts(
            buffer_ms=milliseconds(self._frames.n_fft),
            removed_samples=self._frames.overlap,
            parameters=parameters,
            size_kb=4 * parameters / 1024,
            step_s=self._step_s,
            note="float activations; the integer program of the same weights is a row of its own",
        )

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Run the whole clip."""
        import torch

        with torch.no_grad():
            output = self._model(torch.from_numpy(lengthened(clip.noisy, self._frames.n_fft))[None])
        rates = np.array([float(rate) for rate in output.rates.values()])
        synops = power_proxy.synops_per_step(rates, self._neurons, self._fan_out)
        proxy = power_proxy.power_proxy(synops, int(self._neurons.sum()), self._step_s)
        return output.denoised[0, : len(clip.noisy)].numpy().astype(np.float64), {"power_proxy_ops_s": proxy}
