"""One compiled loop over a block's frames: in a stream the calls of NumPy would cost more than the work.

Same equations and integers as `ndns.loihi2.nodes.s5_block`, which computes many frames at once.
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, inline="always")
def _shifted(value, count):
    return value >> count if count >= 0 else value << -count


@numba.njit(cache=True, nogil=True, inline="always")
def _fitted(value, bits, overflow, b):
    top = (np.int64(1) << (bits - 1)) - 1
    kept = min(max(value, -top - 1), top)
    overflow[b] += np.int64(kept != value)
    return kept


@numba.njit(cache=True, nogil=True, inline="always")
def _note(low, high, b, value):
    low[b] = min(low[b], value)
    high[b] = max(high[b], value)


@numba.njit(cache=True, nogil=True, inline="always")
def _sigmoid(x, x_exp, table, one):
    last = len(table) - 1
    size = min(abs(x), np.int64(last) << x_exp)
    index = min(size >> x_exp, last - 1)
    value = table[index] + (((table[index + 1] - table[index]) * (size - (index << x_exp))) >> x_exp)
    return one - value if x < 0 else value


@numba.njit(cache=True, nogil=True, inline="always")
def _multiply(columns, values, out):
    """Set `out` to a sparse product; `columns`: where each column begins, rows and weights."""
    start, row, weight = columns
    out[:] = 0
    for i in range(len(values)):
        value = np.int64(values[i])
        if value != 0:
            for k in range(start[i], start[i + 1]):
                out[row[k]] += weight[k] * value


@numba.njit(cache=True, nogil=True)
def run(x, re, im, state_meter, z_meter, out_meter, products, vectors, exps, relus, bits, table):
    """Return the output int32 `(batch, steps, H)` of a block and advance its state.

    Args:
        x: input int32 `(batch, steps, H)`.
        re, im: state int32 `(batch, P)`, changed in place.
        state_meter, z_meter, out_meter: `low`, `high`, `overflow` int64 `(batch,)` each, changed in place.
        products: sparse columns of B (2 P rows), C (2 P columns) and the gate.
        vectors: a_re, a_im, d, bias_x `(2 P,)`, bias_y, gate bias, all int64.
        exps: how far the drive, the readout, the direct path, the gate's sum and the gated value are shifted to the
            right; exponents of the transition, of y, of the gate's output, of the sigmoid; slope of GELU in 64ths.
        relus: on the state, on y, on the output.
        bits: of the state, of messages, of the gate's output.
        table: the sigmoid's.
    """
    into, readout, gate = products
    a_re, a_im, d, bias_x, bias_y, gate_bias = vectors
    drive_shift, read_shift, direct_shift, gate_shift, gated_shift, a_exp, y_exp, gate_exp, one_exp, slope = exps
    relu_state, relu_y, relu_out = relus
    state_bits, message_bits, gate_bits = bits
    batch, steps, width = x.shape
    states = len(a_re)
    one = np.int64(1) << one_exp
    out = np.empty((batch, steps, width), np.int32)
    wide, seen = np.empty(2 * states, np.int64), np.empty(2 * states, np.int64)
    y, z = np.empty(width, np.int64), np.empty(width, np.int64)
    for b in range(batch):
        for t in range(steps):
            _multiply(into, x[b, t], wide)
            for p in range(2 * states):
                wide[p] = _fitted(_shifted(wide[p], drive_shift) + bias_x[p], state_bits, state_meter[2], b)
            for p in range(states):
                old_re, old_im = np.int64(re[b, p]), np.int64(im[b, p])
                new_re = ((a_re[p] * old_re) >> a_exp) - ((a_im[p] * old_im) >> a_exp) + wide[p]
                new_im = ((a_re[p] * old_im) >> a_exp) + ((a_im[p] * old_re) >> a_exp) + wide[states + p]
                new_re = _fitted(new_re, state_bits, state_meter[2], b)
                new_im = _fitted(new_im, state_bits, state_meter[2], b)
                _note(state_meter[0], state_meter[1], b, new_re)
                _note(state_meter[0], state_meter[1], b, new_im)
                re[b, p], im[b, p] = new_re, new_im
                passes = not relu_state or new_re > 0
                seen[p] = new_re if passes else 0
                seen[states + p] = new_im if passes else 0
            _multiply(readout, seen, y)
            for i in range(width):
                direct = _shifted(d[i] * np.int64(x[b, t, i]), direct_shift)
                value = _fitted(_shifted(2 * y[i], read_shift) + direct + bias_y[i], message_bits, state_meter[2], b)
                if relu_y:
                    y[i] = max(value, 0)
                else:
                    y[i] = (value * _sigmoid((value * slope) >> 6, y_exp, table, one)) >> one_exp
                _note(z_meter[0], z_meter[1], b, y[i])
            _multiply(gate, y, z)
            for i in range(width):
                pre = _fitted(_shifted(z[i], gate_shift) + gate_bias[i], gate_bits, z_meter[2], b)
                gated = _shifted((y[i] * _sigmoid(pre, gate_exp, table, one)) >> one_exp, gated_shift)
                value = _fitted(np.int64(x[b, t, i]) + gated, message_bits, out_meter[2], b)
                value = max(value, 0) if relu_out else value
                _note(out_meter[0], out_meter[1], b, value)
                out[b, t, i] = value
    return out
