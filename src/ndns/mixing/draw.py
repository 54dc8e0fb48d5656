"""What a clip is made of, drawn from the clip's own generator.

Clip `index` of split number `s` draws from `Generator(PCG64(SeedSequence([mix.seed, s, index])))`, so a clip does not
depend on how many others there are, on their order, or on who draws them. Speakers and noise types have equal
chances, however many recordings each has; so have the recordings of a label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ndns.audio.io import RATE
from ndns.mixing.corpus import MIN_SAMPLES, Groups, Pool, Recording

SILENCE = "silence"
GAP = RATE // 5
"""Silence between utterances, samples: 0.2 s as in the challenge."""


class Segment(NamedTuple):
    """Samples `start` to `stop` (exclusive) at 16 kHz of the recording `path`; `silence` is digital silence."""

    path: str
    start: int
    stop: int

    @property
    def samples(self) -> int:
        """Length in samples."""
        return self.stop - self.start


def segments_text(segments: Sequence[Segment]) -> str:
    """Return segments as they stand in `plan.csv`: `path:start:stop`, joined by `|`."""
    return "|".join(f"{path}:{start}:{stop}" for path, start, stop in segments)


def parse_segments(text: str) -> tuple[Segment, ...]:
    """Parse what `segments_text` wrote.

    Raises:
        ValueError: not segments, or one that is empty.
    """
    parts = (part.rsplit(":", 2) for part in text.split("|"))
    segments = tuple(Segment(path, int(start), int(stop)) for path, start, stop in parts)
    if any(not 0 <= segment.start < segment.stop for segment in segments):
        raise ValueError("a segment is empty")
    return segments


@dataclass(frozen=True)
class Clip:
    """One row of the plan; `seed` is the entropy of the clip's generator; `room`, `drift_db`: see `mixing.speech`."""

    clip: str
    split: str
    seed: tuple[int, ...]
    seconds: float
    snr_db: float
    level_dbfs: float
    speech: tuple[Segment, ...]
    noise: tuple[Segment, ...]
    noise_label: str
    room: str = ""
    drift_db: tuple[float, ...] = ()

    @property
    def samples(self) -> int:
        """Length in samples."""
        return length(self.seconds)

    def row(self) -> dict[str, object]:
        """Return the clip as a row of `plan.csv`."""
        segments = {key: segments_text(getattr(self, key)) for key in ("speech", "noise")}
        row = {**vars(self), **segments, "seed": " ".join(map(str, self.seed))}
        row["drift_db"] = " ".join(map(str, self.drift_db))
        return {key: value for key, value in row.items() if value or key not in ("room", "drift_db")}


def length(seconds: float) -> int:
    """Return a duration in whole samples."""
    return round(seconds * RATE)


def generator(seed: Sequence[int]) -> np.random.Generator:
    """Return the generator of a clip."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(list(seed))))


def draw_speech(rng: np.random.Generator, pool: Pool, samples: int) -> tuple[Segment, ...]:
    """Draw utterances of one speaker with silence between them; the last is cropped at a random place.

    All utterances of the speaker occur before one occurs again. What is left after the last gap stays silent if it is
    below 0.1 s.
    """
    segments: list[Segment] = []
    for recording in _shuffled(rng, _group(rng, pool.speech)):
        if segments:
            gap = samples if samples < GAP + MIN_SAMPLES else GAP
            segments.append(Segment(SILENCE, 0, gap))
            samples -= gap
            if not samples:
                break
        segments.append(_crop(rng, recording, min(samples, recording.samples)))
        samples -= segments[-1].samples
        if not samples:
            break
    return tuple(segments)


def draw_noise(rng: np.random.Generator, pool: Pool, samples: int) -> tuple[str, tuple[Segment, ...]]:
    """Draw noise of one type: label and segments, joined without gaps.

    A recording that fills the clip is cropped at a random place. Else the first plays from a random offset to its
    end, whole recordings follow (all before one occurs again), and the last is cropped at a random place.
    """
    segments: list[Segment] = []
    recordings = _group(rng, pool.noise)
    for recording in _shuffled(rng, recordings):
        if not segments and recording.samples < samples:
            start = int(rng.integers(recording.samples - MIN_SAMPLES + 1))
            segments.append(Segment(recording.path, start, recording.samples))
        else:
            segments.append(_crop(rng, recording, min(samples, recording.samples)))
        samples -= segments[-1].samples
        if not samples:
            break
    return recordings[0].label, tuple(segments)


def _group(rng: np.random.Generator, groups: Groups) -> tuple[Recording, ...]:
    return groups[int(rng.integers(len(groups)))]


def _crop(rng: np.random.Generator, recording: Recording, samples: int) -> Segment:
    spare = recording.samples - samples
    start = int(rng.integers(spare + 1)) if spare else 0
    return Segment(recording.path, start, start + samples)


def _shuffled(rng: np.random.Generator, recordings: Sequence[Recording]) -> Iterator[Recording]:
    """Yield recordings without end: a shuffle of all, then another; costs no more than what is taken (Fisher-Yates)."""
    while True:
        moved: dict[int, int] = {}
        for index in range(len(recordings)):
            other = int(rng.integers(index, len(recordings)))
            yield recordings[moved.get(other, other)]
            moved[other] = moved.get(index, index)
