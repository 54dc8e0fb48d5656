"""`ndns.load`, `Model.denoise` and `.stream`, against the denoiser that they wrap; the examples of their docstrings."""

import doctest
import shutil
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ndns
from ndns.errors import UserError
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import Denoiser
from ndns.use import Model
from ndns.use import model as module
from ndns.use.model import to_integers
from ndns.use.registry import add

from .networks import S5, noise, passing


@pytest.fixture(scope="module")
def small() -> Model:
    """The network for tones."""
    return Model(netx.read(S5), "small")


def test_examples_of_the_docstrings_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(S5, tmp_path / "program.net")
    add(Path(), "s5-sparse", Path("program.net"), None, "")
    failed, tried = doctest.testmod(module)
    assert failed == 0
    assert tried >= 12


def test_a_recording_equals_the_denoiser_and_is_changed_by_it(small):
    sound = noise(5000)[:, 0]
    found = small.denoise(sound)
    np.testing.assert_array_equal(found, Denoiser(small.program).denoise(sound))
    assert np.abs(found - sound).max() > 0.01


def test_load_gives_the_same_from_the_package(small):
    sound = noise(500)[:, 0]
    loaded = ndns.load(S5)
    assert loaded.name == "s5_sparse"
    np.testing.assert_array_equal(loaded.denoise(sound), small.denoise(sound))


def test_channels_are_denoised_apart(small):
    both = noise(3000, 2)
    found = small.denoise(both)
    assert found.shape == (3000, 2)
    for channel in range(2):
        np.testing.assert_array_equal(found[:, channel], small.denoise(both[:, channel]))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_the_type_of_the_samples_is_kept(small, dtype):
    sound = noise(2000)[:, 0]
    bits = 8 * np.dtype(dtype).itemsize
    whole = np.issubdtype(dtype, np.integer)
    given_audio = to_integers(sound, bits)[0] if whole else sound.astype(dtype)
    found = small.denoise(given_audio)
    assert found.dtype == dtype
    scaled = found / 2.0 ** (bits - 1) if whole else found
    reference = small.denoise(given_audio / 2.0 ** (bits - 1) if whole else given_audio.astype(float))
    np.testing.assert_allclose(scaled, reference, atol=0.51 * 2.0 ** (1 - bits) if whole else 1e-7)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=8), st.sampled_from([16000, 44100, 8000]), st.sampled_from([None, 1, 2]))
def test_any_pushes_give_the_whole_recording(sizes, rate, channels):
    model = Model(netx.read(S5))
    sound = noise(sum(sizes), channels or 1)
    sound = sound if channels else sound[:, 0]
    stream = model.stream(rate, channels)
    edges = [0, *accumulate(sizes)]
    parts = [stream.push(sound[a:b]) for a, b in pairwise(edges)]
    found = np.concatenate([*parts, stream.finish()])
    whole = model.denoise(sound, rate)
    assert found.shape == sound.shape
    if rate == 16000:
        np.testing.assert_array_equal(found, whole)
    np.testing.assert_allclose(found, whole, atol=1e-12)


@pytest.mark.parametrize(("program", "latency"), [(passing(), 640), (netx.read(S5), 64), (passing(32, 8), 40)])
def test_samples_come_as_soon_as_their_frames_are_whole(program, latency):
    model = Model(program)
    assert model.latency_seconds == latency / 16000
    hop, stream = program.front_end.hop, model.stream()
    returned = np.array([len(stream.push(np.zeros(1))) for _ in range(4 * latency)])
    arrival = np.repeat(np.arange(len(returned)), returned)
    waits = arrival + 1 - np.arange(len(arrival))
    assert waits.max() == latency
    assert waits.min() == latency - hop + 1


@pytest.mark.parametrize(("rate", "wait"), [(16000, 40), (48000, 98), (44100, 136), (8000, 220)])
def test_samples_wait_no_longer_than_the_documentation_says(rate, wait):
    stream, given, worst = Model(passing(512, 128)).stream(rate), 0, 0.0
    for taken in range(1, rate + 1):
        if ready := len(stream.push(np.zeros(1))):
            worst = max(worst, (taken - given) / rate)
            given += ready
    assert wait - 1 < 1000 * worst <= wait


def test_the_released_network_is_late_by_a_frame_and_its_mask(shared_data):
    with pytest.warns(UserWarning, match="clamped"):
        program = netx.read(shared_data / "peer_weights/intel_sdnn/network.net")
    assert Model(program).latency_seconds == pytest.approx(0.040)


def test_what_is_no_audio_is_refused(small):
    for audio, rate, match in (
        (np.zeros(5, np.uint8), 16000, "type uint8: give floats"),
        (np.zeros((2, 2, 2)), 16000, "give \\(samples,\\) or \\(samples, channels\\)"),
        (np.array([0.0, np.nan]), 16000, "NaN or infinity"),
        (np.array([0.0, -32768.0], np.float32), 16000, "samples reach 32768; full scale is 1, so divide them"),
        (np.zeros(5), 0, "rate 0"),
        (np.zeros(5), 22050.5, "rate 22050.5"),
        (np.zeros((5, 0)), 16000, "0 channels"),
        (np.zeros(5), "16000", "rate '16000'"),
        (np.zeros(5), 999_999_999_999, "rate 999999999999: give whole Hz, 1000 to 1000000"),
        (np.zeros(5), 999, "rate 999: give"),
        (np.zeros((1, 80_000)), 16000, r"shape \(1, 80000\): channels come last, .* give audio.T"),
        (np.zeros((2, 65), np.int16), 16000, "give audio.T"),
    ):
        with pytest.raises(UserError, match=match):
            small.denoise(audio, rate)
    stream = small.stream(channels=2)
    with pytest.raises(UserError, match=r"shape \(5,\): give floats of shape \(5, 2\)"):
        stream.push(np.zeros(5))
    with pytest.raises(UserError, match="int16 samples"):
        small.stream().push(np.zeros(5, np.int16))
    stream.finish()
    with pytest.raises(ValueError, match="is finished"):
        stream.push(np.zeros((5, 2)))


def test_no_samples_give_no_samples(small):
    assert small.denoise(np.zeros(0)).shape == (0,)
    assert small.denoise(np.zeros((0, 2)), 44100).shape == (0, 2)


def test_rounding_is_to_nearest_and_counts_what_it_limits():
    found, limited = to_integers(np.array([0.5, 1.5, 2.5, -1.5, 40000, -32768, 32767]) / 32768, 16)
    assert found.tolist() == [0, 2, 2, -2, 32767, -32768, 32767]
    assert limited == 1
