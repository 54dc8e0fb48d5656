"""The plan of `mix.method: given`: clips that others mixed, in the challenge's folders, e.g. its test set 1."""

import os
import re
from pathlib import Path

from ndns.audio.io import RATE, info
from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import write_csv
from ndns.mixing.corpus import manifest_root
from ndns.mixing.draw import SILENCE, Clip, Segment, length, segments_text
from ndns.mixing.plan import GIVEN_COLUMNS

NUMBER, SNR, LEVEL = (re.compile(rf"{key}(-?\d+)") for key in ("fileid_", "snr", "tl"))
"""As the challenge's loader finds them: the first place of the name counts."""


def write_given_plan(mix: Mix, manifest: Path, out: Path) -> None:
    """Write `plan.csv` with the columns `GIVEN_COLUMNS`: the first `mix.val_clips` clips by their `fileid`.

    Below the corpus root, at any depth, one folder `noisy` has `clean` and `noise` beside it. As the challenge's loader
    does, clips are cut to `mix.seconds`, or filled up with silence.

    Raises:
        UserError: no such folder or several, fewer clips, a name without its numbers, or a clip without clean or noise.
    """
    root = manifest_root(manifest)
    folder = _folder(root)
    noisy: dict[int, Path] = {}
    for path in sorted((folder / "noisy").glob("*.wav")):
        found = [pattern.search(path.name) for pattern in (NUMBER, SNR, LEVEL)]
        if None in found:
            raise UserError(
                f"{path}: the name lacks snr, tl or fileid_ with its number; is it a clip of the challenge?"
            )
        if noisy.setdefault(int(found[0][1]), path) != path:
            raise UserError(f"{path}: another clip has the number {found[0][1]} too; remove one.")
    if len(noisy) < mix.val_clips:
        raise UserError(f"{folder}: has {len(noisy)} clips, mix.val_clips asks for {mix.val_clips}; lower it.")
    numbers = sorted(noisy)[: mix.val_clips]
    rows = (_row(index, number, noisy[number], root, length(mix.seconds)) for index, number in enumerate(numbers))
    write_csv(out, list(rows), GIVEN_COLUMNS)


def _folder(root: Path) -> Path:
    found = []
    for folder, folders, _ in os.walk(root):
        if {"noisy", "clean", "noise"} <= set(folders):
            found.append(Path(folder))
            folders.clear()
    if len(found) != 1:
        which = f"{len(found)} folders ({found[0]}, {found[1]})" if found else "no folder"
        raise UserError(f"corpus.root: {root} holds {which} with noisy, clean and noise; name the folder of one set.")
    return found[0]


def _row(index: int, number: int, noisy: Path, root: Path, samples: int) -> dict[str, object]:
    folder = noisy.parent.parent
    paths = noisy, *(folder / stream / f"{stream}_fileid_{number}.wav" for stream in ("clean", "noise"))
    streams = [_segments(path, root, samples) for path in paths]
    snr_db, level_dbfs = (float(pattern.search(noisy.name)[1]) for pattern in (SNR, LEVEL))
    clip = Clip(f"val_{index:05d}", "val", (number,), samples / RATE, snr_db, level_dbfs, *streams[1:], "")
    return {**clip.row(), "noisy": segments_text(streams[0]), "name": noisy.name}


def _segments(path: Path, root: Path, samples: int) -> tuple[Segment, ...]:
    header = info(path)
    if "|" in str(path):
        raise UserError(f"{path}: contains '|', which separates segments in a plan; rename it.")
    kept = min(header.frames * RATE // header.rate, samples)
    if not kept:
        raise UserError(f"{path}: is empty; fetch the set again.")
    rest = (Segment(SILENCE, 0, samples - kept),) if kept < samples else ()
    return (Segment(path.relative_to(root).as_posix(), 0, kept), *rest)
