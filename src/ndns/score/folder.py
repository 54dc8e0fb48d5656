"""Scores of a folder of recordings from any system."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, info, read_scaled
from ndns.audio.names import recordings
from ndns.config import Score
from ndns.errors import UserError
from ndns.files import sha256_bytes, sha256_file
from ndns.fingerprint import fingerprint
from ndns.score.clip import Row, measure
from ndns.score.parallel import journaled
from ndns.score.scores import COLUMNS, Scores, write_scores


@dataclass(frozen=True)
class Files:
    """The recordings of one clip."""

    denoised: Path
    clean: Path
    noisy: Path | None
    settings: Score
    trim: bool

    def key(self) -> str:
        """Return a digest of everything that the scores depend on."""
        hashes = [sha256_file(path) if path else None for path in (self.denoised, self.clean, self.noisy)]
        content = [hashes, self.settings.model_dump(), self.trim, fingerprint("score")]
        return sha256_bytes(json.dumps(content).encode())


def score_folder(
    denoised: Path,
    clean: Path,
    noisy: Path | None,
    out: Path,
    settings: Score,
    jobs: int,
    partial: bool = False,
    trim: bool = False,
) -> Scores:
    """Score recordings of any rate and channel count, matched by name, write the table, return its rows.

    Args:
        denoised: folder of a system's output.
        clean: folder of the references.
        noisy: folder of the inputs; None leaves the SI-SNR gains empty.
        out: the table to write.
        settings: which metrics.
        jobs: processes, one thread each.
        partial: score the names that all folders hold instead of refusing when some are missing.
        trim: cut clips to the shorter of denoised and clean instead of refusing different lengths.

    Raises:
        UserError: names that do not match, an unreadable file, NaN, different lengths.
    """
    folders = [denoised, clean, *([noisy] if noisy else [])]
    files = [recordings(folder) for folder in folders]
    clips = {
        name: Files(*(part[name] for part in files), *([] if noisy else [None]), settings, trim)
        for name in _common_names(folders, files, partial)
    }
    if not trim:
        _check_lengths(clips.values())
    keys = {name: clip.key() for name, clip in clips.items()}
    journal = out.with_name(f"{out.name}.journal")
    measured = journaled(score_files, {keys[name]: clip for name, clip in clips.items()}, journal, jobs)
    rows: Scores = [{"clip": name, **measured[keys[name]]} for name in clips]
    write_scores(out, rows, COLUMNS)
    journal.unlink(missing_ok=True)
    return rows


def score_files(files: Files) -> Row:
    """Read, resample to 16 kHz and measure one clip.

    Raises:
        UserError: an unreadable file, NaN, a scale other than full scale 1, too short for a sample at 16 kHz.
    """
    paths = [path for path in (files.denoised, files.clean, files.noisy) if path]
    signals = [read_scaled(path).astype(np.float64) for path in paths]
    shortest = min(map(len, signals))
    if shortest == 0:
        raise UserError(f"{files.denoised}: too short for a sample at {RATE} Hz, or its references are; remove it.")
    output, reference, mixture = [*(signal[:shortest] for signal in signals), None][:3]
    return measure(output, reference, mixture, files.settings)


def _check_lengths(clips: Iterable[Files]) -> None:
    """Compare the lengths that the headers state, so that a wrong one is told before hours of scoring."""
    for files in clips:
        first = info(files.denoised)
        for path in (files.clean, files.noisy):
            other = info(path) if path else first
            samples = [round(each.seconds * RATE) for each in (first, other)]
            if abs(samples[0] - samples[1]) > (first.rate != other.rate):  # resampling of unequal rates rounds
                raise UserError(
                    f"{files.denoised} has {samples[0]} samples at 16 kHz but {path} has {samples[1]}; "
                    "pad or cut one of them, or give --trim to score what they share from the start."
                )


def _common_names(folders: Sequence[Path], files: Sequence[dict[str, Path]], partial: bool) -> list[str]:
    common = sorted(set.intersection(*map(set, files)))
    if not common:
        names = " and ".join(f"{next(iter(part.values()))}" for part in files)
        raise UserError(
            f"no name is in every folder: compare {names}; files are matched by their whole name but the ending (.wav)."
        )
    for folder, part in zip(folders, files, strict=True):
        for other, names in zip(folders, files, strict=True):
            lonely = sorted(set(part) - set(names))
            if lonely and not partial:
                raise UserError(
                    f"{other}: no file for {part[lonely[0]]} ({len(lonely)} of {len(part)} in {folder} have none); "
                    "add it, or give --partial to score the names that match."
                )
    return common
