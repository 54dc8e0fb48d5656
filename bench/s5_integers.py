"""Speed of a sparse S5 program on one core: whole clips against real time, and the latency of a streaming step.

    python bench/s5_integers.py program.net [--seconds 30]

Beside the time by the clock stands the processor's, which other programs on the machine change less.
"""

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import time
from pathlib import Path

import command_line
import numpy as np

from ndns.loihi2 import engine, netx


def main() -> None:
    """Feed noise-like magnitudes and print the figures."""
    parser = command_line.parser(__doc__)
    parser.add_argument("program", type=Path, help="program .net of a sparse S5")
    parser.add_argument("--seconds", type=float, default=30.0, help="of audio")
    arguments = parser.parse_args()
    program = netx.read(arguments.program)
    steps = round(arguments.seconds * 16_000 / program.front_end.hop)
    x = program.encode(np.random.default_rng(1).gamma(0.5, 2.0, (program.shape_in, steps)))
    engine.run(program, x[:, :200])
    start = clocks()
    engine.run(program, x)
    by_clock, of_processor = arguments.seconds / (clocks() - start)
    print(f"whole clip: {by_clock:.0f} x real time by the clock, {of_processor:.0f} x by processor time")
    stream, times = engine.Stream(program), []
    for frame in x.T:
        start = clocks()
        stream.step(frame)
        times.append(clocks() - start)
    for kind, milliseconds in zip(("by the clock", "of the processor"), 1000 * np.transpose(times[100:]), strict=True):
        p50, p99 = np.percentile(milliseconds, [50, 99])
        print(f"streaming step, time {kind}: median {p50:.3f} ms, p99 {p99:.3f} ms")


def clocks() -> np.ndarray:
    """Return seconds by the clock and of this process on the processor."""
    return np.array([time.perf_counter(), time.process_time()])


if __name__ == "__main__":
    command_line.run(main)
