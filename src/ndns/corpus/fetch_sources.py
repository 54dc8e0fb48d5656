"""What is to be fetched: the table `sources.csv`, and a lock file for sizes and hashes that nobody published."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ndns.corpus.unpack import safe_path
from ndns.errors import UserError
from ndns.files import read_csv, write_csv

COLUMNS = ("set", "archive", "name", "url", "folder", "bytes", "sha256", "unpacked_gb")
LOCK_COLUMNS = ["name", "bytes", "sha256"]


@dataclass(frozen=True)
class Part:
    """One file on a server; `bytes` and `sha256` are none and empty where they are not known."""

    name: str
    url: str
    bytes: int | None
    sha256: str


@dataclass(frozen=True)
class Archive:
    """One `.tar.bz2` or `.zip` of one or several parts.

    Attributes:
        group: name of the set, e.g. `dns4`.
        name: unique name; its ending gives the format.
        folder: folder (end of a path) in which its recordings lie when unpacked.
        parts: in the order of the volumes.
        unpacked: estimated size when unpacked, bytes.
    """

    group: str
    name: str
    folder: str
    parts: tuple[Part, ...]
    unpacked: int


def read_sources(path: Path, sets: Sequence[str]) -> list[Archive]:
    """Read the archives of the named sets from `set,archive,name,url,folder,bytes,sha256,unpacked_gb`.

    Raises:
        UserError: no such table, an unknown set, a repeated name, or a wrong cell.
    """
    rows = read_csv(path, COLUMNS)
    known = sorted({row["set"] for row in rows})
    for name in sets:
        if name not in known:
            raise UserError(f"{path}: there is no set {name!r}; choose from {', '.join(known)}.")
    archives: dict[str, Archive] = {}
    seen: set[str] = set()
    for number, row in enumerate(rows, start=2):
        if row["set"] not in sets:
            continue
        part, unpacked = _part(row, f"{path}, line {number}")
        if part.name in seen:
            raise UserError(f"{path}, line {number}: the name {part.name!r} is there twice; remove one row.")
        seen.add(part.name)
        before = archives.get(row["archive"], Archive(row["set"], row["archive"], row["folder"], (), 0))
        archives[row["archive"]] = replace(before, parts=(*before.parts, part), unpacked=before.unpacked + unpacked)
    return list(archives.values())


def _part(row: dict[str, str], where: str) -> tuple[Part, int]:
    try:
        scheme = urlsplit(row["url"]).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https"):
        raise UserError(f"{where}: the url {row['url']!r} is neither http nor https; mend it.")
    if row["sha256"] and (len(row["sha256"]) != 64 or set(row["sha256"]) - set("0123456789abcdef")):
        raise UserError(f"{where}: sha256 {row['sha256']!r} is not 64 hexadecimal digits; mend it or leave it empty.")
    try:
        size = int(row["bytes"]) if row["bytes"] else None
        unpacked = int(float(row["unpacked_gb"]) * 1e9) if row["unpacked_gb"] else 2 * (size or 0)
    except (ValueError, OverflowError):
        raise UserError(f"{where}: bytes and unpacked_gb are numbers or empty; mend the row.") from None
    name = safe_path(row["name"], where).as_posix()
    safe_path(row["archive"], where)
    return Part(name, row["url"], size, row["sha256"]), unpacked


class Lock:
    """Sizes and hashes by name, noted when an archive was first fetched and unpacked whole; one row a part.

    Raises:
        UserError: the file is no such table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.Lock()
        rows = read_csv(path, LOCK_COLUMNS) if path.exists() else []
        self._rows = {row["name"]: row for row in rows}
        for row in rows:
            if not (row["bytes"] or "").isdecimal() or len(row["sha256"] or "") != 64:
                raise UserError(f"{path}: the row of {row['name']!r} lacks a size or a hash; mend or remove the row.")

    def known(self, part: Part) -> Part:
        """Fill in what `sources.csv` leaves empty."""
        row = self._rows.get(part.name)
        if row is None:
            return part
        size = int(row["bytes"]) if part.bytes is None else part.bytes
        return replace(part, bytes=size, sha256=part.sha256 or row["sha256"])

    def note(self, parts: Sequence[Part]) -> None:
        """Remember these parts at once."""
        with self._guard:
            for part in parts:
                self._rows[part.name] = {"name": part.name, "bytes": str(part.bytes), "sha256": part.sha256}
            write_csv(self.path, [self._rows[name] for name in sorted(self._rows)], LOCK_COLUMNS)
