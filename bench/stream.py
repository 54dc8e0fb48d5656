"""One frame of a stream, from samples in to samples out, on one core: median and p99 beside a floor.

    python bench/stream.py [MODEL ...] [--frames 2000]

MODEL is what `ndns denoise --model` takes; none: random weights of the challenge's size and of the default S5. Each
frame is pushed through `ndns.load(MODEL).stream()`, as `ndns denoise --stream` does. The floor is the same frame in
the front end alone (Fourier transform, mask of ones, inverse), pushed in between, so that both meet the same machine:
what its slowest frames take is the machine's doing. The target is a p99 below 0.5 ms; a frame comes every
8 ms (hop 128) or 16 ms (hop 256).
"""

import os

os.environ.update({name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")})

import time

import command_line
import numpy as np

from ndns.audio.stft import Decoder, Encoder, magnitude
from ndns.config import S5
from ndns.loihi2.program import Program
from ndns.use import Model, load

TARGET_MS = 0.5
WARM_UP = 50


def random_models() -> list[Model]:
    """Return networks with random weights: what they say is noise, what they compute is of the true size."""
    import torch
    from engine import random_sdnn

    from ndns import models
    from ndns.quantize.s5 import program_of

    found = [Model(random_sdnn(), "random SDNN, 257-512-512-257")]
    for width in (0.5, 1.0):
        network = models.build(S5(kind="s5", width=width), seed=1)
        with torch.no_grad():
            network(0.1 * torch.randn(1, 32_000))  # one look at noise, for the ranges of its activations
        found.append(Model(program_of(network.eval()), f"random S5, width {width}"))
    return found


class Floor:
    """The front end of a program without its network."""

    def __init__(self, program: Program) -> None:
        frames = program.front_end.frames()
        self._encoder, self._decoder = Encoder(frames), Decoder(frames)

    def push(self, samples: np.ndarray) -> np.ndarray:
        spectra = self._encoder.push(samples)
        return self._decoder.push(np.ones_like(magnitude(spectra)) * spectra)


def frame_ms(model: Model, frames: int) -> np.ndarray:
    """Return the time of each frame in ms, `(2, frame)`: network, floor."""
    hop = model.program.front_end.hop
    sound = np.random.default_rng(0).standard_normal((frames + WARM_UP, hop)) * 0.05
    sound *= np.sin(np.arange(len(sound)) / 50)[:, None] ** 2
    ways = (model.stream(), Floor(model.program))
    times = np.empty((2, len(sound)))
    for index, block in enumerate(sound):
        for way, running in enumerate(ways):
            start = time.perf_counter()
            running.push(block)
            times[way, index] = time.perf_counter() - start
    return 1000 * times[:, WARM_UP:]


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("model", nargs="*", help="as for `ndns denoise --model`; none: random weights")
    parser.add_argument("--frames", type=int, default=2000, help="of each network")
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    models = [load(name) for name in options.model] or random_models()
    print(f"{options.frames} frames each, one core; ms a frame; target: p99 below {TARGET_MS} ms")
    print(f"{'network':36} {'p50':>7} {'p99':>7} {'floor p50':>10} {'floor p99':>10} {'p50 ratio':>10}")
    for model in models:
        network, floor = (np.quantile(times, [0.5, 0.99]) for times in frame_ms(model, options.frames))
        verdict = "" if network[1] < TARGET_MS else "  above the target"
        print(
            f"{model.name[-36:]:36} {network[0]:7.3f} {network[1]:7.3f} {floor[0]:10.3f} {floor[1]:10.3f} "
            f"{network[0] / floor[0]:10.1f}{verdict}"
        )


if __name__ == "__main__":
    command_line.run(main)
