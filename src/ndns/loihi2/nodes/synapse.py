"""Synapses: a weight matrix between two groups of neurons, with one axonal delay a target neuron."""

from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np

from ndns.loihi2.nodes.base import LAVA, Mode, State

MAX_DELAY = 62
"""Largest delay in steps that the chip's synapses hold (lava.lib.dl.netx clips to it)."""

COLUMN_ABOVE = 0.02
"""Share of non-zero weights from which whole columns, vectorized, beat a list of non-zero weights (bench/engine.py)."""

BLAS_ABOVE = 0.9
"""Share of non-zero messages from which a float32 BLAS product beats events (bench/engine.py)."""

_BLAS_STEPS = 8
_FLOAT32_EXACT = 1 << 24


@dataclass(frozen=True, eq=False)
class Synapse:
    """Weighted sum of messages, one step after they were sent, plus a delay of each target neuron.

        a_j[t] = sum_i weight[j, i] * m_i[t - 1 - delay[j]]

    Products and sums are int32 with wrap; a message that is 0 costs nothing. lava: `proc.dense.Dense`,
    `proc.sparse.DelaySparse` as `lib.dl.netx` builds them (a delay vector as long as the output counts a target row).

    Attributes:
        weight: integers `(out, in)` in [-256, 255].
        delay: integers `(out,)`, 0 to 62 steps; none means 0 everywhere.

    Raises:
        ValueError: a shape or a value is outside of the above.
    """

    weight: np.ndarray
    delay: np.ndarray | None = None

    def __post_init__(self) -> None:
        weight = np.asarray(self.weight)
        if weight.ndim != 2 or not weight.size or weight.dtype.kind not in "iu":
            raise ValueError(f"weight must be an integer matrix (out, in), got {weight.dtype} {weight.shape}")
        if weight.min() < -256 or weight.max() > 255:
            raise ValueError(f"weights {weight.min()} to {weight.max()} do not fit in [-256, 255]")
        delay = np.zeros(len(weight), np.int32) if self.delay is None else np.asarray(self.delay)
        if delay.shape != weight.shape[:1] or delay.dtype.kind not in "iu":
            raise ValueError(f"delay must be {len(weight)} integers, got {delay.dtype} {delay.shape}")
        if delay.min() < 0 or delay.max() > MAX_DELAY:
            raise ValueError(f"delays {delay.min()} to {delay.max()} do not fit in [0, {MAX_DELAY}]")
        object.__setattr__(self, "weight", np.ascontiguousarray(weight, np.int16))
        object.__setattr__(self, "delay", np.ascontiguousarray(delay, np.int32))

    @property
    def shape_in(self) -> int:
        """Source neurons."""
        return self.weight.shape[1]

    @property
    def shape_out(self) -> int:
        """Target neurons."""
        return self.weight.shape[0]

    @cached_property
    def fan_out(self) -> np.ndarray:
        """Non-zero weights of each source `(in,)` int64: synaptic operations that one message of it costs."""
        return np.count_nonzero(self.weight, axis=0).astype(np.int64)

    def init(self, batch: int) -> State:
        """Return empty delay lines: `ring` `(batch, depth, out)` and the slot `at` of the coming step."""
        depth = 1 + int(self.delay.max())
        return {"ring": np.zeros((batch, depth, self.shape_out), np.int32), "at": np.zeros(1, np.int64)}

    def run(self, state: State, x: np.ndarray, mode: Mode = LAVA) -> np.ndarray:
        """Advance by messages int32 `(batch, steps, in)`, return sums int32 `(batch, steps, out)`; any mode."""
        products = self.products(x)
        _delay(products, state["ring"], int(state["at"][0]), self.delay)
        state["at"][0] = (state["at"][0] + x.shape[1]) % state["ring"].shape[1]
        return products

    def products(self, x: np.ndarray) -> np.ndarray:
        """Return `weight @ m` for each step, int32 `(batch, steps, out)`: no latency, no delay, no state."""
        rows = np.ascontiguousarray(x).reshape(-1, self.shape_in)
        shape = (*x.shape[:2], self.shape_out)
        if len(rows) >= _BLAS_STEPS and self._blas_pays(rows):
            return (rows.astype(np.float32) @ self._float32).astype(np.int32).reshape(shape)
        if self._listed is not None:
            return _listed_products(rows, *self._listed, self.shape_out).reshape(shape)
        return _column_products(rows, self._columns).reshape(shape)

    def _blas_pays(self, rows: np.ndarray) -> bool:
        """Tell whether a float32 product is exact for these messages, and quicker than events."""
        largest = max(int(rows.max()), -int(rows.min()))
        dense = np.count_nonzero(rows) >= BLAS_ABOVE * rows.size
        return dense and self._listed is None and self._row_sum * largest < _FLOAT32_EXACT

    @cached_property
    def _row_sum(self) -> int:
        return int(np.abs(self.weight.astype(np.int64)).sum(axis=1).max())

    @cached_property
    def _float32(self) -> np.ndarray:
        return np.ascontiguousarray(self.weight.T, np.float32)

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.ascontiguousarray(self.weight.T)

    @cached_property
    def _listed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Non-zero weights by source (start, target, weight), or None where whole columns are quicker."""
        if self.fan_out.sum() >= COLUMN_ABOVE * self.weight.size:
            return None
        source, target = np.nonzero(self._columns)
        start = np.concatenate([[0], np.cumsum(self.fan_out)]).astype(np.int64)
        return start, target.astype(np.int32), self._columns[source, target].astype(np.int32)


@numba.njit(cache=True, nogil=True)
def _column_products(rows, columns):
    """Add whole weight columns of the non-zero messages, four at a time so that sums stay in registers."""
    count, sources = rows.shape
    targets = columns.shape[1]
    out = np.zeros((count, targets), np.int32)
    active = np.empty(sources + 3, np.int64)
    for r in range(count):
        events = 0
        for i in range(sources):
            active[events] = i
            events += rows[r, i] != 0
        sums = out[r]
        e = 0
        while e + 4 <= events:
            i0, i1, i2, i3 = active[e], active[e + 1], active[e + 2], active[e + 3]
            m0, m1, m2, m3 = rows[r, i0], rows[r, i1], rows[r, i2], rows[r, i3]
            c0, c1, c2, c3 = columns[i0], columns[i1], columns[i2], columns[i3]
            for j in range(targets):
                sums[j] += np.int32(c0[j]) * m0 + np.int32(c1[j]) * m1 + np.int32(c2[j]) * m2 + np.int32(c3[j]) * m3
            e += 4
        while e < events:
            m0, c0 = rows[r, active[e]], columns[active[e]]
            for j in range(targets):
                sums[j] += np.int32(c0[j]) * m0
            e += 1
    return out


@numba.njit(cache=True, nogil=True)
def _listed_products(rows, start, target, weight, targets):
    """Add the listed non-zero weights of the non-zero messages."""
    count, sources = rows.shape
    out = np.zeros((count, targets), np.int32)
    for r in range(count):
        for i in range(sources):
            message = rows[r, i]
            if message != 0:
                for k in range(start[i], start[i + 1]):
                    out[r, target[k]] += weight[k] * message
    return out


@numba.njit(cache=True, nogil=True)
def _delay(values, ring, at, delay):
    """Replace `values` `(batch, steps, out)` by those of 1 + delay steps ago; `ring` keeps the latest ones."""
    batch, steps, width = values.shape
    depth = ring.shape[1]
    for b in range(batch):
        slot = at
        for t in range(steps):
            line, fresh = ring[b], values[b, t]
            for j in range(width):
                past = slot - 1 - delay[j]
                if past < 0:
                    past += depth
                value = line[past, j]
                line[slot, j] = fresh[j]
                fresh[j] = value
            slot = slot + 1 if slot + 1 < depth else 0
