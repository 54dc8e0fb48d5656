"""NeuroBench's figures of a released sigma-delta network beside ours, and why they differ.

python bench/neurobench_compare.py network.pt results/STUDY/mix/val.csv
"""

from pathlib import Path

import command_line
import torch

from ndns.models.slayer import load_slayer
from ndns.neurobench import benchmark, own_counts

ROWS = (
    ("ParameterCount", "parameters", "equal: weights; delays are no parameters of the hooked layers"),
    ("Footprint", "size_bytes_8_bit", "x 4: the harness sees float32, the chip stores 8 bits"),
    ("ConnectionSparsity", "weights_zero", "equal to the 4 digits that the harness keeps"),
    ("ActivationSparsity", "silent_share", "mean of clips against pooled: equal for clips of one length"),
    ("Effective_MACs", "synops_a_clip", "equal up to its float32 sums; graded messages count as MACs, not ACs"),
    ("Effective_MACs", "synops_a_clip_dense_fan_out", "the challenge counts weights that are zero too"),
    ("Dense", "dense_a_clip", "equal up to its float32 sums: every weight in every frame"),
)


def main() -> None:
    """Print one line a figure."""
    parser = command_line.parser(__doc__)
    parser.add_argument("network", type=Path, help="slayer state dict .pt")
    parser.add_argument("mix", type=Path, help="manifest of mixtures, results/<study>/mix/val.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, manifest = load_slayer(arguments.network), arguments.mix
    theirs, ours = benchmark(model, manifest), own_counts(model, manifest)
    theirs = {**theirs, **theirs["SynapticOperations"]}
    print(f"SI-SNR {theirs['SiSnr']:.3f} dB, improvement {theirs['SiSnrImprovement']:.3f} dB")
    for their, our, why in ROWS:
        print(f"{their:20} {theirs[their]:16.6g}  {our:28} {ours[our]:16.6g}  {why}")


if __name__ == "__main__":
    command_line.run(main)
