"""`ndns mix`: plan the clips of a study, then render them."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Plan and render noisy clips with a true SNR.")

Settings = Annotated[str, typer.Option(help="section `mix`: JSON text, or a JSON or YAML file")]
Manifest = Annotated[Path, typer.Option(help="recordings, data/<corpus>/manifest.csv")]


@app.command()
def plan(
    settings: Settings,
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="plan to write, results/<study>/mix/plan.csv")],
) -> None:
    """Draw what each clip is made of: recordings, samples, SNR and level."""
    from ndns.config import Mix, settings_from
    from ndns.mix.corpus import read_corpus
    from ndns.mix.plan import write_plan

    mix = settings_from(settings, Mix)
    corpus = read_corpus(manifest)
    if corpus.duplicates:
        typer.echo(
            f"ndns mix: {corpus.duplicates} recordings of train hold the same samples as one of val; left out.",
            err=True,
        )
    write_plan(mix, corpus, out)


@app.command()
def render(
    settings: Settings,
    plan: Annotated[Path, typer.Option(help="plan, results/<study>/mix/plan.csv")],
    manifest: Manifest,
    split: Annotated[str, typer.Option(help="train or val")],
    out: Annotated[Path, typer.Option(help="manifest to write, results/<study>/mix/<split>.csv; clips go beside it")],
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
) -> None:
    """Render the clips of one split; finished clips of the same plan are kept."""
    from ndns.config import Mix, settings_from
    from ndns.mix.corpus import read_corpus
    from ndns.mix.plan import read_plan
    from ndns.mix.render import render_split

    mix = settings_from(settings, Mix)
    redrawn = render_split(read_plan(plan, split, mix), read_corpus(manifest), split, out, jobs)
    if redrawn:
        typer.echo(f"ndns mix: {redrawn} clips of {split} got other recordings than planned (silence).", err=True)
