"""The network as Lightning trains it, and the callbacks that keep its history and make it resumable."""

import math
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import lightning
import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from ndns import models
from ndns.audio.io import RATE
from ndns.config import Mix
from ndns.config_train import Train
from ndns.errors import UserError
from ndns.train.batch_mix import BatchMixer, FreshRecipes
from ndns.train.data import DROPOUT, Clips, EpochOrder, generator
from ndns.train.fresh import FreshClips
from ndns.train.graphed import GraphedLoss, measured
from ndns.train.planned import PlannedClips


class Learner(lightning.LightningModule):
    """A network's own loss, by default under RAdam at a constant rate (N-DNS baseline: `train_sdnn.py`).

    Args:
        network: with `forward(noisy) -> Output` and `loss(output, clean)`; it may have `parameter_groups(learning_rate,
            weight_decay)` for the optimizer, `on_progress(share)`, called before each step with the share of all steps
            that is done, and `settled`, whether the network is already of the kind that was asked for.
        settings: of the training.
        seed: of the order of clips and of their crops.
        sources: manifest of the mixtures to train on; manifests of corpora for fresh ones; a plan and the manifest of
            its corpus.
        val_mix: manifest of the mixtures to validate on.
        mix: settings of the plan, if there is one.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        settings: Train,
        seed: int,
        sources: list[Path],
        val_mix: Path,
        mix: Mix | None = None,
    ) -> None:
        super().__init__()
        self.network, self._settings, self._seed = network, settings, seed
        crop = settings.crop_seconds and round(settings.crop_seconds * RATE)
        self._train_clips: Dataset
        self.mixer: BatchMixer | None = None
        if settings.fresh:
            self._train_clips = FreshClips(settings.fresh, seed, sources)
            if settings.fresh.mixed_on == "device":
                self._train_clips = FreshRecipes(self._train_clips)
                self.mixer = self._train_clips.mixer()
                alike = [f"mixer.{name}" for name, _ in self.mixer.named_buffers()]
                DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, alike)
        elif mix:
            self._train_clips = PlannedClips(mix, *sources, crop, seed)
        else:
            self._train_clips = Clips(sources[0], crop, seed)
        self._val_clips = Clips(val_mix)
        self._check_lengths(
            {
                "train.crop_seconds": crop,
                f"the clips of {sources[0]}": getattr(self._train_clips, "samples", None),
                f"the clips of {val_mix}": self._val_clips.samples,
            }
        )
        self._graphed = GraphedLoss(network) if settings.graph else None
        self._totals: dict[str, torch.Tensor] = {}
        self._counts = {"train": 0, "val": 0}

    def _check_lengths(self, lengths: Mapping[str, int | None]) -> None:
        half = self.network.front_end.n_fft // 2
        for name, samples in lengths.items():
            if samples is not None and samples <= half:
                raise UserError(
                    f"network.front_end.n_fft: half a frame ({half} samples) is not shorter than {name} ({samples}); "
                    "take a smaller n_fft, or more seconds."
                )

    def configure_optimizers(self) -> dict[str, object]:
        """Return the optimizer with the settings' rate and decay, and the schedule of the rate, step by step."""
        rate, decay = self._settings.learning_rate, self._settings.weight_decay
        grouped = getattr(self.network, "parameter_groups", None)
        groups = grouped(rate, decay) if grouped else self.network.parameters()
        kinds = {"radam": torch.optim.RAdam, "adamw": partial(torch.optim.AdamW, fused=True)}
        optimizer = kinds[self._settings.optimizer](groups, lr=rate, weight_decay=decay)
        if self._settings.schedule == "constant" and not self._settings.warmup:
            return {"optimizer": optimizer}
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """Return the factor of the learning rate in a step."""
        done = step / self._steps()
        rising = min((step + 1) / (self._settings.warmup * self._steps()), 1.0) if self._settings.warmup else 1.0
        return rising * (math.cos(math.pi * min(done, 1.0)) + 1) / 2 if self._settings.schedule == "cosine" else rising

    def _steps(self) -> int:
        """Return the training's steps; Lightning's own count builds the loader before a resumed run knows its epoch."""
        batches = math.ceil(len(self._order(self._train_clips, self._seed)) / self._batch())
        return max(self._settings.epochs * batches, 1)

    def on_train_epoch_start(self) -> None:
        """Begin the means anew."""
        self._totals, self._counts = {}, {"train": 0, "val": 0}

    def on_train_batch_start(self, batch: object, index: int) -> None:
        """Seed what the network itself draws (dropout) and tell it how far training is, alike in a resumed run."""
        torch.manual_seed(
            int(generator(self._seed, DROPOUT, self.current_epoch, index, self.global_rank).integers(1 << 62))
        )
        if hasattr(self.network, "on_progress"):
            self.network.on_progress(self.global_step / self._steps())

    def train_dataloader(self) -> DataLoader:
        """Return the training clips in the order of the epoch, of a resumed run the one that it goes on with.

        Lightning sets the epoch after worker processes have been sent the first batches.
        """
        order = self._order(self._train_clips, self._seed)
        order.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        self._enough(len(self._train_clips))
        return self._loader(self._train_clips, order)

    def val_dataloader(self) -> DataLoader:
        """Return the validation clips in the manifest's order."""
        self._enough(len(self._val_clips))
        return self._loader(self._val_clips, self._order(self._val_clips, None))

    def _order(self, clips: Dataset, seed: int | None) -> EpochOrder:
        return EpochOrder(len(clips), seed, self.trainer.global_rank, self.trainer.world_size)

    def _batch(self) -> int:
        """Clips of a step in each process."""
        return self._settings.batch // self.trainer.world_size

    def _enough(self, clips: int) -> None:
        if clips < self.trainer.world_size:
            raise UserError(f"train.devices: {self.trainer.world_size} processes cannot share {clips} clips.")

    def on_after_batch_transfer(self, batch: object, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix what was only drawn."""
        return self.mixer(batch) if isinstance(batch, dict) else batch

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """Return the loss of noisy and clean `(batch, samples)`."""
        return self._observe("train", batch, index)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Note the loss, the SI-SNR and the event rates."""
        self._observe("val", batch, index)

    def _observe(self, split: str, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        noisy, clean = batch
        rates = {}
        if split == "train" and self._graphed and self.device.type == "cuda":
            loss, quality = self._graphed(noisy, clean)
        else:
            loss, quality, rates = measured(self.network, noisy, clean)
        if loss.device.type == "cpu":  # a GPU would have to be waited for; averages() looks once an epoch
            self._check(split, float(loss.detach()), f", batch {index + 1}")
        with torch.no_grad():
            seen = {f"{split}_loss": loss.detach(), f"{split}_si_snr": quality}
            if split == "val":
                seen |= {f"rate_{name}": rate for name, rate in rates.items()}
            for name, value in seen.items():
                self._totals[name] = self._totals.get(name, 0) + value.double() * len(noisy)
        self._counts[split] += len(noisy)
        return loss

    def averages(self) -> dict[str, float]:
        """Return the epoch's means over the clips of all processes; every process has to call this.

        Lightning's own logging averages over processes as if all had equally many clips.
        """
        counts = {split: torch.tensor(count, dtype=torch.float64) for split, count in self._counts.items()}
        reduced = {}
        for name, value in (self._totals | counts).items():
            reduced[name] = self.trainer.strategy.reduce(value.to(self.device), reduce_op="sum").item()
        means = {
            name: reduced[name] / reduced["train" if name.startswith("train_") else "val"] for name in self._totals
        }
        for split in ("train", "val"):
            self._check(split, means[f"{split}_loss"])
        return means

    def _check(self, split: str, loss: float, place: str = "") -> None:
        if not math.isfinite(loss):
            raise UserError(
                f"the {split} loss is {loss} in epoch {self.current_epoch + 1}{place}; "
                "lower train.learning_rate or train.clip_norm."
            )

    def _loader(self, clips: Dataset, order: EpochOrder) -> DataLoader:
        return DataLoader(
            clips,
            batch_size=self._batch(),
            sampler=order,
            num_workers=self._settings.workers,
            persistent_workers=self._settings.workers > 0,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            collate_fn=getattr(clips, "collate", None),
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
        """Weights of the epoch with the highest validation SI-SNR among those that count."""
        return self._folder / "best.safetensors"

    def state_dict(self) -> dict[str, object]:
        """Return the history, to be saved with the training state."""
        return {"rows": self.rows}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take over the history of the run that was interrupted."""
        self.rows = list(state["rows"])

    def on_train_epoch_end(self, trainer: lightning.Trainer, learner: Learner) -> None:
        """Append to the history, then save."""
        seen = learner.averages()
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        names = ["train_loss", "train_si_snr", "val_loss", "val_si_snr"]
        row = {"epoch": trainer.current_epoch + 1, **{name: seen[name] for name in names}, "learning_rate": rate}
        row |= {name: value for name, value in seen.items() if name.startswith("rate_")}
        row["settled"] = int(getattr(learner.network, "settled", True))
        rivals = [earlier for earlier in self.rows if earlier["settled"]]
        last = row["epoch"] == trainer.max_epochs and not rivals
        improved = bool(row["settled"] or last) and all(row["val_si_snr"] > rival["val_si_snr"] for rival in rivals)
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

    def on_exception(self, trainer: lightning.Trainer, learner: Learner, exception: BaseException) -> None:
        """Say after Ctrl-C what is kept."""
        if isinstance(exception, KeyboardInterrupt) and trainer.is_global_zero:
            print(
                f"ndns train: stopped; the same command goes on after epoch {len(self.rows)}.",
                file=sys.stderr,
                flush=True,
            )
