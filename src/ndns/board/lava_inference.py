"""Runs a frozen network in lava (lava-nc, fixed-point models on the CPU) and compares with what was deployed.

    python lava_inference.py MODEL [--seconds 1]

MODEL is one of the folders beside this file. It needs the packages `ndns` and `lava-nc==0.10.0`. Expected are equal
integers at the network's output, and the samples of MODEL/denoised.flac.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, limit_to_pcm16, read_pcm16
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import decode_clip, encode_clip


def main(arguments: list[str] | None = None) -> int:
    """Return 0 where all integers and samples are equal, else 1."""
    from ndns.loihi2 import lava_bridge

    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=1.0, help="how much of the clip; 0 is all of it")
    parser.add_argument("--folder", type=Path, default=here, help="the entry")
    options = parser.parse_args(arguments)
    model = options.folder / options.model
    program, noisy = netx.read(model / "program.net"), read_pcm16(options.folder / "example" / "noisy.flac")
    samples = round(options.seconds * RATE) or len(noisy)
    samples = min(samples, len(noisy))
    spectra, x = encode_clip(program, noisy[:samples] / 32768)
    out = lava_bridge.run(program, x)
    frames = program.front_end.frames()
    steps = x.shape[1] if samples == len(noisy) else samples // frames.hop
    with np.load(model / "integers.npz", allow_pickle=False) as expected:
        wrong = int(np.count_nonzero(out[:, :steps] != expected["output"][:, :steps]))
        wrong += int(np.count_nonzero(x[:, :steps] != expected["input"][:, :steps]))
    print(f"{options.model}: {2 * out[:, :steps].size} integers in and out of lava, {wrong} differ from the deployed")
    made, _ = limit_to_pcm16(decode_clip(program, spectra, out, samples))
    known = samples if samples == len(noisy) else max(0, samples - frames.n_fft - program.mask_delay * frames.hop)
    deployed = read_pcm16(model / "denoised.flac")
    uneven = int(np.count_nonzero(made[:known] != deployed[:known]))
    print(f"{options.model}: {known} denoised samples, {uneven} differ from denoised.flac")
    return int(bool(wrong or uneven))


if __name__ == "__main__":
    sys.exit(main())
