"""Power spectrograms as pictures show them."""

import numpy as np

from ndns.audio.stft import Frames, encode, magnitude

ROWS, COLUMNS = 128, 640
LOWEST_DB = -100.0
"""What silence has."""


def decibels(sound: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Return the power spectrogram in dB `(ROWS, column)`, high frequencies first, at most `columns` wide."""
    power = magnitude(encode(sound, Frames(512, 128, "sqrt_hann")))[1:] ** 2
    power = binned(power.reshape(ROWS, -1, power.shape[1]).mean(axis=1), columns)
    return 10 * np.log10(power[::-1] + 10 ** (LOWEST_DB / 10))


def binned(values: np.ndarray, most: int) -> np.ndarray:
    """Average `(row, column)` down to at most `most` columns."""
    if values.shape[1] <= most:
        return values
    edges = np.linspace(0, values.shape[1], most + 1).astype(int)
    return np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)
