"""Which file of a folder is which clip: recordings matched by name."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from ndns.audio.io import SUFFIXES
from ndns.errors import UserError
from ndns.files import sha256_bytes, sha256_file

FILE_ID = re.compile(r"fileid_\d+$")


def hidden(relative: Path) -> bool:
    """Return whether a name in the path begins with a dot: macOS leaves `._a.wav`, which is no sound.

    >>> hidden(Path("day/._a.wav")), hidden(Path("day/a.wav"))
    (True, False)
    """
    return any(part.startswith(".") for part in relative.parts)


def recordings(folder: Path) -> dict[str, Path]:
    """Return name -> file for a folder tree; `..._fileid_7` counts as `fileid_7`, as the challenge names its files.

    Raises:
        UserError: no such folder, no recording in it, two of one name, or a link that leads nowhere.
    """
    if not folder.is_dir():
        there = "is no folder; name the one that holds the recordings" if folder.exists() else "no such folder"
        raise UserError(f"{folder}: {there}.")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or hidden(relative):
            continue
        if path.is_dir():
            continue
        if not path.is_file():
            raise UserError(f"{path}: the link leads nowhere; mend or remove it.")
        file_id = FILE_ID.search(path.stem)
        name = file_id.group() if file_id else relative.with_suffix("").as_posix()
        if name in found:
            raise UserError(f"{path} and {found[name]} are both the clip {name!r}; keep one.")
        found[name] = path
    if not found:
        raise UserError(f"{folder}: holds no recording ({', '.join(SUFFIXES)}).")
    return found


def digest(found: Mapping[str, Path]) -> str:
    """Return one SHA-256 over the names and the bytes of all recordings."""
    return sha256_bytes("".join(f"{name}\0{sha256_file(path)}\n" for name, path in sorted(found.items())).encode())


def recording_of(found: Mapping[str, Path], clip: str) -> Path | None:
    """Return a clip's recording: of its name, as a shard names its noisy file, or as `ndns mix export` numbers it.

    >>> recording_of({"fileid_7": Path("a_snr3_tl-20_fileid_7.wav")}, "val_00007")
    PosixPath('a_snr3_tl-20_fileid_7.wav')
    """
    number = clip.rpartition("_")[2]
    names = (clip, f"{clip}.noisy", *([f"fileid_{int(number)}"] if number.isdigit() else []))
    return next((found[name] for name in names if name in found), None)


def check_names(found: Mapping[str, Path], clips: Collection[str], folder: Path, manifest: Path) -> None:
    """Check that each clip of a manifest has its recording; further recordings do no harm.

    Raises:
        UserError: names the first clip without one, how many there are, and how files have to be called.
    """
    lonely = [clip for clip in clips if clip not in found]
    if lonely:
        extra = next((path.name for name, path in found.items() if name not in set(clips)), None)
        hint = f" (it has {extra}, which is none of them)" if extra else ""
        raise UserError(
            f"{folder}: no recording of {lonely[0]} ({len(lonely)} of the {len(clips)} clips of {manifest} have none)"
            f"{hint}; call the files as the clips are called, {lonely[0]}.wav."
        )
