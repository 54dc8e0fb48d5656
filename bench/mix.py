"""Planning and rendering at the challenge's scale, beside the released generator's steps in one process.

    python bench/mix.py [--clips 720] [--rounds 2] [--growth 100 1000 10000] [--rows 800000] [--only render growth plan]

`render`: clips of 30 s from 48 kHz recordings, by `ndns mix render` with one and with two jobs, and by the released
steps (tests/mix/released_reference.py, librosa's resampling, whole files read for each clip, one process). Rounds
alternate; the best of each counts; starting processes is included. CPU time, which a busy machine changes less, is
the least of the rounds too. What two processes of plain NumPy gain over one
on this machine is measured in the same run: it is the ceiling for two jobs. `growth`: clips of 1 s. `plan`: 60 000
train and 60 000 val clips of 30 s from a generated index. The recordings are modulated noise, since only work counts.
"""

import importlib.util
import json
import multiprocessing
import multiprocessing.pool
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import command_line
import librosa
import numpy as np
import soundfile

from ndns.files import sha256_bytes, write_csv, write_json

RATE = 48_000
COLUMNS = ["path", "kind", "label", "split", "seconds", "rate", "channels", "sha256", "status"]
SPEECH, NOISE = (240, 12), (120, 12)
"""Recordings and labels. Mean length 8.4 s as in DNS-4; far more than a renderer keeps in memory."""


class Took(NamedTuple):
    """Seconds on the clock and of CPU."""

    seconds: float
    cpu_s: float

    def over(self, clips: int) -> "Took":
        """Return what one clip took."""
        return Took(self.seconds / clips, self.cpu_s / clips)


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


def ndns(*arguments: object) -> Took:
    """Run the command line."""
    command = [sys.executable, "-c", "from ndns.cli import main; main()", *map(str, arguments)]
    return took(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), resource.RUSAGE_CHILDREN)


def took(work: Callable[[], object], who: int) -> Took:
    """Time what this process (`resource.RUSAGE_SELF`) or those that it waits for do."""
    start, before = time.perf_counter(), resource.getrusage(who)
    work()
    seconds, after = time.perf_counter() - start, resource.getrusage(who)
    return Took(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def rendered(corpus: Path, folder: Path, clips: int, seconds: float, jobs: int) -> Took:
    """Plan, then render the shards of `train` from nothing, eight or more of them; time the rendering."""
    settings = json.dumps(
        {"train_clips": clips, "val_clips": 1, "seconds": seconds, "shard_clips": max(1, min(250, clips // 8))}
    )
    common = ["--settings", settings, "--manifest", corpus / "manifest.csv"]
    ndns("mix", "plan", *common, "--out", folder / "plan.csv")
    options = ["--plan", folder / "plan.csv", "--split", "train", "--out", folder / "train", "--jobs", jobs]
    return ndns("mix", "render", *common, *options)


def released(corpus: Path, folder: Path, clips: int) -> Took:
    """Make clips of 30 s by the released steps."""
    source = Path(__file__).parents[1] / "tests" / "mix" / "released_reference.py"
    spec = importlib.util.spec_from_file_location("released_reference", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lists = [sorted(path.name for path in corpus.glob(f"{kind}*.wav")) for kind in ("speech", "noise")]
    options = {"seconds": 30, "snr": (-5, 20), "level": (-35, -15), "activity": 0.6, "first": 0, "validation": False}
    folder.mkdir()
    generator = module.Generator(corpus, *lists, **options, resample=resampled)
    made: list[object] = []
    spent = took(lambda: made.extend(generator.run(clips, folder)), resource.RUSAGE_SELF)
    assert len(made) == clips
    return spent


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
    runs: dict[str, list[Took]] = {"released": [], "1 job": [], "2 jobs": []}
    limits = []
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(spin, [0.1, 0.1], chunksize=1)
        for turn in range(rounds):
            some = max(clips // 4, 8)
            runs["released"].append(released(corpus, folder / f"released{turn}", some).over(some))
            runs["1 job"].append(rendered(corpus, folder / f"one{turn}", clips, 30.0, 1).over(clips))
            runs["2 jobs"].append(rendered(corpus, folder / f"two{turn}", clips, 30.0, 2).over(clips))
            limits.append(ceiling(pool))
    best = {name: min(each.seconds for each in times) for name, times in runs.items()}
    for name, seconds in best.items():
        cpu = min(each.cpu_s for each in runs[name])
        speed = f"{1 / seconds:8.2f} clips/s of 30 s = {30 / seconds:.0f} x real time"
        print(f"render, {name:9s} {speed}, {cpu:.3f} CPU seconds a clip")
    print(f"2 jobs over released steps   {best['released'] / best['2 jobs']:6.2f} x")
    print(f"1 job over released steps    {best['released'] / best['1 job']:6.2f} x")
    print(f"2 jobs over 1                {best['1 job'] / best['2 jobs']:6.2f} x; plain NumPy {max(limits):.2f} x")


def bench_growth(corpus: Path, folder: Path, counts: list[int]) -> None:
    """Print the time of rendering for growing numbers of short clips."""
    for count in counts:
        seconds = rendered(corpus, folder / f"growth{count}", count, 1.0, 2).seconds
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
    seconds, cpu_s = ndns("mix", "plan", *plan)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"plan, 60 000 + 60 000 clips of {count} recordings: {seconds:.1f} s ({cpu_s:.1f} CPU seconds), "
        f"at most {memory:.2f} GiB"
    )


def main() -> None:
    """Print a table, line by line even into a file."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = command_line.parser(__doc__)
    parser.add_argument("--clips", type=int, default=720, help="of 30 s to render")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 10_000], help="numbers of clips of 1 s")
    parser.add_argument("--rows", type=int, default=800_000, help="recordings of the plan's index")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=["render", "growth", "plan"],
        default=["render", "growth", "plan"],
        help="what to measure",
    )
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
    command_line.run(main)
