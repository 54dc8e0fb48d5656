"""Fresh mixtures of a whole batch, rendered by torch on the device that trains.

The draws are those of `ndns.train.fresh`, and so is what is done to a part: filter, room, speed, SNR, level. Speed is a
band-limited interpolation here and a change of the spectrum's length there, so samples agree to about 1 %.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.fft
import torch
from torch.utils.data import Dataset

from ndns.audio.io import RATE
from ndns.mixing.clip import BURST_RATIO, SILENT_POWER
from ndns.mixing.draw import SILENCE, length
from ndns.mixing.levels import FRAME, MARGIN_DB, PEAK
from ndns.train.bank import Bank
from ndns.train.fresh import KNOTS_HZ, MARGIN, FreshClips, Part, Recipe

TAPS, PHASES, OVERSAMPLED, BETA = 4, 1024, 4, 4.0
"""Of the interpolation: how many samples at `OVERSAMPLED` times the rate it sees, how many places between two of them
it tells apart, and the shape of its window: 0.5 % off at 6 kHz, less below."""

FAR = 1 << 40
"""Beyond every recording."""

Packed = dict[str, torch.Tensor]
"""Recipes as numbers, see `pack`."""


def starts(bank: Bank) -> dict[str, int]:
    """Return where each recording begins in the samples of all of a bank's, one after the other."""
    sizes = [len(pcm) for pcm in bank.samples.values()]
    return dict(zip(bank.samples, (np.cumsum(sizes, dtype=np.int64) - sizes).tolist(), strict=True))


def pack(recipes: Sequence[Recipe], begins: Mapping[str, int]) -> Packed:
    """Return recipes as tensors of `(batch,)` and `(part,)`, for recordings that begin at `begins` (see `starts`).

    Parts are the speech of all recipes, then their first noises, then the second ones of the recipes `second`. `ends`
    are the last positions of a part's segments and `shifts` what leads from a position to the sample in the bank (a
    segment of silence leads beyond the bank's end); `samples` is a part's length.
    """
    second = [index for index, recipe in enumerate(recipes) if len(recipe.noises) > 1]
    parts = [r.speech for r in recipes] + [r.noises[0] for r in recipes] + [recipes[i].noises[1] for i in second]
    most = max(len(part.segments) for part in parts)
    ends, shifts = (np.full((len(parts), most), FAR) for _ in range(2))
    samples = np.array([_place(*each, begins) for each in zip(parts, ends, shifts, strict=True)])
    rooms = [(r.room.decay_seconds, r.room.below_db, r.room.seed % (1 << 31)) if r.room else (0, 0, 0) for r in recipes]
    packed = {
        "ends": ends, "shifts": shifts, "samples": samples, "second": np.array(second, np.int64),
        "gains_db": np.array([part.gains_db for part in parts], np.float32),
        "level_db": np.array([part.level_db for part in parts], np.float32), "rooms": np.array(rooms, np.float64),
        "snr_db": np.array([r.snr_db for r in recipes], np.float32),
        "level_dbfs": np.array([r.level_dbfs for r in recipes], np.float32),
    }  # fmt: skip
    return {name: torch.from_numpy(values) for name, values in packed.items()}


def _place(part: Part, ends: np.ndarray, shifts: np.ndarray, begins: Mapping[str, int]) -> int:
    """Write where the part's segments end and come from; return its length."""
    position = 0
    for index, (path, start, stop) in enumerate(part.segments):
        if path != SILENCE:
            shifts[index] = begins[path] + start - position
        position += stop - start
        ends[index] = position
    return position


class FreshRecipes(Dataset):
    """What the mixtures of `clips` are made of, unmixed; items are addressed by `(epoch, index)` as there."""

    def __init__(self, clips: FreshClips) -> None:
        self._clips = clips
        self._begins = starts(clips.bank)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, item: tuple[int, int]) -> Recipe:
        """Return the first draw."""
        return self._clips.draw(*item)

    def collate(self, recipes: list[Recipe]) -> Packed:
        """Return a batch for the mixer."""
        return pack(recipes, self._begins)

    def mixer(self) -> "BatchMixer":
        """Return what renders these batches."""
        s = self._clips.settings
        return BatchMixer(self._clips.bank, s.seconds, 1 + max(s.speed, s.noise_speed), s.room_share > 0)


class BatchMixer(torch.nn.Module):
    """Renders packed recipes.

    Args:
        bank: of recordings; held on the device as int16.
        seconds: of a mixture.
        fastest: largest speed of a part.
        rooms: whether any recipe may have a room.
    """

    def __init__(self, bank: Bank, seconds: float, fastest: float, rooms: bool = False) -> None:
        super().__init__()
        self.rooms, self.samples = rooms, length(seconds)
        self.padded = scipy.fft.next_fast_len(self.samples + 2 * MARGIN, real=True)
        longest = scipy.fft.next_fast_len(round(self.padded * fastest) + 1, real=True)
        self.held = scipy.fft.next_fast_len(longest + TAPS, real=True)
        pcm = torch.from_numpy(np.concatenate([*bank.samples.values(), np.zeros(1, np.int16)]))
        frequency = np.fft.rfftfreq(self.held, 1 / RATE)
        knots = [np.interp(np.log(np.maximum(frequency, 1)), np.log(KNOTS_HZ), row) for row in np.eye(len(KNOTS_HZ))]
        for name, values in {
            "pcm": pcm,
            "frequency": torch.from_numpy(frequency.astype(np.float32)),
            "knots": torch.from_numpy(np.stack(knots).astype(np.float32)),
            "kernel": torch.from_numpy(_interpolation().astype(np.float32)),
        }.items():
            self.register_buffer(name, values, persistent=False)

    @torch.no_grad()
    def forward(self, packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noisy and clean `(batch, samples)` float32.

        A recipe whose speech or noise is silent gives the mixture of its neighbour in the batch instead.
        """
        parts = self._shaped(packed)
        batch = len(packed["snr_db"])
        clean, noises = parts[:batch], parts[batch:]
        power = noises.square().mean(-1, keepdim=True)
        scale = 10 ** (packed["level_db"][batch:, None] / 20) * power.clamp(min=SILENT_POWER).rsqrt()
        noises = noises * scale * (power > SILENT_POWER)
        noise = noises[:batch].index_add(0, packed["second"], noises[batch:])
        speech_power, noise_power = _active_powers(clean, noise)
        burst = BURST_RATIO * noise.square().mean(-1)
        usable = (speech_power >= SILENT_POWER) & (noise_power >= burst.clamp(min=SILENT_POWER))
        ratio = speech_power / noise_power.clamp(min=SILENT_POWER) * 10 ** (-packed["snr_db"] / 10)
        noisy = clean + noise * ratio.sqrt()[:, None]
        peak = torch.maximum(noisy.abs().amax(-1), clean.abs().amax(-1)).clamp(min=SILENT_POWER)
        rms = noisy.square().mean(-1).clamp(min=SILENT_POWER).sqrt()
        gain = torch.minimum(10 ** (packed["level_dbfs"] / 20) / rms, PEAK / peak)[:, None]
        chosen = _usable(usable)
        return (noisy * gain)[chosen], (clean * gain)[chosen]

    def _shaped(self, packed: Packed) -> torch.Tensor:
        """Return the parts at their speed, filtered and in their rooms, `(part, samples)`."""
        spectra = torch.fft.rfft(self._joined(packed))
        spectra *= 10 ** ((packed["gains_db"] @ self.knots) / 20)
        if self.rooms:
            spectra[: len(packed["rooms"])] *= torch.fft.rfft(self._responses(packed["rooms"]))
        speed = packed["samples"].double() / self.padded
        spectra *= self.frequency * speed.float()[:, None] <= RATE / 2
        source = torch.fft.irfft(spectra, n=self.held * OVERSAMPLED) * OVERSAMPLED
        output = torch.arange(MARGIN, MARGIN + self.samples, device=source.device)
        position = output * (speed * OVERSAMPLED)[:, None]
        below = position.floor()
        phase = ((position - below) * PHASES).long()
        first = below.long() - (TAPS // 2 - 1)
        total = torch.zeros_like(position, dtype=torch.float32)
        for tap in range(TAPS):
            total.addcmul_(source.gather(-1, first + tap), self.kernel[:, tap][phase])
        return total

    def _joined(self, packed: Packed) -> torch.Tensor:
        """Return the parts' samples at their own speed, `(part, held)`, silence behind their ends."""
        place = torch.arange(self.held, device=self.pcm.device).expand(len(packed["samples"]), -1).contiguous()
        segment = torch.searchsorted(packed["ends"], place, right=True).clamp(max=packed["ends"].shape[-1] - 1)
        found = place + packed["shifts"].gather(-1, segment)
        silent = len(self.pcm) - 1
        found = torch.where(place < packed["samples"][:, None], found.clamp(max=silent), silent)
        return self.pcm[found] / 32768

    def _responses(self, rooms: torch.Tensor) -> torch.Tensor:
        """Return rooms' impulse responses `(batch, held)`: the direct sound and noise that decays behind it."""
        decay_seconds, below_db, seed = rooms.float().unbind(-1)
        time = torch.arange(self.held, device=rooms.device) / RATE
        generator = torch.Generator(rooms.device).manual_seed(int(seed.sum()))
        shape = (len(rooms), self.held)
        tail = torch.randn(shape, generator=generator, device=rooms.device)
        share = time / decay_seconds.clamp(min=1e-3)[:, None]
        tail = tail * 10 ** (-3 * share) * (share < 1)
        tail[:, : RATE // 500] = 0
        energy = tail.square().sum(-1, keepdim=True).clamp(min=1e-9)
        response = tail * (10 ** (-below_db[:, None] / 10) / energy).sqrt() * (decay_seconds > 0)[:, None]
        response[:, 0] = 1
        return response


def _interpolation() -> np.ndarray:
    """Return the interpolation's factors `(PHASES, TAPS)`: a sinc under a Kaiser window, at `OVERSAMPLED` the rate."""
    fraction = (np.arange(PHASES) + 0.5)[:, None] / PHASES
    away = np.arange(TAPS) - (TAPS // 2 - 1) - fraction
    window = np.i0(BETA * np.sqrt(np.maximum(1 - (away / (TAPS / 2)) ** 2, 0))) / np.i0(BETA)
    kernel = np.sinc(away) * window
    return kernel / kernel.sum(1, keepdims=True)


def _active_powers(clean: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`ndns.mixing.levels.active_powers` of rows: the largest set of loud frames is found among the sorted powers."""
    frames = clean.shape[-1] // FRAME
    speech, other = (
        x[:, : frames * FRAME].unflatten(1, (frames, FRAME)).double().square().mean(-1) for x in (clean, noise)
    )
    order = speech.sort(dim=1, descending=True).values
    count = torch.arange(1, frames + 1, device=clean.device)
    kept = order >= order.cumsum(1) / count * 10 ** (-MARGIN_DB / 10)
    last = (kept * count).amax(1, keepdim=True)
    active = speech >= order.gather(1, last - 1)
    total = active.sum(1)
    return ((speech * active).sum(1) / total).float(), ((other * active).sum(1) / total).float()


def _usable(usable: torch.Tensor) -> torch.Tensor:
    """Return for each row itself, or the nearest usable row before it, or the first usable one."""
    index = torch.arange(len(usable), device=usable.device)
    before = torch.where(usable, index, -1).cummax(0).values
    return torch.where(before >= 0, before, usable.long().argmax())
