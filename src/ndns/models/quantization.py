"""Quantization seen by training: weights and activations rounded as the integer program rounds them.

Scales are powers of two. Weights are rounded to nearest with the exponent that loses least, at which a few large ones
may be clipped; activations are rounded toward minus infinity with an exponent that their observed range allows;
gradients pass straight through.
"""

import math

import torch

from ndns.config import Qat
from ndns.models.precision import compiled

HEADROOM = 1.25
"""Activations may exceed the observed range by this factor before the integers saturate."""
FINER = 3
"""How many binary digits finer than the exponent at which all weights fit is tried."""
FORGET = 0.998
"""Share of an observed range that survives a look without a larger value: one a training step, at the residual stream
of S5 one more a block."""


def weight_exponent(weight: torch.Tensor, bits: int, power: torch.Tensor | None = None) -> int:
    """Return the exponent `e` at which `round(weight * 2^e)`, clipped to `bits` bits, is nearest to the weights.

    Distance is `sum(power * error^2)`: what the outputs of a layer lose with independent inputs.

    Args:
        weight: `(..., in)`.
        bits: width including the sign.
        power: mean square of each input `(in,)`; none for the same of all.

    >>> weight_exponent(torch.tensor([0.5, -0.25]), 8)
    7
    >>> weight_exponent(torch.tensor([[8.0, 0.3, -0.41]]), 4), weight_exponent(
    ...     torch.tensor([[8.0, 0.3, -0.41]]), 4, torch.tensor([0.0, 1.0, 1.0])
    ... )
    (-1, 2)
    """
    return int(_weight_exponent(weight, bits, power))


def integers(weight: torch.Tensor, bits: int, power: torch.Tensor | None = None) -> tuple[torch.Tensor, int]:
    """Return the weights as the program holds them, int64, and their exponent; arguments as `weight_exponent`."""
    exponent = weight_exponent(weight, bits, power)
    return _on_grid(weight.detach().double(), torch.tensor(2.0, dtype=torch.float64) ** exponent, bits).long(), exponent


def _weight_exponent(weight: torch.Tensor, bits: int, power: torch.Tensor | None = None) -> torch.Tensor | int:
    if compiled(weight):
        return _kernels().weight_exponent(weight, bits, power, FINER)
    weight = weight.detach().double()
    largest = weight.abs().amax()
    top = 2 ** (bits - 1) - 1
    exponent = _floor_log2((top + 0.5) / largest)
    exponent = torch.where(torch.round(torch.ldexp(largest, exponent)) <= top, exponent, exponent - 1)
    exponent = torch.where(largest > 0, exponent, bits - 1)
    errors = []
    for finer in range(FINER + 1):
        scale = _power_of_two(exponent + finer, weight)
        error = (_on_grid(weight, scale, bits) / scale - weight).square()
        errors.append((error if power is None else error * power).sum())
    return exponent + torch.stack(errors).argmin()


def _on_grid(weight: torch.Tensor, scale: torch.Tensor, bits: int) -> torch.Tensor:
    top = 2 ** (bits - 1) - 1
    return torch.round(weight * scale).clamp(-top - 1, top)


def activation_exponent(extent: float, bits: int) -> int:
    """Return the exponent that represents magnitudes up to `HEADROOM * extent` in `bits` bits.

    >>> activation_exponent(3.0, 16)
    13
    """
    return math.frexp(_room(extent, bits))[1] - 1 if extent > 0 else bits - 1


def _activation_exponent(extent: torch.Tensor, bits: int) -> torch.Tensor:
    return torch.where(extent > 0, _floor_log2(_room(extent, bits)), bits - 1)


def _room(extent: torch.Tensor | float, bits: int) -> torch.Tensor | float:
    return (2 ** (bits - 1) - 1) / (HEADROOM * extent)


def _floor_log2(values: torch.Tensor) -> torch.Tensor:
    return torch.frexp(values)[1] - 1


def _power_of_two(exponent: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Exact on every device, which `pow` and `exp2` do not promise."""
    bits = (exponent.int().clamp(-126, 127) + 127) << 23
    return bits.view(torch.float32).to(like.dtype)


def rounded(weight: torch.Tensor, bits: int, power: torch.Tensor | None = None) -> torch.Tensor:
    """Return the weight on its integer grid, with the gradient of the weight; arguments as `weight_exponent`."""
    if compiled(weight):
        exponent = _weight_exponent(weight, bits, power)
        return _StraightThrough.apply(weight, lambda weight: _kernels().nearest(weight, exponent, bits))
    scale = _power_of_two(_weight_exponent(weight, bits, power), weight)
    return weight + (_on_grid(weight, scale, bits) / scale - weight).detach()


def table_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Sigmoid as `ndns.loihi2.nodes.s5_block.integer_sigmoid` gives it: linear between whole numbers of |x| up to 9.

    >>> table_sigmoid(torch.tensor([0.0, -1.0]))
    tensor([0.5000, 0.2689])
    """
    table = torch.sigmoid(torch.arange(10, dtype=x.dtype, device=x.device))
    size = x.abs().clamp(max=9)
    index = size.floor().clamp(max=8)
    below = table[index.long()]
    value = below + (table[index.long() + 1] - below) * (size - index)
    return torch.where(x < 0, 1 - value, value)


class _StraightThrough(torch.autograd.Function):
    """What a function makes of its argument, with the gradient of the argument itself."""

    @staticmethod
    def forward(ctx, x, function):
        return function(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class _TableSigmoid(torch.autograd.Function):
    """The table's values with the gradient of the sigmoid."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.sigmoid(x))
        return _kernels().table_sigmoid(x)

    @staticmethod
    def backward(ctx, gradient):
        (exact,) = ctx.saved_tensors
        return torch.ops.aten.sigmoid_backward(gradient, exact)


def _kernels():
    from ndns.models import quantization_kernels  # a machine that trains on a GPU alone needs no numba

    return quantization_kernels


class Quantizer(torch.nn.Module):
    """Observes the range of named activations and, once switched on, rounds weights and activations.

    Args:
        names: activations, each with its own range.
        settings: widths; none for a network that is never quantized in training (ranges are observed all the same).
    """

    def __init__(self, names: list[str], settings: Qat | None) -> None:
        super().__init__()
        self.settings = settings or Qat()
        self.index = {name: position for position, name in enumerate(names)}
        self.register_buffer("extents", torch.zeros(len(names)))
        self.register_buffer("on", torch.zeros((), dtype=torch.bool))
        self.enabled = False

    def switch(self, on: bool) -> None:
        """Turn rounding on or off; saved with the network."""
        self.enabled = on
        self.on.fill_(on)

    def extent(self, name: str) -> float:
        """Observed range of an activation."""
        return float(self.extents[self.index[name]])

    def exponent(self, name: str) -> int:
        """Exponent of an activation."""
        return activation_exponent(self.extent(name), self.settings.activation_bits)

    def activation(self, name: str, *parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Observe (in training) and round (if on) tensors that share one exponent."""
        position = self.index[name]
        if self.training:
            with torch.no_grad():
                extent = self.extents[position].mul_(FORGET)
                for part in parts:
                    low, high = torch.aminmax(part.detach())
                    torch.maximum(extent, torch.maximum(high, -low), out=extent)
        if not self.enabled:
            return parts
        bits = self.settings.activation_bits
        if all(map(compiled, parts)):
            exponent = self.exponent(name)
            return tuple(
                _StraightThrough.apply(part, lambda part: _kernels().floored(part, exponent, bits)) for part in parts
            )
        exponent = _activation_exponent(self.extents[position].double(), bits)
        scale = _power_of_two(exponent, self.extents)
        top = 2.0 ** (bits - 1)
        return tuple(
            part + (torch.clamp(torch.floor(part * scale), -top, top - 1) / scale - part).detach() for part in parts
        )

    def weight(self, weight: torch.Tensor, bits: int | None = None, power: torch.Tensor | None = None) -> torch.Tensor:
        """Return a weight as the program holds it, if on; `power` as in `weight_exponent`."""
        return rounded(weight, bits or self.settings.weight_bits, power) if self.enabled else weight

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        """The sigmoid; if on, with the values of the integers' table and the gradient of the sigmoid."""
        if self.enabled and compiled(x):
            return _TableSigmoid.apply(x)
        exact = torch.sigmoid(x)
        return exact + (table_sigmoid(x.detach()) - exact.detach()) if self.enabled else exact

    def _load_from_state_dict(self, *arguments, **keywords) -> None:
        super()._load_from_state_dict(*arguments, **keywords)
        self.enabled = bool(self.on)
