"""The unpacked DNS-4 tree as recordings: kind from `clean_fullband` and `noise_fullband`, label from names.

A label is a speaker or a noise recording, since no label may be in both splits. Where the names tell no speaker the
label is a whole folder: coarser, never finer.
"""

import re
from pathlib import Path, PurePosixPath

from ndns.corpus.sources import Source, walk

KIND_FOLDERS = {"clean_fullband": "speech", "noise_fullband": "noise"}
READER = re.compile(r"(?:^|_)reader_(\d+)")
"""LibriVox: `book_00000_chp_0009_reader_06709_0_seg_1.wav`."""
FREESOUND = re.compile(r"[Ff]reesound_(?:validated_)?(\d+)")
"""`fan_Freesound_validated_102686_0.wav`: the recording's number; several segments of one recording share it."""
GENDERS = ("female", "male")


def from_tree(root: Path) -> tuple[list[Source], int]:
    """Find the recordings of an unpacked DNS-4 tree at any depth; also count files of other folders (test sets, rooms).

    Raises:
        UserError: as `walk`.
    """
    sources, ignored = [], 0
    for path in walk(root):
        pure = PurePosixPath(path)
        at = next((i for i, name in enumerate(pure.parts[:-1]) if name in KIND_FOLDERS), None)
        if at is None:
            ignored += 1
            continue
        kind = KIND_FOLDERS[pure.parts[at]]
        inside = PurePosixPath(*pure.parts[at + 1 :])
        sources.append(Source(path, kind, speaker(inside) if kind == "speech" else noise(inside)))
    return sources, ignored


def speaker(path: PurePosixPath) -> str:
    """Return the speaker of a file below `clean_fullband`.

    >>> speaker(PurePosixPath("read_speech/book_00000_chp_0009_reader_06709_0_seg_1.wav"))
    'read_speech-reader_06709'
    """
    if len(path.parts) == 1:
        return _reader(path) or "unknown"
    group, *folders = path.parts[:-1]
    return f"{group}-{_reader(path) or _by_group(group, folders, path.stem)}"


def noise(path: PurePosixPath) -> str:
    """Return the original recording of a file below `noise_fullband`.

    >>> noise(PurePosixPath("fan_Freesound_validated_102686_0.wav"))
    'freesound_102686'
    """
    match = FREESOUND.search(path.stem)
    return f"freesound_{match[1]}" if match else path.stem


def _reader(path: PurePosixPath) -> str:
    match = READER.search(path.stem)
    return f"reader_{match[1]}" if match else ""


def _by_group(group: str, folders: list[str], stem: str) -> str:
    """Return the speaker as VCTK, CREMA-D, VocalSet, OpenSLR and M-AILABS name them; else a folder."""
    lowered = group.lower()
    first = stem.split("_")[0]
    if lowered.startswith("vctk"):
        return folders[0] if folders else first
    if lowered.startswith("emotional") and first.isdecimal():
        return first
    if lowered.startswith("vocalset"):
        return first if re.fullmatch(r"[fm]\d+", first) else "singers"
    if folders and folders[0].startswith("SLR"):
        match = re.match(r"[a-z]+_\d+(?=_)", stem)
        return match[0] if match else folders[0]
    for place, name in enumerate(folders[:-1]):
        if name in GENDERS:
            return folders[place + 1]
        if name == "mix":
            return "/".join(folders[: place + 1])
    return "/".join(folders[:2]) if folders else "unknown"
