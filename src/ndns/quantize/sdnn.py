"""Integers of a sigma-delta network: what slayer's `export_hdf5` stores, with the chip's limits checked."""

import warnings
from typing import Any

import numpy as np

from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.loihi2.nodes import Delta, Node, Sigma, SigmaDelta, Synapse
from ndns.loihi2.nodes.synapse import MAX_DELAY
from ndns.loihi2.program import Program

SCALE = 64
"""Integers a unit of weight and of threshold (2^6)."""


def convert(tensors: dict[str, np.ndarray], settings: dict[str, Any]) -> Program:
    """Return the program of a checkpoint of `ndns.models.sdnn`.

    Args:
        tensors: `weight1`, `weight2`, `weight3` `(out, in)` and `delay1`, `delay2` `(out,)`; delays are projected on
            [0, max_delay] as the network does before each forward pass.
        settings: keys of `ndns.config.Sdnn`.

    Raises:
        UserError: a tensor is missing or misshaped, or a value does not fit on the chip.
    """
    network = Sdnn(**settings)
    bins, hidden = network.front_end.frames().bins, network.hidden
    shapes = {"delay1": (hidden,), "delay2": (hidden,)}
    shapes |= {"weight1": (hidden, bins), "weight2": (hidden, hidden), "weight3": (bins, hidden)}
    if tensors.keys() != shapes.keys():
        raise UserError(f"expected the tensors {sorted(shapes)}, found {sorted(tensors)}.")
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise UserError(f"{name} has the shape {tensors[name].shape}, but the settings ask for {shape}.")
    delays = [np.clip(tensors[f"delay{index}"], 0, network.max_delay) for index in (1, 2)]
    weights = [tensors[f"weight{index}"] for index in (1, 2, 3)]
    thresholds = [network.threshold] * 3
    return build(weights, [*delays, None], thresholds, network.front_end, network.offset, network.mask_delay)


def build(
    weights: list[np.ndarray],
    delays: list[np.ndarray | None],
    thresholds: list[float],
    front_end: FrontEnd,
    offset: float,
    mask_delay: int,
) -> Program:
    """Return the program for float weights `(out, in)`, delays `(out,)` in steps, and thresholds of the senders.

    Raises:
        UserError: shapes do not form a chain, or a value does not fit on the chip.
    """
    matrices = [weight_integers(weight, f"layer {index}") for index, weight in enumerate(weights, start=1)]
    nodes: list[Node] = [Delta(matrices[0].shape[1], vth_mantissa(thresholds[0]))]
    names = ["input"]
    for index, (weight, delay) in enumerate(zip(matrices, delays, strict=True), start=1):
        last = index == len(weights)
        nodes.append(Synapse(weight, delay_steps(delay, f"layer {index}")))
        size = len(weight)
        nodes.append(Sigma(size) if last else SigmaDelta(size, vth_mantissa(thresholds[index])))
        names += [f"fc{index}", "output" if last else f"hidden{index}"]
    return Program(tuple(nodes), tuple(names), front_end, offset, mask_delay)


def weight_integers(weight: np.ndarray, where: str) -> np.ndarray:
    """Round float weights to even integers in [-256, 254] as slayer does (`neuron.base.Neuron.quantize_8bit`).

        w_int = clip(2 * round_half_even(w * 32), -256, 254)

    Raises:
        UserError: not a matrix, NaN or infinite, or nothing but zeros (lava cannot scale these).
    """
    weight = np.asarray(weight, np.float32)
    if weight.ndim != 2 or not weight.size:
        raise UserError(f"{where}: weights must be a matrix (out, in), found the shape {weight.shape}.")
    if not np.isfinite(weight).all():
        raise UserError(f"{where}: weights contain NaN or infinity; train again from an earlier checkpoint.")
    integers = np.clip(2 * np.rint(weight * np.float32(SCALE / 2)), -256, 254).astype(np.int32)
    if not integers.any():
        raise UserError(f"{where}: all weights round to 0 (below 1/{SCALE}); train longer or scale the network.")
    return integers


def delay_steps(delay: np.ndarray | None, where: str) -> np.ndarray | None:
    """Round delays down to whole steps; those above 62 are clamped, with a warning.

    Raises:
        UserError: negative, NaN or infinite delays.
    """
    if delay is None:
        return None
    delay = np.asarray(delay, np.float64).reshape(-1)
    if not np.isfinite(delay).all() or (delay < 0).any():
        raise UserError(f"{where}: delays must be finite and not negative.")
    steps = np.floor(delay)
    above = int(np.count_nonzero(steps > MAX_DELAY))
    if above:
        warnings.warn(
            f"{where}: {above} of {steps.size} delays are above {MAX_DELAY} and were clamped to it, as lava does.",
            stacklevel=2,
        )
    return np.minimum(steps, MAX_DELAY).astype(np.int32)


def vth_mantissa(threshold: float) -> int:
    """Return the threshold's mantissa `int(threshold * 64)`, as slayer's `Neuron.v_th_mant`.

    Raises:
        UserError: it would be 0, so that a neuron would send in every step, or it does not fit.
    """
    scaled = float(np.float32(threshold)) * SCALE
    if not 1 <= scaled < 1 << 18:
        raise UserError(f"threshold: {threshold} is outside [1/{SCALE}, {(1 << 18) // SCALE}).")
    return int(scaled)
