"""One frame at a time, interrupted or not, equals the whole clip; the denoiser is aligned and streams bit for bit."""

import io

import numpy as np
import pytest

from ndns.audio.stft import Frames
from ndns.config import FrontEnd
from ndns.errors import UserError
from ndns.loihi2 import engine
from ndns.loihi2.denoiser import Denoiser, decode_clip, encode_clip
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program


def _audio_program(mask_delay: int = 1, weight: int = 20, window: str = "rectangular") -> Program:
    front_end = FrontEnd(n_fft=64, hop=16, window=window)
    generator = np.random.default_rng(3)
    hidden = 2 * generator.integers(-weight, weight + 1, (24, 33))
    output = 2 * generator.integers(-weight, weight + 1, (33, 24))
    nodes = (Delta(33, 6), Synapse(hidden, generator.integers(0, 9, 24)), SigmaDelta(24, 6), Synapse(output), Sigma(33))
    return Program(nodes, ("input", "fc1", "hidden1", "fc2", "output"), front_end, 0.2, mask_delay)


def _noise(samples: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.2, samples).clip(-1, 0.99)


def test_frames_one_by_one_equal_the_clip(random_sdnn, spectra_like):
    program, x = random_sdnn(11), spectra_like(12, 9, 130)
    stream = engine.Stream(program)
    frames = [stream.step(x[:, t]) for t in range(x.shape[1])]
    np.testing.assert_array_equal(np.array(frames).T, engine.run(program, x))


def test_state_survives_a_file_and_goes_on(random_sdnn, spectra_like):
    program, x = random_sdnn(11), spectra_like(12, 9, 130)
    stream = engine.Stream(program)
    stream.run(x.T[None, :70])
    file = io.BytesIO()
    np.savez(file, **stream.state())
    file.seek(0)
    other = engine.Stream(program)
    with np.load(file, allow_pickle=False) as saved:
        other.restore(dict(saved))
    rest = other.run(x.T[None, 70:])[0].T
    np.testing.assert_array_equal(rest, engine.run(program, x)[:, 70:])
    assert np.count_nonzero(rest) > 0
    stream.run(x.T[None, 70:])
    assert all(np.array_equal(value, stream.state()[key]) for key, value in other.state().items())


def test_state_of_another_program_is_refused(random_sdnn):
    stream = engine.Stream(random_sdnn(1))
    with pytest.raises(ValueError, match=r"fc1/ring|another program|expected"):
        stream.restore(engine.Stream(random_sdnn(2, sizes=(9, 13, 11, 7))).state())
    with pytest.raises(ValueError, match="another program"):
        stream.restore({})


@pytest.mark.parametrize("mask_delay", [0, 1, 3])
@pytest.mark.parametrize("window", ["rectangular", "sqrt_hann"])
def test_denoiser_with_a_silent_network_returns_its_input_aligned(mask_delay, window):
    """All weights 0 give the mask 1: what comes out is what went in, on the same sample."""
    program = _audio_program(mask_delay, weight=0, window=window)
    samples = _noise(1000)
    np.testing.assert_allclose(Denoiser(program).denoise(samples), samples, atol=1e-12)


def test_pushing_hops_equals_the_whole_recording_bit_for_bit():
    program, samples = _audio_program(2), _noise(16 * 80)
    whole = Denoiser(program)
    denoised = whole.denoise(samples)
    stream = Denoiser(program)
    tail = np.zeros(stream.delay_samples)
    fed = np.concatenate([samples, tail]).reshape(-1, 16)
    pushed = np.concatenate([stream.push(hop) for hop in fed])
    assert stream.delay_samples == 48 + 2 * 16
    np.testing.assert_array_equal(pushed[stream.delay_samples :], denoised)
    assert np.abs(denoised - samples).max() > 0.01


def test_clip_functions_equal_the_denoiser_and_follow_the_formula():
    program, samples = _audio_program(1), _noise(999)
    spectra, x = encode_clip(program, samples)
    magnitude = np.abs(spectra)
    np.testing.assert_array_equal(x, np.rint((magnitude - 0.2) * 64))
    out = engine.run(program, x)
    mask = np.maximum(out / 2**18 + 1, 0)
    assert mask.min() == 0
    assert mask.max() > 1
    result = decode_clip(program, spectra, out, len(samples))
    np.testing.assert_array_equal(result, Denoiser(program).denoise(samples))
    frames = Frames(64, 16)
    expected = np.zeros(len(samples) + 400)
    for t in range(1, spectra.shape[1]):
        piece = np.fft.irfft(mask[:, t] * spectra[:, t - 1]) / frames.gain()
        start = t * 16 - 64
        lo = max(0, -start)
        expected[start + lo : start + 64] += piece[lo:]
    np.testing.assert_allclose(result, expected[: len(samples)], atol=1e-12)


def test_denoiser_forgets_between_recordings_and_records_on_request():
    program, samples = _audio_program(), _noise(500)
    denoiser = Denoiser(program, record=True)
    first = denoiser.denoise(samples)
    np.testing.assert_array_equal(denoiser.denoise(samples), first)
    activity = denoiser.activity()
    spectra, x = encode_clip(program, samples)
    np.testing.assert_array_equal(activity.events_per_step, engine.record(program, x)[1].events_per_step)
    assert activity.events_per_step.shape == (2, spectra.shape[1])
    with pytest.raises(ValueError, match="record=True"):
        Denoiser(program).activity()


def test_network_that_does_not_fit_its_front_end_is_refused(random_sdnn):
    with pytest.raises(UserError, match="cannot denoise audio"):
        Denoiser(random_sdnn(1))


def test_empty_recording_gives_an_empty_one():
    assert Denoiser(_audio_program()).denoise(np.zeros(0)).shape == (0,)
