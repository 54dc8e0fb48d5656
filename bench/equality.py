"""Compare every node with lava on random programs and print the table of docs/nodes.md.

    python bench/equality.py [--programs 40] [--steps 200] [--seed 0]

`live`: lava's runtime ran the program. `driven`: lava's own ProcessModel, stepped without the runtime (ten times as
many programs); its states are compared after each step as well. Exits with 1 if any integer differs.
"""

import sys
import time
import warnings

import command_line
import numpy as np

from ndns.loihi2.equality import OWN_MODELS, PROGRAMS, compare, live

LAVA_CLASS = {
    "cuba": "lif.LIF", "cuba_reset": "lif.LIFReset", "cuba_ternary": "lif.TernaryLIF",
    "cuba_refractory": "lif.LIFRefractory (float)", "cuba_recurrent": "lif.LIF + dense.Dense", "rf": "rf.RF",
    "rf_izhikevich": "rf_iz.RF_IZ", "rf_zero": "resfire.RFZero", "graded": "graded.GradedVec",
    "graded_relu": "graded.GradedReluVec", "norm_vec_delay": "graded.NormVecDelay",
    "inverse_square_root": "graded.InvSqrt", "product": "prodneuron.ProdNeuron", "delta": "sdn.Delta",
    "sigma_delta": "sdn.SigmaDelta", "sigma": "sdn.Sigma", "dense": "dense.Dense", "dense_delayed": "dense.DelayDense",
    "sparse": "sparse.Sparse", "sparse_delayed": "sparse.DelaySparse",
}  # fmt: skip
PER_RUN = 20


def draw(kind: str, number: int, steps: int, seed: int):
    """Return the number-th random program of a kind."""
    return PROGRAMS[kind](np.random.default_rng([seed, number]), steps)


def compare_live(kind: str, programs: int, steps: int, seed: int) -> tuple[int, int]:
    """Return values compared with lava's runtime and how many differ."""
    counts = np.zeros(2, int)
    for first in range(0, programs, PER_RUN):
        pairs = [draw(kind, number, steps, seed) for number in range(first, min(first + PER_RUN, programs))]
        for pair, answer in zip(pairs, live(pairs), strict=True):
            counts += compare(pair.ours(), answer)
    return tuple(counts.tolist())


def compare_driven(kind: str, programs: int, steps: int, seed: int) -> tuple[int, int, int]:
    """Return programs, values compared with lava's stepped ProcessModels and how many differ."""
    pairs = [draw(kind, number, steps, seed + 1) for number in range(programs)]
    pairs = [pair for pair in pairs if pair.drives]
    counts = np.array([compare(pair.ours(), pair.driven()) for pair in pairs]).reshape(-1, 2).sum(axis=0).astype(int)
    return len(pairs), *counts.tolist()


def main() -> int:
    """Print the table; return 1 if any integer differs."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--programs", type=int, default=40, help="live programs of each kind")
    parser.add_argument("--steps", type=int, default=200, help="of each program")
    parser.add_argument("--seed", type=int, default=0, help="of the programs")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Changing the sparsity structure")
    different, started = 0, time.monotonic()
    print("| program | node | lava | live programs | live values | driven programs | driven values | mismatches |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in PROGRAMS:
        values, wrong = compare_live(kind, options.programs, options.steps, options.seed)
        programs, driven_values, driven_wrong = compare_driven(
            kind, options.programs * (1 if kind == "sparse_delayed" else 10), options.steps, options.seed
        )
        node = type(draw(kind, 0, 2, 0).node).__name__
        name = "own ProcessModel" if kind in OWN_MODELS else f"`{LAVA_CLASS[kind]}`"
        print(
            f"| {kind} | `{node}` | {name} | {options.programs} | {values} | {programs} | {driven_values} |"
            f" {wrong + driven_wrong} |",
            flush=True,
        )
        different += wrong + driven_wrong
    print(f"\n{options.steps} steps a program, {time.monotonic() - started:.0f} s.", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    command_line.run(main)
