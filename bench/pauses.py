"""Quality and overflows of a model after a pause: speech in noise that follows a quiet room or digital silence.

    python bench/pauses.py MODEL [MODEL ...] --mix results/STUDY/mix/val.csv [--clips 20] [--pause 10] [--dbfs -75 -60]

MODEL is what `ndns denoise --model` takes. Each row has the mean SI-SNR improvement, and the smallest, over the first
seconds of the clips, heard after no pause, one of digital silence, and ones of white noise at a level.
Overflows are states and messages that did not fit their width, in all clips.
"""

from pathlib import Path

import command_line
import numpy as np
from levels import clips_of

from ndns.audio.io import RATE
from ndns.deploy.clips import denoise_clip
from ndns.metrics.si_snr import si_snr_improvement
from ndns.use import load

SECONDS = 6
"""Of each clip that are heard and scored."""


def main() -> None:
    """Print a table for each model."""
    parser = command_line.parser(__doc__)
    parser.add_argument("models", nargs="+", help="as for `ndns denoise --model`")
    parser.add_argument("--mix", type=Path, required=True, help="manifest of mixtures")
    parser.add_argument("--clips", type=int, default=20, help="of the manifest, evenly spread")
    parser.add_argument("--pause", type=float, default=10, help="before each clip, s")
    parser.add_argument("--dbfs", type=float, nargs="+", default=[-75, -70, -60, -50], help="of the noise in the pause")
    arguments = parser.parse_args()
    clips = [[part[: SECONDS * RATE] for part in clip] for clip in clips_of(arguments.mix, arguments.clips)]
    white = np.random.default_rng(0).standard_normal(round(arguments.pause * RATE))
    pauses = {"none": white[:0], "digital silence": 0 * white}
    pauses |= {f"{level:g} dBFS": white * 10 ** (level / 20) for level in arguments.dbfs}
    for name in arguments.models:
        program = load(name).program
        print(f"{name}, {len(clips)} clips\n\n| pause | SI-SNR gain, dB | least | overflows |\n|---|---:|---:|---:|")
        for title, pause in pauses.items():
            gains, overflows = [], 0
            for noisy, clean in clips:
                denoised, activity = denoise_clip(program, np.concatenate([pause, noisy]), "engine", "lava-0.10")
                gains.append(si_snr_improvement(denoised[len(pause) :], noisy, clean))
                overflows += int(activity.overflow.sum())
            print(f"| {title} | {np.mean(gains):+.2f} | {np.min(gains):+.2f} | {overflows} |", flush=True)
        print()


if __name__ == "__main__":
    command_line.run(main)
