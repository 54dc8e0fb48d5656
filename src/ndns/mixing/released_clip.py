"""A clip of the released generator: its row of the plan, its recordings as that script reads them, its rendering."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ndns.audio import shards
from ndns.audio.io import RATE
from ndns.config import Mix
from ndns.errors import UserError
from ndns.mixing.draw import SILENCE, Clip, Segment
from ndns.mixing.levels import Mixture
from ndns.mixing.plan import COLUMNS, RELEASED_COLUMNS, Row, broken, other_settings, parse_clip
from ndns.mixing.released_mix import mix_released, written_pcm16

SNR_TOLERANCE_DB = 1e-6
"""A true SNR that is further from the planned one comes from other recordings."""


@dataclass(frozen=True)
class ReleasedClip:
    """A clip of the released generator.

    Attributes:
        clip: `snr_db` and `level_dbfs` are the labels of the file name; `seconds` is the real length.
        drawn_level: level before a mixture that clipped was made softer, dBFS.
        true_snr_db: see `ndns.mixing.released_mix.Label`.
        active_snr_db: likewise.
        name: of the noisy file; its `fileid` numbers the clean and noise files too.
        sources: hash of the decoded samples of all recordings in the clip.
    """

    clip: Clip
    drawn_level: int
    true_snr_db: float
    active_snr_db: float
    name: str
    sources: str

    def row(self) -> dict[str, object]:
        """Return the clip as a row of `plan.csv`."""
        own = {column: getattr(self, column) for column in RELEASED_COLUMNS[len(COLUMNS) :]}
        return {**self.clip.row(), **own}


def parse_released(row: Row, path: Path) -> ReleasedClip:
    """Parse a row of the plan.

    Raises:
        UserError: the row is broken.
    """
    clip = parse_clip(row, path)
    try:
        numbers = int(row["drawn_level"]), float(row["true_snr_db"]), float(row["active_snr_db"])
    except ValueError:
        raise broken(path, row) from None
    return ReleasedClip(clip, *numbers, row["name"], row["sources"])


def planned_released(row: Row, path: Path, mix: Mix) -> ReleasedClip:
    """Parse a row of `mix.method: released` and hold it against the settings.

    Raises:
        UserError: the row is broken, or was drawn with other settings.
    """
    clip = parse_released(row, path)
    (snr_low, snr_high), (level_low, level_high) = mix.snr_db, mix.level_dbfs
    in_range = snr_low <= clip.clip.snr_db < snr_high and level_low <= clip.drawn_level < level_high
    if not in_range or clip.clip.seed[0] != mix.seed or clip.clip.samples < int(mix.seconds * RATE):
        raise other_settings(path)
    return clip


def render_released(planned: ReleasedClip, root: Path) -> Mixture:
    """Make the mixture that the script writes.

    Raises:
        UserError: a recording is missing, unreadable, or not what it was when the plan was drawn.
    """
    clip = planned.clip
    clean, noise = join(root, clip.speech), join(root, clip.noise)
    streams, label = mix_released(clean, noise, int(clip.snr_db), planned.drawn_level)
    if label.dropped or label.level != clip.level_dbfs or not _same(label.true_snr_db, planned.true_snr_db):
        raise UserError(f"{clip.clip}: its recordings are not what they were when planned; run `ndns mix plan` again.")
    return Mixture(*(written_pcm16(stream) for stream in streams), level_dbfs=clip.level_dbfs)


def read_mono(path: Path, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Return samples `start` to `stop` at 16 kHz as float64 `(samples,)`: channel mean, then soxr HQ of the whole file.

    A recording of another rate has `ceil(frames * 16000 / rate)` samples, as librosa makes it.

    Raises:
        UserError: the file is missing or cannot be decoded.
    """
    try:
        with soundfile.SoundFile(shards.source(path)) as sound:
            if sound.samplerate == RATE:
                sound.seek(min(start, sound.frames))
                return _mean(sound.read(-1 if stop is None else stop - start, always_2d=True))
            samples, rate = _mean(sound.read(always_2d=True)), sound.samplerate
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as audio ({error}); replace or remove it.") from None
    wanted = -(-len(samples) * RATE // rate)
    samples = soxr.resample(samples, rate, RATE, quality="HQ")[:wanted] if len(samples) else samples
    return np.pad(samples, (0, wanted - len(samples)))[start:stop]


def join(root: Path, segments: Sequence[Segment]) -> np.ndarray:
    """Return segments one after the other, float64 `(samples,)`.

    Raises:
        UserError: a recording cannot be read or is shorter than the segment.
    """
    parts = []
    for path, start, stop in segments:
        part = np.zeros(stop - start) if path == SILENCE else read_mono(root / path, start, stop)
        if len(part) != stop - start:
            raise UserError(f"{root / path}: is shorter than when the plan was drawn; run `ndns mix plan` again.")
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0)


def folder_of(path: str) -> str:
    """Return the folder that a recording lies in, which stands for its label; the script knows no labels."""
    return path.rsplit("/", 2)[-2] if "/" in path else ""


def _mean(samples: np.ndarray) -> np.ndarray:
    return samples[:, 0] if samples.shape[1] == 1 else samples.T.sum(axis=0) / samples.shape[1]


def _same(measured: float, planned: float) -> bool:
    return math.isclose(measured, planned, rel_tol=0, abs_tol=SNR_TOLERANCE_DB) or (
        math.isnan(measured) and math.isnan(planned)
    )
