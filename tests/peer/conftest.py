"""A mixture manifest with two clips of modulated tones in noise."""

import numpy as np
import pytest

from ndns.audio.io import write_pcm16
from ndns.files import write_csv

SAMPLES = 24_000


@pytest.fixture
def mix(tmp_path):
    generator = np.random.default_rng(3)
    time = np.arange(SAMPLES) / 16_000
    rows = []
    for index in range(2):
        clean = 0.2 * np.sin(2 * np.pi * (300 + 200 * index) * time) * (np.sin(2 * np.pi * 2 * time) > 0)
        noisy = clean + 0.02 * generator.standard_normal(SAMPLES)
        for kind, samples in (("clean", clean), ("noisy", noisy)):
            write_pcm16(tmp_path / "val" / kind / f"c{index}.flac", np.rint(samples * 32768).astype(np.int16))
        rows.append({"clip": f"c{index}", "noisy": f"val/noisy/c{index}.flac", "clean": f"val/clean/c{index}.flac"})
    path = tmp_path / "val.csv"
    write_csv(path, rows, ["clip", "noisy", "clean"])
    return path
