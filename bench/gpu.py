"""Training on a GPU: steps recorded as CUDA graphs against kernels launched one by one, and batches mixed there.

    python bench/gpu.py [--width 1.0] [--batch 32] [--seconds 4]

Prints milliseconds of a step's forward and backward pass of S5 (without and with rounding) and of the challenge's
network both ways, their ratio and the largest difference of gradients; then mixtures a second on the GPU and of one CPU
core, from the same generated sounds. Needs a CUDA device.
"""

import sys
import time

import command_line
import numpy as np
import torch

from ndns.config import S5 as S5Settings
from ndns.config import Sdnn as SdnnSettings
from ndns.config_train import Fresh
from ndns.mixing.corpus import Pool, Recording
from ndns.models.s5 import S5
from ndns.models.sdnn import Sdnn
from ndns.train import fresh
from ndns.train.bank import Bank
from ndns.train.batch_mix import FreshRecipes
from ndns.train.graphed import GraphedLoss, StepLoss


def seconds_each(step, repeats=20):
    """Seconds of a call, after three that are not counted."""
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def compare(name, network, noisy, clean):
    """Time both ways of a step and compare their gradients."""
    network.cuda().train()
    gradients = {}

    def step(way):
        for parameter in network.parameters():
            parameter.grad = None
        way(noisy, clean)[0].backward()
        gradients[way] = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])

    ways = StepLoss(network), GraphedLoss(network)
    eager, recorded = (seconds_each(lambda way=way: step(way)) for way in ways)
    difference = (gradients[ways[0]] - gradients[ways[1]]).abs().max() / gradients[ways[0]].abs().max()
    print(
        f"{name}: {1e3 * eager:.1f} ms launched one by one, {1e3 * recorded:.1f} ms recorded: {eager / recorded:.1f}x; "
        f"gradients differ by {difference:.1e} of the largest"
    )


def sounds(seconds):
    """Clips to draw from: 20 voices and 20 noises of random numbers, 15 s each."""
    rng = np.random.Generator(np.random.PCG64(1))
    samples, pools = {}, []
    for kind in ("speech", "noise"):
        groups = []
        for index in range(20):
            name = f"0/{kind}{index}"
            samples[name] = (3000 * rng.standard_normal(15 * 16_000)).astype(np.int16)
            groups.append((Recording(name, name, len(samples[name]), ""),))
        pools.append(tuple(groups))
    bank = Bank(samples, Pool(*pools), Pool((), ()), ())
    fresh.load_bank = lambda *_: bank
    return fresh.FreshClips(Fresh(seconds=seconds, noise_speed=0.4, generated_share=0.0), 1, [])


def main():
    """Print what the module's docstring says."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--width", type=float, default=1.0, help="factor k of S5")
    parser.add_argument("--batch", type=int, default=32, help="clips a step")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a clip")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench/gpu.py: needs a CUDA device; torch sees none.")
    torch.set_float32_matmul_precision("high")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {options.batch} clips of {options.seconds:g} s")
    clips = sounds(options.seconds)
    recipes = FreshRecipes(clips)
    mixer = recipes.mixer().cuda()
    drawn = [recipes[0, index] for index in range(options.batch)]
    packed = {name: values.cuda() for name, values in recipes.collate(drawn).items()}
    noisy, clean = mixer(packed)
    deployable = {
        "relu": True,
        "mask": "sigmoid",
        "level": "shift",
        "sparsity": {"density": 0.1},
        "qat": {"start": 0.8},
    }
    for name, progress in (("S5", 0.0), ("S5, rounded", 0.9)):
        network = S5(S5Settings(kind="s5", width=options.width, **deployable), 1)
        network.on_progress(progress)
        compare(name, network, noisy, clean)
    compare("sigma-delta", Sdnn(SdnnSettings(kind="sdnn"), 1), noisy, clean)
    mixed = options.batch / seconds_each(lambda: mixer(packed))
    torch.set_num_threads(1)
    start = time.perf_counter()
    for recipe in drawn:
        clips.render(recipe)
    single = len(drawn) / (time.perf_counter() - start)
    print(f"mixtures: {mixed:.0f} a second on the GPU, {single:.0f} on one CPU core: {mixed / single:.0f}x")


if __name__ == "__main__":
    command_line.run(main)
