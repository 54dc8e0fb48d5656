"""Cleaner speech to train with: a part of what a denoiser takes out is taken out, and pauses are turned down.

Recordings of readers at home hold noise of their own, and a network that learns from them learns to keep it.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter1d

from ndns.audio.io import RATE, limit_to_pcm16, pcm_sha256, read, read_pcm16, write_pcm16
from ndns.audio.shards import SUFFIX, write_shard
from ndns.config import CleanedCorpus
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.files import sha256_bytes
from ndns.journal import Journal
from ndns.mixing import manifest
from ndns.mixing.corpus import Recording, manifest_root, read_corpus
from ndns.mixing.sources import header_of
from ndns.peer.base import Clip, Peer, finite
from ndns.peer.run import one_core, peer_of, stamp_of
from ndns.pool import each

ARCHIVE, PARTS = "audio.tar", ".parts"
FRAME = RATE * 16 // 1000
"""Samples of a frame, 16 ms, over which speech and pauses are told apart."""
AROUND = 7
"""Frames over which the largest factor counts: what lies within 48 ms of speech is left as it is."""
SPEECH = 0.6
"""A frame that keeps this share of its RMS amplitude is speech."""
_TINY = 1e-12


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did: recordings, minutes, and decibels from what is left to what was taken away (median)."""

    recordings: int
    minutes: float
    taken_db: float
    by: str

    def __str__(self) -> str:
        return (
            f"{self.recordings} recordings, {self.minutes:.1f} min, cleaned by {self.by}; what was taken away is "
            f"{self.taken_db:.1f} dB below what is left (median)"
        )


def clean(settings: CleanedCorpus, by: Settings, corpus: Path, study: Path, out: Path, jobs: int) -> Cleaned:
    """Write `audio.tar`, `manifest.csv` and `manifest.json` below `out`: the train speech of a corpus, cleaned.

    Finished recordings wait in the folder `.parts` until all are done, so that an interrupted run goes on; not those
    of a denoiser whose code is not known here: it may have been mended since.

    Args:
        settings: how.
        by: the denoiser.
        corpus: manifest of the recordings.
        study: manifest of the study's corpus; recordings with the samples of one in its val split are left out.
        out: folder.
        jobs: processes.

    Raises:
        UserError: the denoiser hears a study's clips alone, a manifest, recording or its weights are missing or wrong,
            a recording is not as long as its manifest says, there is no speech to clean, two recordings would have
            one name, or the denoiser gives something else than finite samples.
    """
    if not by.hears_any:
        raise UserError(f"{by.peer}: denoises the clips of a study alone; name another peer to clean {corpus}.")
    usable, root = read_corpus(corpus).pools["train"].by_path(), manifest_root(corpus)
    sources = _sources(corpus, study, usable.keys())
    if not sources:
        raise UserError(f"{corpus}: has no speech for train to clean; add some.")
    _check_names(corpus, sources)
    one_core()
    known = peer_of(by).facts.known
    how = f"{settings.keep!r} {settings.pauses_db!r} {stamp_of(by)}"
    keys = {row.path: sha256_bytes(f"{row.sha256} {how}".encode()) for row in sources}
    parts, done = out / PARTS, {}
    with Journal(parts / "journal.jsonl", set(keys) if known else set()) as journal:
        for row in sources:
            result = journal.get(row.path, keys[row.path])
            if result is not None and _holds(_part(parts, row.path), result["sha256"]):
                done[row.path] = result
        todo = [usable[row.path] for row in sources if row.path not in done]
        task = partial(_clean, by.model_dump_json(), settings.keep, settings.pauses_db, root, parts)
        for recording, result in each(task, todo, jobs, "Cleaning"):
            journal.add(recording.path, keys[recording.path], result)
            done[recording.path] = result
    members = sorted((_name(path), _part(parts, path)) for path in done)
    write_shard(out / ARCHIVE, ((name, part.read_bytes()) for name, part in members))
    rows = manifest.write(out, [_cleaned(row, done[row.path]) for row in sources], ".", settings.kind)
    shutil.rmtree(parts)
    return Cleaned(
        recordings=len(rows),
        minutes=sum(row.seconds or 0.0 for row in rows) / 60,
        taken_db=float(np.median([result["taken_db"] for result in done.values()])),
        by=settings.by,
    )


def _sources(corpus: Path, study: Path, usable: Collection[str]) -> list[manifest.Recording]:
    """Return rows of the speech to clean: among `usable`, and unlike any recording that is kept for validation."""
    hidden = {r.sha256 for r in read_corpus(study).pools["val"].by_path().values()}
    rows = (row for row in manifest.read(corpus) if row.kind == "speech" and row.path in usable)
    return [row for row in rows if row.sha256 not in hidden]


def _part(parts: Path, path: str) -> Path:
    """Return where a finished recording waits: under a hash, since a name of 255 bytes bears no further suffix."""
    return parts / f"{sha256_bytes(path.encode())}.flac"


def _holds(part: Path, sha256: str) -> bool:
    """Tell whether a finished recording is the noted one; a run with other settings may have replaced it, then died."""
    return part.is_file() and pcm_sha256(read_pcm16(part)) == sha256


def _check_names(corpus: Path, sources: list[manifest.Recording]) -> None:
    first: dict[str, str] = {}
    for row in sources:
        other = first.setdefault(_name(row.path), row.path)
        if other != row.path:
            raise UserError(f"{corpus}: {other} and {row.path} would both be called {_name(row.path)}; rename one.")


def _name(path: str) -> str:
    """Return the name in the archive: the path of the recording, as FLAC; no folder of it may look like an archive.

    >>> _name("audio.tar/speech/a/b.wav"), _name("x.tar/b.flac")
    ('speech/a/b.wav.flac', 'x_tar/b.flac')
    """
    name = path.removeprefix(f"{ARCHIVE}/").replace(f"{SUFFIX}/", "_tar/")
    return name if name.endswith(".flac") else f"{name}.flac"


def _cleaned(row: manifest.Recording, result: dict) -> manifest.Recording:
    status = manifest.OK if result["sounds"] else "silent"
    path, seconds = f"{ARCHIVE}/{_name(row.path)}", result["samples"] / RATE
    return replace(row, path=path, seconds=seconds, rate=RATE, channels=1, sha256=result["sha256"], status=status)


def _clean(settings: str, keep: float, pauses_db: float, root: Path, parts: Path, recording: Recording) -> dict:
    path = root / recording.path
    header_of(path, recording)
    samples = read(path).astype(np.float64)
    peer = _peer(settings)
    denoised, _ = peer.denoise(Clip(recording.path, samples, path))
    pcm = limit_to_pcm16(blend(samples, finite(denoised, peer, str(path)), keep, pauses_db))[0]
    write_pcm16(_part(parts, recording.path), pcm)
    kept = pcm / 32768
    taken = float(np.sum((samples - kept) ** 2))
    return {
        "sha256": pcm_sha256(pcm),
        "samples": len(pcm),
        "sounds": bool(pcm.any()),
        "taken_db": 10 * float(np.log10((np.sum(kept**2) + _TINY) / (taken + _TINY))),
    }


@cache
def _peer(settings: str) -> Peer:
    one_core()
    return peer_of(Settings.model_validate_json(settings))


def blend(samples: np.ndarray, denoised: np.ndarray, keep: float, pauses_db: float) -> np.ndarray:
    """Return a recording less a part of its noise, float64 `(samples,)`.

    Args:
        samples: the recording `(samples,)`.
        denoised: the same after a denoiser, aligned; its level is fitted to the recording (least squares).
        keep: share, in amplitude, of what the denoiser removed that stays; 1 leaves the recording as it is.
        pauses_db: most by which frames in which the denoiser leaves little are turned down; 0 leaves them.

    >>> blend(np.ones(4), np.full(4, 0.5), keep=0.5, pauses_db=0.0)
    array([1., 1., 1., 1.])
    """
    power = np.sum(denoised * denoised)  # not `@`, whose sums depend on the number of threads
    fitted = denoised * (np.sum(samples * denoised) / power) if power > 0 else denoised
    return (fitted + keep * (samples - fitted)) * _factors(samples, fitted, 10 ** (pauses_db / 20))


def _factors(samples: np.ndarray, denoised: np.ndarray, least: float) -> np.ndarray:
    """Return a factor for each sample: 1 about speech, down to `least` where the denoiser leaves little."""
    kept = np.sqrt((_power(denoised) + _TINY) / (_power(samples) + _TINY))
    kept = maximum_filter1d(np.where(kept > SPEECH, 1.0, np.clip(kept, least, 1.0)), AROUND)
    centres = np.arange(len(kept)) * FRAME + FRAME / 2
    return np.interp(np.arange(len(samples)), centres, kept)


def _power(samples: np.ndarray) -> np.ndarray:
    """Return the mean square of each frame; what is missing of the last one counts as silence."""
    frames = -(-len(samples) // FRAME)
    return np.mean(np.pad(samples, (0, frames * FRAME - len(samples))).reshape(frames, FRAME) ** 2, axis=1)
