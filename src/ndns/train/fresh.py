"""Mixtures drawn anew every epoch: other recordings, offsets, speed, spectrum, room, SNR and level each time.

Mixture `index` of an epoch draws from `generator(seed, FRESH, epoch, index)`, so it does not depend on how many
processes mix, on their order, or on where a run was interrupted.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import torch
from torch.utils.data import Dataset

from ndns.audio.io import RATE
from ndns.config_train import Fresh
from ndns.errors import UserError
from ndns.mixing.clip import BURST_RATIO, MAX_DRAWS, SILENT_POWER
from ndns.mixing.corpus import Groups, Pool
from ndns.mixing.draw import Segment, draw_noise, draw_speech, length
from ndns.mixing.levels import PEAK, active_powers
from ndns.train.bank import Bank, load_bank
from ndns.train.data import FRESH, generator

MARGIN = RATE // 50
"""Samples cut off at both ends: filters and changes of speed treat a clip as periodic, which shows there."""

KNOTS_HZ = (60.0, 150.0, 400.0, 1000.0, 2500.0, 8000.0)
"""Frequencies at which a random filter has its gains; between them decibels are linear in the logarithm of Hz."""

STEP = 8
"""Neighbouring frequencies (about 2 Hz in all) that a filter treats alike."""


@dataclass(frozen=True)
class Part:
    """Recordings one after the other, and what is done to them.

    Attributes:
        segments: samples of recordings, at their own speed.
        gains_db: of the filter, at `KNOTS_HZ`.
        level_db: of this noise beside others, over the whole clip.
    """

    segments: tuple[Segment, ...]
    gains_db: tuple[float, ...]
    level_db: float = 0.0


@dataclass(frozen=True)
class Room:
    """Decaying noise behind the direct sound: time to fall by 60 dB in s, its level below the direct sound, a seed."""

    decay_seconds: float
    below_db: float
    seed: int


@dataclass(frozen=True)
class Recipe:
    """All that a mixture is made of."""

    speech: Part
    noises: tuple[Part, ...]
    room: Room | None
    snr_db: float
    level_dbfs: float


class FreshClips(Dataset):
    """Mixtures of a bank; items are addressed by `(epoch, index)` as those of `ndns.train.data.Clips`.

    Args:
        settings: what is drawn.
        seed: of the draws.
        manifests: of the study's corpus, then of further ones.

    Raises:
        UserError: as `load_bank`.
    """

    def __init__(self, settings: Fresh, seed: int, manifests: list[Path]) -> None:
        self.settings, self.seed = settings, seed
        self.samples = length(settings.seconds)
        self._padded = scipy.fft.next_fast_len(self.samples + 2 * MARGIN, real=True)
        self.bank: Bank = load_bank(settings, seed, manifests)

    def __len__(self) -> int:
        return self.settings.clips

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noisy and clean `(samples,)` float32; a draw whose speech or noise is silent is drawn again."""
        epoch, index = item
        for attempt in range(MAX_DRAWS):
            recipe = self.draw(epoch, index, attempt)
            pair = self.render(recipe)
            if pair is not None:
                return tuple(map(torch.from_numpy, pair))
        raise UserError(
            f"train.fresh: {MAX_DRAWS} draws gave silent speech or noise; remove silent recordings from the corpus."
        )

    def draw(self, epoch: int, index: int, attempt: int = 0) -> Recipe:
        """Draw what a mixture is made of."""
        s = self.settings
        rng = generator(self.seed, FRESH, epoch, index, attempt)
        snr_db, level_dbfs = float(rng.uniform(*s.snr_db)), float(rng.uniform(*s.level_dbfs))
        pool = self.bank.more if self.bank.more.speech and rng.random() < s.more_share else self.bank.own
        speech = Part(draw_speech(rng, pool, self._source_length(rng, s.speed)), self._gains(rng, s.speech_eq_db))
        count = 2 if rng.random() < s.two_noises else 1
        noises = tuple(self._noise(rng) for _ in range(count))
        room = None
        if rng.random() < s.room_share:
            room = Room(float(rng.uniform(0.1, 0.4)), float(rng.uniform(0, 12)), int(rng.integers(1 << 62)))
        return Recipe(speech, noises, room, snr_db, level_dbfs)

    def render(self, recipe: Recipe) -> tuple[np.ndarray, np.ndarray] | None:
        """Return noisy and clean float32 `(samples,)`, or None if speech or noise is silent.

        The SNR counts the active frames of the speech, the level the whole clip, as in `ndns.mixing.levels.mix`.
        """
        clean = self._shaped(recipe.speech, recipe.room)
        noise = np.zeros_like(clean)
        for part in recipe.noises:
            shaped = self._shaped(part)
            power = float(np.mean(shaped**2))
            if power > SILENT_POWER:
                noise += shaped * np.float32(10 ** (part.level_db / 20) / power**0.5)
        speech_power, noise_power = active_powers(clean, noise)
        if speech_power < SILENT_POWER or noise_power < max(SILENT_POWER, BURST_RATIO * float(np.mean(noise**2))):
            return None
        noise *= np.float32(np.sqrt(speech_power / noise_power * 10 ** (-recipe.snr_db / 10)))
        noisy = clean + noise
        peak = max(float(np.abs(signal).max()) for signal in (noisy, clean))
        gain = min(10 ** (recipe.level_dbfs / 20) / float(np.sqrt(np.mean(noisy.astype(np.float64) ** 2))), PEAK / peak)
        return noisy * np.float32(gain), clean * np.float32(gain)

    def _noise(self, rng: np.random.Generator) -> Part:
        s, bank = self.settings, self.bank
        recorded = bank.own.noise + bank.more.noise
        generated = bool(bank.generated) and (rng.random() < s.generated_share or not recorded)
        groups: Groups = bank.generated if generated else recorded
        _, segments = draw_noise(rng, Pool((), groups), self._source_length(rng, s.noise_speed))
        return Part(segments, self._gains(rng, s.noise_eq_db), float(rng.uniform(-6, 6)))

    def _source_length(self, rng: np.random.Generator, extent: float) -> int:
        """Draw a speed within `1 +- extent`: return how many samples become those of a clip with its margins."""
        speed = 1 + rng.uniform(-extent, extent)
        return scipy.fft.next_fast_len(round(self._padded * speed), real=True)

    def _gains(self, rng: np.random.Generator, extent_db: float) -> tuple[float, ...]:
        return tuple(map(float, rng.uniform(-extent_db, extent_db, len(KNOTS_HZ))))

    def _shaped(self, part: Part, room: Room | None = None) -> np.ndarray:
        """Return a part at its speed, filtered and in its room, float32 `(samples,)`."""
        source = self.bank.join(part.segments)
        spectrum = scipy.fft.rfft(source)
        spectrum *= _filter(part.gains_db, len(source))
        if room:
            spectrum *= scipy.fft.rfft(_response(room, len(source)))
        kept = spectrum[: self._padded // 2 + 1]
        resampled = scipy.fft.irfft(kept, n=self._padded) * np.float32(self._padded / len(source))
        return resampled[MARGIN : MARGIN + self.samples]


def _filter(gains_db: tuple[float, ...], samples: int) -> np.ndarray:
    """Return a filter's factor for each frequency, float32 `(samples // 2 + 1,)`; `STEP` neighbours share one."""
    bins = samples // 2 + 1
    frequency = (np.arange(-(-bins // STEP)) + 0.5) * (STEP * RATE / samples)
    gains = np.interp(np.log(frequency), np.log(KNOTS_HZ), gains_db)
    return np.repeat(10 ** (gains.astype(np.float32) / 20), STEP)[:bins]


def _response(room: Room, samples: int) -> np.ndarray:
    """Return a room's impulse response, float32 `(samples,)`: the direct sound, and noise that decays behind it."""
    count = min(round(room.decay_seconds * RATE), samples)
    decay = 10 ** (-3 * np.arange(count) / count)
    tail = np.random.Generator(np.random.PCG64(room.seed)).standard_normal(count) * decay
    tail[: RATE // 500] = 0  # nothing is nearer than the 2 ms of a first reflection
    response = np.zeros(samples, np.float32)
    response[:count] = tail * np.sqrt(10 ** (-room.below_db / 10) / np.sum(tail**2))
    response[0] = 1
    return response
