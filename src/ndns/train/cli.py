"""`ndns train`: one network from mixtures."""

import os
from pathlib import Path
from typing import Annotated

import typer


def command(
    settings: Annotated[str, typer.Option(help="JSON text or file: network, train")],
    seed: Annotated[int, typer.Option(min=0, help="of initial weights, order of clips and crops")],
    train_mix: Annotated[Path, typer.Option(help="manifest of the mixtures to train on")],
    val_mix: Annotated[Path, typer.Option(help="manifest of the mixtures to choose the best epoch by")],
    out: Annotated[Path, typer.Option(help="folder for checkpoint.safetensors and history.csv")],
) -> None:
    """Train a network; an interrupted run goes on where it stopped."""
    from ndns.train.memory import WAITING

    for name, value in WAITING.items():
        os.environ.setdefault(name, value)
    from ndns.config import TrainedModel, settings_from
    from ndns.train.run import train

    train(settings_from(settings, TrainedModel), seed, train_mix, val_mix, out)
