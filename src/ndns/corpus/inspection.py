"""Is a recording usable? Decodes it once, in blocks, for its hash and its status."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from ndns.audio import ogg
from ndns.audio.header import promised
from ndns.audio.io import ENDLESS, LEAST_RATE, MOST_RATE, limit_to_pcm16, to_mono
from ndns.mixing.manifest import OK

BLOCK = 1 << 18
SILENT_RMS = 1e-4  # -80 dBFS, three steps of PCM16
FULL_SCALE = {"PCM_U8": 32512, "PCM_S8": 32512, "ULAW": 32124, "ALAW": 32256}  # in steps of PCM16; else 32767
UNKNOWN_LENGTH = 0x7FFF_0000  # a header written before the end was known claims at least this many frames


@dataclass(frozen=True)
class Finding:
    """What inspection found. `status` is `ok` or the reason to leave the recording out; `reason` says more."""

    status: str
    reason: str = ""
    frames: int | None = None
    rate: int | None = None
    channels: int | None = None
    sha256: str = ""


def inspect(path: Path, clipped_share: float) -> Finding:
    """Decode a recording and judge it.

    Args:
        path: audio file.
        clipped_share: share of samples at full scale, of any channel, above which it counts as clipped.

    Returns:
        The first that applies of `corrupt` (undecodable or cut short), `empty`, `nan`, `silent` (below -80 dBFS after
        the mean is removed, or what is heard of it, the mean of its channels), `dead_channel` (one channel silent,
        another not), `clipped`, and `ok`.
    """
    if not path.is_file():
        return Finding("corrupt", "not a file")
    if path.stat().st_size == 0:
        return Finding("empty", "the file has no bytes")
    try:
        with soundfile.SoundFile(path) as sound:
            finding = _judge(sound, clipped_share)
            broken = _broken_off(path, ogg.damage if sound.format == "OGG" else _cut_short)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        return Finding("corrupt", str(error).split(": ", 1)[-1].strip().rstrip("."))
    return Finding("corrupt", broken, rate=finding.rate, channels=finding.channels) if broken else finding


def _judge(sound: soundfile.SoundFile, clipped_share: float) -> Finding:
    size = {"rate": sound.samplerate, "channels": sound.channels}
    if sound.frames == ENDLESS:
        return Finding("corrupt", "its header does not say how long it is; convert it into another file", **size)
    if not LEAST_RATE <= sound.samplerate <= MOST_RATE:
        return Finding("corrupt", f"its header says {sound.samplerate} Hz", **size)
    stream = _Statistics(sound.channels, full_scale=FULL_SCALE.get(sound.subtype, 32767))
    while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
        stream.add(block)
    if stream.frames < sound.frames < UNKNOWN_LENGTH:
        return Finding("corrupt", f"ends after {stream.frames} of {sound.frames} samples", **size)
    size |= {"frames": stream.frames, "sha256": stream.sha256.hexdigest()}
    if stream.frames == 0:
        return Finding("empty", "no samples", **size)
    if stream.not_finite:
        return Finding("nan", "NaN or infinite samples", **size | {"sha256": ""})
    silent = stream.rms() < SILENT_RMS
    if silent.all():
        return Finding("silent", "nothing above -80 dBFS", **size)
    if silent.any():
        return Finding("dead_channel", f"channel {int(silent.argmax()) + 1} is silent", **size)
    if sound.channels > 1 and stream.mono_rms() < SILENT_RMS:
        return Finding("silent", "its channels cancel each other: their mean is below -80 dBFS", **size)
    share = float(stream.at_full_scale.max() / stream.frames)
    if share > clipped_share:
        return Finding("clipped", f"{share:.2%} of the samples at full scale", **size)
    return Finding(OK, **size)


def _broken_off(path: Path, damage: Callable[[BinaryIO], str]) -> str:
    with open(path, "rb") as file:
        return damage(file)


def _cut_short(file: BinaryIO) -> str:
    size, there = promised(file)
    return f"holds {there} of {size} bytes of samples" if there < size else ""


class _Statistics:
    """Sums over blocks `(frames, channels)`: per-channel power and mean, full-scale count, hash of PCM16."""

    def __init__(self, channels: int, full_scale: int) -> None:
        self.frames = 0
        self.not_finite = False
        self.sha256 = hashlib.sha256()
        self.at_full_scale = np.zeros(channels, dtype=np.int64)
        self._full_scale = full_scale
        self._sum = np.zeros(channels)
        self._squares = np.zeros(channels)
        self._mono_squares = 0.0

    def add(self, block: np.ndarray) -> None:
        self.frames += len(block)
        if not np.isfinite(block).all():
            self.not_finite = True
            return
        pcm, _ = limit_to_pcm16(block)
        self.sha256.update(pcm.astype("<i2").tobytes())
        self.at_full_scale += ((pcm >= self._full_scale) | (pcm <= -self._full_scale)).sum(axis=0)
        self._sum += block.sum(axis=0, dtype=np.float64)
        self._squares += (block.astype(np.float64) ** 2).sum(axis=0)
        if block.shape[1] > 1:
            self._mono_squares += float((to_mono(block).astype(np.float64) ** 2).sum())

    def rms(self) -> np.ndarray:
        """Return the RMS of each channel without its mean."""
        mean = self._sum / self.frames
        return np.sqrt(np.maximum(self._squares / self.frames - mean * mean, 0))

    def mono_rms(self) -> float:
        """Return the RMS of the mean of the channels, without its mean over time."""
        mean = self._sum.mean() / self.frames
        return math.sqrt(max(self._mono_squares / self.frames - mean * mean, 0))
