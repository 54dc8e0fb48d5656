"""What the released generator's decisions need to know of each recording, measured once and kept in `facts.sqlite`.

The generator draws in sequence, and what it draws depends on audio: lengths, samples beyond 0.99, and how much of a
speech clip is active. Lengths and whole recordings are decided by the index. Activity is decided by bounds: energies
of 12.5 ms blocks bound the energy of any 50 ms window wherever a recording lies in a clip. Recordings are decoded
again only where the bounds, or a crop of a recording that clips somewhere, leave the answer open.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from ndns.audio.shards import container
from ndns.errors import UserError
from ndns.files import sha256_bytes
from ndns.mix.workers import run_all, track
from ndns.mixing.released_clip import read_mono
from ndns.mixing.released_mix import CLIPPED

BLOCK = 200
"""Samples of an energy block: 12.5 ms, four bytes each, so 320 bytes a second of audio."""

_FORMAT = 1
_COMMIT_EVERY = 200


class Facts(NamedTuple):
    """A recording at 16 kHz mono: `status` is `ok`, `unreadable` or `nan`; `clipped` says if any sample is."""

    path: str
    status: str
    samples: int
    clipped: bool
    sha256: str


class Measured(NamedTuple):
    """`Facts` and the energies of its blocks, float32."""

    facts: Facts
    blocks: bytes


def measure(root: Path, path: str) -> Measured:
    """Decode a recording for its facts."""
    try:
        samples = read_mono(root / path)
    except UserError:  # the released generator warns of it and goes on
        return Measured(Facts(path, "unreadable", 0, False, ""), b"")
    status = "ok" if np.isfinite(samples).all() else "nan"
    starts = np.arange(0, len(samples), BLOCK)
    blocks = np.add.reduceat(samples**2, starts) if len(samples) else np.zeros(0)
    clipped = bool((np.abs(samples) > CLIPPED).any())
    return Measured(Facts(path, status, len(samples), clipped, sha256_bytes(samples)), blocks.astype("<f4").tobytes())


class Index:
    """`facts.sqlite`: facts of recordings below `root` while their size and time are the same; and what was measured.

    Use it in a `with` statement. What is measured stays after an interruption; a kill loses the last 200 entries.

    Raises:
        UserError: the file is no index, cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.root = root
        self._path = path
        self._pending = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path)
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS facts (path TEXT PRIMARY KEY, key TEXT, status TEXT, samples INTEGER,"
                " clipped INTEGER, sha256 TEXT, blocks BLOB)"
            )
            self._db.execute("CREATE TABLE IF NOT EXISTS mixtures (key TEXT PRIMARY KEY, value TEXT)")
        except sqlite3.DatabaseError as error:
            raise _unusable(path, error) from None

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            if not isinstance(error, sqlite3.DatabaseError):
                self._db.commit()
        except sqlite3.DatabaseError as failed:
            error = failed
        finally:
            self._db.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise _unusable(self._path, error) from None

    def facts(self, paths: Sequence[str], jobs: int) -> list[Facts]:
        """Return the facts of recordings in the given order; those that are new or changed are decoded.

        Raises:
            UserError: a file is missing.
        """
        keys = {path: _key(self.root / path) for path in paths}
        known = dict(self._db.execute("SELECT path, key FROM facts"))
        todo = [path for path, key in keys.items() if known.get(path) != key]
        work = run_all(partial(measure, self.root), todo, max(1, min(jobs, len(todo))))
        for facts, blocks in track(work, len(todo), "measuring recordings"):
            values = (facts.path, keys[facts.path], *facts[1:], blocks)
            self._write("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        rows = self._db.execute("SELECT path, status, samples, clipped, sha256 FROM facts")
        found = {row[0]: Facts(*row[:3], bool(row[3]), row[4]) for row in rows if row[0] in keys}
        return [found[path] for path in paths]

    def energy(self, path: str) -> np.ndarray:
        """Return the energy before each block boundary, `(blocks + 1,)`, sums of squares."""
        with closing(self._db.execute("SELECT blocks FROM facts WHERE path = ?", (path,))) as rows:
            blocks = np.frombuffer(rows.fetchone()[0], "<f4")
        return np.concatenate([[0.0], np.cumsum(blocks, dtype=np.float64)])

    def mixtures(self, keys: Iterable[str]) -> dict[str, dict]:
        """Return what is known of mixtures."""
        found = {}
        for key in keys:
            row = self._db.execute("SELECT value FROM mixtures WHERE key = ?", (key,)).fetchone()
            if row:
                found[key] = json.loads(row[0])
        return found

    def add_mixture(self, key: str, value: dict) -> None:
        """Keep what was measured of a mixture."""
        self._write("INSERT OR REPLACE INTO mixtures VALUES (?, ?)", (key, json.dumps(value)))

    def _write(self, statement: str, values: tuple) -> None:
        self._db.execute(statement, values)
        self._pending += 1
        if self._pending % _COMMIT_EVERY == 0:
            self._db.commit()


def _unusable(path: Path, error: sqlite3.DatabaseError) -> UserError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UserError(f"{path}: another `ndns mix plan` writes it; wait for it, or name another file with --facts.")
    if isinstance(error, sqlite3.OperationalError):
        return UserError(f"{path}: cannot be used ({error}); mend this, then run the same command again.")
    return UserError(f"{path}: is not an index of recordings ({error}); delete it.")


def _key(path: Path) -> str:
    try:
        stat = container(path).stat()
    except OSError:
        raise UserError(f"{path}: no such recording; correct the file list or the corpus root.") from None
    return f"{_FORMAT} {soxr.__version__} {path.absolute()} {stat.st_size} {stat.st_mtime_ns}"
