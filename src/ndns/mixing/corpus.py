"""The corpus as mixing sees it: usable recordings by split, kind and label, with nothing shared between splits."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ndns.audio.io import RATE
from ndns.errors import UserError
from ndns.files import read_columns
from ndns.mixing.manifest import KINDS, OK, SPLITS

BESIDE = ("speak", "cleaned")
"""Kinds of corpora whose recordings the pipeline makes."""

MIN_SAMPLES = RATE // 10
"""Recordings below 0.1 s are left out: a clip would be made of hundreds of them."""


@dataclass(frozen=True)
class Recording:
    """A recording: path below the root, label, length in whole samples at 16 kHz, hash of its decoded samples."""

    path: str
    label: str
    samples: int
    sha256: str


Groups = tuple[tuple[Recording, ...], ...]
"""Recordings of one kind, a group for each label; labels are sorted, and so are the paths of a group."""


@dataclass(frozen=True)
class Pool:
    """Recordings of one split by speaker and by noise type."""

    speech: Groups
    noise: Groups

    def by_path(self) -> dict[str, Recording]:
        """Return every recording by its path."""
        return {r.path: r for kind in (self.speech, self.noise) for group in kind for r in group}


@dataclass(frozen=True)
class Corpus:
    """Usable recordings.

    Attributes:
        root: folder that their paths count from.
        pools: split -> recordings.
        duplicates: recordings of `train` that were left out because `val` has one with the same samples.
    """

    root: Path
    pools: Mapping[str, Pool]
    duplicates: int


def read_corpus(manifest: Path) -> Corpus:
    """Read `manifest.csv` and the `manifest.json` beside it.

    Raises:
        UserError: a file or column is missing, a cell is wrong, or a label is in both splits.
    """
    rows = _usable(manifest)
    groups: dict[tuple[str, str], dict[str, list[Recording]]] = {(s, k): {} for s in SPLITS for k in KINDS}
    hidden = {row.sha256 for row in rows if row.split == "val"}
    duplicates = 0
    for row in rows:
        if (row.split, row.kind) not in groups:
            raise UserError(
                f"{manifest}: {row.path} has split {row.split!r} and kind {row.kind!r}; "
                "expected train or val, and speech or noise."
            )
        if row.split == "train" and row.sha256 in hidden:
            duplicates += 1
            continue
        recording = _recording(row, manifest)
        if recording.samples >= MIN_SAMPLES:
            groups[row.split, row.kind].setdefault(recording.label, []).append(recording)
    for kind in KINDS:
        shared = sorted(groups["train", kind].keys() & groups["val", kind].keys())
        if shared:
            raise UserError(f"{manifest}: the {kind} label {shared[0]!r} is in both splits; keep each label in one.")
    pools = {split: Pool(*(_sorted(groups[split, kind]) for kind in KINDS)) for split in SPLITS}
    return Corpus(manifest_root(manifest), pools, duplicates)


def read_recordings(manifest: Path, split: str, paths: set[str]) -> dict[str, Recording]:
    """Read the usable recordings of a split that are among `paths`, as `read_corpus` would, without all others.

    Raises:
        UserError: a file or column is missing, or a cell is wrong.
    """
    found, hidden = [], set()
    for cells in read_columns(manifest, list(_Row._fields)):
        if cells[_STATUS] == OK and cells[_SPLIT] == split and cells[_PATH] in paths:
            found.append(_Row._make(cells))
        elif cells[_STATUS] == OK and cells[_SPLIT] == "val":
            hidden.add(cells[_SHA256])
    return {row.path: _recording(row, manifest) for row in found if row.sha256 not in hidden or split == "val"}


class _Row(NamedTuple):
    path: str
    kind: str
    label: str
    split: str
    seconds: str
    rate: str
    sha256: str
    status: str


_PATH, _SPLIT, _SHA256, _STATUS = (_Row._fields.index(name) for name in ("path", "split", "sha256", "status"))


def _usable(manifest: Path) -> list[_Row]:
    rows = map(_Row._make, read_columns(manifest, list(_Row._fields)))
    return [row for row in rows if row.status == OK]


def _recording(row: _Row, manifest: Path) -> Recording:
    if "|" in row.path:
        raise UserError(
            f"{manifest}: the path {row.path!r} contains '|', which separates segments in a plan; rename it."
        )
    try:
        frames = round(float(row.seconds) * int(row.rate))
        samples = frames * RATE // int(row.rate)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UserError(
            f"{manifest}: {row.path} has seconds {row.seconds!r} and rate {row.rate!r}; expected numbers."
        ) from None
    return Recording(row.path, row.label, samples, row.sha256)


def _sorted(groups: dict[str, list[Recording]]) -> Groups:
    return tuple(tuple(sorted(groups[label], key=lambda r: r.path)) for label in sorted(groups))


def manifest_root(manifest: Path) -> Path:
    """Return the folder that the manifest's paths count from.

    A corpus of a kind in `BESIDE` lies beside its manifest; the root of others is what the configuration says.

    Raises:
        UserError: the `manifest.json` beside the manifest is missing or broken.
    """
    path = manifest.with_suffix(".json")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        kind, root = about["kind"], about["root"]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `ndns corpus` writes it beside the manifest.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise UserError(f"{path}: expected JSON with the keys kind and root; run `ndns corpus` again.") from None
    return manifest.parent if kind in BESIDE else Path(root)
