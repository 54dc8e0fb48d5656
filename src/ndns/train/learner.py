"""The network as Lightning trains it, and the callbacks that keep its history and make it resumable."""

import os
import sys
from pathlib import Path

import lightning
import torch
from torch.utils.data import DataLoader

from ndns import models
from ndns.audio.io import RATE
from ndns.config import Train
from ndns.errors import UserError
from ndns.metrics.si_snr import si_snr
from ndns.train.data import Clips, EpochOrder


class Learner(lightning.LightningModule):
    """RAdam on a network's own loss (N-DNS baseline: `train_sdnn.py`).

    Args:
        network: with `forward(noisy) -> Output` and `loss(output, clean)`.
        settings: of the training.
        seed: of the order of clips and of their crops.
        manifests: of the mixtures to train on and to validate on.
    """

    def __init__(self, network: torch.nn.Module, settings: Train, seed: int, manifests: tuple[Path, Path]) -> None:
        super().__init__()
        self.network, self._settings, self._seed = network, settings, seed
        crop = settings.crop_seconds and round(settings.crop_seconds * RATE)
        self._train_clips, self._val_clips = Clips(manifests[0], crop, seed), Clips(manifests[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return RAdam with the settings' rate and decay."""
        return torch.optim.RAdam(
            self.network.parameters(), lr=self._settings.learning_rate, weight_decay=self._settings.weight_decay
        )

    def train_dataloader(self) -> DataLoader:
        """Return the training clips in the order of the epoch."""
        order = EpochOrder(len(self._train_clips), self._seed, self.trainer.global_rank, self.trainer.world_size)
        if len(order) == 0:
            raise UserError(f"train.devices: {self.trainer.world_size} processes have too few clips to share.")
        return self._loader(self._train_clips, order)

    def val_dataloader(self) -> DataLoader:
        """Return the validation clips in the manifest's order."""
        order = EpochOrder(len(self._val_clips), None, self.trainer.global_rank, self.trainer.world_size)
        return self._loader(self._val_clips, order)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Return the loss of noisy and clean `(batch, samples)`."""
        return self._observe("train", batch, index)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Log the loss, the SI-SNR and the event rates."""
        self._observe("val", batch, index)

    def _observe(self, split: str, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        noisy, clean = batch
        output = self.network(noisy)
        loss = self.network.loss(output, clean)
        if not torch.isfinite(loss):
            raise UserError(
                f"the {split} loss is {loss.item()} in epoch {self.current_epoch + 1}, batch {index + 1}; "
                "lower train.learning_rate or train.clip_norm."
            )
        with torch.no_grad():
            seen = {f"{split}_loss": loss, f"{split}_si_snr": si_snr(output.denoised, clean).mean()}
            if split == "val":
                seen |= {f"rate_{name}": rate for name, rate in output.rates.items()}
        self.log_dict(seen, on_step=False, on_epoch=True, batch_size=len(noisy), sync_dist=True)
        return loss

    def _loader(self, clips: Clips, order: EpochOrder) -> DataLoader:
        size = self._settings.batch // self.trainer.world_size
        return DataLoader(
            clips,
            batch_size=size,
            sampler=order,
            num_workers=self._settings.workers,
            persistent_workers=self._settings.workers > 0,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )


class Chronicle(lightning.Callback):
    """Keeps one row of history an epoch, the best weights, and all that a killed run needs to go on.

    Args:
        folder: where `last.ckpt` (state after the last whole epoch) and `best.safetensors` go.
    """

    def __init__(self, folder: Path) -> None:
        self.rows: list[dict[str, float]] = []
        self._folder = folder

    @property
    def last(self) -> Path:
        """State of optimizer, weights and history after the last whole epoch."""
        return self._folder / "last.ckpt"

    @property
    def best(self) -> Path:
        """Weights of the epoch with the highest validation SI-SNR."""
        return self._folder / "best.safetensors"

    def state_dict(self) -> dict[str, object]:
        """Return the history, to be saved with the training state."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take over the history of the run that was interrupted."""
        self.rows = list(state["rows"])

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: Learner) -> None:
        """Append to the history, then save."""
        seen = {name: value.item() for name, value in trainer.callback_metrics.items()}
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        names = ["train_loss", "train_si_snr", "val_loss", "val_si_snr"]
        row = {"epoch": trainer.current_epoch + 1, **{name: seen[name] for name in names}, "learning_rate": rate}
        row |= {name: value for name, value in seen.items() if name.startswith("rate_")}
        improved = all(row["val_si_snr"] > earlier["val_si_snr"] for earlier in self.rows)
        self.rows.append(row)
        if trainer.is_global_zero:
            print(
                f"ndns train: epoch {row['epoch']}/{trainer.max_epochs}, loss {row['train_loss']:.3f}, "
                f"SI-SNR {row['train_si_snr']:.2f} dB, validation {row['val_si_snr']:.2f} dB{' (best)' * improved}",
                file=sys.stderr,
                flush=True,
            )
            if improved:
                models.save(learner.network, self.best)
        part = self.last.with_suffix(".part")
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            os.replace(part, self.last)
