"""`ndns peer`: other denoisers through the same corridor."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run another denoiser on the clips of a study.")


@app.command("run")
def run(
    settings: Annotated[str, typer.Option(help="one entry `models.<name>` with the key `peer`, as JSON or a file")],
    mix: Annotated[Path, typer.Option(help="manifest of the noisy clips, results/<study>/mix/val.csv")],
    out: Annotated[Path, typer.Option(help="folder, results/<study>/deploy/<run>")],
    cost: Annotated[Path, typer.Option(help="results/<study>/cost/<run>/cost.json")],
) -> None:
    """Denoise the clips, time it on one core, and write manifest.csv and cost.json."""
    from ndns.config import Peer, settings_from
    from ndns.peer.run import run_peer

    run_peer(settings_from(settings, Peer), mix, out, cost)


@app.command("list")
def list_() -> None:
    """Name the peers."""
    from ndns.peer.run import PEERS

    for name in PEERS:
        typer.echo(name)
