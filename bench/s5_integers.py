"""Speed of a sparse S5 program on one core: whole clips against real time, and the latency of a streaming step.

python bench/s5_integers.py program.net [--seconds 30]
"""

import argparse
import time
from pathlib import Path

import numpy as np

from ndns.loihi2 import engine, netx


def main() -> None:
    """Feed noise-like magnitudes and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    program = netx.read(arguments.program)
    steps = round(arguments.seconds * 16_000 / program.front_end.hop)
    x = program.encode(np.random.default_rng(1).gamma(0.5, 2.0, (program.shape_in, steps)))
    engine.run(program, x[:, :200])
    start = time.perf_counter()
    engine.run(program, x)
    print(f"whole clip: {arguments.seconds / (time.perf_counter() - start):.0f} x real time")
    stream, times = engine.Stream(program), []
    for frame in x.T:
        start = time.perf_counter()
        stream.step(frame)
        times.append(time.perf_counter() - start)
    p50, p99 = np.percentile(np.array(times[100:]) * 1000, [50, 99])
    print(f"streaming step: median {p50:.3f} ms, p99 {p99:.3f} ms")


if __name__ == "__main__":
    main()
