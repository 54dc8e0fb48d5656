import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pystoi import stoi

from ndns.metrics import estoi as module
from ndns.metrics.estoi import estoi

RATE = 16_000


def speech_like(samples: int, seed: int) -> np.ndarray:
    """Noise in bursts with pauses: bands move together and apart, and the silence rule has work to do."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    slow = np.maximum(0, np.sin(2 * np.pi * 2.3 * time + seed)) ** 3
    low = np.convolve(rng.standard_normal(samples), np.ones(20) / 20, mode="same")
    return slow * low + 0.3 * np.roll(slow, 900) * rng.standard_normal(samples) + 1e-4 * rng.standard_normal(samples)


@given(st.integers(0, 1000), st.integers(6000, 40_000), st.floats(0, 2))
@settings(max_examples=20, deadline=None)
def test_equals_pystoi(seed: int, samples: int, level: float) -> None:
    target = speech_like(samples, seed)
    estimate = target + level * np.random.default_rng(seed + 1).standard_normal(samples)
    value = estoi(estimate, target)
    if value is None:
        with pytest.warns(RuntimeWarning, match="Not enough STFT frames"):
            assert stoi(target, estimate, RATE, extended=True) == 1e-5
    else:
        assert value == pytest.approx(stoi(target, estimate, RATE, extended=True), abs=1e-6)


@pytest.mark.parametrize("block", [1, 37, 64])
def test_blocks_change_nothing(monkeypatch, block: int) -> None:
    target = speech_like(32_000, 3)
    estimate = target + 0.1 * np.random.default_rng(4).standard_normal(32_000)
    monkeypatch.setattr(module, "BLOCK", block)
    assert estoi(estimate, target) == pytest.approx(stoi(target, estimate, RATE, extended=True), abs=1e-6)


def test_equals_pystoi_on_real_speech(shared_data) -> None:
    import soundfile

    files = sorted((shared_data / "speech_noise_mini" / "clean").glob("*.flac"))[:4]
    target = np.concatenate([soundfile.read(path)[0] for path in files])
    estimate = target + 0.02 * np.random.default_rng(0).standard_normal(len(target))
    value = estoi(estimate, target)
    assert value == pytest.approx(stoi(target, estimate, RATE, extended=True), abs=1e-6)
    assert 0.2 < value < 0.95


def test_level_does_not_matter_and_delay_does() -> None:
    target = speech_like(32_000, 1)
    estimate = target + 0.05 * np.random.default_rng(2).standard_normal(32_000)
    value = estoi(estimate, target)
    assert estoi(target, target) == pytest.approx(1, abs=1e-9)
    assert estoi(0.01 * estimate, target) == pytest.approx(value, abs=1e-6)
    assert estoi(np.roll(estimate, 3200), target) < value - 0.1


def test_special_signals_have_the_documented_answers() -> None:
    target = speech_like(32_000, 1)
    silence = np.zeros_like(target)
    assert estoi(silence, target) == 0
    assert estoi(target, silence) is None
    assert estoi(target[:4000], target[:4000]) is None
    assert estoi(target[:100], target[:100]) is None
    with pytest.raises(ValueError, match="one length"):
        estoi(target[:-1], target)
    with pytest.raises(ValueError, match="not a number"):
        estoi(np.where(target > 0.1, np.inf, target), target)
