"""The commands `ndns corpus` and `ndns fetch`."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    settings: Annotated[str, typer.Option(help="section `corpus`: JSON text, or a JSON or YAML file")],
    out: Annotated[Path, typer.Option(help="folder for manifest.csv, manifest.json and synthetic audio")],
    jobs: Annotated[int, typer.Option(min=1, help="processes; the result does not depend on it")] = 1,
) -> None:
    """Collect the recordings: synthesize them, or inspect a folder of them."""
    from ndns.config import AnyCorpus, SpeakCorpus, settings_from
    from ndns.corpus import folder, speak
    from ndns.mixing import manifest

    section = settings_from(settings, AnyCorpus)
    ignored = 0
    if isinstance(section, SpeakCorpus):
        recordings, root = speak.build(section, out, jobs), "."
    else:
        (recordings, ignored), root = folder.build(section, out, jobs), section.root
    rows = manifest.write(out, recordings, root, section.kind)
    typer.echo(manifest.summary_line(section.name, rows, ignored))


def fetch(
    settings: Annotated[str, typer.Option(help="section `fetch`: JSON text, or a JSON or YAML file")] = "{}",
    jobs: Annotated[int, typer.Option(min=1, help="archives that are fetched and unpacked at once")] = 2,
) -> None:
    """Download, check and unpack DNS-4 and test set 1; what is there stays, and a later call goes on."""
    from ndns.config import Fetch, settings_from
    from ndns.corpus.fetch import fetch as run

    section = settings_from(settings, Fetch)
    for name, result in run(section, jobs).items():
        missing = f"; missing: {', '.join(result['missing'])}" if result["missing"] else ""
        typer.echo(f"{name}: {result['root']} ({result['from']}){missing}")
