"""Power proxy of the N-DNS challenge: operations a second, from how often the layers send.

Formulas as in the challenge's evaluation (arXiv 2303.09503, section III; conversions of its notebook):

    r_l        = mean over clips of the share of (neuron, step) pairs of layer l with a message
    SynOps     = sum_l r_l * neurons_l * fan_out_l              a step; fan_out_l counts zero weights too
    NeuronOps  = sum_l neurons_l                                a step; the output layer is left out
    P_proxy    = (SynOps + 10 * NeuronOps) / step               Ops/s
    PDP_proxy  = P_proxy * latency                              Ops

The challenge averages over batches of 30 s clips; here a clip is a batch, which is the same for clips of one length.
"""

import numpy as np

NEURON_OP = 10
"""Synaptic operations that one neuron operation counts as."""


def event_rates(events: np.ndarray, steps: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """Return the mean over clips of each layer's event rate, `(layer,)`, from 0 to 1.

    Args:
        events: messages sent, `(clip, layer)`.
        steps: of each clip, `(clip,)`.
        neurons: of each layer, `(layer,)`.

    >>> event_rates(np.array([[1], [9]]), np.array([1, 3]), np.array([4])).item()
    0.5
    """
    return (np.asarray(events) / (np.asarray(steps)[:, None] * np.asarray(neurons))).mean(axis=0)


def exact_event_rates(events: np.ndarray, steps: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """Return messages over (neuron, step) pairs of all clips together, `(layer,)`: long clips count more.

    >>> exact_event_rates(np.array([[1], [9]]), np.array([1, 3]), np.array([4])).item()
    0.625
    """
    return np.asarray(events).sum(axis=0) / (np.asarray(steps).sum() * np.asarray(neurons))


def synops_per_step(rates: np.ndarray, neurons: np.ndarray, fan_out: np.ndarray) -> float:
    """Return synaptic operations a step: rate x neurons x dense fan-out, summed over layers.

    >>> synops_per_step(np.array([0.5, 0.25]), np.array([4, 8]), np.array([8, 2]))
    20.0
    """
    return float(np.sum(np.asarray(rates) * np.asarray(neurons) * np.asarray(fan_out)))


def power_proxy(synops: float, neuron_ops: float, step_s: float) -> float:
    """Return operations a second: (synops + 10 * neuron_ops) / step_s.

    >>> power_proxy(103_350, 1281, 0.008)  # the challenge's published 14.52 M-Ops/s
    14520000.0
    """
    return (synops + NEURON_OP * neuron_ops) / step_s


def pdp_proxy(power_ops_s: float, latency_s: float) -> float:
    """Return the power-delay product in operations: power proxy times the system's latency."""
    return power_ops_s * latency_s
