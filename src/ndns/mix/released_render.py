"""Rendering of a released plan: clips in parallel, the script's samples, finished clips kept."""

import json
import math
from functools import partial
from pathlib import Path
from typing import NamedTuple

import soxr

from ndns.audio.io import pcm_sha256, write_pcm16
from ndns.errors import UserError
from ndns.files import sha256_bytes, write_csv
from ndns.fingerprint import fingerprint
from ndns.mix.draw import SILENCE
from ndns.mix.journal import Entry, Journal
from ndns.mix.released_facts import join
from ndns.mix.released_mix import mix_released, written_pcm16
from ndns.mix.released_plan import ReleasedClip, folder_of
from ndns.mix.render import COLUMNS, STREAMS, intact, remove_surplus
from ndns.mix.workers import run_all, track

RELEASED_COLUMNS = [*COLUMNS, "true_snr_db", "active_snr_db", "name"]
"""Columns of `<split>.csv`; `snr_db` and `level_dbfs` are the released labels."""

SNR_TOLERANCE_DB = 1e-6


class Task(NamedTuple):
    """A clip, the fingerprint of what it is made of, and what the journal says about it."""

    clip: ReleasedClip
    fingerprint: str
    entry: Entry | None


def render_released(clips: list[ReleasedClip], root: Path, split: str, out: Path, jobs: int) -> None:
    """Render clips into `<split>/{noisy,clean,noise}/` beside `out` and write the manifest `out`.

    Args:
        clips: of the split, in the manifest's order.
        root: folder of the recordings.
        split: `train` or `val`.
        out: manifest, `<split>.csv`.
        jobs: processes; the result does not depend on it.

    Raises:
        UserError: a recording is missing, unreadable, or not what it was when the plan was drawn.
    """
    folder = out.parent / split
    code = f"{fingerprint('mix')} soxr {soxr.__version__}"
    prints = {each.clip.clip: sha256_bytes(json.dumps([code, each.row()]).encode()) for each in clips}
    remove_surplus(folder, set(prints))
    journal = Journal(folder / "journal.jsonl", prints)
    tasks = [Task(each, prints[each.clip.clip], journal.entries.get(each.clip.clip)) for each in clips]
    work = run_all(partial(_render, root, folder), tasks, max(1, min(jobs, len(tasks))))
    for entry in track(work, len(tasks), f"mix {split}"):
        if journal.entries.get(entry["clip"]) != entry:
            journal.add(entry)
    entries = [journal.entries[each.clip.clip] for each in clips]
    write_csv(out, ({column: entry[column] for column in RELEASED_COLUMNS} for entry in entries), RELEASED_COLUMNS)


def _render(root: Path, folder: Path, task: Task) -> Entry:
    if task.entry and intact(folder.parent, task.entry):
        return task.entry
    planned, clip = task.clip, task.clip.clip
    clean, noise = join(root, clip.speech), join(root, clip.noise)
    streams, label = mix_released(clean, noise, int(clip.snr_db), planned.drawn_level)
    if label.dropped or label.level != clip.level_dbfs or not _same(label.true_snr_db, planned.true_snr_db):
        raise UserError(f"{clip.clip}: its recordings are not what they were when planned; run `ndns mix plan` again.")
    files = {stream: f"{folder.name}/{stream}/{clip.clip}.flac" for stream in STREAMS}
    hashes = {}
    for stream, file in files.items():
        pcm = written_pcm16(getattr(streams, stream))
        write_pcm16(folder.parent / file, pcm)
        hashes[f"{stream}_sha256"] = pcm_sha256(pcm)
    return {
        "clip": clip.clip,
        "fingerprint": task.fingerprint,
        **files,
        "seconds": clip.seconds,
        "snr_db": clip.snr_db,
        "level_dbfs": clip.level_dbfs,
        "speaker": next((folder_of(s.path) for s in clip.speech if s.path != SILENCE), ""),
        "noise_label": clip.noise_label,
        **hashes,
        "true_snr_db": planned.true_snr_db,
        "active_snr_db": planned.active_snr_db,
        "name": planned.name,
    }


def _same(measured: float, planned: float) -> bool:
    return math.isclose(measured, planned, rel_tol=0, abs_tol=SNR_TOLERANCE_DB) or (
        math.isnan(measured) and math.isnan(planned)
    )
