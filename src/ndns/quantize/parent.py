"""The float network behind a program on the program's own frames: what is lost beyond its SI-SNR, rounding costs."""

from pathlib import Path

import numpy as np
import torch

from ndns import models
from ndns.audio.io import limit_to_pcm16, read_pcm16
from ndns.audio.stft import Encoder, decode, magnitude
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.metrics.si_snr import si_snr
from ndns.models.quantization import Quantizer

COLUMNS = ["clip", "si_snr_float", "si_snr_rounded", "limited_float", "limited_rounded"]


def write_parent(checkpoint: Path, mix: Path, out: Path) -> None:
    """Write the SI-SNR in dB of a checkpoint's network on each clip, and how many samples left full scale.

    `float` is the network in float32, `rounded` the same with weights and activations rounded as training with rounding
    does it. Clips are cut to full scale and rounded to 16 bits, as `ndns deploy` writes them; silent clean clips have
    no SI-SNR.

    Args:
        checkpoint: of `ndns train`.
        mix: manifest of noisy and clean clips.
        out: table to write.

    Raises:
        UserError: a file is missing or wrong.
    """
    model = models.load(checkpoint).eval()
    rows = read_csv(mix, ("clip", "noisy", "clean"))
    if not rows:
        raise UserError(f"{mix}: holds no clips.")
    table = []
    for row in rows:
        noisy, clean = (read_pcm16(mix.parent / row[part]) / 32768 for part in ("noisy", "clean"))
        if len(noisy) != len(clean):
            raise UserError(f"{mix}: noisy and clean of {row['clip']!r} differ in length; run the stage mix again.")
        cells: dict[str, object] = {"clip": row["clip"]}
        for name, on in (("float", False), ("rounded", True)):
            if round_network(model, on) or not on:
                pcm, limited = limit_to_pcm16(denoise(model, noisy))
            cells[f"si_snr_{name}"] = float(si_snr(pcm / 32768, clean)) if np.ptp(clean) > 0 else None
            cells[f"limited_{name}"] = limited
        table.append(cells)
    write_csv(out, table, COLUMNS)


def round_network(model: torch.nn.Module, on: bool) -> bool:
    """Switch the rounding that a network has learned with, or could have, on or off; return whether there is any."""
    quantizers = [module for module in model.modules() if isinstance(module, Quantizer)]
    for quantizer in quantizers:
        quantizer.enabled = on
    return bool(quantizers)


@torch.no_grad()
def denoise(model: torch.nn.Module, noisy: np.ndarray) -> np.ndarray:
    """Return the aligned recording `(samples,)` that the float network makes of `noisy`, frame by frame as deployed.

    The mask of frame t is the network's output at frame `t + mask_delay - 1` (a network without this setting answers
    at once).
    """
    frames = model.front_end.frames()
    count, waiting = frames.count(len(noisy)), getattr(model.settings, "mask_delay", 1) - 1
    padded = np.zeros((count + max(waiting, 0)) * frames.hop)
    padded[: len(noisy)] = noisy
    spectra = Encoder(frames).push(padded)
    raw = model.mask_output(torch.from_numpy(magnitude(spectra)).float()[None])[0]
    timed = torch.nn.functional.pad(raw, (1, 0))[:, 1 + waiting : 1 + waiting + count]
    return decode(model.mask(timed).double().numpy() * spectra[:, :count], len(noisy), frames)
