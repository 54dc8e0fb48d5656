"""The plan of `mix.method: released`: draws in sequence, mixtures measured in parallel, numbers given in between."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ndns.audio.io import RATE
from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import read_csv, sha256_bytes, write_csv
from ndns.mix.released import Draw, Settings, draw
from ndns.mix.released_facts import Facts, Index
from ndns.mix.workers import run_all, track
from ndns.mixing.corpus import manifest_root
from ndns.mixing.draw import SILENCE, Clip
from ndns.mixing.manifest import KINDS, SPLITS
from ndns.mixing.plan import RELEASED_COLUMNS
from ndns.mixing.released_clip import ReleasedClip, folder_of, join
from ndns.mixing.released_mix import Label, mix_released

_MOST_DROPS = 1000


class _Candidate(NamedTuple):
    draw: Draw
    key: str
    sources: str


def write_released_plan(mix: Mix, manifest: Path, out: Path, facts: Path | None = None, jobs: int = 1) -> None:
    """Write `plan.csv` with the columns `RELEASED_COLUMNS`.

    Args:
        mix: settings with `method: released`.
        manifest: corpus manifest; without lists in `mix.released`, its rows in their order are the lists.
        out: plan.
        facts: index to keep facts in; `facts.sqlite` beside the manifest if none is given.
        jobs: processes that decode and measure; the plan does not depend on it.

    Raises:
        UserError: a recording of a list is missing, or nothing usable can be drawn; no plan is written then.
    """
    lists = _lists(mix, manifest)
    with Index(facts or manifest.with_name("facts.sqlite"), manifest_root(manifest)) as index:
        known = index.facts(list(dict.fromkeys([*lists["speech"], *lists["noise"]])), jobs)
        by_path = {recording.path: recording for recording in known}
        clips: list[ReleasedClip] = []
        for split in SPLITS:
            speech, noise = ([by_path[path] for path in lists[kind]] for kind in KINDS)
            drawn = draw(_settings(mix, split), speech, noise, index)
            clips.extend(_accepted(drawn, by_path, index, mix, split, mix.clips(split), jobs))
    write_csv(out, (clip.row() for clip in clips), RELEASED_COLUMNS)


def _settings(mix: Mix, split: str) -> Settings:
    snr, level = ((int(low), int(high)) for low, high in (mix.snr_db, mix.level_dbfs))
    options = mix.released
    return Settings(int(mix.seconds * RATE), snr, level, options.activity, options.first, mix.seed, split == "val")


def _lists(mix: Mix, manifest: Path) -> dict[str, list[str]]:
    files = {"speech": mix.released.speech_list, "noise": mix.released.noise_list}
    rows = read_csv(manifest, ("path", "kind")) if None in files.values() else []
    lists = {
        kind: _read_list(Path(file)) if file else [row["path"] for row in rows if row["kind"] == kind]
        for kind, file in files.items()
    }
    for paths in lists.values():
        for path in paths:
            if "|" in path:
                raise UserError(f"{path!r}: contains '|', which separates segments in a plan; rename the recording.")
    return lists


def _read_list(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").split("\n") if line]
    except FileNotFoundError:
        raise UserError(f"mix.released: the list {path} does not exist.") from None
    except UnicodeDecodeError:
        raise UserError(f"mix.released: the list {path} is not UTF-8 text.") from None


def _accepted(
    drawn: Iterator[Draw], by_path: dict[str, Facts], index: Index, mix: Mix, split: str, count: int, jobs: int
) -> Iterator[ReleasedClip]:
    """Yield `count` clips: attempts are taken from `drawn` in batches, measured, and numbered unless dropped."""
    number, end, attempt, drops = mix.released.first, mix.released.first + count, 0, 0
    while number < end:
        batch = [_candidate(each, by_path) for each in islice(drawn, end - number)]
        labels = _measured(batch, index, jobs, split)
        for candidate in batch:
            label = labels[candidate.key]
            drops = drops + 1 if label.dropped else 0
            if drops > _MOST_DROPS:
                raise UserError(f"mix.method released: {drops} mixtures of {split} in a row clip; add recordings.")
            if not label.dropped:
                yield _clip(candidate, label, split, number, (mix.seed, SPLITS.index(split), attempt))
                number += 1
            attempt += 1


def _candidate(drawn: Draw, by_path: dict[str, Facts]) -> _Candidate:
    paths = [segment.path for segment in (*drawn.speech, *drawn.noise) if segment.path != SILENCE]
    sources = sha256_bytes(" ".join(by_path[path].sha256 for path in paths).encode())
    return _Candidate(drawn, sha256_bytes(json.dumps([drawn, sources]).encode()), sources)


def _measured(batch: list[_Candidate], index: Index, jobs: int, split: str) -> dict[str, Label]:
    labels = {key: Label(**value) for key, value in index.mixtures(each.key for each in batch).items()}
    todo = [each for each in batch if each.key not in labels]
    work = run_all(partial(_measure, index.root), todo, max(1, min(jobs, len(todo))))
    for key, label in track(work, len(todo), f"measuring mixtures of {split}"):
        labels[key] = label
        index.add_mixture(key, label._asdict())
    return labels


def _measure(root: Path, candidate: _Candidate) -> tuple[str, Label]:
    drawn = candidate.draw
    return candidate.key, mix_released(join(root, drawn.speech), join(root, drawn.noise), drawn.snr, drawn.level)[1]


def _clip(candidate: _Candidate, label: Label, split: str, number: int, seed: tuple[int, int, int]) -> ReleasedClip:
    drawn = candidate.draw
    samples = sum(segment.samples for segment in drawn.speech)
    clip = Clip(
        clip=f"{split}_{number:05d}",
        split=split,
        seed=seed,
        seconds=samples / RATE,
        snr_db=float(drawn.snr),
        level_dbfs=float(label.level),
        speech=drawn.speech,
        noise=drawn.noise,
        noise_label=folder_of(drawn.noise_files[0]),
    )
    name = drawn.name(label.level, number)
    return ReleasedClip(clip, drawn.level, label.true_snr_db, label.active_snr_db, name, candidate.sources)
