"""Networks of the SDNN's shape with random integers, and the released one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ndns.loihi2 import netx
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program


def _random_sdnn(seed: int, sizes=(9, 14, 11, 7), largest: int = 40, max_delay: int = 62) -> Program:
    generator = np.random.default_rng(seed)
    nodes, names = [Delta(sizes[0], 6)], ["input"]
    for index in range(1, len(sizes)):
        last = index == len(sizes) - 1
        weight = 2 * generator.integers(-largest, largest + 1, (sizes[index], sizes[index - 1]))
        weight[generator.random(weight.shape) < 0.2] = 0
        delay = None if last else generator.integers(0, max_delay + 1, sizes[index])
        nodes += [Synapse(weight, delay), Sigma(sizes[index]) if last else SigmaDelta(sizes[index], 6)]
        names += [f"fc{index}", "output" if last else f"hidden{index}"]
    return Program(tuple(nodes), tuple(names))


@pytest.fixture(scope="session")
def random_sdnn() -> Callable[..., Program]:
    """Return a function `(seed, sizes, largest, max_delay) -> Program`."""
    return _random_sdnn


@pytest.fixture(scope="session")
def spectra_like() -> Callable[[int, int, int], np.ndarray]:
    """Return a function `(seed, bins, steps) -> int32 (bin, step)`: bursts between stretches that hardly change."""

    def draw(seed: int, bins: int, steps: int) -> np.ndarray:
        generator = np.random.default_rng(seed)
        loud = np.repeat(generator.random(steps // 8 + 1) < 0.5, 8)[:steps]
        return (generator.normal(0, 3, (bins, steps)) + loud * generator.gamma(1, 120, (bins, steps))).astype(np.int32)

    return draw


@pytest.fixture(scope="session")
def released(shared_data: Path) -> Program:
    """Intel's released network."""
    with pytest.warns(UserWarning, match=r"layer/2/delay: 1 of 512 delays are above 62"):
        return netx.read(shared_data / "peer_weights/intel_sdnn/network.net")
