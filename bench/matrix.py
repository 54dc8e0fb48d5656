"""When following messages one by one beats a dense product in `ndns.loihi2.nodes.matrix`: one core, one run, ratios.

    python bench/matrix.py

Prints processor time of the events over that of BLAS, by size, share of non-zero weights and share of non-zero
messages; then, of all of them, the share of non-zero products at which the two cost the same (`EVENTS_BELOW`); and
the time of the events by a list of the non-zero weights over that by whole columns (`WHOLE_ABOVE`).
"""

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import time
from collections.abc import Callable

import command_line
import numpy as np

from ndns.loihi2.nodes import matrix as matrices
from ndns.loihi2.nodes.matrix import Matrix

SIZES = ((192, 257), (192, 192), (512, 512))
WEIGHTS, MESSAGES = (0.05, 0.1, 0.2, 0.4, 1.0), (0.1, 0.3, 0.6, 1.0)
STEPS, REPEATS = 250, 5


def seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of some calls after one that is not counted."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def ratios(rows: int, columns: int, generator: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return (share of weights, share of messages, time of events over that of BLAS)."""
    found = []
    for kept in WEIGHTS:
        weight = generator.integers(1, 128, (rows, columns)) * (generator.random((rows, columns)) < kept)
        matrix = Matrix(weight)
        for sent in MESSAGES:
            values = generator.integers(1, 30_000, (1, STEPS, columns)) * (generator.random((1, STEPS, columns)) < sent)
            values = values.astype(np.int32)
            assert (matrix.by_events(values) == matrix.by_blas(values)).all()
            by_blas = seconds(lambda matrix=matrix, values=values: matrix.by_blas(values))
            found.append((kept, sent, seconds(lambda matrix=matrix, values=values: matrix.by_events(values)) / by_blas))
    return found


def list_over_whole(rows: int, columns: int, kept: float, generator: np.random.Generator) -> float:
    """Return the time of the events by a list of the weights over that by whole columns, every message sent."""
    weight = generator.integers(1, 128, (rows, columns)) * (generator.random((rows, columns)) < kept)
    values = generator.integers(1, 30_000, (1, STEPS, columns)).astype(np.int32)
    times = []
    for above in (2.0, 0.0):
        matrices.WHOLE_ABOVE = above
        matrix = Matrix(weight)
        times.append(seconds(lambda matrix=matrix: matrix.by_events(values)))
    return times[0] / times[1]


def main() -> None:
    """Print the table and the crossover."""
    command_line.parser(__doc__).parse_args()
    generator, points = np.random.default_rng(1), []
    for rows, columns in SIZES:
        print(f"{rows} x {columns}: weights down, messages across")
        found = ratios(rows, columns, generator)
        print("       " + "".join(f"{sent:8.0%}" for sent in MESSAGES))
        for kept in WEIGHTS:
            print(f"{kept:6.0%} " + "".join(f"{ratio:8.2f}" for k, _, ratio in found if k == kept))
        points += [(kept * sent, ratio) for kept, sent, ratio in found]
    share, ratio = np.log(np.array(points)).T
    slope, offset = np.polyfit(share, ratio, 1)
    print(f"equal at {np.exp(-offset / slope):.1%} of the products not zero")
    kinds = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
    print("list over whole columns, by share of weights" + "".join(f"{kept:6.0%}" for kept in kinds))
    for rows, columns in SIZES:
        found = [list_over_whole(rows, columns, kept, generator) for kept in kinds]
        print(f"{rows:33} x {columns:8}" + "".join(f"{ratio:6.2f}" for ratio in found))


if __name__ == "__main__":
    command_line.run(main)
