"""Compiled loops over frames for `ndns.models.scan` on a CPU: float32, complex `(batch, time, 2 state)`."""

import numpy as np
import torch
from numba import njit

from ndns.models.kernels import each


def scan(a: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Return the states of `ndns.models.scan.diagonal_scan`."""
    u = u.contiguous()
    x = torch.empty_like(u)
    each(_scan, (u.detach().numpy(), x.numpy(), x.numpy()), (_array(a), False), a.shape[1])
    return x


def rectified_scan(a: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both results of `ndns.models.scan.rectified_scan`."""
    u = u.contiguous()
    x, out = torch.empty_like(u), torch.empty_like(u)
    each(_scan, (u.detach().numpy(), x.numpy(), out.numpy()), (_array(a), True), a.shape[1])
    return x, out


def scan_gradients(
    a: torch.Tensor, gradient: torch.Tensor, x: torch.Tensor, rectified: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of `a` and of the drive from that of the states `x`, or of the rectified ones."""
    gradient = gradient.contiguous()
    drive = torch.empty_like(gradient)
    transition = torch.empty(len(x), *a.shape)
    arrays = (gradient.numpy(), x.detach().numpy(), drive.numpy(), transition.numpy())
    each(_scan_gradients, arrays, (_array(a), rectified), a.shape[1])
    return transition.sum(0), drive


def where_positive(values: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Return complex `values` where the real part of `by` is positive, 0 elsewhere."""
    values, by = values.contiguous(), by.contiguous()
    out = torch.empty_like(values)
    arrays = (values.detach().numpy(), by.detach().numpy(), out.numpy())
    each(_where_positive, arrays, (), values.shape[2] // 2)
    return out


def _array(a: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(a.detach().numpy())


@njit(nogil=True, cache=True, error_model="numpy")
def _scan(u, x, out, a, rectified, start, stop):
    states = a.shape[1]
    re, im = np.zeros(stop - start, np.float32), np.zeros(stop - start, np.float32)
    a_re, a_im = a[0, start:stop], a[1, start:stop]
    for t in range(u.shape[0]):
        u_re, u_im = u[t, start:stop], u[t, states + start : states + stop]
        x_re, x_im = x[t, start:stop], x[t, states + start : states + stop]
        for j in range(stop - start):
            turned = a_re[j] * re[j] - a_im[j] * im[j] + u_re[j]
            im[j] = a_re[j] * im[j] + a_im[j] * re[j] + u_im[j]
            re[j] = turned
            x_re[j], x_im[j] = re[j], im[j]
        if rectified:
            _select(re, im, re, out[t, start:stop], out[t, states + start : states + stop])


@njit(nogil=True, cache=True, error_model="numpy")
def _scan_gradients(gradient, x, drive, transition, a, rectified, start, stop):
    states, width = a.shape[1], stop - start
    re, im = np.zeros(width, np.float32), np.zeros(width, np.float32)
    total_re, total_im = np.zeros(width, np.float32), np.zeros(width, np.float32)
    passed_re, passed_im = np.zeros(width, np.float32), np.zeros(width, np.float32)
    a_re, a_im = a[0, start:stop], a[1, start:stop]
    for t in range(gradient.shape[0] - 1, -1, -1):
        g_re, g_im = gradient[t, start:stop], gradient[t, states + start : states + stop]
        u_re, u_im = drive[t, start:stop], drive[t, states + start : states + stop]
        if rectified:
            _select(g_re, g_im, x[t, start:stop], passed_re, passed_im)
            g_re, g_im = passed_re, passed_im
        for j in range(width):
            turned = a_re[j] * re[j] + a_im[j] * im[j] + g_re[j]
            im[j] = a_re[j] * im[j] - a_im[j] * re[j] + g_im[j]
            re[j] = turned
            u_re[j], u_im[j] = re[j], im[j]
        if t > 0:
            x_re, x_im = x[t - 1, start:stop], x[t - 1, states + start : states + stop]
            for j in range(width):
                total_re[j] += re[j] * x_re[j] + im[j] * x_im[j]
                total_im[j] += im[j] * x_re[j] - re[j] * x_im[j]
    transition[0, start:stop] = total_re
    transition[1, start:stop] = total_im


@njit(nogil=True, cache=True, error_model="numpy")
def _where_positive(values, by, out, start, stop):
    states = values.shape[1] // 2
    for t in range(values.shape[0]):
        here, there = slice(start, stop), slice(states + start, states + stop)
        _select(values[t, here], values[t, there], by[t, here], out[t, here], out[t, there])


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _select(v_re, v_im, by, o_re, o_im):
    for j in range(len(by)):
        re, im, positive = v_re[j], v_im[j], by[j] > 0  # read unconditionally: else the compiler keeps it scalar
        o_re[j] = re if positive else np.float32(0)
        o_im[j] = im if positive else np.float32(0)
