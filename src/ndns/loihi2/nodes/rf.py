"""Resonate-and-fire neurons: a damped rotation in the complex plane and three ways to spike.

Channels of a complex input are `[real (n), imaginary (n)]`, so `shape_in = 2 n` and `shape_out = n`.
"""

from dataclasses import dataclass

import numba
import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, State, fit, meters, note_range
from ndns.loihi2.nodes.cuba import per_neuron

LIMIT = (1 << 23) - 1
RFZERO_BITS = 15


@dataclass(frozen=True, eq=False)
class RF:
    """Resonate-and-fire neurons that spike once a turn, at phase zero.

        re' = clip(rot(cos, re) - rot(sin, im) + (x_re << state_exp))
        im' = clip(rot(sin, re) + rot(cos, im) + (x_im << state_exp))
        s = re' >= vth and im' >= 0 and im < 0

    with `rot(c, z) = sign(c z) (|c z| >> decay_bits)` (round toward zero) and `clip` to +-(2^23 - 1): 24-bit states.
    With `izhikevich` neurons spike when the imaginary part reaches the threshold, and are reset:

        s = im' >= vth;  re' = 0 and im' = vth - 1 where s

    lava: `proc.rf.RF`, and `proc.rf_iz.RF_IZ` for `izhikevich`. lava's own widths: any numeric mode, same integers.

    Attributes:
        size: neurons.
        cos_decay: (1 - alpha) cos(2 pi / period) 2^decay_bits, a number or `(size,)`.
        sin_decay: (1 - alpha) sin(2 pi / period) 2^decay_bits, likewise.
        vth: threshold at the scale of the states, a number or `(size,)`, 24 bits.
        state_exp: binary digits that states have below the input's point (6 in netx).
        decay_bits: binary digits of the decays (12 in netx).
        izhikevich: threshold on the imaginary part, with reset.

    Raises:
        UserError: a value is outside of its range.
    """

    size: int
    cos_decay: int | np.ndarray
    sin_decay: int | np.ndarray
    vth: int | np.ndarray
    state_exp: int = 6
    decay_bits: int = 12
    izhikevich: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.decay_bits <= 24 or not 0 <= self.state_exp <= 23:
            raise UserError(
                f"RF: decay_bits must be 1 to 24 and state_exp 0 to 23, got {self.decay_bits} and {self.state_exp}."
            )
        unit = 1 << self.decay_bits
        for name, low, high in (("cos_decay", -unit, unit), ("sin_decay", -unit, unit), ("vth", -LIMIT - 1, LIMIT)):
            object.__setattr__(self, name, per_neuron("RF", name, getattr(self, name), self.size, low, high))

    @classmethod
    def from_period(
        cls,
        size: int,
        period: float | np.ndarray,
        alpha: float | np.ndarray,
        vth: float = 1,
        state_exp: int = 6,
        decay_bits: int = 12,
        izhikevich: bool = False,
    ) -> "RF":
        """Return neurons of the given period in steps and decay alpha a step, quantized (cut) as lava's `RF` does."""
        sine = (1 - np.asarray(alpha)) * np.sin(np.pi * 2 * 1 / np.asarray(period))
        cosine = (1 - np.asarray(alpha)) * np.cos(np.pi * 2 * 1 / np.asarray(period))
        scaled = [np.asarray(part * (1 << decay_bits)).astype(np.int32) for part in (cosine, sine)]
        return cls(size, *scaled, int(vth * (1 << state_exp)), state_exp, decay_bits, izhikevich)

    @property
    def shape_in(self) -> int:
        """Real, then imaginary inputs."""
        return 2 * self.size

    @property
    def shape_out(self) -> int:
        """Neurons."""
        return self.size

    def init(self, batch: int) -> State:
        """Return `real`, `imag` `(batch, size)` and meters (range of both)."""
        return {name: np.zeros((batch, self.size), np.int32) for name in ("real", "imag")} | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn inputs int32 `(batch, steps, 2 size)` into spikes 0 or 1 `(batch, steps, size)`.

        `overflow` counts clipped states.
        """
        out = np.empty((*x.shape[:2], self.size), np.int32)
        _resonate(
            np.ascontiguousarray(x, np.int32), out, state["real"], state["imag"], state["low"], state["high"],
            state["overflow"], self.cos_decay, self.sin_decay, self.vth, self.state_exp, self.decay_bits,
            self.izhikevich,
        )  # fmt: skip
        return out


@dataclass(frozen=True, eq=False)
class RFZero:
    """Resonate-and-fire neurons whose graded spike is the amplitude at phase zero: one STFT bin each.

        u' = (u lct >> 15) - (v lst >> 15) + x_u
        v' = (v lct >> 15) + (u lst >> 15) + x_v
        s = u' if u' > uth and v' >= 0 and v < 0 else 0

    `>>` rounds toward minus infinity (lava: `// 2**15`). lava's model multiplies in int32, so a product wraps once
    |u| or |v| passes 65536: so does mode `lava-0.10`. In the 24-bit modes products are exact and states are fitted.

    lava: `proc.resfire.RFZero`.

    Attributes:
        size: neurons.
        lct: exp(-dt/tau) cos(2 pi f dt) 2^15, a number or `(size,)`.
        lst: exp(-dt/tau) sin(2 pi f dt) 2^15, likewise.
        uth: threshold.

    Raises:
        UserError: a value is outside of its range.
    """

    size: int
    lct: int | np.ndarray
    lst: int | np.ndarray
    uth: int = 1

    def __post_init__(self) -> None:
        for name in ("lct", "lst"):
            object.__setattr__(self, name, per_neuron("RFZero", name, getattr(self, name), self.size, -32768, 32768))
        object.__setattr__(self, "uth", int(per_neuron("RFZero", "uth", self.uth, 1, -(2**31), 2**31 - 1)[0]))

    @classmethod
    def from_frequency(
        cls, freqs: np.ndarray, decay_tau: float | np.ndarray, dt: float = 0.001, uth: int = 1
    ) -> "RFZero":
        """Return one neuron a frequency (Hz) with decay time `decay_tau` (s) at `dt` s a step, cut as lava does."""
        freqs = np.atleast_1d(np.asarray(freqs, float))
        damping = np.exp(dt * (-1 / np.asarray(decay_tau)))
        lct = (damping * np.cos(dt * freqs * np.pi * 2) * 2**RFZERO_BITS).astype(np.int32)
        lst = (damping * np.sin(dt * freqs * np.pi * 2) * 2**RFZERO_BITS).astype(np.int32)
        return cls(len(freqs), lct, lst, uth)

    @property
    def shape_in(self) -> int:
        """Inputs of u, then of v."""
        return 2 * self.size

    @property
    def shape_out(self) -> int:
        """Neurons."""
        return self.size

    def init(self, batch: int) -> State:
        """Return `u`, `v` `(batch, size)` and meters (range of both)."""
        return {name: np.zeros((batch, self.size), np.int32) for name in ("u", "v")} | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn inputs int32 `(batch, steps, 2 size)` into graded spikes `(batch, steps, size)`."""
        if mode.state_bits < 32 or mode.message_bits < 32:
            return self._run_fitted(state, x, mode)
        out = np.empty((*x.shape[:2], self.size), np.int32)
        _resonate_zero(
            np.ascontiguousarray(x, np.int32), out, state["u"], state["v"], state["low"], state["high"],
            self.lct, self.lst, self.uth,
        )  # fmt: skip
        return out

    def _run_fitted(self, state: State, x: np.ndarray, mode: Mode) -> np.ndarray:
        """Widths below 32 bits: products are exact, states are fitted after each update, messages before they leave."""
        out = np.empty((*x.shape[:2], self.size), np.int32)
        for step in range(x.shape[1]):
            u, v = state["u"].astype(np.int64), state["v"].astype(np.int64)
            new_u = (u * self.lct >> RFZERO_BITS) - (v * self.lst >> RFZERO_BITS) + x[:, step, : self.size]
            new_v = (v * self.lct >> RFZERO_BITS) + (u * self.lst >> RFZERO_BITS) + x[:, step, self.size :]
            both, missed = fit(np.stack([new_u, new_v], axis=1), mode.state_bits, mode.saturate)
            note_range(state, both)
            state["u"][...], state["v"][...] = both[:, 0], both[:, 1]
            crossed = (both[:, 0] > self.uth) & (both[:, 1] >= 0) & (v < 0)
            out[:, step], cut = fit(both[:, 0] * crossed, mode.message_bits, mode.saturate)
            state["overflow"] += missed + cut
        return out


@numba.njit(inline="always")
def _wrap32(value):
    return np.int64(np.int32(value))


@numba.njit(inline="always")
def _toward_zero(product, bits):
    return product >> bits if product >= 0 else -(-product >> bits)


@numba.njit(cache=True, nogil=True)
def _resonate(x, out, real, imag, low, high, overflow, cosine, sine, vth, state_exp, decay_bits, izhikevich):
    batch, steps, size = out.shape
    for b in range(batch):
        for t in range(steps):
            for j in range(size):
                old_re, old_im = np.int64(real[b, j]), np.int64(imag[b, j])
                in_re = _wrap32(np.int64(x[b, t, j]) << state_exp)
                in_im = _wrap32(np.int64(x[b, t, size + j]) << state_exp)
                wide_re = _toward_zero(cosine[j] * old_re, decay_bits) - _toward_zero(sine[j] * old_im, decay_bits)
                wide_im = _toward_zero(sine[j] * old_re, decay_bits) + _toward_zero(cosine[j] * old_im, decay_bits)
                wide_re += in_re
                wide_im += in_im
                re, im = min(max(wide_re, -LIMIT), LIMIT), min(max(wide_im, -LIMIT), LIMIT)
                overflow[b] += np.int64(re != wide_re) + np.int64(im != wide_im)
                low[b] = min(low[b], re, im)
                high[b] = max(high[b], re, im)
                if izhikevich:
                    spike = im >= vth[j]
                    if spike:
                        re, im = np.int64(0), vth[j] - 1
                else:
                    spike = re >= vth[j] and im >= 0 and old_im < 0
                real[b, j], imag[b, j] = re, im
                out[b, t, j] = spike


@numba.njit(cache=True, nogil=True)
def _resonate_zero(x, out, u, v, low, high, lct, lst, uth):
    batch, steps, size = out.shape
    for b in range(batch):
        for t in range(steps):
            for j in range(size):
                old_u, old_v = np.int64(u[b, j]), np.int64(v[b, j])
                new_u = (_wrap32(old_u * lct[j]) >> RFZERO_BITS) - (_wrap32(old_v * lst[j]) >> RFZERO_BITS)
                new_v = (_wrap32(old_v * lct[j]) >> RFZERO_BITS) + (_wrap32(old_u * lst[j]) >> RFZERO_BITS)
                new_u, new_v = _wrap32(new_u + x[b, t, j]), _wrap32(new_v + x[b, t, size + j])
                low[b] = min(low[b], new_u, new_v)
                high[b] = max(high[b], new_u, new_v)
                out[b, t, j] = new_u if new_u > uth and new_v >= 0 and old_v < 0 else 0
                u[b, j], v[b, j] = new_u, new_v
