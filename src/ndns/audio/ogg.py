"""Is an Ogg file whole? Decoders bridge lost pages and missing ends without a word, so its pages are checked here."""

import zlib
from pathlib import Path

HEADER = 27
END_OF_STREAM = 4
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def damage(path: Path) -> str:
    """Return what is wrong with the pages of an Ogg file (RFC 3533), or an empty text."""
    with open(path, "rb") as handle:
        flags = END_OF_STREAM
        while header := handle.read(HEADER):
            if len(header) < HEADER:
                return "ends within a page"
            if header[:4] != b"OggS":
                return f"no page at byte {handle.tell() - HEADER}"
            flags = header[5]
            lengths = handle.read(header[26])
            body = handle.read(sum(lengths))
            if len(lengths) < header[26] or len(body) < sum(lengths):
                return "ends within a page"
            if checksum(header[:22] + bytes(4) + header[26:] + lengths + body) != int.from_bytes(
                header[22:26], "little"
            ):
                return f"the checksum of the page before byte {handle.tell()} is wrong"
    return "" if flags & END_OF_STREAM else "the last page is missing"


def checksum(data: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits of every byte the other way round and no inversion.

    >>> hex(checksum(b"123456789"))
    '0x89a1897f'
    """
    mirrored = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
