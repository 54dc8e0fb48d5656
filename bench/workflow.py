"""What keeping results costs beside making them: record, restore, the check that nothing is to be done, large graphs.

    python bench/workflow.py [--clips 10 100 1000] [--graph 6000 20000 60000] [--kilobytes 100]

For each number of clips, a study's files are made up (random bytes, one file a denoised clip) and Snakemake is told
that its jobs made them. Then, each as a user calls it, start of Python included: `ndns record` to a folder,
`ndns record` again, `ndns restore` in a clone elsewhere, `snakemake --dry-run` there. For each size of the graph,
config/challenge.yaml with so many clips of 30 s in each split is planned by `snakemake --dry-run`. The last column is
how the time grows: 0 if it does not depend on the number, 1 if it is in proportion to it. If this repository has
recorded results, restoring them in a clone is timed too. Targets: record 5 s and nothing to do 5 s at 1000 clips,
restore of the recorded results 20 s, graph of 2 x 60 000 clips 60 s.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import command_line
import numpy as np

from ndns.record.dvcfile import DVC_LOCK
from ndns.record.study import find

REPOSITORY = Path(__file__).resolve().parents[1]
STUDY = """
study: bench
corpus: {{kind: speak, name: bench}}
mix: {{train_clips: 4, val_clips: {clips}}}
models: {{sdnn: {{seeds: [1]}}}}
"""
CLIPS = "results/bench/deploy/sdnn-seed1/clips"
NDNS = [sys.executable, "-c", "from ndns.cli import main; main()"]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]


def call(folder: Path, *command: object) -> float:
    """Run a command in a folder and return its seconds."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    start = time.perf_counter()
    result = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{result.stdout}{result.stderr}")
    return time.perf_counter() - start


def make_up(folder: Path, clips: int, kilobytes: int) -> None:
    """A clone with a study that seems to have run; its remote `results` is a folder beside it."""
    call(REPOSITORY, "git", "clone", "-q", REPOSITORY, folder)
    (folder / "bench.yaml").write_text(STUDY.format(clips=clips))
    with open(folder / ".dvc/config", "a", encoding="utf-8") as handle:
        handle.write(f"['remote \"results\"']\n    url = {folder.parent / 'store'}\n")
    call(folder, *GIT, "add", "bench.yaml", ".dvc/config")
    call(folder, *GIT, "commit", "-qm", "bench")
    rng = np.random.default_rng(clips)
    os.chdir(folder)
    names = find(Path(), "bench.yaml").graph.outputs()
    sizes = dict.fromkeys(names, 1000) | {f"{CLIPS}/val_{n:05d}.flac": 1000 * kilobytes for n in range(clips)}
    for name, size in sizes.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(rng.bytes(size))
    call(folder, *SNAKEMAKE, "--configfile", "bench.yaml", "--touch", "--forceall")


def keeping(clips: int, kilobytes: int) -> dict[str, float]:
    """Seconds of each command for a study of so many clips."""
    with tempfile.TemporaryDirectory(prefix="ndns-bench-") as temporary:
        source, clone = Path(temporary, "source"), Path(temporary, "clone")
        make_up(source, clips, kilobytes)
        record = [*NDNS, "record", "bench.yaml", "--remote", "results"]
        seconds = {"record": call(source, *record), "record again": call(source, *record)}
        call(source, *GIT, "add", "dvc.yaml", "dvc.lock")
        call(source, *GIT, "commit", "-qm", "record")
        call(source, "git", "clone", "-q", source, clone)
        seconds["restore"] = call(clone, *NDNS, "restore", "bench")
        seconds["nothing to do"] = call(clone, *SNAKEMAKE, "--configfile", "bench.yaml", "--dry-run")
        os.chdir(REPOSITORY)
        return seconds


def planning(clips: int) -> dict[str, float]:
    """Seconds in which Snakemake plans the challenge with so many clips in each split."""
    text = (REPOSITORY / "config/challenge.yaml").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="ndns-bench-") as temporary:
        shutil.copytree(
            REPOSITORY / "data", Path(temporary, "data"), ignore=lambda _, names: {*names} - {"sources.csv"}
        )
        config = Path(temporary, "challenge.yaml")
        config.write_text(text.replace("_clips: 60000", f"_clips: {clips}"), encoding="utf-8")
        words = ["--snakefile", REPOSITORY / "Snakefile", "--configfile", config, "--dry-run", "--quiet", "all"]
        return {"graph": call(Path(temporary), *SNAKEMAKE, *words)}


def of_this_repository() -> float | None:
    """Seconds in which a clone of this repository restores what it brings along, None if that is nothing."""
    if not (REPOSITORY / DVC_LOCK).is_file():
        return None
    with tempfile.TemporaryDirectory(prefix="ndns-bench-") as temporary:
        clone = Path(temporary, "clone")
        call(REPOSITORY, "git", "clone", "-q", REPOSITORY, clone)
        shutil.rmtree(clone / ".dvc/cache", ignore_errors=True)
        return call(clone, *NDNS, "restore")


def show(what: str, found: dict[int, dict[str, float]]) -> None:
    """Print seconds by number, and the exponent between the smallest and the largest."""
    few, many = min(found), max(found)
    print(f"{what:>16}" + "".join(f"{number:>10}" for number in found) + f"{'growth':>10}")
    for name in found[few]:
        seconds = [row[name] for row in found.values()]
        growth = math.log(found[many][name] / found[few][name]) / math.log(many / few) if many > few else math.nan
        print(f"{name:>16}" + "".join(f"{second:>9.1f}s" for second in seconds) + f"{growth:>10.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--clips", type=int, nargs="*", default=[10, 100, 1000], help="numbers of clips of a study")
    parser.add_argument(
        "--graph",
        type=int,
        nargs="*",
        default=[6000, 20000, 60000],
        help="of clips in each split",
    )
    parser.add_argument("--kilobytes", type=int, default=100, help="of a denoised clip")
    arguments = parser.parse_args()
    if arguments.clips:
        show("clips", {clips: keeping(clips, arguments.kilobytes) for clips in sorted(arguments.clips)})
    if arguments.graph:
        show("clips a split", {clips: planning(clips) for clips in sorted(arguments.graph)})
    seconds = of_this_repository()
    print(
        "nothing is recorded in this repository" if seconds is None else f"restore of its own results: {seconds:.1f} s"
    )


if __name__ == "__main__":
    command_line.run(main)
