"""Planning and rendering at the challenge's scale, beside the released generator's steps in one process.

    python bench/mix.py [--clips 96] [--rounds 2] [--growth 100 1000 10000] [--rows 800000] [--only render growth plan]

`render`: clips of 30 s from 48 kHz recordings, by `ndns mix render` with one and with two jobs, and by the released
steps (tests/mix/released_reference.py, librosa's resampling, whole files read for each clip, one process). Rounds
alternate; the best of each counts; starting processes is included. What two processes of plain NumPy gain over one
on this machine is measured in the same run: it is the ceiling for two jobs. `growth`: clips of 1 s. `plan`: 60 000
train and 60 000 val clips of 30 s from a generated index. The recordings are modulated noise, since only work counts.
"""

import argparse
import importlib.util
import json
import multiprocessing
import multiprocessing.pool
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import soundfile

from ndns.files import sha256_bytes, write_csv, write_json

RATE = 48_000
COLUMNS = ["path", "kind", "label", "split", "seconds", "rate", "channels", "sha256", "status"]
SPEECH, NOISE = (240, 12), (120, 12)
"""Recordings and labels. Mean length 8.4 s as in DNS-4; far more than a renderer keeps in memory."""


def build(folder: Path) -> None:
    """Write 48 kHz recordings as .wav, with a corpus manifest; two labels of each kind are val."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    rows = []
    for kind, (count, labels) in (("speech", SPEECH), ("noise", NOISE)):
        for number in range(count):
            samples = int(rng.uniform(4.8, 12) * RATE)
            swell = np.abs(np.sin(np.arange(samples) * (10 / RATE))) if kind == "speech" else 1
            pcm = np.rint(2500 * swell * rng.standard_normal(samples, np.float32)).astype(np.int16)
            name = f"{kind}{number:03d}.wav"
            soundfile.write(folder / name, pcm, RATE)
            label = number % labels
            split = "val" if label >= labels - 2 else "train"
            values = [name, kind, f"{kind}{label}", split, samples / RATE, RATE, 1, sha256_bytes(pcm.tobytes()), "ok"]
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    write_csv(folder / "manifest.csv", rows, COLUMNS)
    write_json(folder / "manifest.json", {"kind": "folder", "root": str(folder)})


def ndns(*arguments: object) -> float:
    """Run the command line; return seconds."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "from ndns.cli import main; main()", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def rendered(corpus: Path, folder: Path, clips: int, seconds: float, jobs: int) -> float:
    """Plan, then render the shards of `train` from nothing, eight or more of them; return the seconds of rendering."""
    settings = json.dumps(
        {"train_clips": clips, "val_clips": 1, "seconds": seconds, "shard_clips": max(1, min(250, clips // 8))}
    )
    common = ["--settings", settings, "--manifest", corpus / "manifest.csv"]
    ndns("mix", "plan", *common, "--out", folder / "plan.csv")
    options = ["--plan", folder / "plan.csv", "--split", "train", "--out", folder / "train", "--jobs", jobs]
    return ndns("mix", "render", *common, *options)


def released(corpus: Path, folder: Path, clips: int) -> float:
    """Make clips of 30 s by the released steps; return seconds."""
    source = Path(__file__).parents[1] / "tests" / "mix" / "released_reference.py"
    spec = importlib.util.spec_from_file_location("released_reference", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lists = [sorted(path.name for path in corpus.glob(f"{kind}*.wav")) for kind in ("speech", "noise")]
    options = {"seconds": 30, "snr": (-5, 20), "level": (-35, -15), "activity": 0.6, "first": 0, "validation": False}
    folder.mkdir()
    start = time.perf_counter()
    generator = module.Generator(corpus, *lists, **options, resample=resampled)
    assert len(generator.run(clips, folder)) == clips
    return time.perf_counter() - start


def resampled(audio: np.ndarray, rate: int) -> np.ndarray:
    """The released call with librosa's defaults."""
    return librosa.resample(audio, orig_sr=rate, target_sr=16_000)


def spin(seconds: float) -> int:
    """Plain NumPy work that needs no memory bandwidth; return how much was done."""
    samples, done, end = np.random.default_rng(0).standard_normal(4096), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        np.fft.irfft(np.fft.rfft(samples) * 0.5)
        done += 1
    return done


def ceiling(pool: multiprocessing.pool.Pool) -> float:
    """Return how much more two processes of plain NumPy do than one."""
    return sum(pool.map(spin, [2.0, 2.0], chunksize=1)) / spin(2.0)


def bench_render(corpus: Path, folder: Path, clips: int, rounds: int) -> None:
    """Print clips a second, speed-up over the released steps and scaling."""
    resampled(np.zeros(RATE), RATE)
    best: dict[str, float] = {}
    limits = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(spin, [0.1, 0.1], chunksize=1)
        for turn in range(rounds):
            some = max(clips // 4, 8)
            runs = {
                "released": lambda turn=turn, some=some: released(corpus, folder / f"released{turn}", some) / some,
                "1 job": lambda turn=turn: rendered(corpus, folder / f"one{turn}", clips, 30.0, 1) / clips,
                "2 jobs": lambda turn=turn: rendered(corpus, folder / f"two{turn}", clips, 30.0, 2) / clips,
            }
            for name, run in runs.items():
                best[name] = min(best.get(name, np.inf), run())
            limits.append(ceiling(pool))
    for name, seconds in best.items():
        print(f"render, {name:9s} {1 / seconds:8.2f} clips/s of 30 s = {30 / seconds:.0f} x real time")
    print(f"2 jobs over released steps   {best['released'] / best['2 jobs']:6.2f} x")
    print(f"1 job over released steps    {best['released'] / best['1 job']:6.2f} x")
    print(f"2 jobs over 1                {best['1 job'] / best['2 jobs']:6.2f} x; plain NumPy {max(limits):.2f} x")


def bench_growth(corpus: Path, folder: Path, counts: list[int]) -> None:
    """Print the time of rendering for growing numbers of short clips."""
    for count in counts:
        seconds = rendered(corpus, folder / f"growth{count}", count, 1.0, 2)
        print(f"growth, {count:6d} clips of 1 s, 2 jobs {seconds:8.1f} s = {count / seconds:7.1f} clips/s")


def bench_plan(folder: Path, count: int) -> None:
    """Print time and memory of a plan of the challenge from a generated index of `count` recordings."""
    rng = np.random.default_rng(0)
    labels, seconds = rng.integers(12_000, size=count), rng.gamma(4, 8.37 / 4, count).clip(1, 60)
    with open(folder / "manifest.csv", "w", encoding="utf-8") as handle:
        handle.write(",".join(COLUMNS) + "\n")
        for row, (label, length) in enumerate(zip(labels, seconds, strict=True)):
            kind, split = ("noise" if row % 13 == 0 else "speech"), ("val" if label % 5 == 0 else "train")
            path = f"datasets_fullband/{kind}_fullband/set/reader_{label:05d}_book_{row:07d}.wav"
            hash_ = sha256_bytes(row.to_bytes(4, "little"))
            handle.write(f"{path},{kind},{kind}{label},{split},{length:.6f},48000,1,{hash_},ok\n")
    write_json(folder / "manifest.json", {"kind": "folder", "root": str(folder)})
    settings = json.dumps({"train_clips": 60_000, "val_clips": 60_000, "seconds": 30})
    plan = ["--settings", settings, "--manifest", folder / "manifest.csv", "--out", folder / "plan.csv"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    took = ndns("mix", "plan", *plan)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"plan, 60 000 + 60 000 clips of {count} recordings: {took:.1f} s ({usage.ru_utime - before:.1f} s of user "
        f"time), at most {usage.ru_maxrss / 2**20:.2f} GiB"
    )


def main() -> None:
    """Print a table, line by line even into a file."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument("--rows", type=int, default=800_000)
    parser.add_argument("--only", nargs="*", choices=["render", "growth", "plan"], default=["render", "growth", "plan"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if "plan" in arguments.only:
            (folder / "index").mkdir()
            bench_plan(folder / "index", arguments.rows)
        if {"render", "growth"} & set(arguments.only):
            build(folder / "corpus")
        if "render" in arguments.only:
            bench_render(folder / "corpus", folder, arguments.clips, arguments.rounds)
        if "growth" in arguments.only:
            bench_growth(folder / "corpus", folder, arguments.growth)


if __name__ == "__main__":
    main()
