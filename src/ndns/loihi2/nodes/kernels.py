"""Compiled loops over the integers of a few frames: in a stream the calls of numpy would cost more than the work.

Loops that share a step stand in this one file: numba notices a change of a cached function's own file only.
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, inline="always")
def _fitted(value, top, overflow, b):
    """Clip to `-top - 1 .. top`; count in `overflow[b]` if it was beyond."""
    kept = min(max(value, -top - 1), top)
    overflow[b] += np.int64(kept != value)
    return kept


@numba.njit(cache=True, nogil=True, inline="always")
def _note(low, high, b, value):
    low[b] = min(low[b], value)
    high[b] = max(high[b], value)


@numba.njit(cache=True, nogil=True, inline="always")
def _interpolated(x, x_exp, table, one):
    """What `piecewise` gives for one number."""
    last = len(table) - 1
    size = min(abs(x), np.int64(last) << x_exp)
    index = min(size >> x_exp, last - 1)
    value = table[index] + (((table[index + 1] - table[index]) * (size - (index << x_exp))) >> x_exp)
    return one - value if x < 0 else value


@numba.njit(cache=True, nogil=True, inline="always")
def _shifted(value, count):
    """What `ndns.loihi2.nodes.s5.shifted` gives for one number; processors take a count of 64 for 0."""
    if count >= 0:
        return value >> min(count, 63)
    edge = np.int64(1 << 61) >> -count
    return min(max(value, -edge), edge) << -count


@numba.njit(cache=True, nogil=True, inline="always")
def _multiply(columns, values, out):
    """Set `out` to a product with 32-bit `values`; `columns` as `ndns.loihi2.nodes.matrix.Matrix.columns`."""
    start, row, weight, whole = columns
    out[:] = 0
    for i in range(len(values)):
        value = np.int64(np.int32(values[i]))
        if value != 0:
            if len(whole):
                for j in range(len(out)):
                    out[j] += whole[i, j] * value
            else:
                for k in range(start[i], start[i + 1]):
                    out[row[k]] += weight[k] * value


@numba.njit(cache=True, nogil=True, inline="always")
def _advance(row, re, im, meter, b, a_re, a_im, a_exp, top, relu):
    """Replace one step's drive `(2 P,)` by what the readout sees; `re`, `im` become the new states."""
    low, high, overflow = meter
    states = len(a_re)
    for p in range(states):
        old_re, old_im = np.int64(re[b, p]), np.int64(im[b, p])
        new_re = ((a_re[p] * old_re) >> a_exp) - ((a_im[p] * old_im) >> a_exp) + row[p]
        new_im = ((a_re[p] * old_im) >> a_exp) + ((a_im[p] * old_re) >> a_exp) + row[states + p]
        new_re, new_im = _fitted(new_re, top, overflow, b), _fitted(new_im, top, overflow, b)
        _note(low, high, b, new_re)
        _note(low, high, b, new_im)
        re[b, p], im[b, p] = new_re, new_im
        seen = not relu or new_re > 0
        row[p] = new_re if seen else 0
        row[states + p] = new_im if seen else 0


@numba.njit(cache=True, nogil=True)
def clipped(values, top, overflow):
    """Return `(batch, n)` clipped to `-top - 1 .. top`; add to `overflow` `(batch,)` how many were beyond."""
    out = np.empty_like(values)
    for b in range(values.shape[0]):
        for i in range(values.shape[1]):
            out[b, i] = _fitted(values[b, i], top, overflow, b)
    return out


@numba.njit(cache=True, nogil=True)
def widen(low, high, values):
    """Widen `low` and `high` `(batch,)` by the extremes of `values` `(batch, n)`."""
    for b in range(values.shape[0]):
        for i in range(values.shape[1]):
            _note(low, high, b, np.int64(values[b, i]))


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
    out = np.empty(x.shape[0], np.int64)
    for i in range(x.shape[0]):
        out[i] = _interpolated(np.int64(x[i]), x_exp, table, one)
    return out


@numba.njit(cache=True, nogil=True)
def events(columns, values, out):
    """Set `out` `(batch, steps, out)` to the sparse product of each step, message by message."""
    for b in range(values.shape[0]):
        for t in range(values.shape[1]):
            _multiply(columns, values[b, t], out[b, t])


@numba.njit(cache=True, nogil=True)
def affine(x, meter, columns, bias, shift, top, relu):
    """Return the output int32 `(batch, steps, out)` of a dense layer, `ndns.loihi2.nodes.s5_block.Affine`.

    Args:
        x: input int32 `(batch, steps, in)`.
        meter: `low`, `high`, `overflow` int64 `(batch,)` each, changed in place.
        columns: the weights.
        bias: int64 `(out,)`.
        shift: how far the sum is shifted to the right.
        top: largest output.
        relu: whether negative outputs become 0.
    """
    batch, steps, width = x.shape[0], x.shape[1], len(bias)
    out, wide = np.empty((batch, steps, width), np.int32), np.empty(width, np.int64)
    for b in range(batch):
        for t in range(steps):
            _multiply(columns, x[b, t], wide)
            for i in range(width):
                value = _fitted(_shifted(wide[i], shift) + bias[i], top, meter[2], b)
                value = max(value, 0) if relu else value
                _note(meter[0], meter[1], b, value)
                out[b, t, i] = value
    return out


@numba.njit(cache=True, nogil=True)
def recur(drive, re, im, meter, a_re, a_im, a_exp, top, relu):
    """Replace the drive `(batch, steps, 2 P)` by what the readout sees; `re`, `im` keep the last states."""
    for b in range(drive.shape[0]):
        for t in range(drive.shape[1]):
            _advance(drive[b, t], re, im, meter, b, a_re, a_im, a_exp, top, relu)


@numba.njit(cache=True, nogil=True)
def s5_block(x, re, im, state_meter, z_meter, out_meter, products, vectors, exps, relus, tops, table):
    """Return the output int32 `(batch, steps, H)` of a block and advance its state.

    Equations and integers of `ndns.loihi2.nodes.s5_block.S5Block`, which computes many frames at once.

    Args:
        x: input int32 `(batch, steps, H)`.
        re, im: state int32 `(batch, P)`, changed in place.
        state_meter, z_meter, out_meter: `low`, `high`, `overflow` int64 `(batch,)` each, changed in place.
        products: columns of B (2 P rows), C (2 P columns) and the gate.
        vectors: a_re, a_im, d, bias_x `(2 P,)`, bias_y, gate bias, all int64.
        exps: how far the drive, the readout, the direct path, the gate's sum and the gated value are shifted to the
            right; exponents of the transition, of y, of the gate's output, of the sigmoid; slope of GELU in 64ths.
        relus: on the state, on y, on the output.
        tops: largest state, message and output of the gate.
        table: the sigmoid's.
    """
    into, readout, gate = products
    a_re, a_im, d, bias_x, bias_y, gate_bias = vectors
    drive_shift, read_shift, direct_shift, gate_shift, gated_shift, a_exp, y_exp, gate_exp, one_exp, slope = exps
    relu_state, relu_y, relu_out = relus
    state_top, message_top, gate_top = tops
    batch, steps, width = x.shape
    states = len(a_re)
    one = np.int64(1) << one_exp
    out = np.empty((batch, steps, width), np.int32)
    wide, y, z = np.empty(2 * states, np.int64), np.empty(width, np.int64), np.empty(width, np.int64)
    for b in range(batch):
        for t in range(steps):
            _multiply(into, x[b, t], wide)
            for p in range(2 * states):
                wide[p] = _fitted(_shifted(wide[p], drive_shift) + bias_x[p], state_top, state_meter[2], b)
            _advance(wide, re, im, state_meter, b, a_re, a_im, a_exp, state_top, relu_state)
            _multiply(readout, wide, y)
            for i in range(width):
                direct = _shifted(d[i] * np.int64(x[b, t, i]), direct_shift)
                value = _fitted(_shifted(2 * y[i], read_shift) + direct + bias_y[i], message_top, state_meter[2], b)
                if relu_y:
                    y[i] = max(value, 0)
                else:
                    y[i] = (value * _interpolated((value * slope) >> 6, y_exp, table, one)) >> one_exp
                _note(z_meter[0], z_meter[1], b, y[i])
            _multiply(gate, y, z)
            for i in range(width):
                pre = _fitted(_shifted(z[i], gate_shift) + gate_bias[i], gate_top, z_meter[2], b)
                gated = _shifted((y[i] * _interpolated(pre, gate_exp, table, one)) >> one_exp, gated_shift)
                value = _fitted(np.int64(x[b, t, i]) + gated, message_top, out_meter[2], b)
                value = max(value, 0) if relu_out else value
                _note(out_meter[0], out_meter[1], b, value)
                out[b, t, i] = value
    return out
