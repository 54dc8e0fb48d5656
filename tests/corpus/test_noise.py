"""Generated noise: levels move as they should, spectra have their slopes, phases are exact."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ndns.mixing import noise
from ndns.mixing.noise import FAMILIES, RATE

# Standard deviation of the 20 ms level and its 95th minus 5th percentile, dB, over ten seconds, mean of six seeds.
LEVELS = {
    "white": ((0.2, 0.5), (0.8, 1.5)),
    "pink": ((0.9, 1.6), (3.0, 5.0)),
    "brown": ((2.6, 4.2), (8.5, 13.0)),
    "hum": ((0.0, 0.7), (0.0, 2.0)),
    "clicks": ((2.2, 5.5), (6.0, 15.0)),
    "engine": ((0.4, 1.6), (1.3, 5.0)),
    "wind": ((3.5, 6.0), (11.0, 19.0)),
    "traffic": ((2.8, 6.0), (9.0, 18.0)),
    "typing": ((7.5, 11.0), (22.0, 34.0)),
    "siren": ((0.0, 0.3), (0.0, 0.8)),
    "chirps": ((8.0, 15.0), (26.0, 42.0)),
    "cries": ((16.0, 24.0), (38.0, 55.0)),
}


def level_db(signal):
    frames = signal[: len(signal) // 320 * 320].reshape(-1, 320)
    return 10 * np.log10((frames * frames).mean(axis=1))


def spread(signal):
    level = level_db(signal)
    return level.std(), np.subtract(*np.percentile(level, [95, 5]))


def test_every_family_has_known_statistics():
    assert set(LEVELS) == set(FAMILIES)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_level_varies_as_it_should(name):
    stats = np.array([spread(FAMILIES[name](np.random.default_rng(seed), 10 * RATE)) for seed in range(6)])
    for value, (low, high) in zip(stats.mean(axis=0), LEVELS[name], strict=True):
        assert low <= value <= high


@pytest.mark.parametrize(("name", "slope"), [("white", 0), ("pink", -1), ("brown", -2)])
def test_colours_have_their_slope(name, slope):
    signal = FAMILIES[name](np.random.default_rng(1), 20 * RATE)
    power = np.abs(np.fft.rfft(signal)) ** 2
    frequency = np.fft.rfftfreq(len(signal), 1 / RATE)
    edges = np.geomspace(50, 6400, 8)
    bands = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(edges)]
    centres = np.sqrt(edges[:-1] * edges[1:])
    measured = np.polyfit(np.log(centres), np.log(bands), 1)[0]
    assert measured == pytest.approx(slope, abs=0.1)


def test_a_siren_moves_in_pitch_and_an_engine_stays_low():
    def centroids(signal):
        frames = np.abs(np.fft.rfft(signal[: len(signal) // 1600 * 1600].reshape(-1, 1600))) ** 2
        return (frames * np.fft.rfftfreq(1600, 1 / RATE)).sum(axis=1) / frames.sum(axis=1)

    siren = centroids(FAMILIES["siren"](np.random.default_rng(0), 10 * RATE))
    assert siren.max() - siren.min() > 250
    assert centroids(FAMILIES["engine"](np.random.default_rng(0), 10 * RATE)).mean() < 900


def test_chirps_are_high_and_cries_have_overtones_of_one_pitch():
    chirps = np.abs(np.fft.rfft(FAMILIES["chirps"](np.random.default_rng(0), 10 * RATE))) ** 2
    frequency = np.fft.rfftfreq(10 * RATE, 1 / RATE)
    assert chirps[(frequency > 1400) & (frequency < 6600)].sum() > 0.95 * chirps.sum()
    signal = FAMILIES["cries"](np.random.default_rng(0), 10 * RATE)
    frames = signal.reshape(-1, 800)
    loud = frames[(frames**2).mean(axis=1).argsort()[-20:]]
    for frame in loud:
        repeats = np.correlate(frame, frame, "full")[800 - 1 :] / (frame @ frame)
        assert repeats[RATE // 2300 : RATE // 90].max() > 0.5


def test_switched_changes_between_its_parts_and_differs_from_each():
    signal = noise.switched(np.random.default_rng(3), 12 * RATE, ("white", "siren"))
    frames = np.abs(np.fft.rfft(signal.reshape(-1, 640), axis=1)) ** 2 + 1e-12
    flatness = np.exp(np.log(frames).mean(axis=1)) / frames.mean(axis=1)
    assert (flatness > 0.3).mean() > 0.15  # white
    assert (flatness < 0.05).mean() > 0.15  # siren
    assert spread(signal)[1] > 1


@given(st.lists(st.floats(0, 8000), min_size=1, max_size=200), st.floats(0, 0.999))
def test_phase_is_an_exact_sum(frequencies, start):
    turns = noise.phase(np.array(frequencies), len(frequencies), start)
    turn = 1 << noise.PHASE_BITS
    total = round(start * turn)
    for value, frequency in zip(turns, frequencies, strict=True):
        total += round(frequency * (turn / RATE))
        assert value == (total % turn) / turn


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("samples", [1, 37, 800])
def test_short_recordings_are_finite_and_of_the_right_length(name, samples):
    signal = FAMILIES[name](np.random.default_rng(0), samples)
    assert signal.shape == (samples,)
    assert np.isfinite(signal).all()
