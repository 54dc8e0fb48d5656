"""Active speech, SNR and level against direct calculations."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ndns.mixing.levels import active_frames, active_snr_db, mix

from .conftest import noise_like, speech_like
from .measure import active_reference, frame_powers


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-90, 0), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
    st.integers(0, 319),
    st.integers(-9, 9),
)
def test_active_frames_are_the_largest_consistent_set(levels, seed, rest, octaves):
    rng = np.random.default_rng(seed)
    frames = rng.standard_normal((len(levels), 320)) * 10 ** (np.array(levels)[:, None] / 20)
    samples = np.concatenate([frames.reshape(-1), np.ones(rest)])
    assert np.array_equal(active_frames(samples), active_reference(samples))
    assert np.array_equal(active_frames(samples), active_frames(samples * 2.0**octaves))


def test_pauses_are_not_active():
    rng = np.random.default_rng(1)
    speech = np.concatenate([rng.standard_normal(3200), np.zeros(6400), 0.01 * rng.standard_normal(3200)])
    assert active_frames(speech).tolist() == [True] * 10 + [False] * 30


def test_pauses_do_not_change_the_snr():
    rng = np.random.default_rng(2)
    speech, noise = rng.standard_normal(16_000), 0.1 * rng.standard_normal(16_000)
    alone = active_snr_db(speech, noise)
    padded = active_snr_db(np.append(speech, np.zeros(48_000)), np.append(noise, rng.standard_normal(48_000)))
    assert alone == pytest.approx(20, abs=0.2)
    assert padded == pytest.approx(alone, abs=1e-9)


@settings(max_examples=60, deadline=None)
@example(0.0, -15.0, 13384, 1.0, 0.015625)
@given(st.floats(-5, 20), st.floats(-35, -15), st.integers(0, 2**32 - 1), st.floats(0.01, 1), st.floats(0.01, 1))
def test_mix_gives_snr_and_level_and_never_clips(snr_db, level_dbfs, seed, loud_speech, loud_noise):
    rng = np.random.default_rng(seed)
    clean = (loud_speech * speech_like(rng, 16_000, 2.0)).astype(np.float32)
    noise = (loud_noise * noise_like(rng, 16_000, 2.0)).astype(np.float32)
    noise[rng.integers(len(noise))] = 1.0
    result = mix(clean, noise, snr_db, level_dbfs)
    wide = [x.astype(np.int64) for x in (result.noisy, result.clean, result.noise)]
    assert np.array_equal(wide[0], wide[1] + wide[2])
    peak = max(np.abs(x).max() for x in wide)
    assert peak <= 0.99 * 32768 + 1
    level = 10 * np.log10(np.mean((result.noisy / 32768) ** 2))
    assert result.level_dbfs == pytest.approx(level, abs=1e-4)
    active = active_reference(clean)  # not of the rounded samples: a frame at the margin may change sides, 0.1 dB here
    speech_power, noise_power = (frame_powers(x)[active].mean() for x in wide[1:])
    rounding = 10 * np.log10(1 + 1 / (4 * min(speech_power, noise_power)))  # a unit's rounding has a power of 1/12
    assert 10 * np.log10(speech_power / noise_power) == pytest.approx(snr_db, abs=0.05 + rounding)
    if peak < 0.98 * 32768:
        assert level == pytest.approx(level_dbfs, abs=0.01)
    else:
        assert level <= level_dbfs + 0.01


def test_a_mixture_that_would_clip_becomes_softer_together():
    rng = np.random.default_rng(3)
    clean, noise = speech_like(rng, 16_000, 2.0), noise_like(rng, 16_000, 2.0)
    noise[::4000] = 40.0
    result = mix(clean, noise, 0.0, -15.0)
    assert np.abs(result.noisy.astype(int)).max() == pytest.approx(0.99 * 32768, abs=2)
    assert result.level_dbfs < -18
    assert active_snr_db(result.clean, result.noise) == pytest.approx(0, abs=0.05)


def test_silence_is_an_error_not_nan():
    sound = np.random.default_rng(4).standard_normal(16_000)
    for clean, noise in ((sound, 0 * sound), (0 * sound, sound)):
        with pytest.raises(ValueError, match="silent"):
            mix(clean, noise, 0.0, -20.0)
