"""What the challenge's released generator draws and how it mixes, defects included (N-DNS `noisyspeech_synthesizer`).

Facts of that script that shape this module: two lists of recordings are shuffled by `random.seed(5)` and walked in
sequence; `np.random.seed(5)` draws, in this order, a crop of the speech, crops of the noise, the SNR and the level of
each attempt; clipped recordings are passed over, 50 of them end an attempt; the activity of the whole speech clip
decides if it is taken; a mixture that clips is dropped without a number. See docs/challenge.md.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ndns.errors import UserError
from ndns.mix.released_facts import BLOCK, Facts, Index
from ndns.mixing.draw import GAP, SILENCE, Segment
from ndns.mixing.released_clip import join, read_mono
from ndns.mixing.released_mix import CLIPPED, EPS, TARGET_DBFS

MAX_CLIPPED = 50
"""Clipped recordings after which an attempt is given up (`MAXTRIES`)."""

MAX_NAME = 100
"""Characters of joined source names that a file name keeps (`MAXFILELEN`)."""

WINDOW = 800
"""Window of the activity detector: 50 ms."""

ROUNDING = 1e-6
"""Relative error allowed to stored block energies (float32)."""


class Draw(NamedTuple):
    """One attempt at a clip: segments, names of all recordings used, SNR label and level as drawn."""

    speech: tuple[Segment, ...]
    noise: tuple[Segment, ...]
    speech_files: tuple[str, ...]
    noise_files: tuple[str, ...]
    snr: int
    level: int

    def name(self, level: int, number: int) -> str:
        """Return the noisy file's name."""
        speech, noise = ("-".join(_stem(path) for path in files)[:MAX_NAME] for files in self[2:4])
        return f"{speech}_{noise}_snr{self.snr}_tl{level}_fileid_{number}.wav"


class Settings(NamedTuple):
    """Options of the script: length and ranges (upper bounds are never drawn), activity, first file number, seed."""

    samples: int
    snr: tuple[int, int]
    level: tuple[int, int]
    activity: float
    first: int
    seed: int
    validation: bool


class _Built(NamedTuple):
    segments: tuple[Segment, ...]
    files: tuple[str, ...]
    samples: int


class _Walk:
    """One shuffled list of recordings; `take` is the script's `build_audio`."""

    def __init__(self, recordings: list[Facts], index: Index, first: int, what: str) -> None:
        self._recordings, self._index, self._at, self._what = recordings, index, first, what
        self._passed = 0
        self._patience = 3 * len(recordings) + 20 * MAX_CLIPPED

    def succeed(self) -> None:
        self._passed = 0

    def take(self, rng: np.random.RandomState, samples: int, crop: bool) -> _Built:
        segments: list[Segment] = []
        files: list[str] = []
        left, tries = samples, MAX_CLIPPED
        while left > 0 and tries > 0:
            recording = self._next()
            if recording.status == "unreadable":
                continue
            start, stop = 0, recording.samples
            if stop > left and crop:
                start = rng.randint(0, stop - left)
                stop = start + left
            if recording.clipped and self._clips(recording, start, stop):
                tries -= 1
                continue
            files.append(recording.path)
            if stop > start:
                segments.append(Segment(recording.path, start, stop))
            left -= stop - start
            if left > 0:
                gap = min(left, GAP)
                segments.append(Segment(SILENCE, 0, gap))
                left -= gap
        return _Built(tuple(segments), tuple(files), samples - left)

    def _next(self) -> Facts:
        self._passed += 1
        if self._passed > self._patience:
            raise UserError(
                f"mix.method released: the list of {self._what} was walked three times without a usable clip "
                "(clipped, unreadable or inactive); the released generator would never end, add recordings."
            )
        self._at = (self._at + 1) % len(self._recordings)
        recording = self._recordings[self._at]
        if recording.status == "nan":
            raise UserError(f"{self._index.root / recording.path}: contains NaN; take it out of the list.")
        return recording

    def _clips(self, recording: Facts, start: int, stop: int) -> bool:
        if stop - start == recording.samples:
            return True
        samples = read_mono(self._index.root / recording.path, start, stop)
        return bool((np.abs(samples) > CLIPPED).any())


def draw(settings: Settings, speech: Sequence[Facts], noise: Sequence[Facts], index: Index) -> Iterator[Draw]:
    """Yield the generator's attempts without end, mixtures that it will drop included.

    Args:
        settings: options of the script.
        speech: recordings in the order in which the script found them, before its shuffle.
        noise: likewise.
        index: holds the recordings' energies.

    Raises:
        UserError: a list is empty or has nothing usable.
    """
    for what, recordings in (("speech", speech), ("noise", noise)):
        if not recordings:
            raise UserError(f"mix.method released: there is no {what}; add {what} recordings to the corpus or list.")
    shuffler, rng = random.Random(settings.seed), np.random.RandomState(settings.seed)
    shuffled = [list(speech), list(noise)]
    for recordings in shuffled:
        shuffler.shuffle(recordings)
    speech_walk = _Walk(shuffled[0], index, settings.first, "speech")
    noise_walk = _Walk(shuffled[1], index, settings.first, "noise")
    while True:
        clean = _complete(speech_walk, rng, settings.samples, not settings.validation)
        while not is_active(clean.segments, index, settings.activity):
            clean = _complete(speech_walk, rng, settings.samples, not settings.validation)
        speech_walk.succeed()
        other = _complete(noise_walk, rng, clean.samples, crop=True)
        noise_walk.succeed()
        snr, level = rng.randint(*settings.snr), rng.randint(*settings.level)
        yield Draw(clean.segments, other.segments, clean.files, other.files, snr, level)


def _complete(walk: _Walk, rng: np.random.RandomState, samples: int, crop: bool) -> _Built:
    built = walk.take(rng, samples, crop)
    while built.samples < samples:
        built = walk.take(rng, samples, crop)
    return built


def is_active(segments: Sequence[Segment], index: Index, threshold: float) -> bool:
    """Say whether the activity detector lets a speech clip pass; decodes it only if the index leaves this open."""
    if threshold == 0.0:
        return True
    low, high = (share > threshold for share in activity_bounds(segments, index))
    if low == high:
        return bool(low)
    samples = join(index.root, segments)
    return activity(_window_energies(samples), float((samples**2).mean())) > threshold


def activity(energies: np.ndarray, power: float) -> float:
    """Return the share of active windows.

    Args:
        energies: sum of squares of each 50 ms window, the last perhaps shorter.
        power: mean square of the clip, which is set to -25 dBFS first.
    """
    gain = 10 ** (TARGET_DBFS / 20) / (power**0.5 + EPS)
    probability = 1 / (1 + np.exp(1 - 0.2 * (20 * np.log10(energies * gain**2 + EPS))))
    before = np.concatenate([[0.0], probability[:-1]])
    rising = probability > before
    smoothed = np.where(rising, 0.8 * probability + 0.2 * before, 0.05 * probability + 0.95 * before)
    return float(np.count_nonzero(smoothed > 0.13) / len(energies))


def activity_bounds(segments: Sequence[Segment], index: Index) -> tuple[float, float]:
    """Return bounds of the activity from block energies: it rises with every window's energy over the clip's power."""
    total = sum(segment.samples for segment in segments)
    edges = np.minimum(np.arange(-(-total // WINDOW) + 1) * WINDOW, total)
    low, high = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    least = most = 0.0
    at = 0
    for segment in segments:
        if segment.path != SILENCE:
            energy = index.energy(segment.path)
            first, last = at // WINDOW, -(-(at + segment.samples) // WINDOW)
            inside = np.clip(edges[first : last + 1] - at, 0, segment.samples) + segment.start
            below = energy[inside // BLOCK]
            above = energy[np.minimum(-(-inside // BLOCK), len(energy) - 1)]
            low[first:last] += np.maximum(below[1:] - above[:-1], 0)
            high[first:last] += above[1:] - below[:-1]
            least += max(float(below[-1] - above[0]), 0.0)
            most += float(above[-1] - below[0])
        at += segment.samples
    low, high, least, most = low * (1 - ROUNDING), high * (1 + ROUNDING), least * (1 - ROUNDING), most * (1 + ROUNDING)
    return activity(low, most / total), activity(high, least / total)


def _window_energies(samples: np.ndarray) -> np.ndarray:
    return np.add.reduceat(samples**2, np.arange(0, len(samples), WINDOW))


def _stem(path: str) -> str:
    return path[:-4].rsplit("/", 1)[-1]
