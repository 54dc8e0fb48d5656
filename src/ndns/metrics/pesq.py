"""Wide-band PESQ (ITU-T P.862 with the mapping of P.862.2), by the package `pesq`."""

import numpy as np

RATE = 16_000
MOST_UTTERANCES = 40
"""The package's C code holds 50 utterances, checks no bound and ends the process beyond it."""


def pesq_wb(estimate: np.ndarray, target: np.ndarray) -> float | None:
    """Return wide-band PESQ, 1.0 (bad) to 4.64 (equal signals), or None where it is undefined.

    What it says about special input: a silent estimate or target, one without anything the standard's voice activity
    detector takes for an utterance, clips under a quarter of a second, and clips with more than `MOST_UTTERANCES`
    utterances (about a minute of speech) are undefined; level does not matter, the standard aligns it; a constant
    delay hardly matters, the standard aligns that too; clipping lowers the score.

    Args:
        estimate: `(samples,)` at 16 kHz.
        target: same shape.

    Raises:
        ValueError: the shapes differ, or a sample is not a number.
    """
    from pesq import BufferTooShortError, NoUtterancesError, pesq

    estimate, target = np.asarray(estimate, np.float32), np.asarray(target, np.float32)
    if estimate.shape != target.shape or estimate.ndim != 1:
        raise ValueError(f"expected two signals of one length, got shapes {estimate.shape} and {target.shape}")
    if not (np.isfinite(estimate).all() and np.isfinite(target).all()):
        raise ValueError("samples are not a number")
    if not (estimate.any() and target.any()) or most_utterances(target) > MOST_UTTERANCES:
        return None
    try:
        return float(pesq(RATE, target, estimate, "wb"))
    except (NoUtterancesError, BufferTooShortError):
        return None


def most_utterances(target: np.ndarray) -> int:
    """Return an upper estimate of the utterances that P.862 finds in `(samples,)`.

    Its detector compares the energy of 4 ms frames with a threshold, joins what less than 50 frames part, and counts
    what lasts 50 frames; here the count is the largest over thresholds from 40 dB below the loudest frame to 6 dB
    above the mean.
    """
    energy = np.square(target[: len(target) // 64 * 64].reshape(-1, 64), dtype=np.float64).mean(axis=1)
    if not energy.any():
        return 0
    thresholds = np.geomspace(1e-4 * energy.max(), 4 * energy.mean(), 24)
    return max(_utterances(energy > threshold) for threshold in thresholds)


def _utterances(active: np.ndarray) -> int:
    starts, ends = _runs(active)
    long_enough = ends - starts > 4
    starts, ends = starts[long_enough], ends[long_enough]
    if len(starts) == 0:
        return 0
    parted = starts[1:] - ends[:-1] > 50
    first, last = starts[np.append(True, parted)], ends[np.append(parted, True)]
    return int(np.count_nonzero(last - first >= 50))


def _runs(active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = np.diff(np.concatenate([[0], active.astype(np.int8), [0]]))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
