"""Clips to listen to: which ones, their sound as FLAC and their spectrograms as PNG, both as data URLs."""

import base64
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from ndns.audio.io import RATE, encode_pcm16, limit_to_pcm16, read_pcm16
from ndns.audio.spectrogram import COLUMNS, ROWS, decibels
from ndns.board.inputs import Clip, Evidence, System
from ndns.errors import UserError

AUDIO_BUDGET, IMAGE_BUDGET = 5_500_000, 2_000_000
"""Bytes of 16-bit samples and of pixels that a report may hold: with base64 it stays below 10 MB even for noise."""
MOST_SECONDS = 12.0
MOST_LOUDER = 2.0
"""How much louder than mixture and clean speech a system may get before it alone is played softer; 6 dB."""
RANGE_DB = 70.0
LEVELS = 64
RAMP = ((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122), (229, 80, 100), (251, 135, 97))
RAMP_END = ((254, 194, 135), (252, 253, 191))


@dataclass(frozen=True)
class Track:
    """One version of a clip, played `softer_db` softer.

    `score` is its SI-SNR in dB: NaN where undefined, None for the clean speech.
    """

    name: str
    score: float | None
    softer_db: float
    audio: str
    image: str


@dataclass(frozen=True)
class Player:
    """One clip in all its versions: `gain_db` is theirs but for softer ones, `seconds` of `clip.seconds` are played."""

    rank: str
    clip: Clip
    improvement: float
    gain_db: float
    seconds: float
    tracks: list[Track]


def ranks(improvements: np.ndarray, count: int) -> list[tuple[str, int]]:
    """Choose `count` clips from best to worst, evenly spread over the ranking; clips without a value are left out.

    >>> ranks(np.array([1.0, 5.0, 3.0]), 3)
    [('Best', 1), ('Median', 2), ('Worst', 0)]
    """
    order = [int(i) for i in np.argsort(-improvements, kind="stable") if np.isfinite(improvements[i])]
    count = min(count, len(order))
    if count == 0:
        return []
    last = len(order) - 1
    places = [last // 2] if count == 1 else [math.ceil(i * last / (count - 1) - 0.5) for i in range(count)]
    return [(_rank(place, len(order)), order[place]) for place in places]


def players(evidence: Evidence, leader: System, count: int) -> list[Player]:
    """Return best, median and worst clip (for `count` 3) by the leader's SI-SNR improvement.

    Raises:
        UserError: a clip's sound is missing, unreadable, or has another length than its mixture.
    """
    chosen = ranks(leader.quality["si_snri_data"], count)
    versions = 2 + sum(bool(run.denoised) for run in evidence.runs)
    tracks = max(1, versions * len(chosen))
    samples = int(min(MOST_SECONDS * RATE, AUDIO_BUDGET / 2 / tracks))
    columns = int(min(COLUMNS, IMAGE_BUDGET / ROWS / tracks))
    return [_player(evidence, leader, rank, index, samples, columns) for rank, index in chosen]


def _player(evidence: Evidence, leader: System, rank: str, index: int, samples: int, columns: int) -> Player:
    clip = evidence.clips[index]
    files = [("noisy", clip.noisy, evidence.noisy)]
    files += [(run.name, run.denoised[clip.name], run) for run in evidence.runs if run.denoised]
    files += [("clean", clip.clean, None)]
    sounds = []
    for _, path, _ in files:
        pcm = read_pcm16(path)
        if sounds and len(pcm) != len(sounds[0]):
            raise UserError(f"{path}: has {len(pcm)} samples but its mixture {len(sounds[0])}; run the stage again.")
        sounds.append(pcm)
    sounds = [pcm[:samples].astype(np.float64) / 32768 for pcm in sounds]
    # Mixture and clean speech set gain and range: a system that gets loud leaves the others audible and visible.
    known = (sounds[0], sounds[-1])
    gain = max(_gain(*sounds), _gain(*known) / MOST_LOUDER)
    spectra = [decibels(gain * sound, columns) for sound in sounds]
    top = max(spectra[0].max(), spectra[-1].max())
    tracks = [
        _track(name, system, index, sound, gain, spectrum - top)
        for (name, _, system), sound, spectrum in zip(files, sounds, spectra, strict=True)
    ]
    improvement = float(leader.quality["si_snri_data"][index])
    return Player(rank, clip, improvement, float(20 * np.log10(gain)), len(sounds[0]) / RATE, tracks)


def _track(name: str, system: System | None, index: int, sound: np.ndarray, gain: float, spectrum: np.ndarray) -> Track:
    own = min(gain, _gain(sound))
    return Track(
        name=name,
        score=float(system.quality["si_snr"][index]) if system else None,
        softer_db=float(20 * np.log10(gain / own)),
        audio=_audio_url(own * sound),
        image=_image_url(np.clip(spectrum / RANGE_DB + 1, 0, 1)),
    )


def _gain(*sounds: np.ndarray) -> float:
    """Return the gain that brings the loudest sample to 0.9, at most 30 dB."""
    return min(0.9 / max(1e-4, max(np.abs(sound).max(initial=0) for sound in sounds)), 10**1.5)


def _rank(place: int, total: int) -> str:
    if total > 1 and place in (0, total - 1):
        return "Best" if place == 0 else "Worst"
    return "Median" if place == (total - 1) // 2 else f"Rank {place + 1} of {total}"


def _audio_url(sound: np.ndarray) -> str:
    return "data:audio/flac;base64," + base64.b64encode(encode_pcm16(limit_to_pcm16(sound)[0])).decode()


def _image_url(values: np.ndarray) -> str:
    """Encode values `(row, column)` in [0, 1] as a PNG with a palette of `LEVELS` colours."""
    indices = np.rint(values * (LEVELS - 1)).astype(np.uint8)
    anchors = np.array(RAMP + RAMP_END, dtype=float)
    at = np.linspace(0, len(anchors) - 1, LEVELS)
    palette = np.stack([np.interp(at, np.arange(len(anchors)), anchors[:, k]) for k in range(3)], axis=1)
    height, width = indices.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", np.rint(palette).astype(np.uint8).tobytes()),
            (b"IDAT", zlib.compress(lines.tobytes(), 9)),
            (b"IEND", b""),
        )
    )
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
