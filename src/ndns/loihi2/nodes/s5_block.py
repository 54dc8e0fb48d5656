"""The rest of an S5 network in integers: dense layers with static exponents, the sigmoid table, the gated block."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes import kernels
from ndns.loihi2.nodes.base import LAVA, METERS, Mode, Receiver, State, meter_of, meters, note_range
from ndns.loihi2.nodes.matrix import FEW_STEPS, Matrix
from ndns.loihi2.nodes.s5 import (
    FARTHEST_LEFT,
    DiagonalSSM,
    check_shift,
    check_widths,
    integers,
    saturate,
    shifted,
    top,
)

SIGMOID_EXP = 14
SIGMOID_TABLE = np.rint((1 << SIGMOID_EXP) / (1 + np.exp(-np.arange(10.0)))).astype(np.int64)
"""Sigmoid at 0, 1, ... 9, 14 digits below the point."""
GELU_SLOPE = 109
"""gelu(y) = y sigmoid(109/64 y), so that the table serves for it too."""


@dataclass(frozen=True, eq=False)
class Affine:
    """Dense layer without latency.

        y = sat_m(shift(W x, x_exp + w_exp - y_exp) + bias);  relu: max(y, 0)

    Conventions as in `ndns.loihi2.nodes.s5`. Every numeric mode gives the same integers.

    Attributes:
        weight: integers `(out, in)`, `weight_bits` wide.
        bias: integers `(out,)` at y_exp, `message_bits` wide; none for 0.
        x_exp, w_exp, y_exp: exponents of input, weights and output.
        relu: cut negative outputs to 0.
        weight_bits, message_bits: widths including the sign.

    Raises:
        UserError: a shape, a width or an exponent does not fit; names the field.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    x_exp: int = 12
    w_exp: int = 7
    y_exp: int = 12
    relu: bool = False
    weight_bits: int = 8
    message_bits: int = 16

    def __post_init__(self) -> None:
        if np.ndim(self.weight) != 2:
            raise UserError(f"Affine: weight must be a matrix (out, in), got shape {np.shape(self.weight)}.")
        check_widths("Affine", self, "weight_bits", "message_bits")
        check_shift("Affine", self, "x_exp", "w_exp", "y_exp")
        rows = np.shape(self.weight)[:1]
        bias = np.zeros(rows, np.int64) if self.bias is None else self.bias
        weight = integers("Affine", "weight", self.weight, np.shape(self.weight), self.weight_bits)
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", integers("Affine", "bias", bias, rows, self.message_bits))

    @property
    def shape_in(self) -> int:
        """Inputs."""
        return self.weight.shape[1]

    @property
    def shape_out(self) -> int:
        """Outputs."""
        return self.weight.shape[0]

    @cached_property
    def product(self) -> Matrix:
        """The weights, ready to multiply."""
        return Matrix(self.weight)

    @property
    def fan_out(self) -> np.ndarray:
        """Non-zero weights that an input meets, `(in,)`."""
        return self.product.fan_out

    def init(self, batch: int) -> State:
        """Return meters alone: the node has no memory."""
        return meters(batch)

    @cached_property
    def _compiled(self) -> tuple:
        """What `kernels.affine` takes behind the columns."""
        return self.bias, self.x_exp + self.w_exp - self.y_exp, top(self.message_bits), self.relu

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn int32 `(batch, steps, in)` into int32 `(batch, steps, out)`."""
        if x.shape[0] * x.shape[1] < FEW_STEPS and self.product.always_exact:
            return kernels.affine(x, meter_of(state), self.product.columns, *self._compiled)
        wide = shifted(self.product(x), self.x_exp + self.w_exp - self.y_exp) + self.bias
        y = saturate(wide, self.message_bits, state["overflow"])
        y = np.maximum(y, 0) if self.relu else y
        note_range(state, y)
        return y.astype(np.int32)


@dataclass(frozen=True, eq=False)
class S5Block:
    """One residual block: state space, activation, gate.

        y  = ssm(x)
        z  = max(y, 0) if relu, else (y sigmoid((109 y) >> 6)) >> 14
        g  = (z sigmoid(gate(z))) >> 14
        x' = sat_m(x + shift(g, ssm.y_exp - ssm.u_exp));  relu_out: max(x', 0)

    with `sigmoid` from `integer_sigmoid`; m = `ssm.message_bits`. Batch normalization is folded into `ssm` (`b`, `d`
    and the biases). Source: "half1" GLU block of S5 (arXiv 2502.01330), relufied or with the sigmoid form of GELU.
    Every numeric mode gives the same integers.

    Attributes:
        ssm: the recurrence; its input and the block's output have exponent `ssm.u_exp`.
        gate: layer of the ssm's width, with `x_exp = ssm.y_exp`.
        relu: ReLU on y, else GELU (`ssm.relu` says what the readout of the state does).
        relu_out: ReLU on x'; none for as `relu` says.

    Raises:
        UserError: widths or exponents of the two do not match.
    """

    ssm: DiagonalSSM
    gate: Affine
    relu: bool = True
    relu_out: bool | None = None

    def __post_init__(self) -> None:
        width = self.ssm.shape_out
        if (self.gate.shape_in, self.gate.shape_out) != (width, width):
            raise UserError(f"S5Block: the gate must be {width} x {width}, got {self.gate.weight.shape}.")
        if self.gate.x_exp != self.ssm.y_exp or not 0 <= self.gate.y_exp <= 20:
            raise UserError("S5Block: gate.x_exp must be ssm.y_exp, and gate.y_exp within 0 and 20.")
        if self.ssm.y_exp - self.ssm.u_exp < -FARTHEST_LEFT:
            raise UserError(f"S5Block: ssm.y_exp - ssm.u_exp must be at least {-FARTHEST_LEFT}.")
        if not self.relu and not 0 <= self.ssm.y_exp <= 20:
            raise UserError("S5Block: without ReLU ssm.y_exp must be within 0 and 20.")

    @property
    def ends_in_relu(self) -> bool:
        """Whether x' is cut to 0."""
        return self.relu if self.relu_out is None else self.relu_out

    @property
    def shape_in(self) -> int:
        """Inputs H."""
        return self.ssm.shape_in

    shape_out = shape_in

    @property
    def fan_out(self) -> np.ndarray:
        """Non-zero weights that an input meets, `(H,)`."""
        return self.ssm.fan_out

    @property
    def dense_fan_out(self) -> int:
        """Weights that an input would meet without zeros."""
        return self.ssm.dense_fan_out

    @property
    def elementwise_ops(self) -> int:
        """Multiplications of a step outside of weights that messages meet: transition, gate, GELU."""
        return self.ssm.elementwise_ops + self.shape_in * (1 if self.relu else 3)

    @cached_property
    def inner(self) -> dict[str, Receiver]:
        """Senders inside of the block, by name: the readout's copy of the state, and z."""
        return self.ssm.inner | {"z": Receiver(self.gate.fan_out, self.gate.shape_out)}

    def init(self, batch: int) -> State:
        """Return the recurrence's state and meters: of the output, and (`state.low` ...) of what is inside."""
        inner = {f"{name}.{key}": value for name in ("state", "z") for key, value in meters(batch).items()}
        return self.ssm.init(batch) | inner

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn int32 `(batch, steps, H)` into int32 of the same shape."""
        if self._compiled is None or x.shape[0] * x.shape[1] >= FEW_STEPS:
            return self.observed(state, x, mode)[0]
        found = (meter_of(state, name) for name in ("state.", "z.", ""))
        return kernels.s5_block(x, state["re"], state["im"], *found, *self._compiled)

    @cached_property
    def _compiled(self) -> tuple | None:
        """What `kernels.s5_block` takes behind the state; none for what it cannot do, or what may need refusing."""
        ssm, gate = self.ssm, self.gate
        matrices = (*ssm.into, *ssm.readout, gate.product)
        if ssm.b_re.ndim == 1 or gate.relu or not all(matrix.always_exact for matrix in matrices):
            return None
        shifts = (
            ssm.u_exp + ssm.b_exp - ssm.x_exp, ssm.x_exp + ssm.c_exp - ssm.y_exp, ssm.u_exp + ssm.d_exp - ssm.y_exp,
            gate.x_exp + gate.w_exp - gate.y_exp, ssm.y_exp - ssm.u_exp,
        )  # fmt: skip
        return (
            tuple(matrix.columns for matrix in matrices),
            (ssm.a_re, ssm.a_im, ssm.d, ssm.bias_x, ssm.bias_y, gate.bias),
            (*shifts, ssm.a_exp, ssm.y_exp, gate.y_exp, SIGMOID_EXP, GELU_SLOPE),
            (ssm.relu, self.relu, self.ends_in_relu),
            (top(ssm.state_bits), top(ssm.message_bits), top(gate.message_bits)),
            SIGMOID_TABLE,
        )

    def observed(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Run, and also return what the senders of `inner` sent, `(batch, steps, sender)`."""
        y, sent = self.ssm.observed(_meters_of(state, "state"), x, mode)
        z = np.maximum(y, 0) if self.relu else self._gelu(y)
        note_range(_meters_of(state, "z"), z)
        gate_state = meters(len(x)) | {"overflow": state["z.overflow"]}
        gate = integer_sigmoid(self.gate.run(gate_state, z, mode), self.gate.y_exp)
        gated = shifted((z * gate) >> SIGMOID_EXP, self.ssm.y_exp - self.ssm.u_exp)
        out = saturate(x + gated, self.ssm.message_bits, state["overflow"])
        out = (np.maximum(out, 0) if self.ends_in_relu else out).astype(np.int32)
        note_range(state, out)
        return out, sent | {"z": z}

    def _gelu(self, y: np.ndarray) -> np.ndarray:
        wide = y.astype(np.int64)
        return ((wide * integer_sigmoid((wide * GELU_SLOPE) >> 6, self.ssm.y_exp)) >> SIGMOID_EXP).astype(np.int32)


def _meters_of(state: State, name: str) -> State:
    """Return the block's state with the meters of what is inside in the place of its own."""
    return state | dict(zip(METERS, meter_of(state, f"{name}."), strict=True))


def integer_sigmoid(x: np.ndarray, x_exp: int) -> np.ndarray:
    """Return the sigmoid of `x / 2^x_exp`, int64 with 14 digits below the point.

    Linear between whole numbers on |x|, 9 and beyond as 9, and 1 - s(|x|) below 0; within 0.013 of the sigmoid.

    >>> integer_sigmoid(np.array([0, 1 << 6, -(1 << 6)]), 6) / 2**14
    array([0.5      , 0.7310791, 0.2689209])
    """
    return kernels.piecewise(x.ravel(), x_exp, SIGMOID_TABLE, 1 << SIGMOID_EXP).reshape(x.shape)
