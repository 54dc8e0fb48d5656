"""Rendering: clips of a plan into shards, each with its manifest; then one manifest of all."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ndns.audio.io import encode_pcm16, pcm_sha256
from ndns.audio.shards import write_shard
from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.mix.workers import run_all, track
from ndns.mixing.clips import CONDITIONS, GIVEN, RELEASED, STREAMS, PlanClips
from ndns.mixing.manifest import SPLITS
from ndns.processes import keep_freed_memory

HASHES = [f"{stream}_sha256" for stream in STREAMS]
COLUMNS = ["clip", *STREAMS, *CONDITIONS, *HASHES]
MANIFESTS = {"true_snr": COLUMNS, "released": [*COLUMNS, *RELEASED], "given": [*COLUMNS, *GIVEN]}


class Job(NamedTuple):
    """What all shards of a split share: settings, `plan.csv`, the corpus manifest, the split, the folder to fill."""

    mix: Mix
    plan: Path
    manifest: Path
    split: str
    folder: Path


def render_shards(job: Job, numbers: list[int] | None = None, jobs: int = 1) -> int:
    """Write `<folder>/<number>.tar` and then its manifest `<number>.csv` for each shard.

    Members are `<clip>.{noisy,clean,noise}.flac`, mono 16 kHz PCM16, in the order of the plan. Paths in a manifest
    count from its folder. A shard appears whole or not at all.

    Args:
        job: what is rendered.
        numbers: of the shards; None renders those of the whole split.
        jobs: processes; the result does not depend on it.

    Returns:
        How many clips got other recordings than planned; `render_clip` says why.

    Raises:
        UserError: no such shard, or as `PlanClips`.
    """
    if job.split not in SPLITS:
        raise UserError(f"--split: {job.split!r} is unknown; take train or val.")
    names = job.mix.shards(job.split)
    for number in numbers or []:
        if not 0 <= number < len(names):
            raise UserError(f"--shard: {number} is beyond the {len(names)} shards of {job.split}; they count from 0.")
    numbers = list(range(len(names))) if numbers is None else numbers
    tasks = ((job.folder / f"{names[number]}.tar", clips) for number, clips in _shards(job, numbers))
    render = partial(render_shard, MANIFESTS[job.mix.method])
    jobs = max(1, min(jobs, len(numbers)))
    return sum(track(run_all(render, tasks, jobs), len(numbers), f"mix {job.split}"))


def _shards(job: Job, numbers: list[int]) -> Iterator[tuple[int, PlanClips]]:
    """Yield the clips of each shard; plan and manifest, which may have a million rows, are read once for all."""
    size = job.mix.shard_clips
    first, stop = min(numbers, default=0) * size, (max(numbers, default=-1) + 1) * size
    clips = PlanClips(job.mix, job.plan, job.manifest, job.split, first, stop)
    yield from ((number, clips.part(number * size - first, (number + 1) * size - first)) for number in numbers)


def render_shard(columns: list[str], task: tuple[Path, PlanClips]) -> int:
    """Render clips into an archive and its manifest with these columns; return how many clips were drawn again."""
    archive, clips = task
    keep_freed_memory()
    for left_by_a_kill in archive.parent.glob(f".{archive.stem}.*.part.*"):
        left_by_a_kill.unlink()
    rows: list[dict[str, object]] = []
    redrawn: list[str] = []

    def members() -> Iterator[tuple[str, bytes]]:
        for index in range(len(clips)):
            row, mixture, redraws = clips[index]
            signals = {stream: getattr(mixture, stream) for stream in STREAMS}
            names = {stream: f"{row['clip']}.{stream}.flac" for stream in STREAMS}
            paths = {stream: f"{archive.name}/{name}" for stream, name in names.items()}
            hashes = {f"{stream}_sha256": pcm_sha256(pcm) for stream, pcm in signals.items()}
            rows.append({**row, **paths, **hashes})
            redrawn.extend([str(row["clip"])] * (redraws > 0))
            yield from ((names[stream], encode_pcm16(pcm)) for stream, pcm in signals.items())

    write_shard(archive, members())
    write_csv(archive.with_suffix(".csv"), rows, columns)
    return len(redrawn)


def gather(shards: list[Path], out: Path) -> None:
    """Join the manifests of shards, in the order given, into the manifest of the split.

    Raises:
        UserError: a manifest is missing or not of this kind, a clip is there twice, or the clips of two shards that
            follow each other do not.
    """
    tables = [read_csv(path, COLUMNS) for path in shards]
    columns = list(tables[0][0]) if tables and tables[0] else COLUMNS
    rows: dict[str, dict[str, str]] = {}
    for path, table in zip(shards, tables, strict=True):
        folder = Path(os.path.relpath(path.parent, out.parent))
        for row in table:
            if list(row) != columns:
                raise UserError(f"{path}: has other columns than {shards[0]}; gather shards of one split of one study.")
            if row["clip"] in rows:
                raise UserError(
                    f"{path}: the clip {row['clip']!r} is in another shard too; run `ndns mix render` again."
                )
            if rows and row is table[0] and row["clip"] != _following(last := next(reversed(rows))):
                raise UserError(
                    f"{path}: the clip {row['clip']!r} does not follow {last!r}; name all shards of the split in their "
                    "order, and render those that are missing."
                )
            rows[row["clip"]] = {**row, **{stream: f"{folder}/{row[stream]}" for stream in STREAMS}}
    write_csv(out, rows.values(), columns)


def _following(clip: str) -> str:
    split, _, number = clip.rpartition("_")
    return f"{split}_{int(number) + 1:05d}" if number.isdecimal() else ""
