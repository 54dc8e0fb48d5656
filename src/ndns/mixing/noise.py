"""Generated noise at 16 kHz: families of sounds whose level or pitch moves, drawn anew for every recording.

A family is a function of a generator and a length; it returns float64 `(samples,)` at any level. Values are exact far
below one step of PCM16 on every machine: phases are summed as integers, the rest is float64.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.signal

from ndns.audio.io import RATE

Family = Callable[[np.random.Generator, int], np.ndarray]
PHASE_BITS = 48


def coloured(rng: np.random.Generator, samples: int, slope: float) -> np.ndarray:
    """Gaussian noise with a power spectrum f**-slope, flat below 20 Hz, of RMS 1."""
    length = scipy.fft.next_fast_len(samples, real=True)
    spectrum = scipy.fft.rfft(rng.standard_normal(length))
    frequency = np.maximum(np.arange(len(spectrum)) * (RATE / length), 20.0)
    shaped = scipy.fft.irfft(spectrum * frequency ** (-slope / 2), n=length)[:samples]
    return unit(shaped - shaped.mean())


def unit(signal: np.ndarray) -> np.ndarray:
    """Scale to RMS 1; silence stays silence."""
    rms = np.sqrt(np.mean(signal * signal))
    return signal / rms if rms > 0 else signal


def db(value: float | np.ndarray) -> float | np.ndarray:
    """Return the amplitude factor of a level in dB."""
    return 10 ** (np.asarray(value) / 20)


def band(signal: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Second-order Butterworth band pass."""
    return scipy.signal.sosfilt(_band_pass(low_hz, min(high_hz, 0.49 * RATE)), signal)


@lru_cache(maxsize=4)
def _band_pass(low_hz: float, high_hz: float) -> np.ndarray:
    return scipy.signal.butter(2, [low_hz, high_hz], btype="bandpass", fs=RATE, output="sos")


def drift(rng: np.random.Generator, samples: int, hz: float) -> np.ndarray:
    """Slow random course of unit variance: Gaussian knots at `hz` a second, joined by straight lines."""
    knots = int(np.ceil(samples * hz / RATE)) + 2
    start = rng.uniform()
    return np.interp(np.arange(samples) * (hz / RATE) + start, np.arange(knots + 1), rng.standard_normal(knots + 1))


def phase(frequency_hz: np.ndarray | float, samples: int, start: float = 0.0) -> np.ndarray:
    """Return the phase in turns, in [0, 1), of a tone of moving frequency; the sum is exact (integers)."""
    turn = 1 << PHASE_BITS
    steps = np.rint(np.broadcast_to(frequency_hz, samples) * (turn / RATE)).astype(np.int64)
    return ((np.cumsum(steps) + round(start * turn)) & (turn - 1)) / turn


def tone(turns: np.ndarray, harmonic: int = 1, offset: float = 0.0) -> np.ndarray:
    """Return the sine of `harmonic` times a phase in turns."""
    moved = harmonic * turns + offset
    moved -= np.floor(moved)  # as exact as `np.mod` of what is not negative, and several times faster
    return np.sin(2 * np.pi * moved)


def white(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Gaussian white noise."""
    return rng.standard_normal(samples)


def pink(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Power falls with 1/f."""
    return coloured(rng, samples, 1.0)


def brown(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Power falls with 1/f**2."""
    return coloured(rng, samples, 2.0)


def hum(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Mains hum: 50 or 60 Hz within 0.2 %, eight harmonics falling with 1/k, 2 % pink noise."""
    base = rng.choice([50.0, 60.0]) * (1 + rng.uniform(-0.002, 0.002))
    turns = phase(base, samples)
    total = np.zeros(samples)
    for k in range(1, 9):
        total += tone(turns, k, rng.uniform()) / k
    return unit(total) + 0.02 * pink(rng, samples)


def clicks(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Knocks and clatter: 1 to 6 decaying bursts of band noise a second, 10 to 80 ms, 15 dB apart, over pink noise."""
    floor = pink(rng, samples) * db(rng.uniform(-32, -24))
    rate_hz = rng.uniform(1, 6)
    total = np.zeros(samples)
    at = rng.exponential(1 / rate_hz)
    while at < samples / RATE:
        low = rng.uniform(300, 2500)
        burst = _burst(rng, rng.uniform(0.01, 0.08), low, low * rng.uniform(1.5, 3))
        _add(total, burst * db(rng.uniform(-15, 0)), int(at * RATE))
        at += rng.exponential(1 / rate_hz)
    return total + floor


def engine(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Engine: 25 to 90 Hz drifting by 12 %, 19 harmonics k**-(0.6 to 1.2), pink noise beating at half the pitch."""
    base = rng.uniform(25, 90) * (1 + 0.12 * np.clip(drift(rng, samples, 0.7), -2, 2) / 2)
    turns = phase(base, samples)
    slope = rng.uniform(0.6, 1.2)
    total = np.zeros(samples)
    for k in range(1, 20):
        total += tone(turns, k, rng.uniform()) * k**-slope
    half = phase(base / 2, samples)
    return unit(total) + 0.35 * pink(rng, samples) * (1 + 0.5 * tone(half))


def wind(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Wind: brown noise of 30 to 500 Hz with a squared random gain at 1 Hz, and pink gusts at 2 Hz."""
    body = unit(band(brown(rng, samples), 30, 500)) * (0.5 + 0.4 * np.abs(drift(rng, samples, 1.0))) ** 2
    gusts = unit(band(pink(rng, samples), 200, 3000)) * np.maximum(drift(rng, samples, 2.0), 0) ** 2
    return body + 0.1 * gusts


def traffic(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Road: a brown floor and vehicles passing, 2 to 4 in ten seconds, each a bell of 0.6 to 2 s of band noise."""
    seconds = samples / RATE
    total = unit(band(brown(rng, samples), 30, 1000)) * db(-12)
    time = np.arange(samples) / RATE
    for _ in range(max(1, round(rng.uniform(2, 4) * seconds / 10))):
        centre, width = rng.uniform(0, seconds), rng.uniform(0.6, 2.0)
        bell = np.exp(-0.5 * ((time - centre) / width) ** 2)
        tyres = unit(band(pink(rng, samples), 60, rng.uniform(800, 2500)))
        total += tyres * bell * db(rng.uniform(-6, 0))
    return total


def typing(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Keyboard: gaps from gamma(2, 70 ms), one in twenty a pause of 0.5 to 1.5 s, keys of 1 to 6.5 kHz."""
    total = pink(rng, samples) * db(rng.uniform(-46, -40))
    at = rng.uniform(0, 0.3)
    while at < samples / RATE:
        key = _burst(rng, rng.uniform(0.015, 0.04), 1000, 6500)
        release = _burst(rng, rng.uniform(0.01, 0.02), 1000, 6500)
        level = db(rng.uniform(-8, 0))
        _add(total, key * level, int(at * RATE))
        _add(total, release * level * 0.4, int((at + rng.uniform(0.05, 0.09)) * RATE))
        at += rng.uniform(0.5, 1.5) if rng.uniform() < 0.05 else rng.gamma(2, 0.07)
    return total


def siren(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Siren: 600 to 900 Hz swept by 150 to 400 Hz, 0.2 to 2 times a second, with two overtones and a faint road."""
    centre, swing, sweep_hz = rng.uniform(600, 900), rng.uniform(150, 400), rng.uniform(0.2, 2.0)
    sweep = tone(phase(sweep_hz, samples, rng.uniform()))
    turns = phase(centre + swing * sweep, samples)
    return tone(turns) + 0.3 * tone(turns, 2) + 0.15 * tone(turns, 3) + 0.02 * pink(rng, samples)


def chirps(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Chirping: phrases of 2 to 12 alike sweeps of 30 to 200 ms between 1.5 and 6.5 kHz, pauses of up to 2 s."""
    total = pink(rng, samples) * db(rng.uniform(-46, -34))
    at = rng.uniform(0, 0.5)
    while at < samples / RATE:
        length = int(rng.uniform(0.03, 0.2) * RATE)
        low, high = np.sort(rng.uniform(1500, 6500, 2))
        course = np.linspace(0, 1, length) ** rng.uniform(0.5, 2)
        course = course[::-1] if rng.uniform() < 0.5 else course
        sweep = tone(phase(low + (high - low) * course, length)) * np.hanning(length)
        gap, level = rng.uniform(0.02, 0.3), db(rng.uniform(-12, 0))
        for _ in range(int(rng.integers(2, 13))):
            _add(total, sweep * level, int(at * RATE))
            at += length / RATE + gap
        at += rng.uniform(0, 2)
    return total


def cries(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Voices of animals and babies: glides of 0.15 to 1.2 s, pitch 200 to 1100 Hz within an octave, many overtones."""
    total = pink(rng, samples) * db(rng.uniform(-46, -34))
    base, slope = rng.uniform(200, 1100), rng.uniform(0.0, 1.2)
    at = rng.uniform(0, 1)
    while at < samples / RATE:
        length = int(rng.uniform(0.15, 1.2) * RATE)
        pitch = base * 2 ** np.clip(0.3 * rng.standard_normal() + 0.25 * drift(rng, length, 5.0), -1, 1)
        turns = phase(pitch, length)
        cry = sum(tone(turns, k) * k**-slope for k in range(1, int(7500 / pitch.max()) + 1))
        centre = rng.uniform(500, 3500)
        cry = unit(cry) + 2 * unit(band(cry, centre / 1.4, 1.4 * centre))
        _add(total, cry * np.sin(np.pi * np.arange(length) / length) ** 0.5 * db(rng.uniform(-10, 0)), int(at * RATE))
        at += length / RATE + rng.uniform(0.05, 1.5)
    return total


def switched(rng: np.random.Generator, samples: int, parts: tuple[str, ...]) -> np.ndarray:
    """Another of the families `parts` every 0.5 to 3 s, at -12 to 0 dB, with 10 ms between them."""
    fade = RATE // 100
    total = np.zeros(samples)
    at, previous = 0, ""
    while at < samples:
        length = min(int(rng.uniform(0.5, 3.0) * RATE), samples - at)
        name = str(rng.choice([part for part in parts if part != previous]))
        piece = unit(FAMILIES[name](rng, length + fade)) * db(rng.uniform(-12, 0))
        ramp = np.minimum(1, (np.arange(length + fade) + 1) / fade)
        piece *= ramp * ramp[::-1]
        _add(total, piece, at)
        at, previous = at + length, name
    return total


def _burst(rng: np.random.Generator, seconds: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Band noise that decays by 40 dB within `seconds`, peak 1."""
    length = max(int(seconds * RATE), 32)
    burst = band(rng.standard_normal(length), low_hz, high_hz) * db(-40 * np.arange(length) / length)
    return burst / np.abs(burst).max()


def _add(total: np.ndarray, piece: np.ndarray, at: int) -> None:
    stop = min(at + len(piece), len(total))
    if at < stop:
        total[at:stop] += piece[: stop - at]


FAMILIES: dict[str, Family] = {
    function.__name__: function
    for function in (white, pink, brown, hum, clicks, engine, wind, traffic, typing, siren, chirps, cries)
}
"""Families that need nothing but a generator."""

COMPOSED = ("switched", "babble")
"""Families made of others of the same split: `switched` of noises, `babble` of synthetic speakers."""
