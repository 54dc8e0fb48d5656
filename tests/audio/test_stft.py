"""The causal transform: reconstruction, streaming, and scipy as an independent reference."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.audio import stft
from ndns.audio.stft import WINDOWS, Decoder, Encoder, Frames, coded, decode, encode, magnitude

FRAMES = st.sampled_from([Frames(512, 128, w) for w in WINDOWS] + [Frames(64, 16, "sqrt_hann"), Frames(32, 16)])


@settings(max_examples=30, deadline=None)
@given(FRAMES, st.integers(1, 3000), st.integers(0, 99))
def test_decode_inverts_encode(frames, samples, seed):
    signal = np.random.default_rng(seed).standard_normal(samples)
    assert np.abs(decode(encode(signal, frames), samples, frames) - signal).max() < 1e-12


@settings(max_examples=30, deadline=None)
@given(FRAMES, st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 99))
def test_stream_equals_whole_clip_bit_for_bit(frames, blocks, seed):
    signal = np.random.default_rng(seed).standard_normal(sum(blocks) * frames.hop)
    encoder, decoder, position = Encoder(frames), Decoder(frames), 0
    spectra, output = [], []
    for block in blocks:
        part = signal[position : position + block * frames.hop]
        position += len(part)
        spectra.append(encoder.push(part))
        output.append(decoder.push(spectra[-1]))
    whole = Encoder(frames).push(signal)
    assert np.array_equal(np.concatenate(spectra, axis=1), whole)
    assert np.array_equal(np.concatenate(output), Decoder(frames).push(whole))


@pytest.mark.parametrize("samples", [1, 500, 4096, 5000])
@pytest.mark.parametrize("window", WINDOWS)
def test_coded_in_blocks_is_decode_of_encode_bit_for_bit(monkeypatch, samples, window):
    monkeypatch.setattr(stft, "BLOCK", 5)
    signal, frames = np.random.default_rng(0).standard_normal(samples), Frames(512, 128, window)
    assert np.array_equal(coded(signal, frames), decode(encode(signal, frames), samples, frames))


def test_frames_equal_scipy():
    signal = np.random.default_rng(0).standard_normal(4096)
    ours = encode(signal)[:, 3:]
    _, _, theirs = scipy.signal.stft(
        signal, window=np.ones(512), nperseg=512, noverlap=384, boundary=None, padded=False
    )
    assert np.allclose(ours[:, : theirs.shape[1]], theirs * 512, atol=1e-9)


def test_magnitude_is_the_absolute_value():
    spectra = encode(np.random.default_rng(1).standard_normal(2000))
    assert np.allclose(magnitude(spectra), np.abs(spectra), rtol=1e-14)


def test_stream_refuses_part_of_a_hop():
    with pytest.raises(ValueError, match="multiple of the hop"):
        Encoder().push(np.zeros(100))


@pytest.mark.parametrize("wrong", [(512, 100), (128, 128)])
def test_frames_refuse_odd_hops(wrong):
    with pytest.raises(ValueError, match="multiple"):
        Frames(*wrong)
