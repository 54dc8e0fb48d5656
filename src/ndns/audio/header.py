"""Whether a recording holds what its header promises: libsndfile silently takes what is there for the whole."""

import struct
from typing import BinaryIO

PLACEHOLDERS = ((0x7FFF_0000, 0x8000_FFFF), (0xFFFF_0000, 0xFFFF_FFFF))
"""Sizes that programs write ahead of a stream whose end they do not know."""
MOST_CHUNKS = 10_000
"""Looked at before the samples."""


def promised(file: BinaryIO) -> tuple[int, int]:
    """Return how many bytes of samples a header announces, and how many of them are there.

    WAV, RF64, W64, AIFF and AU carry such a number; others, and streams that left it open, count as (0, 0). Of a WAV
    whose recorder stopped before it noted any size, libsndfile reads nothing: all bytes are announced, none is there.

    Args:
        file: at any place; stays where it was looked at last.
    """
    end = file.seek(0, 2)
    file.seek(0)
    kind = file.read(4)
    if kind == b".snd":
        start, size = struct.unpack(">II", file.read(8))
    elif kind in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff"):
        start, size = _chunk(file, kind)
        if kind in (b"RIFF", b"RIFX") and size == 0 < start < end and _unsized(file):
            return end - start, 0
    else:
        return 0, 0
    if any(low <= size <= high for low, high in PLACEHOLDERS):
        return 0, 0
    return size, min(size, max(0, end - start))


def _unsized(file: BinaryIO) -> bool:
    """Whether the size of the whole file stands in a WAV's header as 0."""
    file.seek(4)
    return file.read(4) == bytes(4)


def _chunk(file: BinaryIO, kind: bytes) -> tuple[int, int]:
    """Return start and size in bytes of the chunk that holds the samples; (0, 0) where there is none."""
    wide = kind == b"riff"
    order = ">I" if kind in (b"RIFX", b"FORM") else "<I"
    at, large = 40 if wide else 12, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(24 if wide else 8)
        if len(header) < (24 if wide else 8):
            break
        size = max(0, struct.unpack("<Q", header[16:])[0] - 24) if wide else struct.unpack(order, header[4:])[0]
        start = at + len(header)
        if header[:4] == b"ds64":
            large = struct.unpack("<QQ", file.read(16))[1]
        if header[:4] in (b"data", b"SSND"):
            return start, large if large and size == 0xFFFF_FFFF else size
        at = start + size + -size % (8 if wide else 2)
    return 0, 0
