"""Clips of a mixture's manifest, and the order in which an epoch takes them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ndns.audio.io import RATE, info, read_pcm16
from ndns.errors import UserError
from ndns.files import read_csv

IN_MEMORY_BYTES = 2 << 30
"""Clips are kept as int16 if all of them take less than this, else each is read when its turn comes."""

CROP, ORDER, DROPOUT, FRESH = 0, 1, 2, 3
"""What random numbers are for: first key of `generator` after the seed."""


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one purpose, epoch and clip: independent of what was drawn before."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *key])))


class Clips(Dataset):
    """Noisy and clean clips of `results/<study>/mix/<split>.csv`; items are addressed by `(epoch, index)`.

    Args:
        manifest: written by the mix stage.
        crop: samples to cut from each clip, at a place drawn from seed, epoch and index; None takes whole clips.
        seed: of the crops.

    Raises:
        UserError: no clips, a clip that is missing, shorter than the crop, or (uncropped) of another length.
    """

    def __init__(self, manifest: str | Path, crop: int | None = None, seed: int = 0) -> None:
        rows = read_csv(manifest, ["noisy", "clean"])
        if not rows:
            raise UserError(f"{manifest}: lists no clips; raise mix.train_clips or mix.val_clips.")
        folder = Path(manifest).parent
        self._paths = [(folder / row["noisy"], folder / row["clean"]) for row in rows]
        self._crop, self._seed = crop, seed
        self.samples = info(self._paths[0][0]).frames
        check_crop(crop, self.samples, manifest)
        self._held: list[np.ndarray] | None = None
        if len(rows) * self.samples * 4 < IN_MEMORY_BYTES:
            self._held = [self._read(index) for index in range(len(rows))]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noisy and clean `(samples,)` float32 in [-1, 1)."""
        epoch, index = item
        pair = self._held[index] if self._held is not None else self._read(index)
        return tensors(pair, self._crop, self._seed, epoch, index)

    def _read(self, index: int) -> np.ndarray:
        pair = [read_pcm16(path) for path in self._paths[index]]
        for path, samples in zip(self._paths[index], pair, strict=True):
            if len(samples) != self.samples:
                raise UserError(
                    f"{path}: {len(samples)} samples, the first clip of its manifest has {self.samples}; "
                    "delete it and run mix again."
                )
        return np.stack(pair)


def check_crop(crop: int | None, samples: int, source: str | Path) -> None:
    """Raise UserError if the clips of `source` are shorter than the crop."""
    if crop is not None and samples < crop:
        raise UserError(
            f"train.crop_seconds: {crop / RATE:g} s is longer than the clips of {source} ({samples / RATE:g} s); "
            "take a smaller one."
        )


def tensors(pair: np.ndarray, crop: int | None, seed: int, epoch: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noisy and clean, int16 `(2, samples)`, as float32 in [-1, 1), cropped where the epoch draws it."""
    if crop is not None:
        start = int(generator(seed, CROP, epoch, index).integers(pair.shape[1] - crop + 1))
        pair = pair[:, start : start + crop]
    noisy, clean = torch.from_numpy(pair.astype(np.float32) / 32768)
    return noisy, clean


class EpochOrder(Sampler[tuple[int, int]]):
    """Order of the clips in an epoch, drawn from seed and epoch only; each process takes every `world`-th clip.

    Args:
        clips: how many there are.
        seed: of the order; None keeps the manifest's order.
        rank: of this process.
        world: number of processes. Shuffled, all take equally many clips (up to `world - 1` sit out an epoch).
    """

    def __init__(self, clips: int, seed: int | None = None, rank: int = 0, world: int = 1) -> None:
        self._clips, self._seed, self._rank, self._world = clips, seed, rank, world
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this before each."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.arange(self._clips)
        if self._seed is not None:
            order = generator(self._seed, ORDER, self._epoch).permutation(self._clips)
            order = order[: len(order) // self._world * self._world]
        return ((self._epoch, int(index)) for index in order[self._rank :: self._world])

    def __len__(self) -> int:
        if self._seed is not None:
            return self._clips // self._world
        return len(range(self._rank, self._clips, self._world))
