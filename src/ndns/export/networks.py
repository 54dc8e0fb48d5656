"""One step of each float network as ONNX nodes: |STFT| of a frame `(bin,)` to the raw output `(bin,)`.

They repeat `step` of `ndns.models.s5` and `ndns.models.sdnn`; `mask` makes the mask of it.
"""

from collections.abc import Callable

import numpy as np
import torch

from ndns.audio.level import FAINTEST, FLOOR, KEPT, RISE
from ndns.errors import UserError
from ndns.export.builder import Builder
from ndns.models import S5, Sdnn, sigma_delta
from ndns.models.s5 import GELU_SLOPE, quantized


def network(builder: Builder, model: torch.nn.Module, magnitude: str) -> str:
    """Append a network's step, return the name of its raw output.

    Raises:
        UserError: no ONNX form of this network is written.
    """
    for kind, build in NETWORKS.items():
        if isinstance(model, kind):
            with torch.no_grad():
                return build(builder, model, magnitude)
    known = ", ".join(kind.__name__ for kind in NETWORKS)
    raise UserError(f"a network of type {type(model).__name__} has no ONNX form here; known: {known}.")


def _s5(builder: Builder, model: S5, magnitude: str) -> str:
    rounding = _Rounding(builder, model)
    relus, masked = model.settings.relus, model.sparsifier.masked
    magnitude = _leveled(builder, model, magnitude) if model.settings.level == "shift" else magnitude
    x = rounding.activation("input", builder.op("Sub", magnitude, builder.constant(model.settings.offset)))
    x = _affine(builder, rounding.weight(masked("encoder", model.encoder)), model.encoder_bias, x)
    x = rounding.activation("residual", x)
    x = builder.op("Relu", x) if "encoder" in relus else x
    for index, block in enumerate(model.blocks):
        w = quantized(block.folded(model.sparsifier, f"block{index}"), model.quantizer)
        x = _s5_block(builder, rounding, w, x, f"block{index}", relus)
    x = _affine(builder, rounding.weight(masked("decoder", model.decoder)), model.decoder_bias, x)
    return rounding.activation("decoder", x)


def _leveled(b: Builder, model: S5, magnitude: str) -> str:
    """|STFT| over its running level, a power of two: `ndns.models.level`.

    The logarithm of a power of two may come out on either side of its whole number, so half is taken off and what
    that costs is seen by a comparison; the mean is divided once, as torch does it.
    """
    bins = model.front_end.frames().bins
    total, weight = b.state("level_sum", (1,)), b.state("level_weight", (1,))
    kept, one = b.constant([KEPT]), b.constant([1.0])
    mean = b.op("Div", b.product(magnitude, np.ones((1, bins), np.float32)), b.constant([bins]))
    heard = b.op("Where", b.op("GreaterOrEqual", mean, b.constant([FLOOR])), one, b.constant([0.0]))
    after = b.add(b.multiply(kept, total), b.multiply(mean, heard))
    weight_after = b.add(b.multiply(kept, weight), heard)
    b.keep(total, after)
    b.keep(weight, weight_after)
    level = b.op("Div", after, b.op("Max", weight_after, b.constant([FAINTEST])))
    level = b.op("Max", level, b.multiply(mean, b.constant([1 / RISE])), b.constant([FLOOR]))
    half_less = b.op("Sub", b.op("Div", b.op("Log", level), b.constant([np.log(2.0)])), b.constant([0.5]))
    power = b.op("Pow", b.constant([2.0]), b.op("Floor", half_less))
    twice = b.multiply(b.constant([2.0]), power)
    return b.op("Div", magnitude, b.op("Where", b.op("GreaterOrEqual", level, twice), twice, power))


def _s5_block(builder: Builder, rounding: "_Rounding", w, x: str, name: str, relus: frozenset[str]) -> str:
    states = w.a.shape[1]
    before = [builder.state(f"{name}_{part}", (states,)) for part in ("re", "im")]
    a_re, a_im = (builder.constant(part.numpy()) for part in w.a)
    turned = [
        builder.op("Sub", builder.multiply(a_re, before[0]), builder.multiply(a_im, before[1])),
        builder.add(builder.multiply(a_re, before[1]), builder.multiply(a_im, before[0])),
    ]
    parts = []
    for part, state in enumerate(before):
        after = builder.add(turned[part], _affine(builder, w.b[part], w.bias_x[part], x))
        builder.keep(state, after)
        parts.append(rounding.activation(f"{name}.state", after))
    if "state" in relus:
        zero = builder.constant(0.0)
        positive = builder.op("Greater", parts[0], zero)
        parts = [builder.op("Where", positive, part, zero) for part in parts]
    read = [builder.product(part, 2 * weight.numpy()) for part, weight in zip(parts, w.c, strict=True)]
    y = builder.add(builder.op("Sub", *read), builder.multiply(builder.constant(w.d.numpy()), x))
    y = rounding.activation(f"{name}.y", builder.add(y, builder.constant(w.bias_y.numpy())))
    if "z" in relus:
        z = builder.op("Relu", y)
    else:
        z = builder.multiply(y, rounding.sigmoid(builder.multiply(y, builder.constant(GELU_SLOPE))))
    gate = rounding.sigmoid(rounding.activation(f"{name}.gate", _affine(builder, w.gate, w.gate_bias, z)))
    x = builder.add(x, builder.multiply(z, gate))
    return rounding.activation("residual", builder.op("Relu", x) if "residual" in relus else x)


def mask(builder: Builder, model: torch.nn.Module, raw: str) -> str:
    """Append what makes the mask of a network's raw output."""
    if getattr(model.settings, "mask", "relu") == "sigmoid":
        return _Rounding(builder, model).sigmoid(raw)
    return builder.op("Relu", builder.add(raw, builder.constant(1.0)))


class _Rounding:
    """What `ndns.models.quantization.Quantizer` does in evaluation, as nodes."""

    def __init__(self, builder: Builder, model: S5) -> None:
        self.builder, self.quantizer = builder, model.quantizer

    def weight(self, weight: torch.Tensor) -> torch.Tensor:
        return self.quantizer.weight(weight)

    def activation(self, name: str, x: str) -> str:
        if not self.quantizer.enabled:
            return x
        scale, top = 2.0 ** self.quantizer.exponent(name), 2.0 ** (self.quantizer.settings.activation_bits - 1)
        b = self.builder
        floored = b.op("Floor", b.multiply(x, b.constant(scale)))
        limited = b.op("Clip", floored, b.constant(-top), b.constant(top - 1))
        return b.multiply(limited, b.constant(1 / scale))

    def sigmoid(self, x: str) -> str:
        """Sigmoid, or its table of 0, 1, ... 9: linear between, odd about 1/2."""
        b = self.builder
        if not self.quantizer.enabled:
            return b.op("Sigmoid", x)
        table = b.constant(torch.sigmoid(torch.arange(10.0)).numpy())
        size = b.op("Min", b.op("Abs", x), b.constant(9.0))
        index = b.op("Min", b.op("Floor", size), b.constant(8.0))
        place = b.op("Cast", index, to=7)  # int64
        below = b.op("Gather", table, place)
        above = b.op("Gather", table, b.add(place, b.constant(1, np.int64)))
        value = b.add(below, b.multiply(b.op("Sub", above, below), b.op("Sub", size, index)))
        negative = b.op("Less", x, b.constant(0.0))
        return b.op("Where", negative, b.op("Sub", b.constant(1.0), value), value)


def _sdnn(builder: Builder, model: Sdnn, magnitude: str) -> str:
    b, delays = (
        builder,
        [delay.clamp(0, model.settings.max_delay).floor().long() for delay in (model.delay1, model.delay2)],
    )
    weights = [sigma_delta.quantise_weight(model.get_parameter(f"weight{index}")).numpy() for index in (1, 2, 3)]
    bins, hidden = weights[0].shape[1], len(weights[0])
    steps = b.op("Div", b.op("Sub", magnitude, b.constant(model.settings.offset)), b.constant(sigma_delta.INPUT_STEP))
    values = b.multiply(b.op("Round", steps), b.constant(sigma_delta.INPUT_STEP))
    received = _changes(b, values, bins, "input", model.threshold)
    for index, delay in enumerate(delays):
        total = _integrated(b, received, weights[index], f"hidden{index + 1}")
        sent = _changes(b, b.op("Relu", total), hidden, f"hidden{index + 1}", model.threshold)
        received = _delayed(b, sent, delay.numpy(), f"hidden{index + 1}")
    return _integrated(b, received, weights[2], "output")


def _changes(b: Builder, values: str, size: int, name: str, threshold: float) -> str:
    previous, residue = b.state(f"{name}_previous", (size,)), b.state(f"{name}_residue", (size,))
    difference = b.add(b.op("Sub", values, previous), residue)
    large = b.op("GreaterOrEqual", b.op("Abs", difference), b.constant(threshold))
    sent = b.op("Where", large, difference, b.constant(0.0))
    b.keep(previous, values)
    b.keep(residue, b.op("Sub", difference, sent))
    floored = b.op("Floor", b.op("Div", sent, b.constant(sigma_delta.MESSAGE_STEP)))
    return b.multiply(floored, b.constant(sigma_delta.MESSAGE_STEP))


def _integrated(b: Builder, received: str, weight: np.ndarray, name: str) -> str:
    """Running sum of currents in double precision, handed on in single."""
    before = b.state(f"{name}_total", (len(weight),), np.float64)
    after = b.add(before, b.op("Cast", b.product(received, weight), to=11))  # double
    b.keep(before, after)
    return b.op("Cast", after, to=1)  # float


def _delayed(b: Builder, sent: str, delay: np.ndarray, name: str) -> str:
    """Messages of `1 + delay` frames ago; the newest come first in the ring."""
    depth = int(delay.max()) + 1
    ring = b.state(f"{name}_ring", (depth, len(delay)))
    received = b.op("GatherElements", ring, b.constant(delay[None], np.int64), axis=0)
    row = b.op("Unsqueeze", sent, b.constant([0], np.int64))
    b.keep(ring, b.op("Concat", row, b.slice(ring, 0, depth - 1), axis=0) if depth > 1 else row)
    return b.op("Squeeze", received, b.constant([0], np.int64))


def _affine(b: Builder, weight: torch.Tensor, bias: torch.Tensor, x: str) -> str:
    return b.add(b.product(x, weight.numpy()), b.constant(bias.numpy()))


NETWORKS: dict[type, Callable[[Builder, torch.nn.Module, str], str]] = {S5: _s5, Sdnn: _sdnn}
"""Step of each type of network."""
