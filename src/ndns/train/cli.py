"""`ndns train`: one network from mixtures."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    settings: Annotated[
        str, typer.Option(help="an entry `models.<name>` with network and train: JSON text, or a JSON or YAML file")
    ],
    seed: Annotated[int, typer.Option(min=0, help="of initial weights, order of clips and crops")],
    val_mix: Annotated[Path, typer.Option(help="manifest of the mixtures to choose the best epoch by")],
    out: Annotated[Path, typer.Option(help="folder for checkpoint.safetensors and history.csv")],
    train_mix: Annotated[Path | None, typer.Option(help="manifest of the mixtures to train on")] = None,
    corpus: Annotated[
        list[Path] | None,
        typer.Option(help="instead, with train.fresh: manifest of the study's corpus, then of further ones"),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="instead, with train.source plan: plan.csv, and --corpus with one manifest")
    ] = None,
    mix: Annotated[str | None, typer.Option(help="with --plan: section `mix`, JSON text or file")] = None,
    initial: Annotated[
        Path | None, typer.Option(help="with `initial` in the settings: checkpoint of the model named there")
    ] = None,
    initial_sha256: Annotated[str | None, typer.Option(help="expected SHA-256 of --initial")] = None,
) -> None:
    """Train a network; an interrupted run goes on where it stopped."""
    from ndns.config import Mix, TrainedModel, settings_from
    from ndns.errors import UserError
    from ndns.files import check_sha256
    from ndns.processes import wait_for_products

    model = settings_from(settings, TrainedModel)
    wait_for_products(model.train.threads)
    from ndns.train.run import train

    if bool(model.initial) != bool(initial):
        raise UserError("ndns train: --initial belongs to `initial` in the settings; give both or neither.")
    if initial_sha256:
        if not initial:
            raise UserError("ndns train: --initial-sha256 belongs to --initial.")
        check_sha256(initial, initial_sha256)
    if model.train.fresh and (train_mix or plan or not corpus):
        raise UserError("ndns train: with train.fresh give --corpus and no --train-mix.")
    if model.train.source == "plan":
        if train_mix or not (plan and mix and corpus and len(corpus) == 1):
            raise UserError("ndns train: with train.source plan give --plan, --mix and one --corpus, no --train-mix.")
        train(model, seed, [plan, *corpus], val_mix, out, settings_from(mix, Mix), initial=initial)
        return
    if not model.train.fresh and (corpus or plan or not train_mix):
        raise UserError("ndns train: give --train-mix; --corpus belongs to train.fresh, --plan to train.source plan.")
    train(model, seed, corpus or [train_mix], val_mix, out, initial=initial)
