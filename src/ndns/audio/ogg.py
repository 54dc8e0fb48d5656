"""Is an Ogg file whole? Decoders bridge lost pages and missing ends without a word, so its pages are checked here.

Nor does libsndfile say that it reads the first of several streams alone, which lie one after the other in recordings of
web radio and in files that were joined byte by byte.
"""

import zlib
from typing import BinaryIO

HEADER = 27
FIRST_OF_STREAM, END_OF_STREAM = 2, 4
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def damage(handle: BinaryIO) -> str:
    """Return what is wrong with the pages of an Ogg file (RFC 3533) from its first byte on, or an empty text."""
    flags, begun = END_OF_STREAM, False
    while header := handle.read(HEADER):
        if len(header) < HEADER:
            return "ends within a page"
        if header[:4] != b"OggS":
            return f"no page at byte {handle.tell() - HEADER}"
        flags = header[5]
        if begun and flags & FIRST_OF_STREAM:
            return f"another stream begins at byte {handle.tell() - HEADER}, and only the first can be read"
        begun |= not flags & FIRST_OF_STREAM
        lengths = handle.read(header[26])
        body = handle.read(sum(lengths))
        if len(lengths) < header[26] or len(body) < sum(lengths):
            return "ends within a page"
        if checksum(header[:22] + bytes(4) + header[26:] + lengths + body) != int.from_bytes(header[22:26], "little"):
            return f"the checksum of the page before byte {handle.tell()} is wrong"
    return "" if flags & END_OF_STREAM else "the last page is missing"


def checksum(data: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial with the bits of every byte the other way round and no inversion.

    >>> hex(checksum(b"123456789"))
    '0x89a1897f'
    """
    mirrored = zlib.crc32(data.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
