"""A tiny study as the stages mix and deploy leave it: three clips of two seconds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ndns.audio.io import limit_to_pcm16, pcm_sha256, write_pcm16
from ndns.files import write_csv

RATE = 16_000
SECONDS = 2
HASHES = ["noisy_sha256", "clean_sha256", "noise_sha256"]
CONDITIONS = ["seconds", "snr_db", "level_dbfs", "speaker", "noise_label"]
MIX_COLUMNS = ["clip", "noisy", "clean", "noise", *CONDITIONS, *HASHES]
DEPLOY_COLUMNS = ["clip", "denoised", "sha256", "removed_delay_samples"]


@dataclass(frozen=True)
class Study:
    """Paths of the manifests, and the samples of each clip as float64 in [-1, 1)."""

    mix: Path
    denoised: Path
    out: Path
    signals: dict[str, dict[str, np.ndarray]]


def speech_like(seed: int) -> np.ndarray:
    """Harmonics in syllables."""
    time = np.arange(SECONDS * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(110 + 15 * seed + 10 * np.sin(2 * np.pi * time)) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return 0.1 * tone * np.maximum(0, np.sin(2 * np.pi * 2 * time + seed)) ** 2


@pytest.fixture
def study(tmp_path: Path) -> Study:
    mix_rows, deploy_rows, signals = [], [], {}
    for index in range(3):
        clip = f"val_{index:05d}"
        clean = speech_like(index)
        noise = 0.02 * (index + 1) * np.random.default_rng(index).standard_normal(len(clean))
        parts = {"clean": clean, "noise": noise, "noisy": clean + noise, "denoised": clean + 0.3 * noise}
        row: dict[str, object] = {"clip": clip, "seconds": SECONDS, "snr_db": 5.0 - 4 * index, "level_dbfs": -20.5}
        row |= {"speaker": "s1", "noise_label": ["wind", "babble", "wind"][index]}
        signals[clip] = {}
        for part, samples in parts.items():
            pcm, _ = limit_to_pcm16(samples)
            signals[clip][part] = pcm / 32768
            folder = "deploy/clips" if part == "denoised" else f"mix/val/{part}"
            write_pcm16(tmp_path / folder / f"{clip}.flac", pcm)
            if part != "denoised":
                row |= {part: f"val/{part}/{clip}.flac", f"{part}_sha256": pcm_sha256(pcm)}
            else:
                deploy_rows.append(
                    {"clip": clip, "denoised": f"clips/{clip}.flac", "sha256": pcm_sha256(pcm)}
                    | {"removed_delay_samples": 512}
                )
        mix_rows.append(row)
    write_csv(tmp_path / "mix/val.csv", mix_rows, MIX_COLUMNS)
    write_csv(tmp_path / "deploy/manifest.csv", deploy_rows, DEPLOY_COLUMNS)
    return Study(tmp_path / "mix/val.csv", tmp_path / "deploy/manifest.csv", tmp_path / "score/scores.csv", signals)
