"""Compiled loops over the integers of a few frames: in a stream the calls of numpy would cost more than the work."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def clipped(values, top, overflow):
    """Return `(batch, n)` clipped to `-top - 1 .. top`; add to `overflow` `(batch,)` how many were beyond."""
    out = np.empty_like(values)
    for b in range(values.shape[0]):
        for i in range(values.shape[1]):
            out[b, i] = min(max(values[b, i], -top - 1), top)
            overflow[b] += np.int64(out[b, i] != values[b, i])
    return out


@numba.njit(cache=True, nogil=True)
def widen(low, high, values):
    """Widen `low` and `high` `(batch,)` by the extremes of `values` `(batch, n)`."""
    for b in range(values.shape[0]):
        for i in range(values.shape[1]):
            low[b] = min(low[b], np.int64(values[b, i]))
            high[b] = max(high[b], np.int64(values[b, i]))


@numba.njit(cache=True, nogil=True)
def largest(values):
    """Return the largest magnitude in `(n,)`, 0 without values."""
    found = np.int64(0)
    for i in range(values.shape[0]):
        found = max(found, abs(np.int64(values[i])))
    return found


@numba.njit(cache=True, nogil=True)
def piecewise(x, x_exp, table, one):
    """Return a table at `|x| / 2^x_exp` for `(n,)`: linear between, constant beyond; `one - value` where x < 0."""
    last = len(table) - 1
    out = np.empty(x.shape[0], np.int64)
    for i in range(x.shape[0]):
        size = min(abs(np.int64(x[i])), np.int64(last) << x_exp)
        index = min(size >> x_exp, last - 1)
        fraction = size - (index << x_exp)
        value = table[index] + (((table[index + 1] - table[index]) * fraction) >> x_exp)
        out[i] = one - value if x[i] < 0 else value
    return out
