"""Graded vectors: what arrives in a step leaves in the same step as graded spikes; and the normalization pair.

int32 with wrap, as lava's ports and NumPy have it. In the 24-bit modes inputs are fitted to the state width and
messages to the message width.
"""

from dataclasses import dataclass

import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, State, fit, meters, note_range


@dataclass(frozen=True, eq=False)
class GradedVec:
    """Sends its input where it is above the threshold.

        v = x;  s = v if |v| > vth else 0         (relu: s = v if v > vth else 0)

    lava: `proc.graded.GradedVec`, and `GradedReluVec` for `relu`. Their `exp` changes nothing in the CPU model.

    Attributes:
        size: neurons.
        vth: threshold.
        relu: threshold on the signed value.
    """

    size: int
    vth: int = 1
    relu: bool = False

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return meters alone: the node has no memory."""
        return meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn sums int32 `(batch, steps, size)` into graded spikes of the same shape."""
        v, missed = fit32(x, mode.state_bits, mode)
        note_range(state, v)
        spikes = v > self.vth if self.relu else np.abs(v) > self.vth
        out, cut = fit32(v * spikes, mode.message_bits, mode)
        state["overflow"] += missed + cut
        return out


@dataclass(frozen=True, eq=False)
class NormVecDelay:
    """Half of a normalization: sends its squares, and its input of one step ago times a factor that comes back.

        s2 = x1^2
        p = x1[t-1] x2;  s = p if |p| > vth else 0

    Channels in: `[x1 (n), x2 (n)]`; out: `[s (n), s2 (n)]`.

    lava: `proc.graded.NormVecDelay` (its docstring says two steps: a synapse adds the other one).

    Attributes:
        size: neurons.
        vth: threshold.
    """

    size: int
    vth: int = 1

    @property
    def shape_in(self) -> int:
        """Primary input, then factors."""
        return 2 * self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return `v`, the previous primary input `(batch, size)`, and meters (range of the products)."""
        return {"v": np.zeros((batch, self.size), np.int32)} | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn int32 `(batch, steps, 2 size)` into int32 of the same shape."""
        fitted, missed = fit32(x, mode.state_bits, mode)
        primary, factor = fitted[..., : self.size], fitted[..., self.size :]
        before = np.concatenate([state["v"][:, None], primary], axis=1)
        if x.shape[1]:
            state["v"][...] = primary[:, -1]
        product, lost = multiplied(before[:, :-1], factor, 0, mode)
        square, lost_too = multiplied(primary, primary, 0, mode)
        note_range(state, product)
        sent = np.concatenate([product * (np.abs(product) > self.vth), square], axis=2)
        out, cut = fit32(sent, mode.message_bits, mode)
        state["overflow"] += missed + lost + lost_too + cut
        return out


@dataclass(frozen=True, eq=False)
class InvSqrt:
    """Inverse square root by five Newton steps from a table, on 24-bit numbers with 12 digits below the point.

        y = 2^12 / sqrt(x / 2^12), approximately;  0 for x = 0

    With m leading zeros (of 24) and `Y = table[m]`, `b = x`, `y = Y >> 1`, five times:
    `b = ((b Y >> 13) Y) >> 13;  Y = (3 << 12) - b;  y = y Y >> 13`.

    lava: `proc.graded.InvSqrt` (fixed point): one neuron, and `fp_base` is ignored (always 12).

    Attributes:
        size: neurons.

    Raises:
        UserError: at run time, for an input outside of 0 and 2^24 - 1 (lava stops with an error below 0).
    """

    size: int = 1

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return meters alone: the node has no memory."""
        return meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn int32 `(batch, steps, size)` into int32 of the same shape."""
        if x.size and (x.min() < 0 or x.max() >= 1 << 24):
            raise UserError(f"InvSqrt: inputs must be within 0 and 2^24 - 1, got {x.min()} to {x.max()}.")
        out, cut = fit32(inverse_square_root(x).astype(np.int32), mode.message_bits, mode)
        note_range(state, out)
        state["overflow"] += cut
        return out


def inverse_square_root(x: np.ndarray) -> np.ndarray:
    """Return lava's fixed-point inverse square root (12 digits below the point) of integers 0 to 2^24 - 1, int64.

    >>> inverse_square_root(np.array([0, 1 << 12, 4 << 12]))
    array([   0, 4095, 2047])
    """
    safe = np.maximum(x, 1).astype(np.int64)
    leading = 23 - np.floor(np.log2(safe)).astype(np.int64)
    table = np.array([2 * int(4096 / (2 ** ((23 - m - 12) / 2) * 1.238982962)) for m in range(24)], np.int64)
    b, factor = safe, table[leading]
    y = factor // 2
    for _ in range(5):
        b = ((b * factor >> 13) * factor) >> 13
        factor = (3 << 12) - b
        y = y * factor >> 13
    return np.where(x == 0, 0, y)


def fit32(values: np.ndarray, bits: int, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 `values` `(batch, ...)` brought into `bits` bits, and how many did not fit `(batch,)`."""
    if bits == 32:
        return values, np.zeros(len(values), np.int64)
    return fit(values, bits, mode.saturate)


def multiplied(left: np.ndarray, right: np.ndarray, shift: int, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
    """Return int32 `left * right >> shift`: with wrap at 32 bits, or exact and then fitted in narrower modes.

    Returns:
        the products int32 and how many did not fit the mode's state width `(batch,)`.
    """
    if mode.state_bits == 32:
        return (left * right) >> shift, np.zeros(len(left), np.int64)
    product, missed = fit((left.astype(np.int64) * right) >> shift, mode.state_bits, mode.saturate)
    return product.astype(np.int32), missed
