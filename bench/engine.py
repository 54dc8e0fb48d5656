"""The engine beside lava, beside the floor of the same arithmetic, and how it grows. One core, one run, ratios.

    python bench/engine.py [--plot growth.png] [--no-lava]

Network: the challenge's released one if its files are there (NDNS_SHARED_DATA, or `../shared/data` beside the
repository), else random weights of that size and sparsity. lava is timed without its start (processes, compilation).
The floor is what the same non-zero multiply-adds cost in a library (the quicker of BLAS float32 and SciPy's CSR, a
layer) plus one pass over each layer's states.
"""

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import fcntl
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import command_line
import numpy as np
import scipy.sparse

from ndns.loihi2 import engine, lava_bridge, netx
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.nodes.synapse import _column_products, _listed_products
from ndns.loihi2.program import Program

DENSE_STEPS, SPARSE_STEPS = 30, 300


def seconds(work: Callable[[], object], repeats: int = 7) -> float:
    """Return the median time of `work` after one unmeasured call."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def random_sdnn(hidden: int = 512, bins: int = 257, density: float = 0.8, seed: int = 0) -> Program:
    """Return a network of the challenge's shape whose layers stay about as active as the released one's."""
    generator = np.random.default_rng(seed)
    sizes = (bins, hidden, hidden, bins)
    nodes, names = [Delta(bins, 6)], ["input"]
    for index in range(1, 4):
        shape = (sizes[index], sizes[index - 1])
        weight = 2 * np.rint(generator.normal(0, 150 / np.sqrt(shape[1] * density), shape)).astype(int).clip(-128, 127)
        weight[generator.random(shape) > density] = 0
        nodes.append(Synapse(weight, None if index == 3 else generator.integers(0, 50, sizes[index])))
        nodes.append(Sigma(bins) if index == 3 else SigmaDelta(sizes[index], 6))
        names += [f"fc{index}", "output" if index == 3 else f"hidden{index}"]
    return Program(tuple(nodes), tuple(names))


def speech_like(bins: int, steps: int) -> np.ndarray:
    """Return integers that change in most bins at most steps, as the released network's golden input does."""
    generator = np.random.default_rng(1)
    level = np.repeat(generator.gamma(0.5, 60, steps // 16 + 1), 16)[:steps]
    return np.rint(generator.gamma(1, 1, (bins, steps)) * level * np.linspace(2, 0.05, bins)[:, None]).astype(np.int32)


def subject() -> tuple[Program, np.ndarray, str]:
    """Return program, 30 s of input `(bin, step)`, and what they are."""
    root = Path(os.environ.get("NDNS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    network, golden = root / "peer_weights/intel_sdnn/network.net", root / "golden/intel_sdnn_lava_0.10.0_30s.npz"
    if network.is_file() and golden.is_file():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = netx.read(network)
        with np.load(golden, allow_pickle=False) as arrays:
            return program, arrays["input"], "the challenge's released network, 30 s of real speech in noise"
    return random_sdnn(), speech_like(257, 3751), "random weights of the released network's size, drawn input"


def lava_seconds(program: Program, x: np.ndarray, sparse: bool, steps: int) -> tuple[float, np.ndarray]:
    """Return lava's time per step without its start, and its output `(bin, step)` over `5 + steps` steps."""
    network = lava_bridge.load(program, sparse)
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    source = Source(data=np.ascontiguousarray(x[:, : 5 + steps]))
    sink = Sink(shape=(program.shape_out,), buffer=5 + steps)
    source.s_out.connect(network.in_layer.neuron.a_in)
    network.out.connect(sink.a_in)
    try:
        network.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
        start = time.perf_counter()
        network.run(condition=RunSteps(num_steps=steps))
        return (time.perf_counter() - start) / steps, sink.data.get().astype(np.int32)
    finally:
        network.stop()


def floor_seconds(program: Program, x: np.ndarray) -> float:
    """Return the time per step of the same products in a library and one pass over the states."""
    total, states = 0.0, [node.init(1) for node in program.nodes]
    messages = np.ascontiguousarray(x.T)[None]
    for node, state in zip(program.nodes, states, strict=True):
        if isinstance(node, Synapse):
            chunks = [messages[0, at : at + engine.CHUNK] for at in range(0, messages.shape[1], engine.CHUNK)]
            wide = np.ascontiguousarray(node.weight.T, np.float32)
            floats = [chunk.astype(np.float32) for chunk in chunks]
            lists = [scipy.sparse.csr_matrix(chunk) for chunk in floats]
            blas = seconds(lambda floats=floats, wide=wide: [chunk @ wide for chunk in floats], 3)
            csr = seconds(lambda lists=lists, wide=wide: [chunk @ wide for chunk in lists], 3)
            total += min(blas, csr)
            print(f"    {node.shape_in:4} -> {node.shape_out:4}  BLAS {blas / len(messages[0]) * 1e6:6.2f} us/step  "
                  f"CSR {csr / len(messages[0]) * 1e6:6.2f} us/step")  # fmt: skip
        messages = node.run(state, messages)
        if not isinstance(node, Synapse):
            sums = np.zeros(messages.shape[2], np.int32)
            rows = messages[0]
            total += seconds(lambda rows=rows, sums=sums: [np.add(sums, row, out=sums) for row in rows], 3)
    return total / x.shape[1]


def streaming(program: Program, x: np.ndarray) -> None:
    """Print the latency of one frame: the network alone, and samples to samples."""
    stream, denoiser = engine.Stream(program), Denoiser(program)
    hops = np.random.default_rng(0).normal(0, 0.05, (x.shape[1], denoiser.frames.hop))
    frames = np.ascontiguousarray(x.T)
    for name, step, inputs in (("network", stream.step, frames), ("samples to samples", denoiser.push, hops)):
        times = []
        for one in inputs:
            start = time.perf_counter()
            step(one)
            times.append(time.perf_counter() - start)
        p50, p99, worst = np.percentile(times, [50, 99, 100]) * 1e3
        print(f"one frame, {name:18}: p50 {p50:.3f} ms, p99 {p99:.3f} ms, worst {worst:.3f} ms (a frame lasts 8 ms)")


def peak_bytes(program: Program, steps: int) -> int:
    """Return the largest memory that a stream fed in chunks holds beyond its input."""
    stream, part = engine.Stream(program), speech_like(program.shape_in, engine.CHUNK).T[None]
    stream.run(part)
    tracemalloc.start()
    for _ in range(steps // engine.CHUNK):
        stream.run(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def growth() -> dict[str, tuple[str, list[float], dict[str, list[float]]]]:
    """Print and return time per step over clip length, width, activity and weight density."""
    curves = {}
    program = random_sdnn()
    lengths = [250, 1000, 4000, 16000, 64000]
    per_step = []
    for steps in lengths:
        x = speech_like(257, steps)
        per_step.append(seconds(lambda x=x: engine.run(program, x), 3) / steps * 1e6)
    peaks = [peak_bytes(program, steps) for steps in (1024, 16384)]
    print(f"memory of a stream fed in chunks: {peaks[0] / 1e6:.2f} MB over 1024 steps, {peaks[1] / 1e6:.2f} over 16384")
    curves["clip length"] = ("steps", lengths, {"engine": per_step})
    widths, per_step = [128, 256, 512, 1024, 2048], []
    for width in widths:
        x, wide = speech_like(257, 512), random_sdnn(width)
        per_step.append(seconds(lambda x=x, wide=wide: engine.run(wide, x), 3) / 512 * 1e6)
    curves["hidden width"] = ("neurons a hidden layer", widths, {"engine": per_step})
    curves["message density"] = ("share of non-zero messages, 512 -> 512", *_products_over_activity())
    curves["weight density"] = ("share of non-zero weights, 512 -> 512, 10 % messages", *_products_over_weights())
    for name, (label, points, lines) in curves.items():
        print(f"time per step over {name} ({label}), us:")
        for line, values in lines.items():
            print(f"    {line:16}" + "  ".join(f"{x:g}: {y:.2f}" for x, y in zip(points, values, strict=True)))
    return curves


def _messages(share: float, steps: int = 64, sources: int = 512) -> np.ndarray:
    generator = np.random.default_rng(3)
    values = generator.integers(-2000, 2001, (steps, sources)) * (generator.random((steps, sources)) < share)
    return values.astype(np.int32)


def _products_over_activity() -> tuple[list[float], dict[str, list[float]]]:
    node = Synapse(np.random.default_rng(2).integers(-100, 101, (512, 512)))
    shares = [0.01, 0.03, 0.1, 0.3, 0.6, 1.0]
    lines: dict[str, list[float]] = {"events": [], "BLAS float32": []}
    for share in shares:
        rows = _messages(share)
        lines["events"].append(seconds(lambda rows=rows: _column_products(rows, node._columns)) / 64 * 1e6)
        blas = seconds(lambda rows=rows: (rows.astype(np.float32) @ node._float32).astype(np.int32))
        lines["BLAS float32"].append(blas / 64 * 1e6)
    return shares, lines


def _products_over_weights() -> tuple[list[float], dict[str, list[float]]]:
    generator = np.random.default_rng(4)
    shares, rows = [0.005, 0.01, 0.02, 0.05, 0.1, 0.3], _messages(0.1)
    lines: dict[str, list[float]] = {"whole columns": [], "listed weights": []}
    for share in shares:
        weight = generator.integers(1, 100, (512, 512)) * (generator.random((512, 512)) < share)
        node = Synapse(weight)
        source, target = np.nonzero(node._columns)
        start = np.concatenate([[0], np.cumsum(node.fan_out)])
        listed = (start, target.astype(np.int32), node._columns[source, target].astype(np.int32))
        columns = node._columns
        lines["whole columns"].append(seconds(lambda columns=columns: _column_products(rows, columns)) / 64 * 1e6)
        list_time = seconds(lambda listed=listed: _listed_products(rows, *listed, 512))
        lines["listed weights"].append(list_time / 64 * 1e6)
    return shares, lines


def plot(curves: dict, path: Path) -> None:
    """Draw the growth curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    for axis, (name, (label, points, lines)) in zip(axes.flat, curves.items(), strict=True):
        for line, values in lines.items():
            axis.loglog(points, values, "o-", label=line)
        values = [value for line in lines.values() for value in line]
        axis.set(title=f"Time per step over {name}", xlabel=label, ylabel="microseconds per step, one core")
        axis.set_ylim(10 ** np.floor(np.log10(min(values))), 10 ** np.ceil(np.log10(max(values))))
        axis.minorticks_off()
        axis.set_xticks(points, [f"{point:g}" for point in points])
        axis.yaxis.set_major_formatter("{x:g}")
        axis.grid(True, alpha=0.3)
        if len(lines) > 1:
            axis.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Measure and print."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--plot", type=Path, help="PNG file for the growth curves")
    parser.add_argument("--no-lava", action="store_true", help="leave lava out")
    arguments = parser.parse_args()
    program, x, what = subject()
    print(f"network: {what}; {x.shape[1]} steps")
    ours = seconds(lambda: engine.run(program, x)) / x.shape[1]
    expected, activity = engine.record(program, x)
    rates = activity.events_per_step.mean(axis=1) / [layer.neurons for layer in program.layers]
    print("event rates: " + ", ".join(f"{n} {r:.3f}" for n, r in zip(activity.layers, rates, strict=True)))
    print(f"engine: {1 / ours:,.0f} steps/s ({ours * 1e6:.2f} us/step), {1 / ours / 125:,.0f} x real time, one core")
    least = floor_seconds(program, x)
    print(f"floor: {least * 1e6:.2f} us/step; engine / floor = {ours / least:.2f}")
    if not arguments.no_lava:
        with open(Path(tempfile.gettempdir()) / "lava.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for name, sparse, steps in (("dense (default)", False, DENSE_STEPS), ("sparse", True, SPARSE_STEPS)):
                theirs, out = lava_seconds(program, x, sparse, steps)
                verdict = "equal" if np.array_equal(out, expected[:, : 5 + steps]) else "DIFFER"
                print(
                    f"lava {name:15}: {1 / theirs:6.1f} steps/s over {steps} steps; "
                    f"engine is {theirs / ours:,.0f} x as fast; integers {verdict}"
                )
    streaming(program, x)
    curves = growth()
    if arguments.plot:
        plot(curves, arguments.plot)


if __name__ == "__main__":
    command_line.run(main)
