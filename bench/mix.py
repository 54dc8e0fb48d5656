"""Clips a second that `ndns mix render` makes with one and with two processes, side by side in one run.

    python bench/mix.py [--clips 400] [--seconds 10] [--rounds 2]

The corpus is generated: a third of its recordings is 16 kHz mono, a third 44.1 kHz stereo, a third 48 kHz mono.
Rounds alternate between one and two processes; the best round of each counts. Starting the processes is included.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from ndns.audio.io import write_pcm16
from ndns.config import Mix
from ndns.files import sha256_bytes, write_csv, write_json
from ndns.mix.corpus import Corpus, read_corpus
from ndns.mix.plan import draw_plan, read_plan, write_plan
from ndns.mix.render import render_split

FORMATS = ((16_000, 1), (44_100, 2), (48_000, 1))
COLUMNS = ["path", "kind", "label", "split", "seconds", "rate", "sha256", "status"]


def build(folder: Path) -> Corpus:
    """Write 36 recordings of 8 s: modulated noise is as good as speech here, since only work is measured."""
    rows, rng = [], np.random.default_rng(0)
    for index in range(36):
        rate, channels = FORMATS[index % 3]
        kind = ("speech", "noise")[index // 3 % 2]
        split = "val" if index >= 30 else "train"
        swell = np.abs(np.sin(np.arange(8 * rate) * (10 / rate)))[:, None]
        pcm = np.rint(3000 * swell * rng.standard_normal((8 * rate, channels))).astype(np.int16)
        write_pcm16(folder / f"{index}.flac", pcm, rate)
        values = [f"{index}.flac", kind, f"{kind}{index}", split, 8.0, rate, sha256_bytes(pcm.tobytes()), "ok"]
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    write_csv(folder / "manifest.csv", rows, COLUMNS)
    write_json(folder / "manifest.json", {"kind": "folder", "root": str(folder)})
    return read_corpus(folder / "manifest.csv")


def timed(mix: Mix, corpus: Corpus, folder: Path, jobs: int) -> float:
    """Return clips a second of one rendering from nothing."""
    write_plan(mix, corpus, folder / "plan.csv")
    clips = read_plan(folder / "plan.csv", "train", mix)
    start = time.perf_counter()
    render_split(clips, corpus, "train", folder / "train.csv", jobs)
    return len(clips) / (time.perf_counter() - start)


def main() -> None:
    """Print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    mix = Mix(train_clips=arguments.clips, val_clips=1, seconds=arguments.seconds)
    best = {1: 0.0, 2: 0.0}
    with tempfile.TemporaryDirectory() as temporary:
        corpus = build(Path(temporary, "corpus"))
        start = time.perf_counter()
        planned = sum(1 for _ in draw_plan(mix.model_copy(update={"train_clips": 5000, "seconds": 30.0}), corpus))
        plan_rate = planned / (time.perf_counter() - start)
        for turn in range(arguments.rounds):
            for jobs in best:
                folder = Path(temporary, f"mix{turn}-{jobs}")
                best[jobs] = max(best[jobs], timed(mix, corpus, folder, jobs))
    print(f"plan, clips of 30 s       {plan_rate:8.0f} clips/s")
    for jobs, rate in best.items():
        hours = rate * arguments.seconds
        print(f"render, {jobs} process(es)    {rate:8.1f} clips/s of {arguments.seconds:g} s = {hours:.0f} x real time")
    print(f"ratio 2 : 1               {best[2] / best[1]:8.2f}")


if __name__ == "__main__":
    main()
