"""The score stage beside the challenge's own evaluation loop, on the same clips in one run.

    python bench/score.py [--clips 16] [--jobs 2]

The loop: one process with its libraries' default threads; each clip is read, judged by `speechmos.dnsmos.run` (the
challenge's DNSMOS script plus P.808) and by SI-SNR. Imports and loading of its networks are not counted. The stage:
`score_study` as `ndns score run` calls it, start of its processes included; it also verifies hashes and computes
both SI-SNR gains, PESQ and ESTOI. Clips are generated, 30 s long. Half of the loop runs before the stage and half
after it, so that a machine which slows down does so for both.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from speechmos import dnsmos

from ndns.audio.io import RATE, limit_to_pcm16, pcm_sha256, write_pcm16
from ndns.config import Score
from ndns.files import write_csv
from ndns.score.study import DENOISED_COLUMNS, MIX_COLUMNS, score_study

SECONDS = 30
SCORES = {"ovrl": "ovrl_mos", "sig": "sig_mos", "bak": "bak_mos", "p808": "p808_mos"}


def speech_like(rng: np.random.Generator) -> np.ndarray:
    """Return harmonics in syllables with pauses `(samples,)`."""
    time = np.arange(SECONDS * RATE) / RATE
    pitch = rng.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    syllables = np.maximum(0, np.sin(2 * np.pi * rng.uniform(2, 4) * time)) ** 2
    return 0.08 * tone * syllables * (np.sin(2 * np.pi * 0.25 * time) > -0.7)


def generate(folder: Path, clips: int) -> tuple[Path, Path]:
    """Write clips and manifests as the stages mix and deploy do; return the manifests."""
    mix, deploy = folder / "mix" / "val.csv", folder / "deploy" / "manifest.csv"
    mix_rows, deploy_rows = [], []
    for index in range(clips):
        rng = np.random.default_rng(index)
        clean = speech_like(rng)
        noise = rng.uniform(0.002, 0.05) * rng.standard_normal(len(clean))
        row = {"clip": f"val_{index:05d}", "snr_db": 0, "level_dbfs": -25, "noise_label": "white"}
        parts = {"clean": (mix, clean), "noisy": (mix, clean + noise), "denoised": (deploy, clean + 0.3 * noise)}
        for part, (manifest, samples) in parts.items():
            pcm, _ = limit_to_pcm16(samples)
            row[part], row[f"{part}_sha256"] = f"{part}/{row['clip']}.flac", pcm_sha256(pcm)
            write_pcm16(manifest.parent / row[part], pcm)
        mix_rows.append({column: row[column] for column in MIX_COLUMNS})
        deploy_rows.append(
            dict(zip(DENOISED_COLUMNS, (row["clip"], row["denoised"], row["denoised_sha256"]), strict=True))
        )
    write_csv(mix, mix_rows, list(MIX_COLUMNS))
    write_csv(deploy, deploy_rows, list(DENOISED_COLUMNS))
    return mix, deploy


def challenge_si_snr(target: torch.Tensor, estimate: torch.Tensor) -> float:
    """Return SI-SNR in dB by the challenge's formula (arXiv 2303.09503, section III)."""
    target, estimate = target - target.mean(), estimate - estimate.mean()
    projection = (target @ estimate) / (target @ target) * target
    return float(10 * torch.log10(projection.square().sum() / ((estimate - projection).square().sum() + 1e-8) + 1e-8))


def loop(mix: Path, deploy: Path, clips: range) -> list[dict[str, float]]:
    """Score clips one after the other as the challenge's evaluation does."""
    rows = []
    for index in clips:
        denoised, _ = soundfile.read(deploy.parent / "denoised" / f"val_{index:05d}.flac")
        clean, _ = soundfile.read(mix.parent / "clean" / f"val_{index:05d}.flac")
        judged = dnsmos.run(denoised, RATE)
        value = challenge_si_snr(torch.tensor(clean), torch.tensor(denoised))
        rows.append({"si_snr": value, **{ours: float(judged[theirs]) for ours, theirs in SCORES.items()}})
    return rows


def timed(work, *arguments):
    """Return the result of a call, its wall time and its CPU time with that of its processes, seconds."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    result = work(*arguments)
    return result, np.array([time.perf_counter() - wall, sum(os.times()[:4]) - cpu])


def main() -> None:
    """Time both on the same clips and print ratio and largest difference of the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mix, deploy = generate(Path(folder), options.clips)
        loop(mix, deploy, range(1))
        half = options.clips // 2
        before, first = timed(loop, mix, deploy, range(half))
        rows, stage = timed(score_study, mix, deploy, Path(folder) / "scores.csv", Score(), options.jobs)
        after, second = timed(loop, mix, deploy, range(half, options.clips))
    theirs = before + after
    worst = {name: max(abs(a[name] - b[name]) for a, b in zip(rows, theirs, strict=True)) for name in theirs[0]}
    print(f"{options.clips} clips of {SECONDS} s; seconds a clip")
    print("challenge's loop (DNSMOS, SI-SNR):    wall {:.3f}  CPU {:.3f}".format(*(first + second) / options.clips))
    print("score stage, {} jobs (all metrics):    wall {:.3f}  CPU {:.3f}".format(options.jobs, *stage / options.clips))
    print("ratio:                                wall {:.2f}   CPU {:.2f}".format(*(first + second) / stage))
    print("largest difference: " + ", ".join(f"{name} {value:.1e}" for name, value in worst.items()))


if __name__ == "__main__":
    main()
