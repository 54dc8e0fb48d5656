import numpy as np
import pytest

from ndns.metrics.pesq import MOST_UTTERANCES, most_utterances, pesq_wb

RATE = 16_000
BEST = 0.999 + 4 / (1 + np.exp(-1.3669 * 4.5 + 3.8224))
"""ITU-T P.862.2: the mapping of the largest raw score, 4.5."""


def bursts(seconds: float, on: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    return 0.1 * rng.standard_normal(len(time)) * (time % (2 * on) < on)


def noise(samples: int, level: float) -> np.ndarray:
    return level * np.random.default_rng(9).standard_normal(samples)


def test_equal_signals_reach_the_standard_s_maximum_and_noise_lowers_it() -> None:
    target = bursts(4, 0.5)
    assert pesq_wb(target, target) == pytest.approx(BEST, abs=1e-4)
    scores = [pesq_wb(target + noise(len(target), level), target) for level in (0.001, 0.01, 0.1)]
    assert BEST > scores[0] > scores[1] > scores[2] > 1


def test_level_and_a_constant_delay_are_aligned_by_the_standard() -> None:
    target = bursts(4, 0.5)
    estimate = target + noise(len(target), 0.003)
    value = pesq_wb(estimate, target)
    assert pesq_wb(0.1 * estimate, target) == pytest.approx(value, abs=0.02)
    assert pesq_wb(np.roll(estimate, 320), target) == pytest.approx(value, abs=0.1)


def test_undefined_clips_give_none() -> None:
    target = bursts(2, 0.5)
    silence = np.zeros_like(target)
    assert pesq_wb(silence, target) is None
    assert pesq_wb(target, silence) is None
    assert pesq_wb(target[:100], target[:100]) is None


def test_too_many_utterances_give_none_instead_of_ending_the_process() -> None:
    many = bursts(30, 0.22)
    assert most_utterances(many) > MOST_UTTERANCES
    assert pesq_wb(many, many) is None
    assert most_utterances(bursts(10, 0.5)) == 10
    assert most_utterances(np.zeros(RATE)) == 0


def test_thirty_seconds_of_real_speech_stay_under_the_bound(shared_data) -> None:
    import soundfile

    files = sorted((shared_data / "speech_noise_mini" / "clean").glob("*.flac"))[:60]
    speech = np.concatenate([soundfile.read(path)[0] for path in files])
    counts = [most_utterances(speech[i : i + 30 * RATE]) for i in range(0, len(speech) - 30 * RATE, 30 * RATE)]
    assert 5 < max(counts) < MOST_UTTERANCES


def test_refuses_different_shapes_and_nan() -> None:
    target = bursts(1, 0.5)
    with pytest.raises(ValueError, match="one length"):
        pesq_wb(target[:-1], target)
    with pytest.raises(ValueError, match="not a number"):
        pesq_wb(np.where(target > 0.2, np.nan, target), target)
