"""Reading, checking and writing recordings. Inside the pipeline audio is 16 kHz mono, float in [-1, 1) or PCM16.

Every function that reads takes members of tar shards too (`ndns.audio.shards`).
"""

import io
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ndns.audio import ogg, shards
from ndns.audio.header import promised
from ndns.errors import UserError
from ndns.files import atomic_path, sha256_bytes

RATE = 16_000
LEAST_RATE, MOST_RATE = 1_000, 1_000_000
"""Hz; what a header says beyond is damage. Blocks and resampling filters grow with the rate."""
LOUDEST = 8.0
"""Resampling and float files may pass full scale a little; beyond this the file is not scaled to 1."""
SUFFIXES = (".wav", ".flac", ".ogg")
ENDLESS = (1 << 63) - 1
"""Frames that libsndfile gives to a FLAC file whose header leaves them open; it does not read these in blocks."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says: `frames` samples per channel at `rate` Hz in `channels` channels, 16 bit or not."""

    frames: int
    rate: int
    channels: int
    pcm16: bool

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.rate


def info(path: str | Path) -> AudioInfo:
    """Read a recording's header.

    Raises:
        UserError: the file is missing, is not audio that libsndfile reads, ends before its header says, leaves its
            length open, or says a rate that no recording has.
    """
    return _info(path, shards.source(Path(path)))


def _info(path: str | Path, source: Path | io.BytesIO) -> AudioInfo:
    try:
        header = soundfile.info(source)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as audio ({_reason(error)}); replace or remove it.") from None
    if header.frames == ENDLESS:
        raise UserError(
            f"{path}: its header does not say how long it is, as of FLAC that was written into a pipe; convert it into "
            "another file, e.g. with ffmpeg or flac."
        )
    check_rate(path, header.samplerate)
    check_whole(path, source)
    return AudioInfo(header.frames, header.samplerate, header.channels, header.subtype == "PCM_16")


def check_rate(path: str | Path, rate: int) -> None:
    """Raise a UserError that names `path` where no recording has the rate, Hz, that its header says."""
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise UserError(
            f"{path}: its header says {rate} Hz; expected {LEAST_RATE} to {MOST_RATE}; mend the header or remove it."
        )


def check_whole(path: str | Path, source: Path | io.BytesIO) -> None:
    """Raise a UserError that names `path` where `source` holds fewer samples than its header announces."""
    with nullcontext(source) if isinstance(source, io.BytesIO) else open(source, "rb") as file:
        size, there = promised(file)
    if 0 == there < size:
        raise UserError(
            f"{path}: none of its {size} bytes of samples can be read; the recording was not finished, or the file is "
            "cut short; replace it."
        )
    if there < size:
        raise UserError(f"{path}: ends after {there} of {size} bytes of samples; the file is cut short, replace it.")


def check_pages(path: str | Path, source: Path | io.BytesIO) -> None:
    """Raise a UserError that names `path` where `source` is an Ogg file of which a decoder would leave out a part.

    All of it is read, so this belongs where a recording is read whole.
    """
    with nullcontext(_rewound(source)) if isinstance(source, io.BytesIO) else open(source, "rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(0)
        broken = ogg.damage(file)
    if broken:
        raise UserError(f"{path}: is damaged or cut short ({broken}); replace it.")


def check_scale(path: str | Path, samples: np.ndarray) -> None:
    """Raise a UserError that names `path` where floats are scaled like integers."""
    peak = np.abs(samples).max(initial=0)
    if peak > LOUDEST:
        raise UserError(f"{path}: samples reach {peak:.0f}; full scale is 1, so divide them (by 32768?) or use PCM.")


def read_channels(path: str | Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Return `(samples, channels)` float32 as stored and the rate in Hz; no conversion.

    Raises:
        UserError: missing, not audio, broken off in the middle, longer than memory can hold, or not a number somewhere;
            of Ogg that is read whole, also of several streams or with damaged pages.
    """
    source = shards.source(Path(path))
    header = _info(path, source)
    if start == 0 and frames < 0:
        check_pages(path, source)
    # libsndfile takes eight times as long to convert PCM16 itself.
    kind = "int16" if header.pcm16 else "float32"
    part = {"start": start, "frames": header.frames - start if frames < 0 else min(frames, header.frames - start)}
    samples = _decoded(path, source, "replace or remove it", **part, dtype=kind, always_2d=True)
    if header.pcm16:
        return samples * np.float32(2**-15), header.rate
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: contains NaN or infinite samples; export it again.")
    return samples, header.rate


def to_mono(samples: np.ndarray) -> np.ndarray:
    """Return the channel mean `(samples,)` of `(samples, channels)`."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)


def resample(samples: np.ndarray, source_rate: int, target_rate: int = RATE) -> np.ndarray:
    """Band-limited resampling of `(samples,)` or `(samples, channels)` with soxr, quality HQ."""
    if source_rate == target_rate:
        return samples
    return soxr.resample(samples, source_rate, target_rate, quality="HQ")


def read(path: str | Path, rate: int = RATE) -> np.ndarray:
    """Return a whole recording as mono float32 `(samples,)` at `rate` Hz: channel mean, then resampling.

    Raises:
        UserError: as `read_channels`, or the file holds no sample.
    """
    samples, source_rate = read_channels(path)
    if len(samples) == 0:
        raise UserError(f"{path}: holds no samples; remove it.")
    return resample(to_mono(samples), source_rate, rate)


def read_scaled(path: str | Path) -> np.ndarray:
    """Read as `read` does a recording that another program wrote.

    Raises:
        UserError: as `read`, or its samples are integers in a float file.
    """
    samples = read(path)
    check_scale(path, samples)
    return samples


def to_pcm16(samples: np.ndarray) -> np.ndarray:
    """Round float samples to int16 (ties to even).

    Raises:
        ValueError: a sample does not fit; the caller decides about level, nothing is clipped silently.
    """
    scaled = np.multiply(samples, 32768, dtype=np.float64)
    np.rint(scaled, out=scaled)
    if scaled.size and (scaled.max() > 32767 or scaled.min() < -32768):
        raise ValueError("a sample is outside [-1, 1) and would clip")
    return scaled.astype(np.int16)


def limit_to_pcm16(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Round to int16 with saturation; also return how many samples were limited."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * 32768)
    limited = int(np.count_nonzero((scaled > 32767) | (scaled < -32768)))
    return np.clip(scaled, -32768, 32767).astype(np.int16), limited


def pcm_sha256(pcm: np.ndarray) -> str:
    """Return the SHA-256 of int16 samples in little-endian order: equal whatever the container or compression.

    Raises:
        TypeError: the samples are not int16.
    """
    if pcm.dtype != np.int16:
        raise TypeError(f"expected int16 samples, got {pcm.dtype}")
    return sha256_bytes(np.ascontiguousarray(pcm.astype("<i2")).tobytes())


def read_pcm16(path: str | Path) -> np.ndarray:
    """Return the int16 samples `(samples,)` of a mono 16 kHz file written by this pipeline.

    Raises:
        UserError: missing, unreadable, or not mono 16 kHz.
    """
    source = shards.source(Path(path))
    header = _info(path, source)
    if (header.rate, header.channels) != (RATE, 1):
        raise UserError(f"{path}: expected mono {RATE} Hz, found {header.channels} channels at {header.rate} Hz.")
    return _decoded(path, source, "delete it and run again", frames=header.frames, dtype="int16")


def write_pcm16(path: str | Path, pcm: np.ndarray, rate: int = RATE) -> None:
    """Write int16 samples `(samples,)` or `(samples, channels)` atomically as .flac or .wav."""
    if Path(path).suffix.lower() not in (".flac", ".wav"):
        raise UserError(f"{path}: can write .wav and .flac only.")
    # In memory first: libsndfile itself does not notice a disk that fills up with a file's last block.
    encoded = encode_pcm16(pcm, rate, Path(path).suffix[1:])
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded)


def encode_pcm16(pcm: np.ndarray, rate: int = RATE, kind: str = "flac") -> bytes:
    """Return int16 samples `(samples,)` or `(samples, channels)` as the bytes of a file of that kind."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def _decoded(path: str | Path, source: Path | io.BytesIO, mend: str, frames: int, **options) -> np.ndarray:
    try:
        samples, _ = soundfile.read(_rewound(source), frames, **options)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be decoded ({_reason(error)}); {mend}.") from None
    except MemoryError:
        raise UserError(f"{path}: its header says {frames} samples, which memory cannot hold; {mend}.") from None
    if len(samples) < frames:
        raise UserError(f"{path}: ends after {len(samples)} of {frames} samples; the file is cut short.")
    return samples


def _rewound(source: Path | io.BytesIO) -> Path | io.BytesIO:
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return source


def _reason(error: Exception) -> str:
    return str(error).split(": ", 1)[-1].rstrip(".")
