"""Training step of the SDNN (forward and backward): `ndns.models` beside lava-dl slayer, in one run.

    python bench/train.py [--batch 4] [--seconds 30] [--threads 2] [--repeats 5]

slayer's side follows the challenge's `train_sdnn.py`; both start from the same weights and hear the same clips, and
take turns. Each side has a process of its own: ours is set up as `ndns train` sets up its process (freed memory is
kept; OpenMP waits passively beyond 2 threads), slayer's as Python starts. `--alike` sets up slayer's process like ours.
Prints the median step of each, the losses and the ratio.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import command_line
import torch

from ndns.config import Sdnn
from ndns.metrics.si_snr import si_snr
from ndns.models import build
from ndns.processes import WAITING, keep_freed_memory, wait_for_products

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))


def our_step(noisy: torch.Tensor, clean: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return the step of `ndns.models`; it gives the loss after backward."""
    network = build(Sdnn())

    def step() -> torch.Tensor:
        network.zero_grad()
        loss = network.loss(network(noisy), clean)
        loss.backward()
        return loss

    return step


def slayer_step(noisy: torch.Tensor, clean: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return the step of the challenge's training loop with slayer's blocks."""
    from slayer_network import SlayerNetwork

    network = SlayerNetwork(build(Sdnn()))
    n_fft, window = 512, torch.ones(512)

    def step() -> torch.Tensor:
        network.zero_grad()
        with torch.no_grad():
            spectra = [torch.stft(x, n_fft, window=window, onesided=True, return_complex=True) for x in (noisy, clean)]
            (magnitude, target), phase = [x.abs() for x in spectra], spectra[0].angle()
        denoised = magnitude * torch.relu(network(magnitude) + 1)
        mixed = torch.complex(denoised * torch.cos(phase), denoised * torch.sin(phase))
        score = si_snr(torch.istft(mixed, n_fft, window=window, onesided=True, length=noisy.shape[-1]), clean)
        loss = 0.001 * torch.nn.functional.mse_loss(denoised, target) + (100 - score.mean())
        loss.backward()
        return loss

    return step


def serve(side: str, tuned: bool, options: argparse.Namespace, pipe: Connection) -> None:
    """Time one step whenever the other end asks: seconds, CPU seconds over all threads, loss."""
    if tuned:
        keep_freed_memory()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, options.batch, round(options.seconds * 16000), generator=generator) * 0.05
    step = {"ndns": our_step, "slayer": slayer_step}[side](clean + 0.5 * noise, clean)
    step()
    while pipe.recv():
        start, used = time.perf_counter(), time.process_time()
        loss = step()
        pipe.send((time.perf_counter() - start, time.process_time() - used, loss.item()))


def main() -> None:
    """Measure and print."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--batch", type=int, default=4, help="clips a step")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a clip")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--repeats", type=int, default=5, help="of which the median counts")
    parser.add_argument("--alike", action="store_true", help="set up slayer's process like ours")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    runs: dict[str, list[tuple[float, float, float]]] = {"ndns": [], "slayer": []}
    pipes = {}
    for side in runs:
        tuned = side == "ndns" or options.alike
        os.environ.pop(WAITING, None)
        if tuned:
            wait_for_products(options.threads)
        pipes[side], other = context.Pipe()
        context.Process(target=serve, args=(side, tuned, options, other), daemon=True).start()
    for _ in range(options.repeats):
        for side, pipe in pipes.items():
            pipe.send(True)
            runs[side].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    print(f"batch {options.batch} x {options.seconds:g} s, {options.threads} threads, median of {options.repeats}")
    medians = {}
    for side, measured in runs.items():
        seconds, used, losses = zip(*measured, strict=True)
        medians[side] = statistics.median(seconds), statistics.median(used)
        spread = f"({min(seconds):.3f} to {max(seconds):.3f})"
        print(f"{side:7s} {medians[side][0]:7.3f} s {spread}, CPU {medians[side][1]:7.3f} s, loss {losses[-1]:.5f}")
    ratios = [theirs / ours for theirs, ours in zip(medians["slayer"], medians["ndns"], strict=True)]
    print(f"ratio   {ratios[0]:7.1f} of time, {ratios[1]:.1f} of CPU time")


if __name__ == "__main__":
    command_line.run(main)
