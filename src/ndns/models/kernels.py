"""Compiled loops over frames for `ndns.models.sigma_delta` on a CPU: float32, `(batch, frame, neuron)` contiguous.

A task is one clip and a run of neighbouring neurons; tasks share nothing, so results do not depend on how many threads
there are. Messages wait in a ring of the last 64 frames until their delay is over.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit

from ndns.processes import ACTIVE_WAITING

RING = 64
"""Frames that a delay can reach back, a power of two: one step between layers and at most 62 of axonal delay."""

_MESSAGE_SCALE = np.float32(4096)
_ZERO = np.float32(0)


def magnitude(spectra: torch.Tensor) -> torch.Tensor:
    """Return |X| of contiguous complex64 `(batch, frame, bin)`; torch's own goes through a complex result."""
    moduli = torch.empty(spectra.shape, dtype=torch.float32)
    each(_magnitude, (spectra.detach().numpy(), moduli.numpy()), ())
    return moduli


def count_events(messages: torch.Tensor) -> int:
    """Return how many of `(batch, frame, neuron)` are not zero."""
    counts = torch.zeros(messages.shape[0], messages.shape[2], dtype=torch.int64)
    each(_count_events, (messages.detach().numpy(), counts.numpy()), ())
    return int(counts.sum())


def delta(values: torch.Tensor, threshold: float) -> torch.Tensor:
    """Messages of `ndns.models.sigma_delta.delta`; `values` `(batch, frame, neuron)` stay as they are."""
    messages = torch.empty_like(values)
    each(_delta, (values.numpy(), messages.numpy()), (np.float32(threshold),))
    return messages


def sigma_delta_relu(currents: torch.Tensor, shift: torch.Tensor, threshold: float) -> tuple[torch.Tensor, ...]:
    """Overwrite `currents` `(batch, frame, neuron)` by delayed messages.

    Returns:
        the messages and where the activation is positive (bool, same shape).

    Raises:
        ValueError: a shift of `(neuron,)` is not in [1, 63].
    """
    if not bool(((shift >= 1) & (shift < RING)).all()):
        raise ValueError(f"delays must lie between 0 and {RING - 2} frames")
    active = torch.empty(currents.shape, dtype=torch.bool)
    arrays = (currents.detach().numpy(), active.numpy())
    each(_sigma_delta_relu, arrays, (shift.numpy(), np.float32(threshold)))
    return currents, active


def sigma_delta_relu_gradients(
    gradient: torch.Tensor, messages: torch.Tensor, active: torch.Tensor, shift: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of `currents` `(batch, frame, neuron)` and of the delays `(neuron,)`."""
    currents = torch.empty_like(gradient)
    delays = torch.empty(gradient.shape[0], gradient.shape[2], dtype=torch.float64)
    arrays = (gradient.numpy(), messages.numpy(), active.numpy(), currents.numpy(), delays.numpy())
    each(_sigma_delta_relu_gradients, arrays, (shift.numpy(),))
    return currents, delays.sum(0).to(gradient.dtype)


def cumulate(values: torch.Tensor, sums: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    """Write running sums over frames of `values` into `sums` (may be `values` itself), from the end if `reverse`."""
    each(_cumulate, (values.detach().numpy(), sums.detach().numpy()), (reverse,))
    return sums


def each(kernel: Callable, arrays: tuple, constants: tuple, neurons: int | None = None) -> None:
    """Run `kernel` for every task.

    With few threads one of them runs all: handing tasks out, while the threads of matrix products wait actively on the
    same cores, costs more than the loops take.

    Args:
        kernel: takes one clip's arrays, the constants, and which neurons are its own: first, end.
        arrays: indexed by clip first; the first is `(batch, frame, neuron)`.
        constants: handed on as they are.
        neurons: how many there are, if not as many as numbers in a frame of the first array.
    """
    threads = torch.get_num_threads()
    batch, _, numbers = arrays[0].shape
    neurons = neurons or numbers

    def run(task: tuple[int, int, int]) -> None:
        clip, start, stop = task
        kernel(*(array[clip] for array in arrays), *constants, start, stop)

    if threads <= ACTIVE_WAITING:
        for clip in range(batch):
            run((clip, 0, neurons))
        return
    parts = 1 if batch % threads == 0 else min(threads, neurons)
    edges = np.linspace(0, neurons, parts + 1).astype(np.int64)
    tasks = [(clip, edges[part], edges[part + 1]) for clip in range(batch) for part in range(parts)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, tasks))


@njit(nogil=True, cache=True, error_model="numpy")
def _magnitude(spectra, moduli, start, stop):
    for t in range(spectra.shape[0]):
        row, out = spectra[t, start:stop], moduli[t, start:stop]
        for j in range(stop - start):
            out[j] = np.sqrt(row[j].real * row[j].real + row[j].imag * row[j].imag)


@njit(nogil=True, cache=True, error_model="numpy")
def _count_events(messages, counts, start, stop):
    width = stop - start
    count = np.zeros(width, np.int32)
    for t in range(messages.shape[0]):
        row = messages[t, start:stop]
        for j in range(width):
            count[j] += row[j] != _ZERO
    counts[start:stop] = count


@njit(nogil=True, cache=True, error_model="numpy")
def _delta(values, messages, threshold, start, stop):
    width = stop - start
    previous = np.zeros(width, np.float32)
    residue = np.zeros(width, np.float32)
    for t in range(values.shape[0]):
        row, sent = values[t, start:stop], messages[t, start:stop]
        for j in range(width):
            difference = (row[j] - previous[j]) + residue[j]
            message = difference if abs(difference) >= threshold else _ZERO
            residue[j] = difference - message
            previous[j] = row[j]
            sent[j] = np.floor(message * _MESSAGE_SCALE) / _MESSAGE_SCALE


@njit(nogil=True, cache=True, error_model="numpy")
def _sigma_delta_relu(currents, active, shift, threshold, start, stop):
    width = stop - start
    total = np.zeros(width, np.float64)
    previous = np.zeros(width, np.float32)
    residue = np.zeros(width, np.float32)
    ring = np.zeros((RING, width), np.float32)
    for t in range(currents.shape[0]):
        row, above, newest = currents[t, start:stop], active[t, start:stop], ring[t % RING]
        for j in range(width):
            total[j] += row[j]
            activation = max(np.float32(total[j]), _ZERO)
            difference = (activation - previous[j]) + residue[j]
            message = difference if abs(difference) >= threshold else _ZERO
            residue[j] = difference - message
            previous[j] = activation
            above[j] = activation > _ZERO
            newest[j] = np.floor(message * _MESSAGE_SCALE) / _MESSAGE_SCALE
        for j in range(width):
            row[j] = ring[(t - shift[start + j]) & (RING - 1), j]


@njit(nogil=True, cache=True, error_model="numpy")
def _sigma_delta_relu_gradients(gradient, messages, active, currents, delays, shift, start, stop):
    frames, width = gradient.shape[0], stop - start
    total = np.zeros(width, np.float64)
    slope = np.zeros(width, np.float64)
    later = np.zeros(width, np.float32)
    arrived = np.zeros(width, np.float32)
    ring = np.zeros((RING, width), np.float32)
    for t in range(frames - 1, -1, -1):
        row, above, out = gradient[t, start:stop], active[t, start:stop], currents[t, start:stop]
        newest = ring[t % RING]
        before = messages[max(t - 1, 0), start:stop]
        here = messages[t, start:stop]
        for j in range(width):
            newest[j] = row[j]
            earlier = before[j] if t > 0 else _ZERO
            slope[j] += row[j] * (earlier - here[j])
        for j in range(width):
            arrived[j] = ring[(t + shift[start + j]) & (RING - 1), j]
        for j in range(width):
            total[j] += arrived[j] - later[j] if above[j] else _ZERO
            later[j] = arrived[j]
            out[j] = total[j]
    delays[start:stop] = slope


@njit(nogil=True, cache=True, error_model="numpy")
def _cumulate(values, sums, reverse, start, stop):
    frames, width = values.shape[0], stop - start
    total = np.zeros(width, np.float64)
    for step in range(frames):
        t = frames - 1 - step if reverse else step
        row, out = values[t, start:stop], sums[t, start:stop]
        for j in range(width):
            total[j] += row[j]
            out[j] = total[j]
