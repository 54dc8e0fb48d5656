import numpy as np
import pytest
import torch

from ndns.audio.level import FLOOR, KEPT, RISE, Level
from ndns.models.level import leveled, leveled_frame


def swelling(frames: int = 700) -> np.ndarray:
    """|X| `(257, frames)`: two seconds of near silence, then noise whose level wanders by 50 dB."""
    rng = np.random.default_rng(4)
    gain = 10 ** (np.cumsum(rng.normal(0, 0.02, frames)) + np.linspace(-1, 2, frames))
    gain[:250] = 1e-4
    return np.abs(rng.standard_normal((257, frames))) * gain


def test_exponent_is_that_of_a_mean_that_forgets():
    magnitude = swelling()
    means, found = magnitude.mean(axis=0), Level().exponents(magnitude)
    for t in range(len(means)):
        weights = KEPT ** np.arange(t, -1, -1) * (means[: t + 1] >= FLOOR)
        mean = np.average(means[: t + 1], weights=weights) if weights.any() else 0.0
        assert found[t] == np.floor(np.log2(max(mean, means[t] / RISE, FLOOR)))
    assert len(set(found.tolist())) > 5


def test_frames_one_by_one_give_what_all_at_once_give():
    magnitude, level = swelling(), Level()
    parts = [level.exponents(magnitude[:, t : t + 1]) for t in range(magnitude.shape[1])]
    np.testing.assert_array_equal(np.concatenate(parts), Level().exponents(magnitude))


def test_four_times_as_loud_is_two_digits_more():
    magnitude = swelling()[:, 250:]
    np.testing.assert_array_equal(Level().exponents(4 * magnitude), Level().exponents(magnitude) + 2)


def test_torch_divides_by_the_same_powers():
    """But for frames whose level single precision cannot tell from a power of two."""
    magnitude = np.stack([swelling(), 0.3 * swelling()[:, ::-1]])
    expected = np.stack([np.ldexp(part, -Level().exponents(part)) for part in magnitude])
    found = leveled(torch.from_numpy(magnitude).float()).numpy()
    same = np.isclose(found, expected, rtol=1e-6).all(axis=1)
    assert same.mean() > 0.995


@pytest.mark.parametrize("silent", [1, 700, 200_000])
def test_silence_has_no_level(silent):
    """Neither the sound after a pause nor one after minutes of it, when all weights have faded, is taken for louder."""
    sound, pause = swelling()[:, 300:350], np.zeros((257, silent))
    alone, level = Level().exponents(sound), Level()
    np.testing.assert_array_equal(level.exponents(np.concatenate([pause, sound], axis=1))[silent:], alone)
    level.exponents(pause)
    assert np.abs(level.exponents(sound) - alone).max() <= 1


def test_no_frame_is_much_louder_than_its_level():
    """A sound after the hum of a quiet room is divided by a share of its own level at once."""
    hum, sound = np.full((257, 700), 2 * FLOOR), swelling()[:, -50:]
    magnitude = np.concatenate([hum, sound], axis=1)
    found = np.ldexp(magnitude, -Level().exponents(magnitude)).mean(axis=0)
    assert sound[:, 0].mean() > 1000 * 2 * FLOOR
    assert RISE < found[700:].max() < 2 * RISE
    torchs = leveled(torch.from_numpy(magnitude).float()[None])[0].numpy()
    np.testing.assert_allclose(torchs.mean(axis=0), found, rtol=1e-5)


def test_torch_gives_silence_no_level():
    sound = swelling()[:, 300:350]
    magnitude = np.concatenate([np.zeros((257, 60_000)), sound, np.zeros((257, 5))], axis=1)
    found = leveled(torch.from_numpy(magnitude).float()[None])[0].numpy()
    np.testing.assert_allclose(found, np.ldexp(magnitude, -Level().exponents(magnitude)), rtol=1e-6)
    state, frames = None, []
    for frame in magnitude[:, 59_990:].T:
        out, state = leveled_frame(torch.from_numpy(frame).float()[None], state)
        frames.append(out[0].numpy())
    np.testing.assert_allclose(np.stack(frames, axis=1), found[:, 59_990:], rtol=1e-6)
