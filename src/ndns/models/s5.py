"""Sparse S5: a linear recurrence between pointwise layers (Pierro et al. 2025, arXiv 2502.01330, section 3).

    x = encode(|STFT| / level - offset);  blocks times:
        u  = BatchNorm(x)
        s  = a s[t - 1] + B u                     complex, diagonal; B discretized by zero-order hold
        y  = 2 Re(C g(s)) + d u                   g: complex ReLU or identity
        z  = relu(y) or gelu(y)
        x  = x + z * sigmoid(W z + b)             then relu or not
    mask = relu(1 + decode(x)) or sigmoid(decode(x))

Each ReLU is a setting (`relu`), and one more follows the encoder. The complex ReLU passes the whole number where its
real part is positive. Widths follow one factor k: H = 192 k features and P = 128 k complex states (the conjugate half
is implied by the 2). Inside of the network tensors are `(batch, time, feature)`, as the spectra lie in memory, so that
no layer has to change the layout.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from ndns.config import S5 as Settings
from ndns.config import FrontEnd
from ndns.models import denoising
from ndns.models.denoising import Output
from ndns.models.frontend import masked_istft, moduli, stft
from ndns.models.hippo import initial_ssm
from ndns.models.hold import zero_order_hold
from ndns.models.level import leveled, leveled_frame
from ndns.models.products import linear
from ndns.models.quantization import Quantizer
from ndns.models.scan import complex_relu, diagonal_scan, rectified_scan
from ndns.models.sigma_delta import event_rate
from ndns.models.sparsity import Sparsifier

GELU_SLOPE = 109 / 64
"""`gelu(y) = y sigmoid(109/64 y)`: within 0.02 of the error-function form, and the integers need one table only."""

TRANSITION_BITS = 16
LEVEL_WEIGHT = 0.01
"""Loss of a level that is wrong by 1 dB."""
SILENCE = 1e-6
"""Mean square (-60 dBFS) below which levels are no longer told apart."""


@dataclass(frozen=True)
class Folded:
    """One block with its normalization folded in: what is deployed.

    Attributes:
        a: transition, complex `(state,)` as real `(2, state)`.
        b: input weights `(2, state, feature)`; `bias_x` `(2, state)`.
        c: output weights `(2, feature, state)`.
        d: direct path `(feature,)`; `bias_y` `(feature,)`.
        gate: `(feature, feature)`; `gate_bias` `(feature,)`.
        power: mean square of each of the block's inputs `(feature,)`; none where nothing is folded.
    """

    a: torch.Tensor
    b: torch.Tensor
    bias_x: torch.Tensor
    c: torch.Tensor
    d: torch.Tensor
    bias_y: torch.Tensor
    gate: torch.Tensor
    gate_bias: torch.Tensor
    power: torch.Tensor | None = None


class Block(torch.nn.Module):
    """One residual block over `(batch, time, feature)`.

    Args:
        settings: of the network.
        generator: draws the initial values.
    """

    def __init__(self, settings: Settings, generator: np.random.Generator) -> None:
        super().__init__()
        self.settings = settings
        features = settings.features
        for name, value in initial_ssm(settings.blocks_of_16, features, settings.dt, generator).items():
            self.register_parameter(name, parameter(value))
        self.norm = torch.nn.BatchNorm1d(features, eps=settings.variance_floor, momentum=0.05)
        self.gate = parameter(generator.standard_normal((features, features)) / np.sqrt(features))
        self.gate_bias = parameter(np.zeros(features))
        self.dropout = torch.nn.Dropout1d(settings.dropout)
        self.register_buffer("twice", torch.tensor([2.0, -2.0])[:, None, None], persistent=False)  # 2 Re(C x)

    def discrete(self, b: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return transition `(2, state)`, input and output weights of masked `b` and `c` by zero-order hold."""
        return zero_order_hold(self.lambda_re, self.lambda_im, self.log_step, b, c)

    def folded(self, sparsifier: Sparsifier, name: str) -> Folded:
        """Return the block's weights with the normalization (running statistics) folded in."""
        a, b, c = self._discrete(sparsifier, name)
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        shift = self.norm.bias - self.norm.running_mean * scale
        return Folded(
            a, b * scale, b @ shift, c, self.d * scale, self.d * shift,
            sparsifier.masked(f"{name}.gate", self.gate), self.gate_bias,
            self.norm.running_var + self.norm.running_mean**2,
        )  # fmt: skip

    def weights(self, sparsifier: Sparsifier, name: str) -> Folded:
        """Return the weights that act on normalized input: nothing folded."""
        a, b, c = self._discrete(sparsifier, name)
        zero = torch.zeros_like(self.d)
        return Folded(
            a, b, torch.zeros_like(a), c, self.d, zero,
            sparsifier.masked(f"{name}.gate", self.gate), self.gate_bias,
        )  # fmt: skip

    def forward(
        self, x: torch.Tensor, sparsifier: Sparsifier, quantizer: Quantizer, name: str
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the block's output and the activations that products see, by name; all `(batch, time, feature)`."""
        if quantizer.enabled:
            w, u = quantized(self.folded(sparsifier, name), quantizer), x
        else:
            w, u = self.weights(sparsifier, name), self.norm(x.flatten(0, 1)).view_as(x)
        drive = linear(u, w.b.flatten(0, 1), w.bias_x.flatten())
        if "state" in self.settings.relus and not quantizer.enabled:
            states, state = rectified_scan(w.a, drive)
            quantizer.activation(f"{name}.state", states)
        else:
            (state,) = quantizer.activation(f"{name}.state", diagonal_scan(w.a, drive))
            state = complex_relu(state) if "state" in self.settings.relus else state
        readout = linear(state, (w.c * self.twice).transpose(0, 1).flatten(1), w.bias_y)
        (y,) = quantizer.activation(f"{name}.y", torch.addcmul(readout, u, w.d))
        z = self._dropped(activation(y, "z" in self.settings.relus, quantizer.sigmoid))
        (pre,) = quantizer.activation(f"{name}.gate", linear(z, w.gate, w.gate_bias))
        out = x + self._dropped(z * quantizer.sigmoid(pre))
        out = torch.relu(out) if "residual" in self.settings.relus else out
        (out,) = quantizer.activation("residual", out)
        return out, {f"{name}.state": state, f"{name}.z": z, f"{name}.out": out}

    def _discrete(self, sparsifier: Sparsifier, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.discrete(*(sparsifier.masked(f"{name}.{part}", getattr(self, part)) for part in ("b", "c")))

    def _dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Drop whole features of a clip."""
        return self.dropout(x.transpose(1, 2)).transpose(1, 2) if self.dropout.p else x


def quantized(w: Folded, quantizer: Quantizer) -> Folded:
    """Return the block's weights as the program holds them: the transition at 16 bits, biases as they are."""
    return replace(
        w, a=quantizer.weight(w.a, TRANSITION_BITS), b=quantizer.weight(w.b, power=w.power),
        c=quantizer.weight(w.c), d=quantizer.weight(w.d, power=w.power), gate=quantizer.weight(w.gate),
    )  # fmt: skip


def activation(
    y: torch.Tensor, relu: bool, sigmoid: Callable[[torch.Tensor], torch.Tensor] = torch.sigmoid
) -> torch.Tensor:
    """ReLU, or the sigmoid form of GELU."""
    return torch.relu(y) if relu else y * sigmoid(GELU_SLOPE * y)


def _power(samples: torch.Tensor) -> torch.Tensor:
    return (samples**2).mean(dim=-1)


def parameter(values: np.ndarray) -> torch.nn.Parameter:
    """A float32 parameter from NumPy values."""
    return torch.nn.Parameter(torch.from_numpy(np.ascontiguousarray(values, np.float32)))


class S5(torch.nn.Module):
    """The whole network: encoder, residual blocks, decoder, mask.

    Args:
        settings: of the network.
        seed: of the initial values, drawn with NumPy.
    """

    def __init__(self, settings: Settings | None = None, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings or Settings()
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed])))
        bins, features = self.front_end.frames().bins, self.settings.features
        self.encoder = parameter(generator.standard_normal((features, bins)) / np.sqrt(bins))
        self.encoder_bias = parameter(np.zeros(features))
        self.blocks = torch.nn.ModuleList(Block(self.settings, generator) for _ in range(self.settings.blocks))
        self.decoder = parameter(generator.standard_normal((bins, features)) / np.sqrt(features))
        self.decoder_bias = parameter(np.zeros(bins))
        names = ["input", "residual"]
        names += [f"block{i}.{part}" for i in range(len(self.blocks)) for part in ("state", "y", "gate")]
        self.quantizer = Quantizer([*names, "decoder"], self.settings.qat)
        shapes = {name: tuple(weight.shape) for name, weight in self.prunable().items()}
        self.sparsifier = Sparsifier(shapes, self.settings.sparsity)

    @property
    def front_end(self) -> FrontEnd:
        """The Fourier transform that the network was made for."""
        return self.settings.front_end

    @property
    def settled(self) -> bool:
        """Whether pruning and quantization have reached their end: only then is a checkpoint what was asked for."""
        return self._progress >= self._settled_from()

    _progress = 1.0

    def _settled_from(self) -> float:
        ends = [self.settings.sparsity.end] if self.settings.sparsity else []
        starts = [self.settings.qat.start] if self.settings.qat else []
        return max([0.0, *ends, *starts])

    @torch.no_grad()
    def retime(self, ratio: float) -> None:
        """Make the recurrence's time step `ratio` times as long: frames are as much further apart."""
        for block in self.blocks:
            block.log_step += math.log(ratio)

    def prunable(self) -> dict[str, torch.Tensor]:
        """Weights that pruning acts on, by name."""
        weights = {"encoder": self.encoder}
        for index, block in enumerate(self.blocks):
            weights |= {f"block{index}.{part}": getattr(block, part) for part in ("b", "c", "gate")}
        return weights | {"decoder": self.decoder}

    def on_progress(self, progress: float) -> None:
        """Called before each training step with the share of training that is done: moves pruning and quantization."""
        self._progress = progress
        self.sparsifier.update(progress, self.prunable())
        qat = self.settings.qat
        self.quantizer.switch(qat is not None and progress >= qat.start)

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict]:
        """Groups for the optimizer: the state space learns slower and without decay, vectors without decay."""
        slow = ("lambda_re", "lambda_im", "log_step", ".b", ".c", ".d")
        groups: list[list[torch.nn.Parameter]] = [[], [], []]
        for name, weight in self.named_parameters():
            is_slow = name.startswith("blocks.") and name.endswith(slow)
            groups[0 if is_slow else 1 if weight.ndim > 1 else 2].append(weight)
        return [
            {"params": groups[0], "lr": learning_rate / 2, "weight_decay": 0.0},
            {"params": groups[1], "lr": learning_rate, "weight_decay": weight_decay},
            {"params": groups[2], "lr": learning_rate, "weight_decay": 0.0},
        ]

    def forward(self, noisy: torch.Tensor) -> Output:
        """Denoise clips `(batch, samples)`."""
        spectra = stft(noisy, self.front_end)
        magnitude = moduli(spectra)
        raw, seen = self._run(magnitude)
        mask = self.mask(raw)
        denoised = masked_istft(spectra, mask, noisy.shape[-1], self.front_end)
        rates = {} if self.training else {name: event_rate(values) for name, values in seen.items()}
        return Output(denoised, magnitude * mask, rates)

    def mask_output(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Return the raw output for |STFT| `(batch, bin, frame)`, same shape; `mask` makes the mask of it."""
        return self._run(magnitude)[0]

    def mask(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the factor of |STFT| for the raw output, same shape, as the program's decoder makes it."""
        return torch.relu(1 + raw) if self.settings.mask == "relu" else self.quantizer.sigmoid(raw)

    def loss(self, output: Output, clean: torch.Tensor) -> torch.Tensor:
        """Return the challenge's loss for clean clips `(batch, samples)`, plus what a wrong level costs.

        SI-SNR leaves the level free, and an output beyond full scale is clipped when it is written: the level may
        drift by dB that then cost as many tenths of a dB of quality.
        """
        level = 10 * torch.log10((_power(output.denoised) + SILENCE) / (_power(clean) + SILENCE))
        target = moduli(stft(clean, self.front_end))
        total = denoising.loss(output, clean, target) + LEVEL_WEIGHT * (level**2).mean()
        if self.settings.compressed_loss:
            total = total + self.settings.compressed_loss * denoising.compressed_loss(output, target)
        return total

    def _run(self, magnitude: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        quantizer = self.quantizer
        magnitude = leveled(magnitude) if self.settings.level == "shift" else magnitude
        (x,) = quantizer.activation("input", magnitude.transpose(1, 2).contiguous() - self.settings.offset)
        seen = {"input": x}
        x = linear(x, quantizer.weight(self.sparsifier.masked("encoder", self.encoder)), self.encoder_bias)
        (x,) = quantizer.activation("residual", x)
        x = torch.relu(x) if "encoder" in self.settings.relus else x
        seen["encoder"] = x
        for index, block in enumerate(self.blocks):
            x, more = block(x, self.sparsifier, quantizer, f"block{index}")
            seen |= more
        x = linear(x, quantizer.weight(self.sparsifier.masked("decoder", self.decoder)), self.decoder_bias)
        (x,) = quantizer.activation("decoder", x)
        return x.transpose(1, 2), seen

    @torch.no_grad()
    def step(
        self, magnitude: torch.Tensor, state: list[tuple[torch.Tensor, torch.Tensor]] | None = None
    ) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
        """Process one frame with normalization folded in; frame by frame this is `mask_output` in evaluation mode.

        Args:
            magnitude: |STFT| of one frame `(batch, bin)`.
            state: what the step before returned, or None before the first frame.

        Returns:
            the raw output `(batch, bin)` and the state for the next frame.
        """
        q, relus = self.quantizer, self.settings.relus
        level = None
        if self.settings.level == "shift":
            magnitude, level = leveled_frame(magnitude, state[-1] if state else None)
        (x,) = q.activation("input", magnitude - self.settings.offset)
        (x,) = q.activation(
            "residual", x @ q.weight(self.sparsifier.masked("encoder", self.encoder)).T + self.encoder_bias
        )
        x = torch.relu(x) if "encoder" in relus else x
        after = []
        for index, block in enumerate(self.blocks):
            name = f"block{index}"
            w = quantized(block.folded(self.sparsifier, name), q)
            before = state[index] if state else (torch.zeros_like(w.a[0]),) * 2
            re = w.a[0] * before[0] - w.a[1] * before[1] + x @ w.b[0].T + w.bias_x[0]
            im = w.a[0] * before[1] + w.a[1] * before[0] + x @ w.b[1].T + w.bias_x[1]
            after.append((re, im))
            re, im = q.activation(f"{name}.state", re, im)
            if "state" in relus:
                re, im = re * (re > 0), im * (re > 0)
            (y,) = q.activation(f"{name}.y", 2 * (re @ w.c[0].T - im @ w.c[1].T) + w.d * x + w.bias_y)
            z = activation(y, "z" in relus, q.sigmoid)
            (pre,) = q.activation(f"{name}.gate", z @ w.gate.T + w.gate_bias)
            x = x + z * q.sigmoid(pre)
            (x,) = q.activation("residual", torch.relu(x) if "residual" in relus else x)
        (x,) = q.activation(
            "decoder", x @ q.weight(self.sparsifier.masked("decoder", self.decoder)).T + self.decoder_bias
        )
        return x, after if level is None else [*after, level]
