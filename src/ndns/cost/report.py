"""What a run costs: operations and proxies of the challenge, size, latency, and Loihi 2 under each scenario."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, read_pcm16
from ndns.audio.stft import decode, encode
from ndns.config import Cost
from ndns.cost.chip import loihi2
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.nodes.synapse import Synapse
from ndns.loihi2.program import Program, dense_fan_out
from ndns.loihi2.traffic import Activity
from ndns.metrics import latency, power_proxy, size


@dataclass(frozen=True)
class Clip:
    """A noisy clip and what the network made of it."""

    name: str
    noisy: Path
    denoised: Path

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Return noisy and denoised samples, float64 in [-1, 1)."""
        noisy, denoised = (read_pcm16(path) / 32768 for path in (self.noisy, self.denoised))
        return noisy, denoised


def clips_of(mix: Path, denoised: Path) -> list[Clip]:
    """Pair the clips of a mixture manifest with those of a deployment, in the mixture's order.

    Raises:
        UserError: a manifest is missing or empty, lacks a column, or a clip was not denoised.
    """
    made = {row["clip"]: denoised.parent / row["denoised"] for row in read_csv(denoised, ("clip", "denoised"))}
    rows = read_csv(mix, ("clip", "noisy"))
    if not rows:
        raise UserError(f"{mix}: holds no clips.")
    for row in rows:
        if row["clip"] not in made:
            raise UserError(f"{denoised}: the clip {row['clip']!r} of {mix} is missing; run `ndns deploy` again.")
    return [Clip(row["clip"], mix.parent / row["noisy"], made[row["clip"]]) for row in rows]


def check_clips(activity: Activity, names: Sequence[str], path: Path, mix: Path) -> None:
    """Check that an activity is of the clips of a mixture manifest, in its order.

    Raises:
        UserError: it is of others.
    """
    if activity.clips != tuple(names):
        raise UserError(
            f"{path}: holds the activity of other clips ({len(activity.clips)}) than {mix} names ({len(names)}); "
            "give that of `ndns deploy` with this manifest."
        )


def check_program(activity: Activity, program: Program, path: Path) -> None:
    """Check that each step's messages can have met as many non-zero weights as the activity says.

    Raises:
        UserError: they met fewer than the least or more than the most that the program has for so many messages.
    """
    for layer, events, synops in zip(program.layers, activity.events.astype(np.int64), activity.synops, strict=True):
        least = np.append(0, np.cumsum(np.sort(layer.synapse.fan_out)))
        if ((synops < least[events]) | (synops > least[-1] - least[len(least) - 1 - events])).any():
            raise UserError(
                f"{path}: its messages of the layer {layer.name!r} met other numbers of weights than the program has; "
                "the activity is of another program."
            )


def cost(program: Program, activity: Activity, clips: Sequence[Clip], settings: Cost) -> dict[str, object]:
    """Return the content of `cost.json`.

    Args:
        program: the integer program.
        activity: what it did on the clips.
        clips: noisy and denoised recordings, in the activity's order.
        settings: repetitions, chips, clips to run again.
    """
    frames = program.front_end.frames()
    step_s = frames.hop / RATE
    operations = operation_counts(program, activity, step_s)
    split = latency_split(program, clips, settings.encdec_repeats)
    total_s = split["total_ms"] / 1000
    return {
        **operations,
        "pdp_proxy_ops": power_proxy.pdp_proxy(operations["power_proxy_ops_s"], total_s),
        "pdp_proxy_events_ops": power_proxy.pdp_proxy(operations["power_proxy_events_ops_s"], total_s),
        **parameter_counts(program),
        "latency": split,
        "real_time_factor": real_time_factor(program, clips[0]),
        "step_s": step_s,
        "clips": len(clips),
        "steps": int(activity.steps.sum()),
        "loihi2": loihi2(program, activity, [clip.noisy for clip in clips], settings, step_s, total_s),
    }


def real_time_factor(program: Program, clip: Clip) -> float:
    """Return time to denoise a clip on the engine, on one core, over its duration: median of 3 warm runs."""
    noisy, _ = clip.read()
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        Denoiser(program).denoise(noisy)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:])) * RATE / len(noisy)


def operation_counts(program: Program, activity: Activity, step_s: float) -> dict[str, object]:
    """Return layers, operations a step, and power proxies: the challenge's and those of events counted one by one."""
    layers = program.layers
    neurons = np.array([layer.neurons for layer in layers])
    fan_out = np.array([dense_fan_out(layer.synapse) for layer in layers])
    events = activity.per_clip(activity.events.astype(np.int64)).T
    rates = power_proxy.event_rates(events, activity.steps, neurons)
    counted = power_proxy.exact_event_rates(events, activity.steps, neurons)
    synops = power_proxy.synops_per_step(rates, neurons, fan_out)
    synops_events = float(activity.synops.sum(dtype=np.int64) / activity.steps.sum())
    neuron_ops = int(neurons.sum())
    return {
        "layers": [
            {
                "name": layer.name,
                "neurons": layer.neurons,
                "fan_out": int(fan_out[index]),
                "fan_out_nonzero": float(np.mean(layer.synapse.fan_out)),
                "event_rate": float(rates[index]),
                "event_rate_events": float(counted[index]),
                "synops_per_step_events": float(activity.synops[index].mean()),
            }
            for index, layer in enumerate(layers)
        ],
        "neuron_ops_per_step": neuron_ops,
        "elementwise_ops_per_step": sum(getattr(node, "elementwise_ops", 0) for node in program.nodes),
        "synops_per_step": synops,
        "synops_per_step_events": synops_events,
        "power_proxy_ops_s": power_proxy.power_proxy(synops, neuron_ops, step_s),
        "power_proxy_events_ops_s": power_proxy.power_proxy(synops_events, neuron_ops, step_s),
    }


def parameter_counts(program: Program) -> dict[str, object]:
    """Return parameters and size.

    `parameters` counts weights, as the published 525 k of the challenge's network does; delays stand beside it.
    `size_kb` is the challenge's size (no sign bit, delays included), `size_kb_signed` what storage needs,
    `deployed_bytes` what storage needs if matrices with many zeros are stored as values and indices.
    """
    weights = [array for node in program.nodes for array in weights_of(node)]
    delays = [node.delay for node in program.nodes if isinstance(node, Synapse) and node.delay.any()]
    return {
        "parameters": sum(array.size for array in weights),
        "parameters_nonzero": sum(int(np.count_nonzero(array)) for array in weights),
        "parameters_delays": sum(array.size for array in delays),
        "size_kb": size.size_kb([*weights, *delays]),
        "size_kb_signed": size.size_kb([*weights, *delays], signed=True),
        "deployed_bytes": sum(size.stored_bytes(array) for array in [*weights, *delays]),
    }


def weights_of(node: object) -> list[np.ndarray]:
    """Return the integer arrays of a node that were learned, delays aside, also those of nodes inside of it."""
    found = []
    for name in getattr(node, "__dataclass_fields__", {}):
        value = getattr(node, name)
        if hasattr(value, "__dataclass_fields__"):
            found += weights_of(value)
        elif isinstance(value, np.ndarray) and (name == "weight" or (name != "delay" and value.any())):
            found.append(value)
    return found


def latency_split(program: Program, clips: Sequence[Clip], repeats: int) -> dict[str, float]:
    """Return the challenge's latency in ms: `buffer_ms`, `encdec_ms`, `network_ms`, `total_ms`; and `pipeline_ms`.

    `network_ms` is the lag of the denoised clips as written, from which `ndns deploy` has removed what the stream lags.
    `pipeline_ms` is the part of that which the network causes: frames by which |STFT| waits for its mask, 0 or
    more; the challenge counts the first alone, which is negative where a phase runs ahead.
    """
    frames = program.front_end.frames()
    noisy, _ = clips[0].read()
    encdec_s = latency.encdec_s(lambda x: decode(encode(x, frames), len(x), frames), noisy, frames.hop, repeats)
    buffer_s = latency.buffer_s(frames.n_fft, RATE)
    network_s = latency.network_s((clip.read() for clip in clips), RATE) or 0.0
    return {
        "buffer_ms": 1000 * buffer_s,
        "encdec_ms": 1000 * encdec_s,
        "network_ms": 1000 * network_s,
        "total_ms": 1000 * (buffer_s + encdec_s + network_s),
        "pipeline_ms": 1000 * program.mask_delay * frames.hop / RATE,
    }
