"""The N-DNS challenge's sigma-delta network (arXiv 2303.09503, section IV; its `train_sdnn.py`).

    |STFT| - offset -> quantise to 1/64 -> delta -> hidden1 -> hidden2 -> output -> mask = relu(output + 1) -> * |STFT|

Layers send messages only where their activation has changed by the threshold. Each hidden layer hands its messages on
one frame later, plus a learnable axonal delay per neuron. The threshold is shared and fixed; slayer's `tau_grad` and
`scale_grad` shape nothing but the gradient of a learnable threshold, so they have no counterpart here.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ndns.config import FrontEnd
from ndns.config import Sdnn as Settings
from ndns.errors import UserError
from ndns.models import denoising, sigma_delta
from ndns.models.denoising import Output
from ndns.models.frontend import masked_istft, moduli, stft

LAYERS = ("input", "hidden1", "hidden2")
"""Layers that send messages, in order."""


@dataclass
class State:
    """What `Sdnn.step` carries from frame to frame; all tensors but the ring are `(batch, neuron)`.

    Attributes:
        frame: how many frames have been seen.
        previous: last activation of each layer of `LAYERS`.
        residue: change that each of them has not yet sent.
        total: integrated currents of hidden1, hidden2 and output, in double precision.
        ring: messages of hidden1 and hidden2 of the last 64 frames, `(64, batch, neuron)`.
    """

    frame: int
    previous: list[torch.Tensor]
    residue: list[torch.Tensor]
    total: list[torch.Tensor]
    ring: list[torch.Tensor]


class Sdnn(torch.nn.Module):
    """Sigma-delta network that masks magnitudes.

    Parameters: `weight{1,2,3}` `(receiver, sender)` before quantisation to 8 bits, `delay{1,2}` `(hidden,)` in frames
    before rounding down; both as slayer holds them.

    Args:
        settings: of the network.
        seed: of the initial values, drawn with NumPy so that they are equal on every machine: weights uniform within
            `1 / sqrt(senders)`, delays uniform within one frame, as slayer draws them.

    Raises:
        UserError: the threshold is below the step of the input, 1/64.
    """

    def __init__(self, settings: Settings | None = None, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings or Settings()
        threshold = int(self.settings.threshold * 64) / 64
        if threshold == 0:
            raise UserError(f"threshold: {self.settings.threshold} is below the chip's step 1/64; take a larger one.")
        self.threshold = threshold
        bins, hidden = self.front_end.frames().bins, self.settings.hidden
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
        for index, (senders, receivers) in enumerate([(bins, hidden), (hidden, hidden), (hidden, bins)], start=1):
            bound = 1 / np.sqrt(senders)
            self.register_parameter(
                f"weight{index}", _parameter(generator.uniform(-bound, bound, (receivers, senders)))
            )
        for index in (1, 2):
            self.register_parameter(f"delay{index}", _parameter(generator.uniform(0, 1, hidden)))

    @property
    def front_end(self) -> FrontEnd:
        """The Fourier transform that the network was made for."""
        return self.settings.front_end

    def forward(self, noisy: torch.Tensor) -> Output:
        """Denoise clips `(batch, samples)`.

        The mask of frame t is the output at frame `t + mask_delay - 1`: with `mask_delay` 1 as the challenge trains
        (lava's output comes one step after slayer's, hence the name), with 0 the mask is a frame old and costs no
        waiting, with more the network hears later frames first; silence follows the clip.
        """
        spectra = stft(noisy, self.front_end)
        magnitude = moduli(spectra)
        messages, raw = self._run(self._awaited(magnitude).transpose(1, 2))
        mask = self.mask(self._timed(raw.transpose(1, 2)))
        denoised = masked_istft(spectra, mask, noisy.shape[-1], self.front_end)
        rates = {name: sigma_delta.event_rate(sent) for name, sent in zip(LAYERS, messages, strict=True)}
        return Output(denoised, magnitude * mask, rates)

    def mask(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the factor of |STFT| for the raw output, same shape."""
        return torch.relu(raw + 1)

    def _awaited(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Append the frames of silence that are heard while the last masks are awaited."""
        waiting = self.settings.mask_delay - 1
        return torch.nn.functional.pad(magnitude, (0, waiting)) if waiting > 0 else magnitude

    def _timed(self, raw: torch.Tensor) -> torch.Tensor:
        """Move raw output `(batch, bin, frame)` to the frames that it masks."""
        waiting = self.settings.mask_delay - 1
        return torch.nn.functional.pad(raw[..., :-1], (1, 0)) if waiting < 0 else raw[..., waiting:]

    def mask_output(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Return the network's raw output for |STFT| `(batch, bin, frame)`, same shape; `relu(it + 1)` is the mask.

        Frame t is slayer's output at frame t, which is lava's at step t + 1: `mask_delay` is not applied.
        """
        return self._run(magnitude.transpose(1, 2))[1].transpose(1, 2)

    def events(self, magnitude: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return each layer's messages `(batch, neuron, frame)` for |STFT| `(batch, bin, frame)`, delays applied."""
        messages, _ = self._run(magnitude.transpose(1, 2))
        return {name: sent.transpose(1, 2) for name, sent in zip(LAYERS, messages, strict=True)}

    def loss(self, output: Output, clean: torch.Tensor) -> torch.Tensor:
        """Return the challenge's loss for clean clips `(batch, samples)`; see `ndns.models.denoising.loss`."""
        return denoising.loss(output, clean, moduli(stft(clean, self.front_end)))

    def _run(self, magnitude: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the messages of `LAYERS` and the raw output, all `(batch, frame, neuron)`."""
        self.clamp_delays()
        values = sigma_delta.quantise(magnitude - self.settings.offset, sigma_delta.INPUT_STEP)
        sent = sigma_delta.delta(values, self.threshold)
        first = sigma_delta.hidden(sent, self._weight(1), self.delay1, self.threshold)
        second = sigma_delta.hidden(first, self._weight(2), self.delay2, self.threshold)
        return [sent, first, second], sigma_delta.output(second, self._weight(3))

    def _weight(self, index: int) -> torch.Tensor:
        return sigma_delta.quantise_weight(self.get_parameter(f"weight{index}"))

    @torch.no_grad()
    def clamp_delays(self) -> None:
        """Project the delays on [0, max_delay], as slayer does before each forward pass."""
        for delay in (self.delay1, self.delay2):
            delay.clamp_(0, self.settings.max_delay)

    @torch.no_grad()
    def step(self, magnitude: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """Process one frame; frame by frame this is `mask_output`.

        Args:
            magnitude: |STFT| of one frame, `(batch, bin)`.
            state: what the step before returned (and must not be used again), or None before the first frame.

        Returns:
            the raw output `(batch, bin)` and the state for the next frame.
        """
        if state is None:
            self.clamp_delays()
            state = self._first_state(len(magnitude), magnitude)
        values = sigma_delta.quantise(magnitude - self.settings.offset, sigma_delta.INPUT_STEP)
        received = self._changes(values, 0, state)
        for index, delay in enumerate((self.delay1, self.delay2)):
            state.total[index] += received @ self._weight(index + 1).T
            activation = torch.relu(state.total[index].to(magnitude.dtype))
            ring = state.ring[index]
            ring[state.frame % len(ring)] = self._changes(activation, index + 1, state)
            source = (state.frame - 1 - delay.floor().long()) % len(ring)
            received = ring[source, :, torch.arange(len(source), device=source.device)].T
        state.total[2] += received @ self._weight(3).T
        state.frame += 1
        return state.total[2].to(magnitude.dtype), state

    def _changes(self, values: torch.Tensor, layer: int, state: State) -> torch.Tensor:
        difference = (values - state.previous[layer]) + state.residue[layer]
        sent = difference * (difference.abs() >= self.threshold)
        state.residue[layer] = difference - sent
        state.previous[layer] = values
        return torch.floor(sent / sigma_delta.MESSAGE_STEP) * sigma_delta.MESSAGE_STEP

    def _first_state(self, batch: int, like: torch.Tensor) -> State:
        bins, hidden = self.weight1.shape[1], self.settings.hidden
        return State(
            frame=0,
            previous=[like.new_zeros(batch, width) for width in (bins, hidden, hidden)],
            residue=[like.new_zeros(batch, width) for width in (bins, hidden, hidden)],
            total=[like.new_zeros(batch, width, dtype=torch.float64) for width in (hidden, hidden, bins)],
            ring=[like.new_zeros(64, batch, hidden) for _ in range(2)],
        )


def _parameter(values: np.ndarray) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.from_numpy(values.astype(np.float32)))
