"""A tiny S5 network after some training steps, for tests; run as a script it writes the golden program and vectors.

python tests/quantize/s5_network.py
"""

from pathlib import Path

import numpy as np
import torch

from ndns import models
from ndns.config import S5, FrontEnd, Qat, Sparsity
from ndns.files import atomic_path

GOLDEN = Path(__file__).parent / "golden"
VARIANTS = {
    "dense": {},
    "dense_qat": {"qat": Qat(start=0.5)},
    "sparse": {"relu": True, "sparsity": Sparsity(density=0.3, start=0.0, end=0.5), "qat": Qat(start=0.5)},
    "bounded": {"relu": ["state", "z"], "mask": "sigmoid", "level": "shift", "qat": Qat(start=0.5)},
    "sparse_4bit": {"relu": True, "sparsity": Sparsity(density=0.3), "qat": Qat(start=0.5, weight_bits=4)},
}


def trained(variant: str, steps: int = 60) -> models.S5:
    """Return a network of 64-sample frames that learned for some steps to remove noise from tones."""
    settings = S5(kind="s5", width=0.125, front_end=FrontEnd(n_fft=64, hop=16, window="sqrt_hann"), **VARIANTS[variant])
    model = models.build(settings, seed=3)
    generator = torch.Generator().manual_seed(5)
    optimizer = torch.optim.AdamW(model.parameter_groups(3e-3, 0.01))
    time = torch.arange(3200) / 16_000
    for step in range(steps):
        model.on_progress(step / steps)
        tone = 0.3 * torch.sin(2 * torch.pi * (200 + 3000 * torch.rand(4, 1, generator=generator)) * time)
        noisy = tone + 0.1 * torch.randn(4, 3200, generator=generator)
        optimizer.zero_grad()
        model.loss(model(noisy), tone).backward()
        optimizer.step()
    return model.eval()


def magnitudes(steps: int, seed: int = 1) -> np.ndarray:
    """Return |STFT| `(33, steps)` of a tone in noise, float64 with the precision of float32."""
    rng = np.random.default_rng(seed)
    tone = np.zeros((33, 1))
    tone[8:11, 0] = (2.0, 5.0, 2.0)
    return np.abs(tone * (rng.random(steps) < 0.7) + rng.normal(0, 0.6, (33, steps))).astype(np.float32).astype(float)


def main() -> None:
    """Write `s5_<variant>.net` and `s5_<variant>.npz` (input, and what lava answered)."""
    import tempfile

    from ndns.loihi2 import lava_bridge, netx
    from ndns.quantize.checkpoint import quantize_checkpoint

    for variant in ("dense_qat", "sparse"):
        with tempfile.TemporaryDirectory() as folder:
            models.save(trained(variant), f"{folder}/checkpoint.safetensors")
            program = quantize_checkpoint(Path(folder) / "checkpoint.safetensors")
        netx.write(GOLDEN / f"s5_{variant}.net", program)
        x = program.encode(magnitudes(200))
        with atomic_path(GOLDEN / f"s5_{variant}.npz") as temporary:
            np.savez_compressed(temporary, x=x, y=lava_bridge.run(program, x))


if __name__ == "__main__":
    main()
