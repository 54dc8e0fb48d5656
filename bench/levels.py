"""Quality and operations of a model over input level, between and at powers of two.

    python bench/levels.py MODEL [MODEL ...] --mix results/STUDY/mix/val.csv [--halvings 0 0.5 1] [--clips 20]

MODEL is what `ndns denoise --model` takes. Every clip is scaled as floating point before the network; each row has the
mean SI-SNR improvement, the power proxy of counted events, and the largest change of a clip's proxy against the first
row.
"""

from pathlib import Path

import command_line
import numpy as np

from ndns.audio.io import RATE, read_pcm16
from ndns.demo.analysis import operations
from ndns.deploy.clips import denoise_clip
from ndns.files import read_csv
from ndns.metrics.si_snr import si_snr_improvement
from ndns.use import load


def clips_of(mix: Path, number: int) -> list[list[np.ndarray]]:
    """Return the noisy and the clean samples `(samples,)` of so many clips of a manifest, evenly spread, in [-1, 1)."""
    rows = read_csv(mix, ("noisy", "clean"))
    rows = rows[:: max(1, len(rows) // number)][:number]
    return [[read_pcm16(mix.parent / row[part]) / 32768 for part in ("noisy", "clean")] for row in rows]


def main() -> None:
    """Print a table for each model."""
    parser = command_line.parser(__doc__)
    parser.add_argument("models", nargs="+", help="as for `ndns denoise --model`")
    parser.add_argument("--mix", type=Path, required=True, help="manifest of mixtures")
    parser.add_argument("--halvings", type=float, nargs="+", default=[0, 0.25, 0.5, 0.75, 1, 2, 3], help="of the level")
    parser.add_argument("--clips", type=int, default=20, help="of the manifest, evenly spread")
    arguments = parser.parse_args()
    clips = clips_of(arguments.mix, arguments.clips)
    for name in arguments.models:
        program = load(name).program
        step_s = program.front_end.hop / RATE
        first = None
        print(f"{name}, {len(clips)} clips\n\n| level, dB | SI-SNR gain, dB | M-Ops/s | largest change of a clip |")
        print("|---:|---:|---:|---:|")
        for halvings in arguments.halvings:
            quality, proxies = [], []
            for noisy, clean in clips:
                denoised, activity = denoise_clip(program, noisy / 2**halvings, "engine", "lava-0.10")
                quality.append(si_snr_improvement(denoised, noisy, clean))
                proxies.append(operations(program, activity, step_s) / 1e6)
            first = np.array(proxies) if first is None else first
            change = np.abs(np.array(proxies) / first - 1).max()
            level = -20 * np.log10(2) * halvings + 0.0
            row = [f"{level:.1f}", f"{np.mean(quality):+.2f}", f"{np.mean(proxies):.2f}", f"{change:.1%}"]
            print(f"| {' | '.join(row)} |", flush=True)
        print()


if __name__ == "__main__":
    command_line.run(main)
