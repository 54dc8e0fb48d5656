"""Diagonal linear recurrence (S4D, S5) in integers with static exponents.

A value is `integer / 2^exp`. Every exponent is a field, fixed before the first step (the released S5 integers pick
some from the data of the moment, which a chip cannot). Sums of products are exact, then shifted once; shifts to the
right are arithmetic, so they round toward minus infinity; `sat_b` clips to b bits two's complement, and clips are
counted in `overflow`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, Receiver, State, meter_of, meters
from ndns.loihi2.nodes.kernels import clipped, recur
from ndns.loihi2.nodes.matrix import Matrix

FARTHEST_LEFT = 32
"""Binary digits by which a sum may be shifted to the left: farther, all but 0 is beyond the widest range."""


@dataclass(frozen=True, eq=False)
class DiagonalSSM:
    """State space with a diagonal complex transition: `P` states, `H` inputs and outputs.

        v   = sat_s(shift(B u, u_exp + b_exp - x_exp) + bias_x)                               complex: re and im apart
        re' = sat_s((a_re re >> a_exp) - (a_im im >> a_exp) + v_re)
        im' = sat_s((a_re im >> a_exp) + (a_im re >> a_exp) + v_im)
        g   = re' + i im' if re' > 0 or not relu, else 0                                      the readout's copy alone
        y   = sat_m(shift(2 Re(C g), x_exp + c_exp - y_exp) + shift(d u, u_exp + d_exp - y_exp) + bias_y)

    s = `state_bits`, m = `message_bits`, `shift(z, n)` = `z >> n` for n >= 0, else `z << -n`. The 2 stands for the
    conjugate half of the states. The complex ReLU passes the whole number if its real part is positive.
    S4D: `b` and `c` are vectors `(P,)` with P = H; S5: matrices `(P, H)` and `(H, P)`.

    Source: equations of S5 (Pierro et al. 2025, arXiv 2502.01330) and `lava.proc.s4d.S4d` (floating point only in
    lava-nc 0.10); widths as in the integer model of IntelLabs/SparseRNNs: 8-bit weights, 16-bit transition and states
    (S4D on Loihi 2, arXiv 2409.15022: 24-bit states and messages). That model saturates the parts of 2 Re(C g) one by
    one and doubles afterwards; here they are summed exactly. Widths are fields: every numeric mode, same integers.

    Attributes:
        a_re, a_im: transition `(P,)`, `a_bits` wide, below 1 in magnitude for a stable state.
        b_re, b_im: input weights, `weight_bits` wide.
        c_re, c_im: output weights, `weight_bits` wide.
        d: weights of the direct path `(H,)`, `weight_bits` wide; none for no such path.
        a_exp, b_exp, c_exp, d_exp: their exponents.
        u_exp, x_exp, y_exp: exponents of input, state and output.
        bias_x_re, bias_x_im: added to the drive `(P,)` at x_exp; none for 0.
        bias_y: added to the output `(H,)` at y_exp; none for 0.
        relu: complex ReLU before C.
        a_bits, weight_bits, state_bits, message_bits: widths including the sign.

    Raises:
        UserError: a shape, a width or an exponent does not fit; names the field.
    """

    a_re: np.ndarray
    a_im: np.ndarray
    b_re: np.ndarray
    b_im: np.ndarray
    c_re: np.ndarray
    c_im: np.ndarray
    d: np.ndarray | None = None
    a_exp: int = 15
    b_exp: int = 7
    c_exp: int = 7
    d_exp: int = 7
    u_exp: int = 12
    x_exp: int = 12
    y_exp: int = 12
    bias_x_re: np.ndarray | None = None
    bias_x_im: np.ndarray | None = None
    bias_y: np.ndarray | None = None
    relu: bool = False
    a_bits: int = 16
    weight_bits: int = 8
    state_bits: int = 16
    message_bits: int = 16

    def __post_init__(self) -> None:
        states = np.shape(self.a_re)
        if len(states) != 1 or not states[0]:
            raise UserError(f"DiagonalSSM: a_re must be a vector of states, got shape {states}.")
        diagonal = np.ndim(self.b_re) == 1
        width = np.shape(self.b_re)[-1] if np.ndim(self.b_re) else 0
        b_shape, c_shape = (states, states) if diagonal else ((states[0], width), (width, states[0]))
        rows = (width,)
        check_widths("DiagonalSSM", self, "a_bits", "weight_bits", "state_bits", "message_bits")
        for into, by, out in (("u", "b", "x"), ("x", "c", "y"), ("u", "d", "y")):
            check_shift("DiagonalSSM", self, f"{into}_exp", f"{by}_exp", f"{out}_exp")
        if self.d is None:
            object.__setattr__(self, "d", np.zeros(rows, np.int64))
        for name, shape, bits in (
            ("a_re", states, self.a_bits), ("a_im", states, self.a_bits), ("b_re", b_shape, self.weight_bits),
            ("b_im", b_shape, self.weight_bits), ("c_re", c_shape, self.weight_bits),
            ("c_im", c_shape, self.weight_bits), ("d", rows, self.weight_bits), ("bias_x_re", states, self.state_bits),
            ("bias_x_im", states, self.state_bits), ("bias_y", rows, self.message_bits),
        ):  # fmt: skip
            value = np.zeros(shape, np.int64) if getattr(self, name) is None else getattr(self, name)
            object.__setattr__(self, name, integers("DiagonalSSM", name, value, shape, bits))
        if not 0 <= self.a_exp <= 30:
            raise UserError(f"DiagonalSSM: a_exp must be within 0 and 30, got {self.a_exp}.")

    @property
    def shape_in(self) -> int:
        """Inputs H."""
        return len(self.d)

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return the state `re`, `im` `(batch, P)` int32 and meters (range of both)."""
        return {name: np.zeros((batch, len(self.a_re)), np.int32) for name in ("re", "im")} | meters(batch)

    @cached_property
    def into(self) -> tuple[Matrix, ...]:
        """B for all real parts, then all imaginary parts: one matrix, or two diagonals."""
        if self.b_re.ndim == 1:
            return Matrix(self.b_re), Matrix(self.b_im)
        return (Matrix(np.concatenate([self.b_re, self.b_im])),)

    @cached_property
    def bias_x(self) -> np.ndarray:
        """Bias of all real parts, then of all imaginary parts, `(2 P,)`."""
        return np.concatenate([self.bias_x_re, self.bias_x_im])

    @cached_property
    def readout(self) -> tuple[Matrix, ...]:
        """C for all real parts of g, then all imaginary parts, so that the real part of C g comes out: one, or two."""
        if self.c_re.ndim == 1:
            return Matrix(self.c_re), Matrix(-self.c_im)
        return (Matrix(np.concatenate([self.c_re, -self.c_im], axis=1)),)

    @cached_property
    def fan_out(self) -> np.ndarray:
        """Non-zero weights of B (real and imaginary parts apart) and D that an input meets, `(H,)`."""
        return sum(matrix.fan_out for matrix in self.into) + (self.d != 0)

    @property
    def dense_fan_out(self) -> int:
        """Weights of B and D that an input would meet without zeros."""
        return (2 if self.b_re.ndim == 1 else 2 * len(self.a_re)) + 1

    @property
    def elementwise_ops(self) -> int:
        """Multiplications of a step outside of weights that messages meet: the complex transition."""
        return 4 * len(self.a_re)

    @cached_property
    def inner(self) -> dict[str, "Receiver"]:
        """Senders inside of the node, by name: real parts of the readout's copy of the state, then imaginary parts."""
        dense = 1 if self.c_re.ndim == 1 else len(self.d)
        return {"state": Receiver(np.concatenate([matrix.fan_out for matrix in self.readout]), dense)}

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn inputs int32 `(batch, steps, H)` into outputs of the same shape."""
        return self.observed(state, x, mode)[0]

    def observed(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Run, and also return what the senders of `inner` sent, `(batch, steps, sender)`."""
        products = [matrix(x) for matrix in self.into]
        drive = products[0] if len(products) == 1 else np.concatenate(products, axis=2)
        drive = shifted(drive, self.u_exp + self.b_exp - self.x_exp) + self.bias_x
        states = saturate(drive, self.state_bits, state["overflow"])
        recur(
            states, state["re"], state["im"], meter_of(state), self.a_re, self.a_im, self.a_exp, top(self.state_bits),
            self.relu,
        )  # fmt: skip
        direct = shifted(self.d * x.astype(np.int64), self.u_exp + self.d_exp - self.y_exp)
        parts = np.split(states, len(self.readout), axis=2)
        real = sum(matrix(part) for matrix, part in zip(self.readout, parts, strict=True))
        y = shifted(2 * real, self.x_exp + self.c_exp - self.y_exp) + direct + self.bias_y
        out = saturate(y, self.message_bits, state["overflow"]).astype(np.int32)
        return out, {"state": states}


def integers(node: str, name: str, value: np.ndarray, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Return `value` as int64 after checking shape, kind and width.

    Raises:
        UserError: it does not fit; names `node` and `name`.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise UserError(f"{node}: {name} must be integers of shape {shape}, got {array.dtype} {array.shape}.")
    high = top(bits)
    if array.size and (array.min() < -high - 1 or array.max() > high):
        raise UserError(f"{node}: {name} must fit in {bits} bits, got {array.min()} to {array.max()}.")
    return np.ascontiguousarray(array, np.int64)


def check_widths(name: str, node: object, *fields: str) -> None:
    """Check the widths of a node.

    Raises:
        UserError: one is not within 2 and 32 bits; names `name` and the field.
    """
    for field in fields:
        if not 2 <= getattr(node, field) <= 32:
            raise UserError(f"{name}: {field} must be within 2 and 32, got {getattr(node, field)}.")


def check_shift(name: str, node: object, into: str, by: str, out: str) -> None:
    """Check the exponents of a node's input, weights and output against one another.

    Raises:
        UserError: sums would be shifted to the left beyond every width; names `name` and the fields.
    """
    count = getattr(node, into) + getattr(node, by) - getattr(node, out)
    if count < -FARTHEST_LEFT:
        raise UserError(f"{name}: {into} + {by} - {out} must be at least {-FARTHEST_LEFT}, got {count}.")


def top(bits: int) -> int:
    """Return the largest integer of `bits` bits two's complement."""
    return (1 << (bits - 1)) - 1


def shifted(values: np.ndarray, count: int) -> np.ndarray:
    """Divide int64 by 2^count, rounding toward minus infinity; multiply where `count` is negative.

    Products end at +-2^61, which is beyond every width and leaves room for a sum.

    >>> shifted(np.array([-3, 3]), 1), shifted(np.array([-3, 3]), -1)
    (array([-2,  1]), array([-6,  6]))
    """
    if count >= 0:
        return values >> count
    edge = 1 << 61 >> -count
    return np.clip(values, -edge, edge) << -count


def saturate(values: np.ndarray, bits: int, overflow: np.ndarray) -> np.ndarray:
    """Clip int64 `(batch, ...)` to `bits` bits and add to `overflow` `(batch,)` how many were clipped."""
    return clipped(values.reshape(len(values), -1), top(bits), overflow).reshape(values.shape)
