"""The Loihi 2 cost model on 30 s of activity: how long it takes, and what knowing each core's work changes.

    python bench/cost.py

Network: the challenge's released one on golden integers if their files are there (NDNS_SHARED_DATA, or `../shared/data`
beside the repository), else random weights of that size and random messages at its event rates. One core.

Prints, a scenario: seconds to place the program, to count 30 s of work for each core and step, and to turn it into time
and energy (target: all three below 1 s together, CPU time), and the mean step by shares over the exact one.
"""

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import command_line
import numpy as np

from ndns.loihi2 import netx, scenarios, timing
from ndns.loihi2.cores import place, populations
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program
from ndns.loihi2.traffic import Activity, exact, messages_of, sends

STEPS = 3751
RATES = {"input": 0.401, "hidden1": 0.212, "hidden2": 0.072}
TARGET_S = 1.0


def measured(work: Callable[[], object], repeats: int = 3) -> tuple[float, object]:
    """Return the median CPU time of `work` and what it gave."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return float(np.median(times)), result


def workload() -> tuple[Program, dict[str, np.ndarray], str]:
    """Return a program, its messages in 30 s, and where they come from."""
    root = Path(os.environ.get("NDNS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    network, golden = root / "peer_weights/intel_sdnn/network.net", root / "golden/intel_sdnn_lava_0.10.0_30s.npz"
    if network.is_file() and golden.is_file():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            program = netx.read(network)
        with np.load(golden, allow_pickle=False) as file:
            return program, messages_of(program, file["input"]), "released network, golden input"
    generator = np.random.default_rng(0)
    sizes, nodes, names = (257, 512, 512, 257), [Delta(257, 6)], ["input"]
    for index, density in ((1, 0.88), (2, 0.78), (3, 0.48)):
        shape = (sizes[index], sizes[index - 1])
        weight = 2 * generator.integers(-60, 61, shape) * (generator.random(shape) < density)
        nodes += [Synapse(weight), Sigma(257) if index == 3 else SigmaDelta(512, 6)]
        names += [f"fc{index}", "output" if index == 3 else f"hidden{index}"]
    program = Program(tuple(nodes), tuple(names))
    messages = {layer.name: generator.random((STEPS, layer.neurons)) < RATES[layer.name] for layer in program.layers}
    return program, messages, "random network and messages"


def activity_of(program: Program, messages: dict[str, np.ndarray]) -> Activity:
    """Return what `activity.npz` would hold: messages a step, not who sent them."""
    layers = program.layers
    events = np.array([messages[layer.name].sum(axis=1) for layer in layers])
    synops = np.array([messages[layer.name] @ layer.synapse.fan_out for layer in layers])
    return Activity(tuple(layer.name for layer in layers), np.array([events.shape[1]]), events, synops)


def main() -> None:
    """Print the table."""
    command_line.parser(__doc__).parse_args()
    program, messages, source = workload()
    activity = activity_of(program, messages)
    network = populations(program)
    shares, events = sends(network, activity)
    print(f"{source}: {activity.events.shape[1]} steps, {activity.synops.sum(axis=0).mean():.0f} synops a step")
    print(f"{'scenario':12}{'cores':>6}{'place s':>9}{'count s':>9}{'time s':>8}{'sum s':>7}{'share/exact':>13}")
    slowest = 0.0
    for name in scenarios.names():
        scenario = scenarios.load(name)
        costs, barrier = scenario.at("value"), scenario.barrier
        placing, placement = measured(lambda c=costs, b=barrier: place(network, shares, events, c, b))
        counting, counts = measured(lambda p=placement: exact(p, messages))
        taking, steps = measured(lambda p=placement, c=counts, s=scenario: timing.run(p, [c], s))
        shared = timing.run(placement, timing.counts_by_share(placement, activity), scenario)["value"]
        total = placing + counting + taking
        slowest = max(slowest, total)
        ratio = shared.seconds.mean() / steps["value"].seconds.mean()
        cores = len(placement.cores)
        print(f"{name:12}{cores:6}{placing:9.3f}{counting:9.3f}{taking:8.3f}{total:7.3f}{ratio:13.3f}")
    verdict = "below" if slowest < TARGET_S else "ABOVE"
    print(f"slowest scenario {slowest:.2f} s for {activity.events.shape[1] * 0.008:.0f} s: {verdict} {TARGET_S:g} s")


if __name__ == "__main__":
    command_line.run(main)
