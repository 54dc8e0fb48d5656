"""Recompute a small study in other surroundings, one change at a time, and print what differs: docs/verify.md.

`make variation`, or `python tests/repro/variation.py [--folder EMPTY] [NAME ...]`. Ends with 1 if anything misses its
claim: bytes or content where the environment is the recorded one, the weaker claims with other kernels, and for the
weights also with another setting of the training.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from ndns.verify.claims import LEVELS
from ndns.verify.scratch import WORKFLOW, copy

REPOSITORY = Path(__file__).resolve().parents[2]
SHUFFLED = Path(__file__).resolve().parent / "shuffled"
STUDY = """
study: varied
corpus: {kind: speak, name: few, voices: 5, utterances: 2, noises: [pink, typing], val_noises: [typing],
         noise_clips: 2, noise_seconds: 4.0}
mix: {train_clips: 8, val_clips: 4, seconds: 3.0}
models:
  sdnn: {network: {hidden: 32}, train: {epochs: 4, batch: 2, threads: 1}, seeds: [1]}
  noisereduce: {peer: noisereduce}
cost: {encdec_repeats: 1}
"""
FIELDS = 4
"""Fields of one kind of artifact whose spread is told one by one."""
NDNS = [sys.executable, "-c", "from ndns.cli import main; main()"]


@dataclass(frozen=True)
class Variation:
    """What is other than when the study ran.

    Attributes:
        name: in the table.
        environment: variables.
        jobs: cores.
        umask: of the process.
        scratch: name of the folder of the recomputation.
        study: replacement in the study's settings.
        weaker: ends of the claims of artifacts that need only reach the level for elsewhere.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    jobs: int = 2
    umask: int = 0o022
    scratch: str = "scratch"
    study: tuple[str, str] = ("", "")
    weaker: tuple[str, ...] = ()


VARIATIONS = [
    Variation("nothing"),
    Variation("folder", scratch="another, deeper/folder with ünïcode 雑音"),
    Variation("time zone", {"TZ": "Asia/Kathmandu"}),
    Variation("locale", {"LC_ALL": "C", "LANG": "C"}),
    Variation("umask", umask=0o077),
    Variation("hash seed", {"PYTHONHASHSEED": "7"}),
    Variation("file order", {"PYTHONPATH": str(SHUFFLED)}),
    Variation("one job", jobs=1),
    Variation("one thread", {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}),
    Variation("two threads", {f"{library}_NUM_THREADS": "2" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}),
    Variation("two threads in training", study=("threads: 1", "threads: 2"), weaker=("/checkpoint.safetensors",)),
    Variation(
        "plain kernels",
        {
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_CBWR": "COMPATIBLE",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OPENBLAS_CORETYPE": "Prescott",
            "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
        },
    ),
]


def checkout(folder: Path) -> Path:
    """A copy of this checkout's workflow in which the study has run, with bands from four other seeds."""
    for name in WORKFLOW:
        copy(REPOSITORY / name, folder / name)
    (folder / "varied.yaml").write_text(STUDY)
    (folder / "seeds.yaml").write_text(STUDY.replace("seeds: [1]", "seeds: [2, 3, 4, 5]"))
    seeds = [f"results/varied/train/sdnn-seed{seed}/history.csv" for seed in (2, 3, 4, 5)]
    for study, targets in (("seeds.yaml", seeds), ("varied.yaml", [])):
        call = [sys.executable, "-m", "snakemake", *targets, "--quiet", "all", "--cores", "2", "--configfile", study]
        subprocess.run(call, cwd=folder, env=environment(folder), check=True)
    for words in (["bands", "--study", "seeds.yaml"], ["crate", "--study", "varied.yaml"]):
        subprocess.run([*NDNS, *words], cwd=folder, env=environment(folder), check=True)
    return folder


def environment(folder: Path, changes: dict[str, str] | None = None) -> dict[str, str]:
    """Variables for a process that uses this copy's code."""
    changes = dict(changes or {})
    path = os.pathsep.join(filter(None, [str(folder / "src"), changes.pop("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **changes}


def recompute(folder: Path, variation: Variation) -> dict:
    """Run `ndns verify` in other surroundings and return what it found.

    Raises:
        RuntimeError: it could not be done.
    """
    found = folder / "found.json"
    found.unlink(missing_ok=True)
    (folder / "study.yaml").write_text(STUDY.replace(*variation.study))
    scratch = folder.parent / f"of {variation.name}" / variation.scratch
    words = ["verify", "--study", "study.yaml", "--jobs", str(variation.jobs), "--scratch", str(scratch)]
    result = subprocess.run(
        [*NDNS, *words, "--json", str(found)],
        cwd=folder,
        env=environment(folder, variation.environment),
        umask=variation.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if not found.is_file():
        raise RuntimeError(f"{variation.name}: {result.stdout}{result.stderr}")
    return json.loads(found.read_text())


def missed(found: dict, variation: Variation) -> list[dict]:
    """Return the artifacts that miss what is claimed of them."""
    wrong = [artifact for artifact in found["artifacts"] if not artifact["holds"]]
    return [a for a in wrong if a["reached"] != "band" or not a["claim"].endswith(variation.weaker)]


def told(found: dict, misses: list[dict]) -> tuple[str, list[str]]:
    """Return how many artifacts are equal to the byte, and for each kind of the others its level and spread."""
    artifacts = found["artifacts"]
    equal = sum(artifact["reached"] == "bytes" for artifact in artifacts)
    kinds: dict[str, list[dict]] = defaultdict(list)
    for artifact in artifacts:
        if artifact["reached"] != "bytes":
            kinds[artifact["claim"]].append(artifact)
    lines = []
    for claim, members in kinds.items():
        levels = [member["reached"] for member in members]
        spread: dict[str, float] = {}
        for member in members:
            for name, gap in member["spread"].items():
                spread[name] = max(gap, spread.get(name, 0.0))
        worst = "none" if "none" in levels else max(levels, key=LEVELS.index)
        gaps = ", ".join(f"{name} {gap:.2g}" for name, gap in sorted(spread.items()) if gap)
        if len(spread) > FIELDS:
            gaps = f"{len(spread)} fields by at most {max(spread.values()):.2g}"
        lines.append(f"{claim.removeprefix('results/*/')}: {worst}{f' ({gaps})' if gaps else ''}")
        lines += [f"MISS {member['path']}: {member['differences'][0]}" for member in members if member in misses][:3]
    return f"{equal} of {len(artifacts)}", lines


def main() -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of variations; none: all")
    parser.add_argument("--folder", type=Path, help="an empty folder, which stays")
    arguments = parser.parse_args()
    known = [variation.name for variation in VARIATIONS]
    for name in arguments.names:
        if name not in known:
            parser.error(f"{name}: no such variation; there are: {', '.join(known)}")
    misses = 0
    with tempfile.TemporaryDirectory(prefix="ndns-variation-") as temporary:
        folder = checkout((arguments.folder or Path(temporary)).resolve() / "checkout")
        print("| other | equal to the byte | the rest | s |\n|---|---|---|---|", flush=True)
        for variation in VARIATIONS:
            if not arguments.names or variation.name in arguments.names:
                start = time.monotonic()
                found = recompute(folder, variation)
                wrong = missed(found, variation)
                misses += len(wrong)
                equal, lines = told(found, wrong)
                seconds = time.monotonic() - start
                print(f"| {variation.name} | {equal} | {'; '.join(lines)} | {seconds:.0f} |", flush=True)
    return int(misses > 0)


if __name__ == "__main__":
    sys.exit(main())
