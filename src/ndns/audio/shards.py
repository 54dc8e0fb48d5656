"""Recordings in tar shards: the path `val/0000.tar/val_00003.noisy.flac` names a member of the archive `val/0000.tar`.

A shard is a plain, uncompressed tar that any tool unpacks; `<clip>.<stream>.flac` is WebDataset's way to name what
belongs together. Members are found by an index that is built once for each archive and process, then read by one seek.
"""

import io
import tarfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ndns.errors import UserError
from ndns.files import atomic_path

SUFFIX = ".tar"
INDEXES = 4096
"""Archives whose index a process keeps: about 100 bytes a member."""


def container(path: Path) -> Path:
    """Return the file that holds a recording: the archive for a member, else the path itself.

    >>> container(Path("val/0000.tar/a.flac")).as_posix(), container(Path("val/a.flac")).as_posix()
    ('val/0000.tar', 'val/a.flac')
    """
    return next((parent for parent in path.parents if parent.suffix == SUFFIX and not parent.is_dir()), path)


def source(path: Path) -> Path | io.BytesIO:
    """Return what an audio library opens: the path of a file, or the bytes of a shard's member.

    Raises:
        UserError: no such file, no such member, or the archive is broken.
    """
    archive = container(path)
    if archive == path:
        if not path.is_file():
            raise UserError(f"{path}: no such recording.")
        return path
    try:
        stat = archive.stat()
        offset, size = _index(str(archive), stat.st_size, stat.st_mtime_ns)[path.relative_to(archive).as_posix()]
        with open(archive, "rb") as handle:
            handle.seek(offset)
            return io.BytesIO(handle.read(size))
    except FileNotFoundError:
        raise UserError(f"{path}: no such recording; the archive {archive} is missing.") from None
    except KeyError:
        raise UserError(f"{path}: no such recording; {archive} holds no member of that name.") from None
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{archive}: cannot be read as a tar archive ({error}); delete it and run again.") from None


def write_shard(path: str | Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write `(name, bytes)` members in their order; equal members give equal archives (no times, no users)."""
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


@lru_cache(INDEXES)
def _index(archive: str, size: int, mtime_ns: int) -> dict[str, tuple[int, int]]:
    """Name -> offset and size of each member; size and time of the archive are there to notice another one."""
    with tarfile.open(archive, "r:") as handle:
        return {member.name: (member.offset_data, member.size) for member in handle if member.isreg()}
