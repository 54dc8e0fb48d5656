"""Compiled loops over states for `ndns.models.hold` on a CPU: float32, poles in double precision."""

import numpy as np
import torch
from numba import njit


def hold(lambda_re, lambda_im, log_step, b, c, slowest):
    """Return what `ndns.models.hold.zero_order_hold` returns."""
    a, weights, out = torch.empty(2, len(lambda_re)), torch.empty_like(b), torch.empty_like(c)
    _hold(*_arrays(lambda_re, lambda_im, log_step, b, c), np.float32(slowest), *_arrays(a, weights, out))
    return a, weights, out


def hold_gradients(lambda_re, lambda_im, log_step, b, c, slowest, of_a, of_b, of_c):
    """Return the gradients of the first five arguments from those of the three results."""
    read = (lambda_re, lambda_im, log_step, b, c)
    made = [torch.empty_like(part) for part in read]
    _hold_gradients(*_arrays(*read), np.float32(slowest), *_arrays(of_a, of_b, of_c), *_arrays(*made))
    return tuple(made)


def _arrays(*parts: torch.Tensor) -> list[np.ndarray]:
    return [part.detach().contiguous().numpy() for part in parts]


@njit(cache=True, error_model="numpy")
def _held(lambda_re, lambda_im, log_step, slowest):
    """Return pole, step, transition and factor of the hold of one state."""
    pole, step = complex(min(lambda_re, slowest), lambda_im), np.exp(np.float64(log_step))
    a = np.exp(pole * step)
    return pole, step, a, (a - 1) / pole


@njit(cache=True, error_model="numpy")
def _hold(lambda_re, lambda_im, log_step, b, c, slowest, a, weights, out):
    states, features = b.shape[1:]
    size = np.empty(states, np.float32)
    for p in range(states):
        _, _, transition, factor = _held(lambda_re[p], lambda_im[p], log_step[p], slowest)
        a[0, p], a[1, p] = transition.real, transition.imag
        root = np.sqrt(abs(factor))
        size[p] = root
        re, im = np.float32(factor.real / root), np.float32(factor.imag / root)
        for h in range(features):
            weights[0, p, h] = re * b[0, p, h] - im * b[1, p, h]
            weights[1, p, h] = re * b[1, p, h] + im * b[0, p, h]
    for part in range(2):
        for h in range(features):
            for p in range(states):
                out[part, h, p] = c[part, h, p] * size[p]


@njit(cache=True, error_model="numpy")
def _hold_gradients(
    lambda_re, lambda_im, log_step, b, c, slowest, of_a, of_weights, of_out, of_re, of_im, of_log_step, of_b, of_c
):
    states, features = b.shape[1:]
    size, of_size = np.empty(states, np.float32), np.zeros(states, np.float32)
    for p in range(states):
        size[p] = np.sqrt(abs(_held(lambda_re[p], lambda_im[p], log_step[p], slowest)[3]))
    for part in range(2):
        for h in range(features):
            for p in range(states):
                of_c[part, h, p] = of_out[part, h, p] * size[p]
                of_size[p] += of_out[part, h, p] * c[part, h, p]
    for p in range(states):
        pole, step, a, factor = _held(lambda_re[p], lambda_im[p], log_step[p], slowest)
        root = np.sqrt(abs(factor))
        turn = factor / root
        re, im = np.float32(turn.real), np.float32(turn.imag)
        along, across = np.float32(0), np.float32(0)
        for h in range(features):
            g_re, g_im, b_re, b_im = of_weights[0, p, h], of_weights[1, p, h], b[0, p, h], b[1, p, h]
            of_b[0, p, h] = re * g_re + im * g_im
            of_b[1, p, h] = re * g_im - im * g_re
            along += g_re * b_re + g_im * b_im
            across += g_im * b_re - g_re * b_im
        of_turn = complex(along, across)
        of_root = of_size[p] - (of_turn.conjugate() * turn).real / root
        of_factor = of_turn / root + of_root / (2 * root**3) * factor
        of_transition = complex(of_a[0, p], of_a[1, p]) + of_factor / pole.conjugate()
        exponential = of_transition * a.conjugate()
        of_pole = exponential * step - of_factor * (factor / pole).conjugate()
        of_re[p] = of_pole.real if lambda_re[p] <= slowest else 0
        of_im[p] = of_pole.imag
        of_log_step[p] = (exponential * pole.conjugate()).real * step
