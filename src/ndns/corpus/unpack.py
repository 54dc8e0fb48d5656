"""Archives into folders: `.tar.bz2` and `.zip` (whole or in volumes), never outside the folder, whole or not at all."""

import bz2
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from ndns.corpus.unpack_zip import Corrupt, Volumes, entries
from ndns.errors import UserError

BLOCK = 1 << 20
RESERVED = ".fetch"
"""Folder below the root that belongs to the fetching itself."""


class Interrupted(Exception):
    """Unpacking was stopped; nothing of the archive has been moved to its place."""


def unpack(name: str, parts: Sequence[Path], staging: Path, root: Path, stop: threading.Event) -> dict[str, int]:
    """Unpack an archive into `staging`, and only when all of it is there move the files below `root`.

    Args:
        name: `*.tar.bz2` or `*.zip`.
        parts: its files, in the order of the volumes.
        staging: folder on the disk of `root`; emptied first, removed at the end.
        root: folder in which the archive's paths are placed; files of the same path are replaced.
        stop: once set, unpacking ends with `Interrupted`.

    Returns:
        Size in bytes by path below `root`.

    Raises:
        Corrupt: corrupt or cut short.
        UserError: a member that is neither file nor folder or that leaves the folder, no room.
    """
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        files: dict[str, int] = {}
        for path, size, blocks in _members(name, parts):
            if stop.is_set():
                raise Interrupted
            _room(staging, size, name)
            files[path.as_posix()] = write_blocks(staging / path, blocks)
        for path in files:
            _move(staging / path, root, path)
        return files
    except (EOFError, tarfile.TarError) as error:
        raise Corrupt(f"{name}: corrupt or cut short ({error}); remove it and fetch it again.") from None
    except OSError as error:
        raise UserError(
            f"{name}: cannot be unpacked below {root} ({error.strerror}); mend this and run again."
        ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def safe_path(name: str, where: str) -> PurePosixPath:
    """Return `name` as a path that stays below any folder.

    Raises:
        UserError: absolute, with `..`, a drive, a backslash or NUL, empty, no UTF-8, or below the reserved folder.
    """
    path = PurePosixPath(name)
    bad = path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == RESERVED
    bad = bad or any("\ud800" <= character <= "\udfff" for character in name)
    if bad or any(mark in name for mark in "\\\0\r\n") or name[1:2] == ":":
        raise UserError(f"{where}: the path {name!r} leaves the folder or is not allowed; do not use this archive.")
    return path


def _members(name: str, parts: Sequence[Path]) -> Iterator[tuple[PurePosixPath, int, Iterable[bytes]]]:
    if name.endswith(".tar.bz2") and len(parts) == 1:
        return _tar_members(name, parts[0])
    if name.endswith(".zip"):
        return _zip_members(name, parts)
    raise UserError(f"{name}: only a .tar.bz2 of one part and .zip are unpacked; mend sources.csv.")


def _tar_members(name: str, path: Path) -> Iterator[tuple[PurePosixPath, int, Iterable[bytes]]]:
    """Yield regular files; anything but files and folders is refused, and so is an end without its end mark."""
    with _Bz2(path) as handle:
        try:
            with tarfile.open(fileobj=handle, mode="r:") as archive:
                for member in archive:
                    if member.isdir() and PurePosixPath(member.name) == PurePosixPath("."):
                        continue
                    inside = safe_path(member.name, name)
                    if member.isdir():
                        continue
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                        raise UserError(f"{name}: {member.name!r} is a link or device; do not use this archive.")
                    yield inside, member.size, blocks_of(archive, member)
        except OSError as error:
            if error.errno is not None:
                raise
            raise EOFError(str(error)) from None
        handle.check_end()


class _Bz2(bz2.BZ2File):
    """Decompressed bytes; remembers the last block so that a missing end mark is noticed."""

    last = b""

    def read(self, size: int = -1) -> bytes:
        self.last = super().read(size)
        return self.last

    def check_end(self) -> None:
        """Read to the end; tar's end is blocks of zeros, which `tarfile` does not insist on."""
        if len(self.last) != tarfile.BLOCKSIZE or any(self.last):
            raise EOFError("the end mark is missing")
        try:
            while block := self.read(BLOCK):
                if block.count(0) != len(block):
                    raise EOFError("data after the end mark")
        except OSError as error:
            raise EOFError(str(error)) from None


def blocks_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    """Yield the bytes of a regular file in an archive."""
    with archive.extractfile(member) as handle:
        while block := handle.read(BLOCK):
            yield block


def _zip_members(name: str, parts: Sequence[Path]) -> Iterator[tuple[PurePosixPath, int, Iterable[bytes]]]:
    with Volumes(name, parts) as volumes:
        for entry in entries(volumes):
            inside = safe_path(entry.name, name)
            kind = stat.S_IFMT(entry.mode)
            if entry.name.endswith("/") or kind == stat.S_IFDIR:
                continue
            if kind not in (0, stat.S_IFREG):
                raise UserError(f"{name}: {entry.name!r} is a link or device; do not use this archive.")
            yield inside, entry.size, volumes.content(entry)


def _room(folder: Path, size: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(f"{name}: a member of {size / 1e9:.1f} GB does not fit the {free / 1e9:.1f} GB that are free.")


def write_blocks(path: Path, blocks: Iterable[bytes]) -> int:
    """Write a file and the folders above it; return its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with open(path, "wb") as handle:
        for block in blocks:
            handle.write(block)
            size += len(block)
    return size


def _move(staged: Path, root: Path, path: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{target.parent}: is a link that leaves {root}; move the folder itself there.")
    os.replace(staged, target)
