"""Rendering of a split: clips in parallel, finished ones kept, everything else removed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import soxr

from ndns.audio.io import pcm_sha256, read_pcm16, write_pcm16
from ndns.errors import UserError
from ndns.files import sha256_bytes, write_csv
from ndns.fingerprint import fingerprint
from ndns.mix.clip import render_clip
from ndns.mix.corpus import Corpus, Pool, Recording
from ndns.mix.draw import SILENCE, Clip
from ndns.mix.journal import Entry, Journal
from ndns.mix.sources import Sources
from ndns.mix.workers import run_all, track

STREAMS = ("noisy", "clean", "noise")
COLUMNS = [
    "clip",
    *STREAMS,
    "seconds",
    "snr_db",
    "level_dbfs",
    "speaker",
    "noise_label",
    *(f"{stream}_sha256" for stream in STREAMS),
]


class Task(NamedTuple):
    """A clip, the fingerprint of what it is made of, and what the journal says about it."""

    clip: Clip
    fingerprint: str
    entry: Entry | None


def render_split(clips: list[Clip], corpus: Corpus, split: str, out: Path, jobs: int) -> int:
    """Render clips into `<split>/{noisy,clean,noise}/` beside `out` and write the manifest `out`.

    A clip's files are kept if the journal names the clip with the same plan row, the same sources, code and
    resampler, and all three files still decode to the journal's hashes. Files that are not of these clips are removed.

    Args:
        clips: of the split, in the manifest's order.
        corpus: that the plan was drawn from.
        split: `train` or `val`.
        out: manifest, `<split>.csv`.
        jobs: processes; the result does not depend on it.

    Returns:
        How many clips got other recordings than planned, because these were silent.

    Raises:
        UserError: a recording is not in the split, missing, unreadable or changed, or all are silent.
    """
    pool, folder = corpus.pools[split], out.parent / split
    prints = _fingerprints(clips, pool)
    remove_surplus(folder, set(prints))
    journal = Journal(folder / "journal.jsonl", prints)
    tasks = [Task(clip, prints[clip.clip], journal.entries.get(clip.clip)) for clip in clips]
    renderer = Renderer(corpus.root, pool, folder)
    for task_entry in track(run_all(renderer, tasks, min(jobs, len(tasks))), len(tasks), f"mix {split}"):
        if journal.entries.get(task_entry["clip"]) != task_entry:
            journal.add(task_entry)
    entries = [journal.entries[clip.clip] for clip in clips]
    write_csv(out, ({column: entry[column] for column in COLUMNS} for entry in entries), COLUMNS)
    return sum(entry["redraws"] > 0 for entry in entries)


class Renderer:
    """Renders tasks; each process has its own."""

    def __init__(self, root: Path, pool: Pool, folder: Path) -> None:
        self._root, self._pool, self._folder = root, pool, folder
        self._digest = _pool_digest(pool)
        self._recordings = pool.by_path()
        self._sources: Sources | None = None

    def __call__(self, task: Task) -> Entry:
        """Return the journal entry of a clip whose files are in place; render it unless they are."""
        if task.entry and task.entry["pool"] in ("", self._digest) and intact(self._folder.parent, task.entry):
            return task.entry
        if self._sources is None:
            self._sources = Sources(self._root, self._recordings)
        clip, mixture, redraws = render_clip(task.clip, self._pool, self._sources)
        speaker = next(self._recordings[s.path].label for s in clip.speech if s.path != SILENCE)
        files = {stream: f"{self._folder.name}/{stream}/{clip.clip}.flac" for stream in STREAMS}
        hashes = {}
        for stream, file in files.items():
            pcm = getattr(mixture, stream)
            write_pcm16(self._folder.parent / file, pcm)
            hashes[f"{stream}_sha256"] = pcm_sha256(pcm)
        return {
            "clip": clip.clip,
            "fingerprint": task.fingerprint,
            "pool": self._digest if redraws else "",
            "redraws": redraws,
            **files,
            "seconds": clip.seconds,
            "snr_db": clip.snr_db,
            "level_dbfs": mixture.level_dbfs,
            "speaker": speaker,
            "noise_label": clip.noise_label,
            **hashes,
        }


def intact(folder: Path, entry: Entry) -> bool:
    """Say whether the files of a journal entry, below `folder`, still decode to its hashes."""
    for stream in STREAMS:
        try:
            pcm = read_pcm16(folder / entry[stream])
        except UserError:  # missing or damaged: rendered again
            return False
        if pcm_sha256(pcm) != entry[f"{stream}_sha256"]:
            return False
    return True


def _fingerprints(clips: list[Clip], pool: Pool) -> dict[str, str]:
    """Hash, for each clip, its plan row, its recordings' samples and the code that makes it."""
    recordings = pool.by_path()
    code = f"{fingerprint('mix')} soxr {soxr.__version__}"
    return {clip.clip: _fingerprint(clip, recordings, code) for clip in clips}


def _fingerprint(clip: Clip, recordings: Mapping[str, Recording], code: str) -> str:
    paths = [segment.path for segment in (*clip.speech, *clip.noise) if segment.path != SILENCE]
    for path in paths:
        if path not in recordings:
            raise UserError(
                f"{clip.clip}: its recording {path} is not among the usable ones of the split {clip.split!r}; "
                "run `ndns mix plan` again."
            )
    return sha256_bytes(json.dumps([code, clip.row(), [recordings[path].sha256 for path in paths]]).encode())


def _pool_digest(pool: Pool) -> str:
    """Hash of all recordings of a split: a clip that was drawn again depends on all of them."""
    return sha256_bytes(json.dumps(sorted(map(vars, pool.by_path().values()), key=lambda r: r["path"])).encode())


def remove_surplus(folder: Path, clips: set[str]) -> None:
    """Remove files of the streams that are not of these clips."""
    for stream in STREAMS:
        for path in (folder / stream).glob("*"):
            if path.suffix != ".flac" or path.stem not in clips:
                path.unlink()
