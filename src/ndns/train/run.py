"""One training run: from manifests to `checkpoint.safetensors` and `history.csv`, resumable at every epoch."""

import json
import logging
import shutil
import signal
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException, SIGTERMException

from ndns import models
from ndns.config import Mix, TrainedModel
from ndns.config_train import Train
from ndns.errors import UserError
from ndns.files import atomic_path, held, sha256_bytes, sha256_file, write_csv, write_text
from ndns.fingerprint import fingerprint
from ndns.models.slayer import unpacked
from ndns.processes import keep_freed_memory
from ndns.train.learner import Chronicle, Learner

CHECKPOINT, HISTORY, RESUME, LOCK = "checkpoint.safetensors", "history.csv", ".resume", "lock"
LEARNING = {"dt", "dropout", "compressed_loss", "sparsity", "qat"}
"""Settings of a network that say how it learns, not what it computes."""


def train(
    settings: TrainedModel,
    seed: int,
    sources: list[Path],
    val_mix: Path,
    out: Path,
    mix: Mix | None = None,
    initial: Path | None = None,
) -> None:
    """Train one network and write its best weights (highest validation SI-SNR) and its history.

    Settings of the network that are not those of the initial weights, though these fit, are told on standard error.
    A run that was interrupted goes on after its last whole epoch and ends with the same weights; the training state
    waits in `<out>/.resume`. If settings, seed, mixtures or initial weights have changed since, training starts again;
    if the code has, it goes on and says so on standard error.

    Args:
        settings: of the network and the training.
        seed: of the initial weights, the order of clips and their crops.
        sources: manifest of the mixtures to train on; with `train.fresh` manifests of the study's corpus and of
            further ones instead; with `train.source: plan` the plan and the manifest of its corpus.
        val_mix: manifest of the mixtures to choose the best epoch by.
        out: folder of the results.
        mix: settings of the plan.
        initial: checkpoint whose weights training begins with.

    Raises:
        UserError: mixtures or initial weights that do not fit the settings, devices that are not there, a training
            state that is damaged, a loss that is not finite, or another training at work in `out`.
    """
    _be_quiet()
    keep_freed_memory()
    torch.set_num_threads(settings.train.threads)
    torch.set_float32_matmul_precision("high" if settings.train.tf32 else "highest")
    network = models.build(settings.network, seed)
    differing = ""
    if initial:
        other = models.load(initial)
        models.take_over(network, other, initial)
        differing = _differing(other.settings.model_dump(), settings.network.model_dump())
    learner = Learner(network, settings.train, seed, sources, val_mix, mix)
    folder = out / RESUME
    chronicle = Chronicle(folder)
    trainer = _trainer(settings.train, chronicle, out)
    if settings.train.batch % trainer.world_size:
        raise UserError(f"train.batch: {settings.train.batch} cannot be shared by {trainer.world_size} processes.")
    read = [*sources, val_mix, *([initial] if initial else [])]
    busy = f"{out}: another training is at work there; wait for it, end it, or name another --out."
    with held(folder / LOCK, busy) if trainer.is_global_zero else nullcontext():
        if differing and trainer.is_global_zero:
            print(f"ndns train: {initial} was trained with other settings: {differing}.", file=sys.stderr)
        resumed = _resumed(chronicle, _key(settings, seed, read), trainer.is_global_zero)
        try:
            trainer.fit(learner, ckpt_path=chronicle.last if resumed else None, weights_only=True)
        except SIGTERMException:  # which Lightning lets end as if all was done
            raise SystemExit(128 + signal.SIGTERM) from None
        if trainer.is_global_zero:
            _finish(chronicle, out)


def _differing(before: dict, now: dict) -> str:
    """Name the settings by which two networks of a kind compute differently, with their values.

    >>> _differing({"mask": "sigmoid", "qat": None}, {"mask": "relu", "qat": {"start": 0.8}})
    'mask sigmoid, now relu'
    """
    names = [name for name in now if name not in LEARNING and before[name] != now[name]]
    return "; ".join(f"{name} {before[name]}, now {now[name]}" for name in names)


def _finish(chronicle: Chronicle, out: Path) -> None:
    with atomic_path(out / CHECKPOINT) as temporary:
        shutil.copyfile(chronicle.best, temporary)
    write_csv(out / HISTORY, chronicle.rows, list(chronicle.rows[0]))
    chronicle.last.unlink()  # first: nobody can go on from what a kill leaves of the folder
    shutil.rmtree(chronicle.last.parent)


def _trainer(settings: Train, chronicle: Chronicle, out: Path) -> lightning.Trainer:
    visible = sys.stderr.isatty()
    try:
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy=settings.strategy,
            max_epochs=settings.epochs,
            gradient_clip_val=settings.clip_norm,
            deterministic=settings.deterministic,
            benchmark=False,
            callbacks=[chronicle, *([RichProgressBar(console_kwargs={"stderr": True})] if visible else [])],
            enable_progress_bar=visible,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            logger=False,
            default_root_dir=out,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"train.accelerator, devices or strategy: {reason}.") from None


def _key(settings: TrainedModel, seed: int, read: list[Path]) -> str:
    """Hash of everything that the trained weights depend on, as far as the settings tell; not of `train.workers`."""
    parts = {
        "network": settings.network.model_dump(mode="json"),
        "train": settings.train.model_dump(mode="json") | {"workers": 0},
        "seed": seed,
        "read": [sha256_file(path) for path in read],
    }
    return sha256_bytes(json.dumps(parts, sort_keys=True).encode())


def _resumed(chronicle: Chronicle, key: str, writer: bool) -> bool:
    """Tell whether an interrupted run can go on; else make its folder ready for a new one."""
    folder, path, code = chronicle.last.parent, chronicle.last.parent / "key.txt", fingerprint("train")
    if chronicle.last.is_file() and path.is_file():
        before, _, trained_by = path.read_text(encoding="utf-8").partition("\n")
        if before == key:
            _check_whole(chronicle.last)
            if writer:
                other = f", which other code trained; delete {folder} to train all of it anew" * (trained_by != code)
                print(f"ndns train: going on after the last whole epoch{other}.", file=sys.stderr)
            return True
        if writer:
            print(
                "ndns train: settings, seed, mixtures or initial weights have changed; starting again.", file=sys.stderr
            )
    if writer:
        for left in sorted(folder.iterdir()):
            if left.name != LOCK:
                left.unlink()
        write_text(path, f"{key}\n{code}")
    return False


def _check_whole(state: Path) -> None:
    try:
        unpacked(state)
    except UserError:
        raise UserError(f"{state}: damaged; delete {state.parent} to train from the beginning.") from None


def _be_quiet() -> None:
    """Silence what Lightning says about itself; warnings about numbers stay."""
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=r".*`srun` command is available.*")
    warnings.filterwarnings("ignore", message=r".*number of training batches.*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
