"""`ndns peer`: other denoisers through the same corridor."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run another denoiser on the clips of a study.")


@app.command("run")
def run(
    settings: Annotated[
        str, typer.Option(help="an entry `models.<name>` with the key `peer`: JSON text, or a JSON or YAML file")
    ],
    mix: Annotated[Path, typer.Option(help="manifest of the noisy clips, results/<study>/mix/val.csv")],
    out: Annotated[Path, typer.Option(help="folder, results/<study>/deploy/<run>")],
    cost: Annotated[Path, typer.Option(help="results/<study>/cost/<run>/cost.json")],
) -> None:
    """Denoise the clips, time it on one core, and write manifest.csv and cost.json."""
    from ndns.config import Peer, settings_from
    from ndns.peer.run import run_peer

    run_peer(settings_from(settings, Peer), mix, out, cost)


@app.command("clean")
def clean(
    settings: Annotated[
        str, typer.Option(help="an entry of `more` of kind cleaned: JSON text, or a JSON or YAML file")
    ],
    peer: Annotated[str, typer.Option(help="the entry `models.<name>` that it names: JSON text or file")],
    corpus: Annotated[Path, typer.Option(help="manifest.csv of the recordings to clean, of `ndns corpus`")],
    study_corpus: Annotated[Path, typer.Option(help="manifest.csv of the study's corpus; its val stays out")],
    out: Annotated[Path, typer.Option(help="folder for manifest.csv, manifest.json and audio.tar")],
    jobs: Annotated[int, typer.Option(min=1, help="processes; the result does not depend on it")] = 1,
) -> None:
    """Clean the speech of a corpus's train split, to train with."""
    from ndns.config import CleanedCorpus, Peer, settings_from
    from ndns.peer.clean import clean as run

    section = settings_from(settings, CleanedCorpus)
    found = run(section, settings_from(peer, Peer), corpus, study_corpus, out, jobs)
    typer.echo(f"{section.name}: {found}")


@app.command("weights")
def weights(
    folder: Annotated[Path, typer.Argument(help="becomes weights_root of a study")],
    table: Annotated[
        Path | None, typer.Option(help="CSV with file, url, sha256, licence; none: those named here")
    ] = None,
) -> None:
    """Fetch the released weights that the folder lacks, by URL and hash."""
    from ndns.peer.weights import TABLE, fetch_weights

    for file, how in fetch_weights(folder, table or TABLE).items():
        typer.echo(f"{how:8} {folder / file}")


@app.command("list")
def list_() -> None:
    """Name the peers."""
    from ndns.peer.run import PEERS

    for name in PEERS:
        typer.echo(name)
