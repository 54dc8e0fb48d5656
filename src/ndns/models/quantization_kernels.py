"""Compiled loops for `ndns.models.quantization` on a CPU: float32."""

import math

import numpy as np
import torch
from numba import njit

from ndns.models.kernels import each

_TABLE = torch.sigmoid(torch.arange(10, dtype=torch.float32)).numpy()
_SMALLEST, _LARGEST = -126, 127
"""Exponents of normal float32."""


def weight_exponent(weight: torch.Tensor, bits: int, power: torch.Tensor | None, finer: int) -> int:
    """Return what `ndns.models.quantization.weight_exponent` returns, trying `finer` binary digits."""
    rows = weight.detach().reshape(-1, weight.shape[-1]).numpy()
    weighed = np.ones(rows.shape[1]) if power is None else power.detach().double().numpy()
    return _weight_exponent(rows, bits, weighed, finer)


def nearest(weight: torch.Tensor, exponent: int, bits: int) -> torch.Tensor:
    """Return `round(weight * 2^exponent) / 2^exponent`, the integers clipped to `bits` bits."""
    return _pass(_on_grid, weight, *_grid(exponent, bits), False)


def floored(x: torch.Tensor, exponent: int, bits: int) -> torch.Tensor:
    """Return `floor(x * 2^exponent) / 2^exponent`, the integers clipped to `bits` bits."""
    return _pass(_on_grid, x, *_grid(exponent, bits), True)


def table_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Return what `ndns.models.quantization.table_sigmoid` returns."""
    return _pass(_table_sigmoid, x, _TABLE)


def _grid(exponent: int, bits: int) -> tuple[np.float32, np.float32]:
    """Return the scale and the largest integer plus 1."""
    return np.float32(2.0 ** min(max(exponent, _SMALLEST), _LARGEST)), np.float32(2 ** (bits - 1))


def _pass(kernel, x: torch.Tensor, *constants) -> torch.Tensor:
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    shape = 1, -1, x.shape[-1]
    each(kernel, (x.view(shape).numpy(), out.view(shape).numpy()), constants)
    return out


@njit(cache=True, error_model="numpy")
def _weight_exponent(rows, bits, power, finer):
    largest = 0.0
    for row in rows:
        for value in row:
            largest = max(largest, abs(np.float64(value)))
    if largest == 0:
        return bits - 1
    top = 2 ** (bits - 1) - 1
    first = math.frexp((top + 0.5) / largest)[1] - 1
    if np.rint(math.ldexp(largest, first)) > top:
        first -= 1
    best, least = first, np.inf
    lost = np.empty(rows.shape[1])
    for exponent in range(first, first + finer + 1):
        scale = math.ldexp(1.0, min(max(exponent, _SMALLEST), _LARGEST))
        lost[:] = 0
        for i in range(rows.shape[0]):
            row = rows[i]
            for j in range(len(lost)):
                value = np.float64(row[j])
                error = min(max(np.rint(value * scale), -top - 1.0), np.float64(top)) / scale - value
                lost[j] += error * error
        total = (lost * power).sum()
        if total < least:
            best, least = exponent, total
    return best


@njit(nogil=True, cache=True, error_model="numpy")
def _on_grid(values, out, scale, end, down, start, stop):
    one = np.float32(1)
    for t in range(values.shape[0]):
        row, into = values[t, start:stop], out[t, start:stop]
        for j in range(stop - start):
            value = row[j] * scale
            whole = np.floor(value) if down else np.rint(value)
            into[j] = min(max(whole, -end), end - one) / scale


@njit(nogil=True, cache=True, error_model="numpy")
def _table_sigmoid(values, out, table, start, stop):
    one, last = np.float32(1), np.float32(9)
    for t in range(values.shape[0]):
        row, into = values[t, start:stop], out[t, start:stop]
        for j in range(stop - start):
            size = min(abs(row[j]), last)
            index = min(int(size), 8)
            below = table[index]
            value = below + (table[index + 1] - below) * (size - np.float32(index))
            into[j] = value if row[j] >= 0 else one - value
