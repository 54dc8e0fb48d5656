"""Which recordings a folder offers: from a manifest CSV, or from the names of folders.

Folder names: going down from the root, the first folder called `speech` or `clean` makes everything below it speech,
`noise` makes it noise (in any case of letters). The label (speaker or noise type) is the next folder below; a recording
that lies directly there takes the part of its name before the first `-`, `_` or blank. A folder `train` or `val`
anywhere on the way gives the split. Names that start with a dot are passed over. Labels that differ only in blanks
or in how Unicode writes their accents are one label.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ndns.audio.io import SUFFIXES
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mixing.manifest import KINDS, SPLITS

KIND_FOLDERS = {"speech": "speech", "clean": "speech", "noise": "noise"}


@dataclass(frozen=True)
class Source:
    """A recording before inspection: path below the root with `/`, and what is known of it; `split` may be empty."""

    path: str
    kind: str
    label: str
    split: str = ""
    licence: str = ""


def from_manifest(root: Path, name: str) -> tuple[list[Source], int]:
    """Read `file,split,kind,label[,license]` from the CSV `name` below `root`; also count rows of other kinds.

    Raises:
        UserError: the manifest is missing or incomplete, a file is named twice, missing, or outside the root, or a
            split is neither `train`, `val` nor empty.
    """
    manifest = _inside(root, name, "corpus.manifest")
    if not manifest.is_file():
        raise UserError(
            f"{manifest}: no such file; write it, or set corpus.manifest to null if recordings lie in folders named "
            "speech and noise."
        )
    sources: dict[str, Source] = {}
    ignored = 0
    for number, row in enumerate(read_csv(manifest, ("file", "kind", "label")), start=1):
        where = f"{manifest}, recording {number}"
        if row["kind"] not in KINDS:
            ignored += 1
            continue
        path, label, split = row["file"], _spelled(row["label"]), row.get("split") or ""
        if not path or not label:
            raise UserError(f"{where}: {'label' if path else 'file'} is empty; fill it in.")
        if split and split not in SPLITS:
            raise UserError(f"{where}: split {split!r} of {path!r} is unknown; write train, val or nothing.")
        if not os.path.isfile(_inside(root, path, where)):  # of a name that is too long, Path.is_file raises
            raise UserError(f"{where}: the file {path!r} does not exist below {root}; add it or remove the row.")
        path = PurePosixPath(path).as_posix()
        _check_name(path, f"{where}: the file")
        if path in sources:
            raise UserError(f"{where}: the file {path!r} is named twice; remove one row.")
        _check_name(row["label"], f"{where}: the label")
        licence = " ".join((row.get("license") or row.get("licence") or "").split())
        sources[path] = Source(path, row["kind"], label, split, licence)
    return list(sources.values()), ignored


def from_folders(root: Path) -> tuple[list[Source], int]:
    """Find recordings below `root` by folder names; also count those that no folder calls speech or noise.

    Raises:
        UserError: as `walk`.
    """
    sources, ignored = [], 0
    for path in walk(root):
        source = _by_folders(PurePosixPath(path))
        if source is None:
            ignored += 1
        else:
            sources.append(source)
    return sources, ignored


def named_by_file(source: Source) -> bool:
    """Tell whether the label of a recording found by folder names is the beginning of its own name."""
    folders = PurePosixPath(source.path).parts[:-1]
    return not _below(folders, _kind_folder(folders))


def assign_splits(sources: list[Source], seed: int, val_share: float) -> list[Source]:
    """Give every label one split: the one that is written, else a seeded draw over whole labels.

    Of the labels of a kind that have no split, `val_share` (at least one, if there are two) go to `val`.

    Raises:
        UserError: a label is in both splits.
    """
    splits: dict[tuple[str, str], str] = {}
    for source in sources:
        name = (source.kind, source.label)
        written = splits.setdefault(name, source.split)
        if source.split and written and source.split != written:
            raise UserError(
                f"{source.path}: the {source.kind} label {source.label!r} is in both splits; keep each label in one."
            )
        splits[name] = written or source.split
    for number, kind in enumerate(KINDS):
        open_labels = sorted(label for (of, label), split in splits.items() if of == kind and not split)
        count = len(open_labels)
        val_count = min(max(round(val_share * count), 1), count - 1) if count > 1 else 0
        order = np.random.default_rng(np.random.SeedSequence([seed, 7, number])).permutation(count)
        for place, index in enumerate(order):
            splits[kind, open_labels[index]] = "val" if place < val_count else "train"
    return [Source(s.path, s.kind, s.label, splits[s.kind, s.label], s.licence) for s in sources]


def _by_folders(path: PurePosixPath) -> Source | None:
    folders = path.parts[:-1]
    at = _kind_folder(folders)
    if at is None:
        return None
    below = _below(folders, at)
    label = below[0] if below else re.split(r"[-_\s]", path.stem, maxsplit=1)[0] or path.stem
    split = next((name.lower() for name in folders if name.lower() in SPLITS), "")
    return Source(path.as_posix(), KIND_FOLDERS[folders[at].lower()], _spelled(label), split)


def _spelled(label: str) -> str:
    """Spell a label one way, with single blanks and composed accents: two spellings of a speaker would be two."""
    return unicodedata.normalize("NFC", " ".join(label.split()))


def _kind_folder(folders: Sequence[str]) -> int | None:
    return next((i for i, name in enumerate(folders) if name.lower() in KIND_FOLDERS), None)


def _below(folders: Sequence[str], at: int) -> list[str]:
    return [name for name in folders[at + 1 :] if name.lower() not in SPLITS]


def walk(root: Path) -> Iterator[str]:
    """Yield the paths of audio files below `root`, folders and names in sorted order.

    Raises:
        UserError: a folder cannot be read or is a link, a link leads out of the root, or a name is not valid Unicode.
    """
    for folder, folders, names in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*folders, *sorted(names)]:
            path = Path(folder, name)
            audio = path.suffix.lower() in SUFFIXES and name not in folders and not name.startswith(".")
            relative = path.relative_to(root).as_posix()
            if path.is_symlink() and (audio or name in folders):
                _inside(root, relative, "corpus.root")
                if not audio:
                    raise UserError(f"{path}: is a link to a folder, which is not followed; move the folder there.")
            if audio:
                _check_name(relative, "corpus.root: the file")
                yield relative


def _unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); mend its permissions or move it away.")


def _check_name(name: str, what: str) -> None:
    """Refuse what a CSV table in UTF-8 cannot hold: a carriage return, and bytes that are no text."""
    if "\r" in name:
        raise UserError(f"{what} {name!r} contains a carriage return; rename it.")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise UserError(f"{what} {name!r} is not valid UTF-8; rename it.")


def _inside(root: Path, path: str, where: str) -> Path:
    """Return `root / path` if it stays below the root, links resolved.

    Raises:
        UserError: absolute, with `..`, or a link to elsewhere.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or Path(path).is_absolute() or ".." in pure.parts or "\0" in path:
        raise UserError(f"{where}: {path!r} leaves the folder {root}; name files below it.")
    try:
        inside = (root / path).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        raise UserError(f"{where}: {path!r} is a link in a circle; remove it.") from None
    if not inside:
        raise UserError(f"{where}: {path!r} is a link that leaves the folder {root}; copy the file there.")
    return root / path
