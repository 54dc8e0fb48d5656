"""Training step of the SDNN (forward and backward): `ndns.models` beside lava-dl slayer, in one run.

    python bench/train.py [--batch 4] [--seconds 30] [--threads 2] [--repeats 3]

slayer's side follows the challenge's `train_sdnn.py`; both start from the same weights and hear the same clips. Prints
the median step of each and their ratio, and how far losses and gradients are apart.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from ndns.config import Sdnn
from ndns.metrics.si_snr import si_snr
from ndns.models import build

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "models"))
from slayer_network import SlayerNetwork


def slayer_step(network: SlayerNetwork, noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
    """Loss of the challenge's training loop, after backward."""
    n_fft, window = 512, torch.ones(512)
    with torch.no_grad():
        spectra = [torch.stft(x, n_fft, window=window, onesided=True, return_complex=True) for x in (noisy, clean)]
        (magnitude, target), phase = [x.abs() for x in spectra], spectra[0].angle()
    denoised = magnitude * torch.relu(network(magnitude) + 1)
    mixed = torch.complex(denoised * torch.cos(phase), denoised * torch.sin(phase))
    score = si_snr(torch.istft(mixed, n_fft, window=window, onesided=True, length=noisy.shape[-1]), clean)
    loss = 0.001 * torch.nn.functional.mse_loss(denoised, target) + (100 - score.mean())
    loss.backward()
    return loss


def timed(step: Callable[[], torch.Tensor], parameters: list[torch.Tensor]) -> tuple[float, float]:
    """Seconds of a step, and its loss."""
    for parameter in parameters:
        parameter.grad = None
    start = time.perf_counter()
    loss = step()
    return time.perf_counter() - start, loss.item()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, options.batch, round(options.seconds * 16000), generator=generator) * 0.05
    noisy = clean.cumsum(-1).sub_(clean.mean()).sin_().mul_(0.05) + 0.5 * noise

    ours = build(Sdnn())
    theirs = SlayerNetwork(ours)
    mine = [ours.weight1, ours.weight2, ours.weight3, ours.delay1, ours.delay2]
    blocks = theirs.blocks
    yours = [blocks[i].synapse.weight for i in (1, 2, 3)] + [blocks[i].delay.delay for i in (1, 2)]

    def our_step() -> torch.Tensor:
        loss = ours.loss(ours(noisy), clean)
        loss.backward()
        return loss

    timed(our_step, mine)
    times: dict[str, list[float]] = {"ndns": [], "slayer": []}
    losses: dict[str, float] = {}
    for _ in range(options.repeats):
        for name, step, parameters in (
            ("ndns", our_step, mine),
            ("slayer", lambda: slayer_step(theirs, noisy, clean), yours),
        ):
            seconds, losses[name] = timed(step, parameters)
            times[name].append(seconds)
    apart = max(
        ((a.grad - b.grad.reshape(a.shape)).norm() / b.grad.norm()).item() for a, b in zip(mine, yours, strict=True)
    )
    print(f"batch {options.batch} x {options.seconds:g} s, {options.threads} threads, median of {options.repeats}")
    for name, measured in times.items():
        median = statistics.median(measured)
        print(f"{name:7s} {median:7.3f} s a step ({min(measured):.3f} to {max(measured):.3f}), loss {losses[name]:.6f}")
    print(f"ratio   {statistics.median(times['slayer']) / statistics.median(times['ndns']):7.1f}")
    print(f"gradients apart by at most {apart:.1e} of their norm")


if __name__ == "__main__":
    main()
