"""Sigma-delta neurons: a layer sends by how much its activation changed, once the change reaches a threshold.

Shapes of states are `(batch, neurons)` int32. V = vth << (spike_exp + state_exp); `>>` rounds toward minus infinity.
lava: `proc/sdn/models.py`, fixed-point models of lava-nc 0.10.0 (`cum_error` off).
"""

from dataclasses import dataclass
from typing import Literal

import numba
import numpy as np

from ndns.loihi2.nodes.base import LAVA, Mode, State, fit, meters, note_range


@dataclass(frozen=True, eq=False)
class Delta:
    """Input neuron: encodes the change of its input.

        A = x << (spike_exp + state_exp)
        D = A - act + residue
        S = D if |D| >= V else 0;  residue = D - S;  act = A
        m = S >> state_exp

    lava: `Delta`.

    Attributes:
        size: neurons.
        vth: threshold, mantissa, at the scale of the input integers.
        spike_exp: binary digits that messages have below the input's point.
        state_exp: binary digits that states have below the messages' point.
    """

    size: int
    vth: int
    spike_exp: int = 6
    state_exp: int = 6

    def __post_init__(self) -> None:
        _check(self.size, self.vth, self.spike_exp, self.state_exp)

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return `act`, `residue` and meters; the range is that of `act`."""
        return _zeros(batch, self.size, "act", "residue") | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Encode inputs int32 `(batch, steps, size)` as messages of the same shape."""
        shift = self.spike_exp + self.state_exp
        bias = np.zeros(self.size, np.int32)
        zero = np.zeros_like(state["act"])
        if mode.state_bits < 32 or mode.message_bits < 32:
            return _run_fitted(state, x, None, bias, False, self.vth << shift, shift, self.state_exp, mode)
        return _run(state, x, zero, False, bias, False, self.vth << shift, shift, self.state_exp, mode.corrected)


@dataclass(frozen=True, eq=False)
class SigmaDelta:
    """Hidden neuron: integrates what arrives, applies its activation, encodes the change.

        sigma += a
        A = f(sigma + (bias << (spike_exp + state_exp)))
        D = A - act + residue
        S = D if |D| >= V else 0;  residue = D - S;  act = A
        m = S >> state_exp

    In 0.10.0 the residue does not see the bits that the shift cuts off, so they are lost for good. In the mode
    `lava-corrected` (the development head's corrected model) act is what the receiver has:

        D = A - act;  m = (D if |D| >= V else 0) >> state_exp;  act += m << state_exp

    lava: `SigmaDelta`.

    Attributes:
        size: neurons.
        vth: threshold, mantissa.
        spike_exp: binary digits that messages have below the activation's point.
        state_exp: binary digits that states have below the messages' point.
        bias: mantissas `(size,)` at the threshold's scale, 16 bits; none means 0.
        activation: `relu` (max with 0) or `unit` (identity).
    """

    size: int
    vth: int
    spike_exp: int = 6
    state_exp: int = 6
    bias: np.ndarray | None = None
    activation: Literal["relu", "unit"] = "relu"

    def __post_init__(self) -> None:
        _check(self.size, self.vth, self.spike_exp, self.state_exp)
        if self.activation not in ("relu", "unit"):
            raise ValueError(f"activation {self.activation!r} is not relu or unit")
        if self.bias is not None:
            bias = np.asarray(self.bias)
            if bias.shape != (self.size,) or bias.dtype.kind not in "iu":
                raise ValueError(f"bias must be {self.size} integers, got {bias.dtype} {bias.shape}")
            if bias.min() < -(1 << 15) or bias.max() >= 1 << 15:
                raise ValueError(f"bias {bias.min()} to {bias.max()} does not fit in 16 bits")

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return `sigma`, `act`, `residue` and meters; the range is that of `sigma`."""
        return _zeros(batch, self.size, "sigma", "act", "residue") | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn synaptic sums int32 `(batch, steps, size)` into messages of the same shape."""
        shift = self.spike_exp + self.state_exp
        bias = np.zeros(self.size, np.int32) if self.bias is None else np.asarray(self.bias, np.int32) << shift
        relu, vth = self.activation == "relu", self.vth << shift
        if mode.state_bits < 32 or mode.message_bits < 32:
            return _run_fitted(state, x, state["sigma"], bias, relu, vth, 0, self.state_exp, mode)
        return _run(state, x, state["sigma"], True, bias, relu, vth, 0, self.state_exp, mode.corrected)


@dataclass(frozen=True, eq=False)
class Sigma:
    """Output: the running sum of what arrives.

        sigma += a;  out = sigma

    lava: `Sigma`.
    """

    size: int

    def __post_init__(self) -> None:
        _check(self.size, 0, 0, 0)

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    def init(self, batch: int) -> State:
        """Return `sigma` and meters."""
        return _zeros(batch, self.size, "sigma") | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Sum int32 `(batch, steps, size)` over steps, going on from the state."""
        if mode.state_bits == 32:
            out = np.cumsum(x, axis=1, dtype=np.int32)
            out += state["sigma"][:, None]
            state["sigma"][...] = out[:, -1] if x.shape[1] else state["sigma"]
        else:
            out = np.empty_like(x)
            for step in range(x.shape[1]):
                wide = state["sigma"].astype(np.int64) + x[:, step]
                out[:, step], overflow = fit(wide, mode.state_bits, mode.saturate)
                state["sigma"][...] = out[:, step]
                state["overflow"] += overflow
        note_range(state, out)
        return out


def _check(size: int, vth: int, spike_exp: int, state_exp: int) -> None:
    limits = {"size": (size, 1, 1 << 20), "spike_exp": (spike_exp, 0, 15), "state_exp": (state_exp, 0, 15)}
    limits["vth"] = (vth, 0, (1 << 30 - spike_exp - state_exp) if spike_exp + state_exp < 30 else 0)
    for name, (value, low, high) in limits.items():
        if not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ValueError(f"{name} must be an integer from {low} to {high}, got {value!r}")


def _zeros(batch: int, size: int, *names: str) -> State:
    return {name: np.zeros((batch, size), np.int32) for name in names}


def _run_fitted(state, x, sigma, bias, relu, vth, shift, state_exp, mode):
    """Widths below 32 bits: states are fitted after each update, messages before they leave."""
    out = np.empty_like(x)
    for step in range(x.shape[1]):
        if sigma is None:
            new = x[:, step].astype(np.int64) << shift
        else:
            wide = sigma.astype(np.int64) + x[:, step]
            sigma[...], overflow = fit(wide, mode.state_bits, mode.saturate)
            state["overflow"] += overflow
            note_range(state, sigma)
            new = sigma.astype(np.int64) + bias
            new = np.maximum(new, 0) if relu else new
        new, overflow = fit(new, mode.state_bits, mode.saturate)
        state["overflow"] += overflow
        if sigma is None:
            note_range(state, new)
        delta = new - state["act"] + state["residue"]
        sent = np.where(np.abs(delta) >= vth, delta, 0)
        message, overflow = fit(sent >> state_exp, mode.message_bits, mode.saturate)
        state["overflow"] += overflow
        out[:, step] = message
        if mode.corrected:
            new, sent = state["act"] + (message << state_exp), delta
        state["act"][...] = new
        state["residue"][...], overflow = fit(delta - sent, mode.state_bits, mode.saturate)
        state["overflow"] += overflow
    return out


def _run(state, x, sigma, integrates, bias, relu, vth, shift, state_exp, corrected):
    out = np.empty_like(x)
    _advance(
        np.ascontiguousarray(x), out, sigma, state["act"], state["residue"], state["low"], state["high"], bias,
        integrates, relu, np.int32(vth), np.int32(shift), np.int32(state_exp), corrected,
    )  # fmt: skip
    return out


@numba.njit(cache=True, nogil=True)
def _advance(x, out, sigma, act, residue, low, high, bias, integrates, relu, vth, shift, state_exp, corrected):
    """int32 with wrap throughout: every intermediate is cut back to 32 bits as NumPy does in lava's models."""
    batch, steps, size = x.shape
    floor = np.int32(0) if relu else np.int32(-(2**31))
    for b in range(batch):
        s, a, r = sigma[b], act[b], residue[b]
        for t in range(steps):
            inputs, messages = x[b, t], out[b, t]
            least, most = np.int32(0), np.int32(0)
            for j in range(size):
                total = np.int32(s[j] + inputs[j]) if integrates else np.int32(inputs[j] << shift)
                s[j] = total if integrates else s[j]
                least, most = min(least, total), max(most, total)
                new = max(np.int32(total + bias[j]), floor)
                delta = np.int32(np.int32(new - a[j]) + r[j])
                fires = np.int32(abs(delta)) >= vth
                message = (delta if fires else np.int32(0)) >> state_exp
                messages[j] = message
                if corrected:
                    a[j] = np.int32(a[j] + np.int32(message << state_exp))
                else:
                    a[j] = new
                    r[j] = np.int32(0) if fires else delta
            low[b], high[b] = min(low[b], least), max(high[b], most)
