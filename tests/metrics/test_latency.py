"""Latency: lags against NumPy's correlation, and the clock against a known wait."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.metrics.latency import SAMPLES, buffer_s, encdec_s, lag, network_s


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-300, 300), st.integers(400, 3000))
def test_lag_of_a_shifted_clip(seed, shift, length):
    noise = np.random.default_rng(seed).standard_normal(length + 600)
    noisy, denoised = noise[300 : 300 + length], noise[300 - shift : 300 - shift + length]
    full = np.correlate(denoised, noisy, mode="full")
    assert lag(noisy, denoised) == int(full.argmax()) - (length - 1)
    if abs(shift) < length // 4:
        assert lag(noisy, denoised) == shift


def test_only_the_first_samples_count():
    noise = np.random.default_rng(1).standard_normal(SAMPLES + 5000)
    late = np.roll(noise, 16)
    late[SAMPLES:] = 1e6 * np.roll(noise, 300)[SAMPLES:]
    assert lag(noise, late) == 16


def test_network_delay_is_the_mean_and_leaves_silence_out():
    noise = np.random.default_rng(2).standard_normal(4000)
    pairs = [(noise, np.roll(noise, 128)), (noise, np.roll(noise, 64)), (noise, np.zeros(4000))]
    assert network_s(pairs, 16_000) == pytest.approx(96 / 16_000)
    assert network_s(pairs[2:], 16_000) is None


def test_encdec_is_time_a_hop():
    # 10 ms for 1600 samples = 0.8 ms a hop of 128; the host can be slower, never quicker
    seconds = encdec_s(lambda clip: time.sleep(0.01), np.zeros(1600), 128, repeats=3)
    assert 0.01 / 1600 * 128 <= seconds < 0.1 / 1600 * 128


def test_buffer_is_a_frame():
    assert buffer_s(512, 16_000) == 0.032
