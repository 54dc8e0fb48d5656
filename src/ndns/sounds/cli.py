"""The command `ndns sounds`."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    debs: Annotated[Path, typer.Option(help="folder with the .deb files, as `apt-get download` names them")],
    out: Annotated[Path, typer.Option(help="folder for the recordings and MANIFEST.csv")],
    table: Annotated[Path, typer.Option(help="pieces of each recording")] = Path("data/debian_sounds.csv"),
    packages: Annotated[Path, typer.Option(help="packages, versions, hashes")] = Path("data/debian_packages.csv"),
) -> None:
    """Cut a corpus of noise and speech for training from packages of Debian (docs/sounds.md)."""
    from ndns.sounds.build import build

    made = build(debs, out, table, packages)
    typer.echo(f"{out}: {made.recordings} recordings, {made.seconds / 60:.1f} min")
    if made.other:
        typer.echo(
            f"ndns sounds: {len(made.other)} decode to other samples than the table has ({made.other[0]} ...): "
            "another soundfile, soxr or processor; the manifest holds the hashes of what was written.",
            err=True,
        )
