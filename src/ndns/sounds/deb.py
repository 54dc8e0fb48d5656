"""Members of Debian packages: an `ar` archive whose part `data.tar.*` holds the files (deb(5))."""

import lzma
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO

from ndns.corpus.unpack import blocks_of, safe_path, write_blocks
from ndns.corpus.unpack_zip import Corrupt
from ndns.errors import UserError

MAGIC = b"!<arch>\n"
HEADER = 60
"""Bytes before each part: name (16), date, owner, group, mode (32), size (10), end mark (2)."""
COMPRESSIONS = {"data.tar": "", "data.tar.xz": "xz", "data.tar.gz": "gz", "data.tar.bz2": "bz2"}


def extract(package: Path, wanted: Collection[str], folder: Path) -> None:
    """Write the members `wanted` of a package below `folder`; nothing else of it.

    Args:
        package: a `.deb` file.
        wanted: paths of regular files as `dpkg-deb --contents` lists them, without `./`.
        folder: an existing folder.

    Raises:
        UserError: not a package, cut short, a path in it that leaves the folder, or a wanted member that is absent or
            no regular file.
    """
    missing = set(wanted)
    try:
        with open(package, "rb") as handle:
            compression = _seek_data(handle, package.name)
            with tarfile.open(fileobj=handle, mode=f"r|{compression}") as archive:
                for member in archive:
                    if member.isdir():
                        continue
                    path = safe_path(member.name, package.name)
                    if path.as_posix() not in missing:
                        continue
                    if not member.isreg():
                        raise UserError(f"{package.name}: {member.name!r} is no regular file; mend the table.")
                    write_blocks(folder / path, blocks_of(archive, member))
                    missing.remove(path.as_posix())
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise Corrupt(f"{package.name}: corrupt or cut short ({error}); fetch it again.") from None
    if missing:
        raise UserError(f"{package.name}: has no file {sorted(missing)[0]!r}; mend the table.")


def _seek_data(handle: BinaryIO, name: str) -> str:
    """Go to the first byte of the part with the files; return its compression as `tarfile` calls it."""
    if handle.read(len(MAGIC)) != MAGIC:
        raise UserError(f"{name}: not a Debian package; fetch it again.")
    while len(header := handle.read(HEADER)) == HEADER:
        part = header[:16].decode("ascii", "replace").rstrip(" /")
        if part in COMPRESSIONS:
            return COMPRESSIONS[part]
        if part.startswith("data.tar"):
            raise UserError(f"{name}: {part} is packed in a way that is not read here; repack it with xz.")
        size = int(header[48:58]) if header[48:58].strip().isdigit() else -1
        if size < 0:
            break
        handle.seek(size + size % 2, 1)
    raise Corrupt(f"{name}: has no part data.tar; fetch it again.")
