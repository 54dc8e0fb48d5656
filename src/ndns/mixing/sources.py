"""Samples of recordings at 16 kHz mono, without decoding more than is needed."""

from collections.abc import Mapping
from functools import lru_cache
from math import gcd
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, AudioInfo, info, read, read_channels, resample, to_mono
from ndns.errors import UserError
from ndns.mixing.corpus import Recording
from ndns.mixing.draw import SILENCE, Segment

LONG_SECONDS = 60
"""Recordings of another rate are resampled whole and kept up to this length, else window by window."""

CACHED = 32
"""Resampled recordings that one process keeps: at most 32 x 60 s x 64 kB/s = 123 MB."""

WINDOW_MARGIN = RATE // 10
"""Samples resampled on either side of a window, far more than the filter's reach."""


class Sources:
    """Reads segments of the recordings below `root`."""

    def __init__(self, root: Path, recordings: Mapping[str, Recording]) -> None:
        self._root = root
        self._recordings = recordings
        self._resampled = lru_cache(CACHED)(self._read_whole)

    def join(self, segments: tuple[Segment, ...]) -> np.ndarray:
        """Return the segments one after the other, float32 `(samples,)`.

        Raises:
            UserError: a recording is missing, unreadable, or not as long as the corpus manifest says.
        """
        return np.concatenate([self._segment(segment) for segment in segments])

    def _segment(self, segment: Segment) -> np.ndarray:
        if segment.path == SILENCE:
            return np.zeros(segment.samples, np.float32)
        path = self._root / segment.path
        header = header_of(path, self._recordings[segment.path])
        if header.rate == RATE:
            return to_mono(read_channels(path, segment.start, segment.samples)[0])
        if header.seconds <= LONG_SECONDS:
            return self._resampled(path)[segment.start : segment.stop]
        return _window(path, header, segment)

    def _read_whole(self, path: Path) -> np.ndarray:
        samples = read(path)
        samples.setflags(write=False)
        return samples


def header_of(path: Path, recording: Recording) -> AudioInfo:
    """Read the header of a corpus's recording.

    Raises:
        UserError: it cannot be read, or is not as long as the corpus manifest says.
    """
    header = info(path)
    if header.frames * RATE // header.rate != recording.samples:
        raise UserError(f"{path}: its length is not what the corpus manifest says; run `ndns corpus` again.")
    return header


def _window(path: Path, header: AudioInfo, segment: Segment) -> np.ndarray:
    """Resample from a sample that lies on both grids, so that a window equals the same part of the whole."""
    step = RATE // gcd(header.rate, RATE)
    source_step = header.rate * step // RATE
    first = max(segment.start - WINDOW_MARGIN, 0) // step
    last = -(-(segment.stop + WINDOW_MARGIN) // step)
    start, stop = first * source_step, min(last * source_step, header.frames)
    samples = resample(to_mono(read_channels(path, start, stop - start)[0]), header.rate)
    return samples[segment.start - first * step : segment.stop - first * step]
