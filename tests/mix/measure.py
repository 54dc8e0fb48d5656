"""The mixture's definitions once more, written another way than in `ndns.mixing.levels`; shards read by `tarfile`."""

import csv
import io
import tarfile

import numpy as np
import soundfile


def rows_of(path):
    """Rows of a CSV table."""
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def read_flac(path):
    """Samples and rate of `<archive>.tar/<member>`."""
    archive, _, name = str(path).partition(".tar/")
    with tarfile.open(f"{archive}.tar") as handle:
        data = handle.extractfile(name).read()
    return soundfile.read(io.BytesIO(data), dtype="int16")


def frame_powers(samples):
    """Mean power of each whole 20 ms frame."""
    count = len(samples) // 320
    return np.array(
        [np.dot(samples[i * 320 : i * 320 + 320], samples[i * 320 : i * 320 + 320]) / 320 for i in range(count)]
    )


def active_reference(samples):
    """Closed form: sort frames by power and take the longest head whose last is within 15.9 dB of the head's mean."""
    powers = frame_powers(np.asarray(samples, np.float64))
    order = np.sort(powers)[::-1]
    means = np.cumsum(order) / np.arange(1, len(order) + 1)
    last = np.flatnonzero(order >= means * 10**-1.59).max()
    return powers >= order[last]


def measured(folder, row):
    """SNR over active speech, dB, and level, dBFS, of a rendered clip, from its files."""
    pcm = {stream: read_flac(folder / row[stream]) for stream in ("noisy", "clean", "noise")}
    assert {rate for _, rate in pcm.values()} == {16_000}
    noisy, clean, noise = (pcm[stream][0].astype(np.float64) for stream in ("noisy", "clean", "noise"))
    assert np.array_equal(noisy, clean + noise)
    active = active_reference(clean)
    snr_db = 10 * np.log10(frame_powers(clean)[active].sum() / frame_powers(noise)[active].sum())
    return snr_db, 20 * np.log10(np.sqrt(np.mean(noisy**2)) / 32768), np.abs(noisy).max()
