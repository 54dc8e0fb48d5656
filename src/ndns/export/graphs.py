"""Float networks as ONNX files: one step with its states in and out, or a whole clip that repeats the step.

    part   step                                     clip
    whole  hop (hop,), states -> denoised (hop,)    samples (n,) -> denoised (n,), aligned
    mask   magnitude (bin,), states -> mask (bin,)  magnitude (frame, bin) -> mask (frame, bin)

`mask` is the network by itself, for a front end of one's own: |STFT| of a frame in, the mask of that frame (of an
earlier one where the network waits, see `delay_frames` in the metadata) out. `whole` brings the causal Fourier
transform of `ndns.audio.stft` as two matrix products. Everything is float32 but the SDNN's sums, which are float64 as
in training. States start from zeros; an output `<state>_next` is the next step's input `<state>`.
"""

import json
from typing import Literal

import numpy as np
import onnx
import torch
from onnx import helper

from ndns.audio.io import RATE
from ndns.audio.stft import Frames
from ndns.export.builder import Builder, State, finished, value_info
from ndns.export.networks import mask, network

Part = Literal["whole", "mask"]
Form = Literal["step", "clip"]


def exported(model: torch.nn.Module, part: Part = "whole", form: Form = "step") -> onnx.ModelProto:
    """Return a float network as a checked ONNX model.

    Its metadata `ndns` is JSON: `rate`, `n_fft`, `hop`, `window`, `delay_frames` (frames by which a mask is late),
    `delay_samples` (by which a stream of hops lags; 0 for a clip), `network` (its settings).

    Raises:
        UserError: no ONNX form of this network is written.
    """
    frames = model.front_end.frames()
    late = max(_waiting(model) - 1, 0)
    builder = Builder()
    names = ("hop", "denoised") if part == "whole" else ("magnitude", "mask")
    given, taken = names if form == "step" else ("row", "row_out")
    if part == "whole":
        _whole(builder, model, given, taken, late)
    else:
        builder.nodes.append(helper.make_node("Identity", [_mask(builder, model, given)], [taken]))
    graph = _step(builder, given, taken, frames.hop if part == "whole" else frames.bins)
    lag = frames.overlap + late * frames.hop if part == "whole" else 0
    if form == "clip":
        graph = (
            _clip_of_samples(graph, builder.states, lag) if part == "whole" else _clip_of_frames(graph, builder.states)
        )
    about = {"rate": RATE, "n_fft": frames.n_fft, "hop": frames.hop, "window": frames.window, "delay_frames": late}
    about |= {"delay_samples": lag if form == "step" else 0, "network": model.settings.model_dump(mode="json")}
    return finished(graph, {"ndns": json.dumps(about)})


def _waiting(model: torch.nn.Module) -> int:
    """Frames by which |STFT| waits for its mask in integers; their synapses take one of them, which floats do not."""
    return getattr(model.settings, "mask_delay", 1)


def _mask(b: Builder, model: torch.nn.Module, magnitude: str) -> str:
    """The mask; a network that does not wait for it (`mask_delay` 0) uses the one of the frame before."""
    raw = network(b, model, magnitude)
    if _waiting(model) == 0:
        before = b.state("output_before", (model.front_end.frames().bins,))
        b.keep(before, raw)
        raw = before
    return mask(b, model, raw)


def _whole(b: Builder, model: torch.nn.Module, given: str, taken: str, late: int) -> None:
    frames = model.front_end.frames()
    past = b.state("past", (frames.overlap,))
    frame = b.op("Concat", past, given, axis=0)
    b.keep(past, b.slice(frame, frames.hop, frames.n_fft))
    analysis, synthesis = _transforms(frames)
    spectrum = [b.product(frame, matrix) for matrix in analysis]
    power = b.add(*(b.multiply(part, part) for part in spectrum))
    mask = _mask(b, model, b.op("Sqrt", power))
    rows = []
    for part, name, matrix in zip(spectrum, ("re", "im"), synthesis, strict=True):
        held = _held(b, part, f"held_{name}", late, frames.bins)
        rows.append(b.product(b.multiply(held, mask), matrix))
    tail = b.state("tail", (frames.overlap,))
    padded = b.op("Concat", tail, b.constant(np.zeros(frames.hop)), axis=0)
    total = b.add(padded, b.add(*rows))
    b.keep(tail, b.slice(total, frames.hop, frames.n_fft))
    b.nodes.append(helper.make_node("Identity", [b.slice(total, 0, frames.hop)], [taken]))


def _held(b: Builder, value: str, name: str, late: int, width: int) -> str:
    """Value of `late` frames ago."""
    if late == 0:
        return value
    queue = b.state(name, (late, width))
    row = b.op("Unsqueeze", value, b.constant([0], np.int64))
    b.keep(queue, b.op("Concat", b.slice(queue, 1, late), row, axis=0) if late > 1 else row)
    return b.op("Squeeze", b.slice(queue, 0, 1), b.constant([0], np.int64))


def _transforms(frames: Frames) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return matrices of the windowed transform `(bin, n_fft)` and of its inverse `(n_fft, bin)`, re and im each."""
    angle = 2 * np.pi * np.outer(np.arange(frames.bins), np.arange(frames.n_fft)) / frames.n_fft
    analysis = [np.cos(angle) * frames.taper(), -np.sin(angle) * frames.taper()]
    weight = np.full(frames.bins, 2 / frames.n_fft)
    weight[[0, -1]] /= 2
    taper = frames.taper()[:, None] / frames.gain()
    return analysis, [np.cos(angle).T * weight * taper, -np.sin(angle).T * weight * taper]


def _step(b: Builder, given: str, taken: str, width: int) -> onnx.GraphProto:
    inputs = [value_info(state.before, state.dtype, state.shape) for state in b.states]
    outputs = [value_info(state.after, state.dtype, state.shape) for state in b.states]
    inputs.append(value_info(given, np.float32, (width,)))
    outputs.append(value_info(taken, np.float32, (width,)))
    return helper.make_graph(b.nodes, "step", inputs, outputs, b.constants)


def _clip_of_frames(step: onnx.GraphProto, states: list[State]) -> onnx.GraphProto:
    """Repeat a step over the rows of `magnitude`, from zero states."""
    b = Builder(prefix="clip_")
    _repeat(b, step, states, "magnitude", "mask")
    shape = ("frame", step.input[-1].type.tensor_type.shape.dim[0].dim_value)
    ends = [value_info(name, np.float32, shape) for name in ("magnitude", "mask")]
    return helper.make_graph(b.nodes, "clip", ends[:1], ends[1:], b.constants)


def _clip_of_samples(step: onnx.GraphProto, states: list[State], lag: int) -> onnx.GraphProto:
    """Repeat a step over the hops of `samples`, padded by the lag, which is cut off in front."""
    b = Builder(prefix="clip_")
    hop = step.input[-1].type.tensor_type.shape.dim[0].dim_value
    _repeat(b, step, states, _hops(b, "samples", hop, lag), "clip_rows")
    flat = b.op("Reshape", "clip_rows", b.constant([-1], np.int64))
    late = b.constant([lag], np.int64)
    b.nodes.append(helper.make_node("Slice", [flat, late, b.add(b.op("Shape", "samples"), late)], ["denoised"]))
    ends = [value_info(name, np.float32, ("sample",)) for name in ("samples", "denoised")]
    return helper.make_graph(b.nodes, "clip", ends[:1], ends[1:], b.constants)


def _repeat(b: Builder, step: onnx.GraphProto, states: list[State], rows: str, out: str) -> None:
    zeros = [b.constant(np.zeros(state.shape), state.dtype) for state in states]
    results = [*(f"clip_{state.after}" for state in states), out]
    b.nodes.append(helper.make_node("Scan", [*zeros, rows], results, name="scan", body=step, num_scan_inputs=1))


def _hops(b: Builder, samples: str, hop: int, lag: int) -> str:
    """Pad samples by the lag and to whole hops; return them as `(frame, hop)`."""
    size, step = b.op("Shape", samples), b.constant([hop], np.int64)
    total = b.add(size, b.constant([lag], np.int64))
    missing = b.op("Mod", b.op("Sub", step, b.op("Mod", total, step)), step)
    zero = b.constant([0], np.int64)
    pads = b.op("Concat", zero, b.add(missing, b.constant([lag], np.int64)), axis=0)
    return b.op("Reshape", b.op("Pad", samples, pads), b.constant([-1, hop], np.int64))
