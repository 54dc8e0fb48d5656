"""A corpus of given recordings: listed, split by whole labels, inspected one by one."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from ndns.audio import header, ogg
from ndns.audio.io import SUFFIXES
from ndns.audio.names import hidden
from ndns.config import FolderCorpus
from ndns.corpus import dns4, inspection
from ndns.corpus.inspection import Finding, inspect
from ndns.corpus.sources import Source, assign_splits, from_folders, from_manifest, named_by_file
from ndns.errors import UserError, some
from ndns.files import sha256_bytes, sha256_file
from ndns.journal import Journal
from ndns.mixing.manifest import KINDS, OK, SPLITS, Recording
from ndns.pool import each

WARNINGS = 20
"""Bad recordings that are named one by one; the rest is in the manifest."""
OTHER_SUFFIXES = (".mp3", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".caf", ".w64", ".rf64", ".au")
"""Of sounds that folders are not searched for."""


def build(settings: FolderCorpus, out: Path, jobs: int) -> tuple[list[Recording], int]:
    """Inspect the recordings below `settings.root`; findings of an earlier run hold while size and time are the same.

    Returns:
        All recordings, bad ones with their status, and the number of files or rows that are neither speech nor noise.

    Raises:
        UserError: no such folder, no recordings, a bad manifest, a label in both splits, or (`on_bad: refuse`) a bad
            recording.
    """
    root = _root(settings.root)
    sources, ignored = _listed(settings, root)
    if not sources:
        raise UserError(
            f"{root}: no speech or noise found in {', '.join(SUFFIXES)} files; name folders speech and noise, or set "
            "corpus.manifest."
        )
    sources = sorted(assign_splits(sources, settings.seed, settings.val_share), key=lambda source: source.path)
    _warn_of_gaps(sources)
    if settings.kind == "folder" and settings.manifest is None:
        _warn_of_names(sources)
        _warn_of_others(root)
    recordings, bad = [], 0
    with closing(_findings(settings, root, sources, out, jobs)) as findings:
        for source, finding in findings:
            if finding.status != OK:
                bad += 1
                _report(root / source.path, finding, bad, refuse=settings.on_bad == "refuse")
            recordings.append(_recording(source, finding))
    if bad > WARNINGS:
        _warn(f"{bad - WARNINGS} more bad recordings are left out; manifest.csv names them.")
    return recordings, ignored


def _listed(settings: FolderCorpus, root: Path) -> tuple[list[Source], int]:
    if settings.manifest is not None:
        return from_manifest(root, settings.manifest)
    return dns4.from_tree(root) if settings.kind == "dns4" else from_folders(root)


def _findings(
    settings: FolderCorpus, root: Path, sources: list[Source], out: Path, jobs: int
) -> Iterator[tuple[Source, Finding]]:
    """Yield `(source, finding)` in the order of `sources`."""
    by_path = {source.path: source for source in sources}
    code = "".join(sha256_file(module.__file__) for module in (inspection, header, ogg))
    keys = {path: _key(root / path, f"{settings.clipped_share!r} {code}") for path in by_path}
    task = partial(_inspect_below, root, settings.clipped_share)
    with Journal(out / "journal.jsonl", set(by_path)) as journal:
        known = {path: journal.get(path, keys[path]) for path in by_path}
        todo = [path for path, result in known.items() if result is None]
        fresh = each(task, todo, jobs, "Inspecting", chunk=16)
        for path, source in by_path.items():
            result = known[path]
            if result is not None:
                yield source, Finding(**result)
                continue
            _, finding = next(fresh)
            journal.add(path, keys[path], vars(finding))
            yield source, finding


def _inspect_below(root: Path, clipped_share: float, path: str) -> Finding:
    return inspect(root / path, clipped_share)


def _key(path: Path, judged_by: str) -> str:
    """Return what a finding depends on: the file's place, size and time, and how it is judged."""
    try:
        stat = path.stat()
    except OSError:
        return "absent"
    return sha256_bytes(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {judged_by}".encode())


def _root(text: str) -> Path:
    if not text.strip():
        raise UserError(
            "corpus.root is empty; name the folder with `--config corpus_root=...` or the variable NDNS_CORPUS_ROOT."
        )
    root = Path(text)
    if not root.is_dir():
        raise UserError(f"corpus.root: {text} is not a folder; check corpus_root or NDNS_CORPUS_ROOT.")
    return root.absolute()


def _recording(source: Source, finding: Finding) -> Recording:
    seconds = finding.frames / finding.rate if finding.frames is not None and finding.rate else None
    return Recording(
        path=source.path,
        kind=source.kind,
        label=source.label,
        split=source.split,
        seconds=seconds,
        rate=finding.rate,
        channels=finding.channels,
        licence=source.licence,
        sha256=finding.sha256,
        status=finding.status,
    )


def _report(path: Path, finding: Finding, count: int, refuse: bool) -> None:
    sentence = f"{path}: {finding.status} ({finding.reason})"
    if refuse:
        raise UserError(f"{sentence}; mend or remove it, or set corpus.on_bad to skip.")
    if count <= WARNINGS:
        _warn(f"{sentence}; left out.")


def _warn_of_gaps(sources: list[Source]) -> None:
    present = {(source.split, source.kind) for source in sources}
    for split in SPLITS:
        for kind in KINDS:
            if (split, kind) not in present:
                _warn(f"no {kind} for {split}: mixing needs speech and noise in both splits.")


def _warn_of_names(sources: list[Source]) -> None:
    for kind, what in (("speech", "speaker"), ("noise", "noise type")):
        named = [source for source in sources if source.kind == kind and named_by_file(source)]
        labels = sorted({source.label for source in named})
        if named:
            _warn(
                f"{len(named)} recordings lie directly in their {kind} folder, so their names up to - or _ count as "
                f"{what}s ({some(labels, 3)}); give each {what} a folder, or one may be in both splits."
            )


def _warn_of_others(root: Path) -> None:
    """Say which sounds below the folder are not looked at, for their format."""
    found = (path for path in root.rglob("*") if not hidden(path.relative_to(root)))
    others = Counter(path.suffix.lower() for path in found if path.suffix.lower() in OTHER_SUFFIXES)
    if others:
        _warn(
            f"{others.total()} files are passed over ({', '.join(sorted(others))}); folders are searched for "
            f"{', '.join(SUFFIXES)}: convert them, or name all recordings in corpus.manifest, if libsndfile reads them."
        )


def _warn(sentence: str) -> None:
    print(f"ndns corpus: {sentence}", file=sys.stderr)
