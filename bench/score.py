"""The score stage beside the challenge's own evaluation loop, on the same clips in one run.

    python bench/score.py [--clips 16] [--jobs 2]
    python bench/score.py --growth 1500 6000 12000

The loop: one process with its libraries' default threads; each clip is read, judged by `speechmos.dnsmos.run` (the
challenge's DNSMOS script plus P.808) and by SI-SNR. Imports and loading of its networks are not counted. The stage:
`score_study` as `ndns score run` calls it, start of its processes included; it also verifies hashes and computes
both SI-SNR gains, PESQ and ESTOI. Clips are generated, 30 s long. Half of the loop runs before the stage and half
after it, so that a machine which slows down does so for both.

--growth scores so many clips of a second, in shards of 250, by SI-SNR and ESTOI, and prints how much memory the largest
process held at its peak; then it kills the last of these runs half-way, resumes it, and compares the tables' bytes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import command_line
import numpy as np
import psutil
import soundfile
import torch
from speechmos import dnsmos

from ndns.audio.io import RATE, encode_pcm16, limit_to_pcm16, pcm_sha256, write_pcm16
from ndns.audio.shards import write_shard
from ndns.config import Score
from ndns.files import write_csv
from ndns.score.study import DENOISED_COLUMNS, MIX_COLUMNS, score_study

SECONDS = 30
SHARD = 250
CHEAP = {"dnsmos": False, "pesq": False}
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


def generate_shards(folder: Path, clips: int) -> tuple[list[dict], list[dict]]:
    """Write clips of a second in tar shards, denoised ones as files; return the rows of both manifests."""
    clean, mix_rows, deploy_rows = speech_like(np.random.default_rng(0)), [], []
    for start in range(0, clips, SHARD):
        shard, members = f"val/{start // SHARD:04d}.tar", []
        for index in range(start, min(start + SHARD, clips)):
            rng = np.random.default_rng(index)
            at = rng.integers(len(clean) - RATE)
            speech, noise = clean[at : at + RATE], 0.02 * rng.standard_normal(RATE)
            row = {"clip": f"val_{index:05d}", "snr_db": 0, "level_dbfs": -25, "noise_label": "white"}
            for part, samples in {"clean": speech, "noisy": speech + noise}.items():
                pcm, _ = limit_to_pcm16(samples)
                name = f"{row['clip']}.{part}.flac"
                row[part], row[f"{part}_sha256"] = f"{shard}/{name}", pcm_sha256(pcm)
                members.append((name, encode_pcm16(pcm)))
            mix_rows.append(row)
            pcm, _ = limit_to_pcm16(speech + 0.3 * noise)
            deploy_rows.append(
                {"clip": row["clip"], "denoised": f"clips/{row['clip']}.flac", "sha256": pcm_sha256(pcm)}
            )
            write_pcm16(folder / "deploy" / deploy_rows[-1]["denoised"], pcm)
        write_shard(folder / "mix" / shard, members)
    return mix_rows, deploy_rows


def scoring(folder: Path, rows: tuple[list[dict], list[dict]], clips: int, jobs: int) -> tuple[subprocess.Popen, Path]:
    """Start `ndns score run` on the first clips; return the process and the table that it writes."""
    mix, deploy, out = folder / "mix" / "val.csv", folder / "deploy" / "manifest.csv", folder / f"{clips}.csv"
    write_csv(mix, rows[0][:clips], list(MIX_COLUMNS))
    write_csv(deploy, rows[1][:clips], list(DENOISED_COLUMNS))
    command = [sys.executable, "-c", "from ndns.cli import main; main()", "score", "run"]
    command += ["--settings", json.dumps(CHEAP), "--mix", mix, "--denoised", deploy, "--out", out, "--jobs", str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL), out


def peak_mb(process: subprocess.Popen) -> tuple[float, float]:
    """Wait for a process; return the peak of its resident memory and of the largest of its children, MB."""
    peaks, seen = [0, 0], psutil.Process(process.pid)
    while process.poll() is None:
        try:
            held = [each.memory_info().rss for each in (seen, *seen.children(recursive=True))]
            peaks = [max(peaks[0], held[0]), max(peaks[1], *held[1:], 0)]
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"ndns score ended with {process.returncode}")
    return peaks[0] / 1e6, peaks[1] / 1e6


def growth(sizes: list[int], jobs: int) -> None:
    """Print peak memory by number of clips, and whether a killed and resumed run writes equal bytes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = generate_shards(folder, max(sizes))
        for clips in sizes:
            process, out = scoring(folder, rows, clips, jobs)
            parent, child = peak_mb(process)
            print(f"{clips:6d} clips: peak {parent:.0f} MB, its {jobs} processes {child:.0f} MB each", flush=True)
        whole = out.read_bytes()
        out.unlink()
        process, out = scoring(folder, rows, clips, jobs)
        journal = out.with_name(f"{out.name}.journal")
        while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= clips // 2):
            time.sleep(0.2)
        process.kill()
        process.wait()
        kept, there = journal.read_bytes().count(b"\n"), out.exists()
        peak_mb(scoring(folder, rows, clips, jobs)[0])
        print(
            f"killed after {kept} of {clips}, table {'there' if there else 'absent'}; resumed, "
            f"tables {'equal' if out.read_bytes() == whole else 'DIFFER'}"
        )


def main() -> None:
    """Time both on the same clips and print ratio and largest difference of the scores."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--clips", type=int, default=16, help="of 30 s")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the stage")
    parser.add_argument("--growth", type=int, nargs="+", metavar="CLIPS", help="numbers of clips, in rising order")
    options = parser.parse_args()
    if options.growth:
        return growth(options.growth, options.jobs)
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
    command_line.run(main)
