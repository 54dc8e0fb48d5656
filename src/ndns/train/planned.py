"""Clips of a plan, mixed when their turn comes: the samples of the rendered clips, without 173 GB of them on a disk."""

from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mixing.clips import PlanClips
from ndns.mixing.draw import length
from ndns.train.data import check_crop, tensors


class PlannedClips(Dataset):
    """Noisy and clean clips of train; items are those of `ndns.train.data.Clips` on the rendered clips.

    Nothing is kept: each epoch reads the recordings and mixes again, in as many processes as `train.workers` says.

    Args:
        mix: settings that the plan was drawn with.
        plan: results/<study>/mix/plan.csv.
        manifest: of the study's corpus.
        crop: samples to cut from each clip; None takes whole clips.
        seed: of the crops.

    Raises:
        UserError: as `PlanClips`, or clips that are shorter than the crop.
    """

    def __init__(self, mix: Mix, plan: Path, manifest: Path, crop: int | None = None, seed: int = 0) -> None:
        self._clips = PlanClips(mix, plan, manifest, "train")
        self._plan, self._crop, self._seed, self.samples = plan, crop, seed, length(mix.seconds)
        check_crop(crop, self.samples, plan)

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noisy and clean `(samples,)` float32 in [-1, 1)."""
        epoch, index = item
        made = self._clips[index]
        pair = np.stack([made.mixture.noisy, made.mixture.clean])
        if pair.shape[1] != self.samples:
            raise UserError(
                f"{self._plan}: {made.row['clip']} has {pair.shape[1]} samples, not {self.samples}; plan again."
            )
        return tensors(pair, self._crop, self._seed, epoch, index)
