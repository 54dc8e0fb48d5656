"""Reading ZIP archives in one or several volumes (PKWARE APPNOTE 6.3, sections 4.3, 4.4 and 8).

The standard library's `zipfile` refuses volumes; positions in them count from the start of a volume.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ndns.errors import UserError

BLOCK = 1 << 20
END = struct.Struct("<4s4H2LH")
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
ENTRY = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
ENCRYPTED = 1
UTF8 = 1 << 11
STORED, DEFLATED = 0, 8
TOO_BIG, TOO_MANY = 0xFFFF_FFFF, 0xFFFF


@dataclass(frozen=True)
class Entry:
    """A file in the archive: sizes in bytes, Unix mode (0 if not known), volume and offset of its local header."""

    name: str
    mode: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    volume: int
    offset: int


class Corrupt(UserError):
    """The archive itself is bad; fetching it again may help."""


class Volumes:
    """The files of an archive as one stretch of bytes, addressed by volume and offset."""

    def __init__(self, name: str, parts: Sequence[Path]) -> None:
        self.name = name
        self._open = ExitStack()
        self._handles = [self._open.enter_context(path.open("rb")) for path in parts]
        self._sizes = [path.stat().st_size for path in parts]

    def __enter__(self) -> "Volumes":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self._handles)

    @property
    def last_size(self) -> int:
        """Bytes of the last volume."""
        return self._sizes[-1]

    def blocks(self, volume: int, offset: int, size: int) -> Iterator[bytes]:
        """Yield `size` bytes from a position, on into the following volumes.

        Raises:
            Corrupt: the position or a byte is not there.
        """
        while volume < self.count and offset >= self._sizes[volume]:
            offset -= self._sizes[volume]
            volume += 1
        while size > 0:
            if volume >= self.count:
                raise self.corrupt("it ends too early")
            self._handles[volume].seek(offset)
            block = self._handles[volume].read(min(size, BLOCK))
            size -= len(block)
            offset += len(block)
            if block:
                yield block
            if offset >= self._sizes[volume]:
                volume, offset = volume + 1, 0
            elif not block:
                raise self.corrupt("it ends too early")

    def read(self, volume: int, offset: int, size: int) -> bytes:
        """Return `size` bytes from a position."""
        return b"".join(self.blocks(volume, offset, size))

    def content(self, entry: Entry) -> Iterator[bytes]:
        """Yield a file's bytes; size and CRC-32 are checked at its end."""
        if entry.flags & ENCRYPTED or entry.method not in (STORED, DEFLATED):
            raise self.corrupt(f"{entry.name!r} is encrypted or compressed in an unknown way")
        header = LOCAL.unpack(self.read(entry.volume, entry.offset, LOCAL.size))
        if header[0] != b"PK\x03\x04":
            raise self.corrupt(f"{entry.name!r} is not where the directory says")
        start = entry.offset + LOCAL.size + header[9] + header[10]
        packed = self.blocks(entry.volume, start, entry.packed)
        crc, size = 0, 0
        for block in packed if entry.method == STORED else self._inflated(entry, packed):
            crc, size = zlib.crc32(block, crc), size + len(block)
            if size > entry.size:
                break
            yield block
        if (crc, size) != (entry.crc, entry.size):
            raise self.corrupt(f"{entry.name!r} fails its CRC-32")

    def _inflated(self, entry: Entry, packed: Iterator[bytes]) -> Iterator[bytes]:
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for block in packed:
                while block:
                    yield decompressor.decompress(block, BLOCK)
                    block = decompressor.unconsumed_tail
            yield decompressor.flush()
        except zlib.error as error:
            raise self.corrupt(f"{entry.name!r}: {error}") from None

    def corrupt(self, reason: str) -> Corrupt:
        """Return the error for a broken archive."""
        return Corrupt(f"{self.name}: corrupt or cut short ({reason}); remove it and fetch it again.")


def entries(volumes: Volumes) -> list[Entry]:
    """Read the directory.

    Raises:
        Corrupt: not a ZIP archive, or the number of volumes is another one.
    """
    last, count, number, volume, offset, size = _directory(volumes)
    if last + 1 != volumes.count:
        raise volumes.corrupt(f"{last + 1} volumes belong to it, {volumes.count} are here")
    data = volumes.read(volume, offset, size)
    found, at = [], 0
    for _ in range(count):
        entry, at = _entry(volumes, data, at)
        found.append(entry)
    if at != size or number != count:
        raise volumes.corrupt("its directory is damaged")
    return found


def _directory(volumes: Volumes) -> tuple[int, int, int, int, int, int]:
    """Return number of the last volume, entries in all and here, and the directory's volume, offset and size."""
    last = volumes.count - 1
    start = max(volumes.last_size - END.size - 0xFFFF - LOCATOR64.size, 0)
    tail = volumes.read(last, start, volumes.last_size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < END.size:
        raise volumes.corrupt("it has no end record")
    _, disk, volume, here, count, size, offset, _ = END.unpack_from(tail, at)
    if at >= LOCATOR64.size and tail[at - LOCATOR64.size : at].startswith(b"PK\x06\x07"):
        _, volume64, offset64, _ = LOCATOR64.unpack_from(tail, at - LOCATOR64.size)
        record = END64.unpack(volumes.read(volume64, offset64, END64.size))
        if record[0] != b"PK\x06\x06":
            raise volumes.corrupt("its end record is damaged")
        _, _, _, _, disk, volume, here, count, size, offset = record
    return disk, count, count if volume != disk else here, volume, offset, size


def _entry(volumes: Volumes, data: bytes, at: int) -> tuple[Entry, int]:
    if len(data) - at < ENTRY.size or data[at : at + 4] != b"PK\x01\x02":
        raise volumes.corrupt("its directory is damaged")
    fields = ENTRY.unpack_from(data, at)
    made_by, flags, method, crc = fields[1], fields[3], fields[4], fields[7]
    packed, size = fields[8:10]
    name_size, extra_size, comment_size, volume = fields[10:14]
    attributes, offset = fields[15:17]
    at += ENTRY.size
    name = data[at : at + name_size].decode("utf-8" if flags & UTF8 else "cp437", errors="replace")
    wide = _wide(data[at + name_size : at + name_size + extra_size])
    try:
        size = _take(wide, 8) if size == TOO_BIG else size
        packed = _take(wide, 8) if packed == TOO_BIG else packed
        offset = _take(wide, 8) if offset == TOO_BIG else offset
        volume = _take(wide, 4) if volume == TOO_MANY else volume
    except ValueError:
        raise volumes.corrupt("its directory is damaged") from None
    mode = attributes >> 16 if made_by >> 8 == 3 else 0
    entry = Entry(name, mode, flags, method, crc, packed, size, volume, offset)
    return entry, at + name_size + extra_size + comment_size


def _wide(extra: bytes) -> bytearray:
    """Return the 64-bit sizes among the extra fields."""
    while len(extra) >= 4:
        tag, size = struct.unpack_from("<2H", extra)
        if tag == 1:
            return bytearray(extra[4 : 4 + size])
        extra = extra[4 + size :]
    return bytearray()


def _take(wide: bytearray, size: int) -> int:
    if len(wide) < size:
        raise ValueError
    value = int.from_bytes(wide[:size], "little")
    del wide[:size]
    return value
