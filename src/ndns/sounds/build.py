"""A corpus of recordings that packages of Debian carry, cut from the `.deb` files as a table says.

Games and learning software hold real engines, water, crowds, tools, animals, music and voices under free licences. The
packages are taken from a folder, each checked by its SHA-256; every recording is made of stretches of their files:
channel mean, resampled to 16 kHz, joined, mean removed, scaled to a peak of 0.7, rounded to 16 bits.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ndns.audio.io import RATE, info, pcm_sha256, read_channels, resample, to_mono, to_pcm16, write_pcm16
from ndns.errors import UserError, some
from ndns.files import sha256_file, write_csv
from ndns.sounds.deb import extract
from ndns.sounds.table import Package, Piece, Sound, read_packages, read_sounds

PEAK = 0.7
COLUMNS = [
    *("file", "split", "kind", "label", "sex", "seconds", "sample_rate", "license", "attribution"),
    *("source_repo", "source_commit", "source_path", "sha256"),
]
NAMED = 8
"""Faults that an error names one by one."""


@dataclass(frozen=True)
class Made:
    """What `build` made: recordings, their length, and those whose samples are not the table's (another decoder)."""

    recordings: int
    seconds: float
    other: tuple[str, ...]


def build(debs: Path, out: Path, sounds: Path, packages: Path) -> Made:
    """Write the corpus below `out`: FLAC files, then `MANIFEST.csv`; all of it is for training.

    Args:
        debs: folder with the `.deb` files under the names that `apt-get download` gives them.
        out: folder of the corpus; files of the same name are replaced.
        sounds: table of pieces, `data/debian_sounds.csv`.
        packages: table of packages, `data/debian_packages.csv`.

    Raises:
        UserError: a package is absent, differs from the table, or lacks a file; a table has a wrong cell; a stretch is
            outside its file or silent.
    """
    known = read_packages(packages)
    table: dict[str, list[Sound]] = defaultdict(list)
    for sound in read_sounds(sounds, known):
        table[sound.package].append(sound)
    _check(debs, [known[name] for name in sorted(table)])
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    other: list[str] = []
    for name in sorted(table):
        with TemporaryDirectory(prefix=".unpacked-", dir=out) as folder:
            members = {piece.member for sound in table[name] for piece in sound.pieces}
            extract(debs / known[name].file, members, Path(folder))
            for sound in table[name]:
                pcm = _joined(sound.pieces, Path(folder), sound.file)
                write_pcm16(out / sound.file, pcm)
                rows.append(_row(sound, known[name], len(pcm), sha256_file(out / sound.file)))
                if pcm_sha256(pcm) != sound.sha256:
                    other.append(sound.file)
    write_csv(out / "MANIFEST.csv", sorted(rows, key=lambda row: row["file"]), COLUMNS)
    return Made(len(rows), sum(row["seconds"] for row in rows), tuple(other))


def _check(debs: Path, packages: Sequence[Package]) -> None:
    """Compare all packages with the table before the first one is opened."""
    missing = [package for package in packages if not (debs / package.file).is_file()]
    if missing:
        names = " ".join(f"{package.name}={package.version}" for package in missing)
        files = some([package.file for package in missing], NAMED)
        raise UserError(f"{debs}: lacks {files}; on Debian 12, there: apt-get download {names}")
    wrong = [package.file for package in packages if sha256_file(debs / package.file) != package.sha256]
    if wrong:
        raise UserError(f"{debs}: SHA-256 of {some(wrong, NAMED)} differs from the table; remove and download again.")


def _joined(pieces: Sequence[Piece], folder: Path, name: str) -> np.ndarray:
    """Return the pieces as int16 `(samples,)` at 16 kHz."""
    signal = np.concatenate([_cut(folder / piece.member, piece) for piece in pieces]).astype(np.float64)
    signal -= signal.mean() if len(signal) else 0
    peak = np.abs(signal).max(initial=0)
    if peak == 0:
        raise UserError(f"{name}: is silent; mend start and seconds in the table.")
    return to_pcm16(signal * (PEAK / peak))


def _cut(path: Path, piece: Piece) -> np.ndarray:
    rate = info(path).rate
    samples, _ = read_channels(path, round(piece.start * rate), round(piece.seconds * rate))
    if len(samples) < round(piece.seconds * rate):
        raise UserError(f"{piece.member}: ends before {piece.start + piece.seconds:g} s; mend the table.")
    return resample(to_mono(samples), rate)


def _row(sound: Sound, package: Package, samples: int, sha256: str) -> Mapping[str, object]:
    joined = "cut, joined" if len(sound.pieces) > 1 else "cut"
    return {
        "file": sound.file,
        "split": "train",
        "kind": sound.kind,
        "label": sound.label,
        "sex": "",
        "seconds": round(samples / RATE, 3),
        "sample_rate": RATE,
        "license": sound.licence,
        "attribution": f"{sound.attribution}; modified: mono, {joined}, mean removed, scaled to a peak of {PEAK}, FLAC",
        "source_repo": f"debian/{package.name}",
        "source_commit": package.version,
        "source_path": "|".join(piece.member for piece in sound.pieces),
        "sha256": sha256,
    }
