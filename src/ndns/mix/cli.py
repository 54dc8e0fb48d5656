"""`ndns mix`: plan the clips of a study, audit the plan, render it."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Plan, audit and render noisy clips.")

Settings = Annotated[str, typer.Option(help="section `mix`: JSON text, or a JSON or YAML file")]
Manifest = Annotated[Path, typer.Option(help="recordings, data/<corpus>/manifest.csv")]


@app.command()
def plan(
    settings: Settings,
    manifest: Manifest,
    out: Annotated[Path, typer.Option(help="plan to write, results/<study>/mix/plan.csv")],
    facts: Annotated[
        Path | None, typer.Option(help="method released: index of recordings; default: facts.sqlite by the manifest")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="method released: processes that decode recordings")] = 1,
) -> None:
    """Draw what each clip is made of: recordings, samples, SNR and level."""
    from ndns.config import Mix, settings_from
    from ndns.mix.plan import write_plan
    from ndns.mixing.corpus import read_corpus

    mix = settings_from(settings, Mix)
    if mix.method == "released":
        from ndns.mix.released_plan import write_released_plan

        write_released_plan(mix, manifest, out, facts, jobs)
        return
    if mix.method == "given":
        from ndns.mix.given import write_given_plan

        write_given_plan(mix, manifest, out)
        return
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
    out: Annotated[Path, typer.Option(help="folder to fill with shards, results/<study>/mix/<split>")],
    shard: Annotated[list[int] | None, typer.Option(help="number of a shard; may be repeated; default: all")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes, a shard each")] = 1,
) -> None:
    """Render clips into shards <number>.tar with their manifests <number>.csv."""
    from ndns.config import Mix, settings_from
    from ndns.mix.render import Job, render_shards
    from ndns.mixing.clip import SNR_TOLERANCE_DB

    redrawn = render_shards(Job(settings_from(settings, Mix), plan, manifest, split, out), shard, jobs)
    if redrawn:
        typer.echo(
            f"ndns mix: {redrawn} clips of {split} got other recordings than planned: these were silent, "
            f"or rounding to 16 bits moved the SNR by more than {SNR_TOLERANCE_DB} dB.",
            err=True,
        )


@app.command()
def gather(
    out: Annotated[Path, typer.Option(help="manifest to write, results/<study>/mix/<split>.csv")],
    shards: Annotated[list[Path] | None, typer.Argument(help="manifests of the shards, in their order")] = None,
) -> None:
    """Join the manifests of shards into one."""
    from ndns.mix.render import gather as join

    join(shards or [], out)


@app.command()
def export(
    mix: Annotated[Path, typer.Option(help="manifest of the mixtures, results/<study>/mix/<split>.csv")],
    out: Annotated[Path, typer.Option(help="folder to fill with noisy/, clean/ and noise/")],
    jobs: Annotated[int, typer.Option(min=1, help="processes, a shard each")] = 1,
) -> None:
    """Write mixtures as the challenge lays them out: folders of .wav files that its loader DNSAudio reads."""
    from ndns.mix.export import export as write

    typer.echo(f"ndns mix: {write(mix, out, jobs)} clips in {out}.", err=True)


@app.command()
def audit(
    plan: Annotated[Path, typer.Option(help="plan, results/<study>/mix/plan.csv")],
    manifest: Annotated[
        Path | None, typer.Option(help="recordings, to find copies and to measure a released plan again")
    ] = None,
    limit: Annotated[float, typer.Option(help="longest clip, s")] = 30.0,
    out: Annotated[Path | None, typer.Option(help="JSON file for every finding")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    fail_on_leak: Annotated[bool, typer.Option(help="end with status 1 if a recording is in train and in val")] = False,
) -> None:
    """Say which recordings leak between train and val, what each SNR label really is, and which clips are too long."""
    from ndns.files import write_json
    from ndns.mix.audit import audit_plan

    found = audit_plan(plan, limit, manifest, jobs)
    if out:
        write_json(out, found.as_json())
    typer.echo("\n".join(found.lines()))
    if fail_on_leak and found.leaks:
        raise typer.Exit(1)
