"""Current-based leaky integrate-and-fire neurons (CUBA), with optional reset, refractory period and recurrence."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from ndns.errors import UserError
from ndns.loihi2.nodes.base import LAVA, Mode, Receiver, State, meters

DECAY_BITS = 12
VTH_SHIFT = 6
ACTIVATION_SHIFT = 6
LIMIT = 1 << 23


@dataclass(frozen=True, eq=False)
class CubaLIF:
    """Leaky integrate-and-fire neurons with a current `u` and a voltage `v`, 24 bits each.

        a = x + ((recurrent @ s[t-1]) << recurrent_exp)
        u = wrap(decay(u, du + 1) + (a << 6))
        v = clip(decay(v, dv) + u + bias)        held at its value while refractory
        s = 1 if v > vth << 6, -1 if v < vth_low << 6, else 0
        v = 0 where s

    with `decay(z, d) = sign(z) (|z| (4096 - d) >> 12)` (round toward zero), `wrap` into (-2^23, 2^23] by one addition
    of +-2^24, `clip` to +-(2^23 - 1) and `bias = bias_mant << bias_exp` (`>> -bias_exp` where negative).

    lava: `proc.lif`: `LIF`, `LIFReset` (`reset_interval`), `TernaryLIF` (`vth_low`), each bit for bit, with
    `proc.dense.Dense` from output to input (`recurrent`). `LIFRefractory` has only a floating-point model in
    lava-nc 0.10: `refractory_period` is its rule on these integers. No lava model resets by subtraction (soft reset)
    or sends the voltage as a graded spike. The widths are lava's own: every numeric mode gives the same integers.

    Attributes:
        size: neurons.
        vth: threshold mantissa, 0 to 131071 (17 bits).
        du: decay of the current, -1 to 4095, in 1/4096; -1 means none (`iDecay - 1` in netx files).
        dv: decay of the voltage, 0 to 4096, in 1/4096.
        bias_mant: bias mantissa, 13 bits signed.
        bias_exp: bias exponent, -13 to 7 (6 in netx files).
        vth_low: lower threshold mantissa of ternary neurons; none for binary ones.
        reset_interval: `u` and `v` are zeroed before every so many steps; none for never.
        reset_offset: lava's step number (from 1) modulo `reset_interval` at which that happens.
        refractory_period: steps after a spike in which `v` is held; 0 for none.
        recurrent: integer weights `(size, size)`, target first, as the synapse applies them, -256 to 255; none for no
            recurrence.
        recurrent_exp: binary exponent of `recurrent`, -31 to 31; a negative one floors.

    All but `size`, `reset_*`, `refractory_period` and `recurrent*` are a number or an array `(size,)`.

    Raises:
        UserError: a value is outside of the ranges above.
    """

    size: int
    vth: int | np.ndarray
    du: int | np.ndarray = 0
    dv: int | np.ndarray = 0
    bias_mant: int | np.ndarray = 0
    bias_exp: int | np.ndarray = 0
    vth_low: int | np.ndarray | None = None
    reset_interval: int | None = None
    reset_offset: int = 0
    refractory_period: int = 0
    recurrent: np.ndarray | None = None
    recurrent_exp: int = 0

    def __post_init__(self) -> None:
        ranges = {"vth": (0, 131071), "du": (-1, 4095), "dv": (0, 4096), "bias_mant": (-4096, 4095)}
        ranges |= {"bias_exp": (-13, 7), "vth_low": (-131072, 131071)}
        for name, (low, high) in ranges.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, per_neuron("CubaLIF", name, getattr(self, name), self.size, low, high))
        if self.reset_interval is not None and self.reset_interval < 1:
            raise UserError(f"CubaLIF: reset_interval must be at least 1 step, got {self.reset_interval}.")
        if self.refractory_period < 0 or self.reset_offset < 0:
            raise UserError("CubaLIF: refractory_period and reset_offset must not be negative.")
        if self.recurrent is not None:
            weight = np.asarray(self.recurrent)
            if weight.shape != (self.size, self.size) or weight.dtype.kind not in "iu":
                raise UserError(f"CubaLIF: recurrent must be integers {(self.size, self.size)}, got {weight.shape}.")
            if weight.size and (weight.min() < -256 or weight.max() > 255):
                raise UserError(
                    f"CubaLIF: recurrent must be within -256 and 255, got {weight.min()} to {weight.max()}."
                )
            object.__setattr__(self, "recurrent", np.ascontiguousarray(weight, np.int32))
        if not -31 <= self.recurrent_exp <= 31:
            raise UserError(f"CubaLIF: recurrent_exp must be within -31 and 31, got {self.recurrent_exp}.")

    @property
    def shape_in(self) -> int:
        """Neurons."""
        return self.size

    shape_out = shape_in

    @property
    def bias(self) -> np.ndarray:
        """Effective bias `(size,)` int32."""
        left, right = np.maximum(self.bias_exp, 0), np.maximum(-self.bias_exp, 0)
        return ((self.bias_mant << left) >> right).astype(np.int32)

    @property
    def recurrence(self) -> Receiver | None:
        """What a neuron's own layer receives of its spike; none without `recurrent`."""
        return None if self.recurrent is None else Receiver(np.count_nonzero(self.recurrent, axis=0), self.size)

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.zeros((0, 0), np.int32) if self.recurrent is None else np.ascontiguousarray(self.recurrent.T)

    def init(self, batch: int) -> State:
        """Return `u`, `v`, last spikes `s`, `held_until`, each `(batch, size)`, `step` and meters (range of `v`)."""
        zeros = {name: np.zeros((batch, self.size), np.int32) for name in ("u", "v", "s")}
        held = {"held_until": np.zeros((batch, self.size), np.int64), "step": np.zeros(1, np.int64)}
        return zeros | held | meters(batch)

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Turn synaptic sums int32 `(batch, steps, size)` into spikes 0, 1 (-1) of the same shape.

        `overflow` counts currents that wrapped and voltages that were clipped.
        """
        vth_low = np.full(self.size, -(1 << 24), np.int64) if self.vth_low is None else self.vth_low
        out = np.empty(x.shape, np.int32)
        _advance(
            np.ascontiguousarray(x, np.int32), out, state["u"], state["v"], state["s"], state["held_until"],
            state["low"], state["high"], state["overflow"], int(state["step"][0]),
            self.du, self.dv, self.bias.astype(np.int64), self.vth << VTH_SHIFT, vth_low << VTH_SHIFT,
            self.reset_interval or 0, self.reset_offset % (self.reset_interval or 1), self.refractory_period,
            self._columns, self.recurrent_exp,
        )  # fmt: skip
        state["step"] += x.shape[1]
        return out


def per_neuron(node: str, name: str, value: int | np.ndarray, size: int, low: int, high: int) -> np.ndarray:
    """Return `value` as an int64 array `(size,)` after checking that it is integral and within [low, high].

    Raises:
        UserError: it is not; names `node` and `name`.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iub" or array.shape not in ((), (1,), (size,)):
        raise UserError(f"{node}: {name} must be one integer or {size} of them, got {array.dtype} {array.shape}.")
    if array.size and (array.min() < low or array.max() > high):
        raise UserError(f"{node}: {name} must be within {low} and {high}, got {array.min()} to {array.max()}.")
    return np.ascontiguousarray(np.broadcast_to(array, (size,)), np.int64)


@numba.njit(inline="always")
def _wrap32(value):
    """Cut to 32 bits as NumPy's int32 does."""
    return np.int64(np.int32(value))


@numba.njit(inline="always")
def _decay(value, decay):
    """Multiply by (4096 - decay) / 4096, rounding toward zero."""
    product = value * (4096 - decay)
    return product >> DECAY_BITS if product >= 0 else -(-product >> DECAY_BITS)


@numba.njit(cache=True, nogil=True)
def _recurrent_sums(s, columns, exponent, sums):
    sums[:] = 0
    for i in range(len(s)):
        if s[i] != 0:
            for j in range(len(sums)):
                sums[j] = _wrap32(sums[j] + columns[i, j] * np.int64(s[i]))
    for j in range(len(sums)):
        sums[j] = _wrap32(sums[j] << exponent) if exponent > 0 else sums[j] >> -exponent


@numba.njit(cache=True, nogil=True)
def _advance(
    x, out, u, v, s, held_until, low, high, overflow, step0, du, dv, bias, vth, vth_low, interval, offset, period,
    columns, exponent,
):  # fmt: skip
    """All arithmetic in int64, cut back to 32 bits where NumPy's int32 in lava's model would wrap."""
    batch, steps, size = x.shape
    sums = np.zeros(size, np.int64)
    for b in range(batch):
        for t in range(steps):
            step = step0 + t + 1
            if interval > 0 and step % interval == offset:
                u[b, :] = 0
                v[b, :] = 0
            if len(columns) > 0:
                _recurrent_sums(s[b], columns, exponent, sums)
            for j in range(size):
                a = _wrap32(_wrap32(np.int64(x[b, t, j]) + sums[j]) << ACTIVATION_SHIFT)
                current = _wrap32(_decay(np.int64(u[b, j]), du[j] + 1) + a)
                if current > LIMIT:
                    current -= 2 * LIMIT
                    overflow[b] += 1
                elif current <= -LIMIT:
                    current += 2 * LIMIT
                    overflow[b] += 1
                u[b, j] = current
                volt = np.int64(v[b, j])
                if period == 0 or held_until[b, j] < step:
                    raw = _wrap32(_wrap32(_decay(volt, dv[j]) + current) + bias[j])
                    volt = min(max(raw, -LIMIT + 1), LIMIT - 1)
                    if volt != raw:
                        overflow[b] += 1
                low[b] = min(low[b], volt)
                high[b] = max(high[b], volt)
                spike = (1 if volt > vth[j] else 0) - (1 if volt < vth_low[j] else 0)
                if spike != 0:
                    volt = 0
                    if period > 0:
                        held_until[b, j] = step + period
                v[b, j] = volt
                s[b, j] = spike
                out[b, t, j] = spike
