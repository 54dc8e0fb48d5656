"""What each numeric mode changes: values, SI-SNR and event rates of one program on the clips of a mixture.

python bench/modes.py PROGRAM.net results/mini/mix/val.csv [--clips 60]
"""

from pathlib import Path

import command_line
import numpy as np

from ndns.audio.io import read_pcm16
from ndns.files import read_csv
from ndns.loihi2 import engine, netx
from ndns.loihi2.denoiser import decode_clip, encode_clip
from ndns.loihi2.nodes.base import MODES
from ndns.metrics.si_snr import si_snr


def main() -> None:
    """Run every clip in every mode and print one row a mode."""
    parser = command_line.parser(__doc__)
    parser.add_argument("program", type=Path, help="program .net")
    parser.add_argument("mix", type=Path, help="manifest of mixtures, results/<study>/mix/val.csv")
    parser.add_argument("--clips", type=int, default=60, help="the first of the manifest")
    arguments = parser.parse_args()
    program = netx.read_aloud(arguments.program)
    rows = read_csv(arguments.mix, ("noisy", "clean"))[: arguments.clips]
    gains = {name: [] for name in MODES}
    changed, overflow = dict.fromkeys(MODES, 0.0), dict.fromkeys(MODES, 0)
    events = {name: np.zeros(len(program.layers)) for name in MODES}
    steps = 0
    for row in rows:
        noisy, clean = (read_pcm16(arguments.mix.parent / row[key]) / 32768 for key in ("noisy", "clean"))
        spectra, x = encode_clip(program, noisy)
        reference, steps = None, steps + x.shape[1]
        for name, mode in MODES.items():
            y, activity = engine.record(program, x, mode)
            reference = y if reference is None else reference
            changed[name] += np.mean(y != reference) / len(rows)
            gains[name].append(si_snr(decode_clip(program, spectra, y, len(noisy)), clean) - si_snr(noisy, clean))
            events[name] += activity.events_per_step.sum(axis=1)
            overflow[name] += int(activity.overflow.sum())
    layers = " ".join(f"{layer.name:>9}" for layer in program.layers)
    print(f"{len(rows)} clips, {steps} steps\n{'mode':16} {'SI-SNRi dB':>10} {'changed':>9} {layers}  overflows")
    for name in MODES:
        rates = events[name] / steps / [layer.neurons for layer in program.layers]
        shown = " ".join(f"{rate:9.4f}" for rate in rates)
        print(f"{name:16} {np.mean(gains[name]):10.2f} {changed[name]:9.1%} {shown}  {overflow[name]}")


if __name__ == "__main__":
    command_line.run(main)
