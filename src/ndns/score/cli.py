"""`ndns score`: quality of clips, of a folder, and of one system against another."""

import os
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

CPUS = os.cpu_count() or 1


class Commands(TyperGroup):
    """`ndns score DENOISED CLEAN` means `ndns score folder DENOISED CLEAN`."""

    def resolve_command(self, ctx, args):
        """Take a first word that is no command for a folder."""
        return super().resolve_command(ctx, args if args[0] in self.commands else ["folder", *args])


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Quality of denoised clips: SI-SNR, DNSMOS, PESQ, ESTOI. `ndns score DENOISED CLEAN` scores folders.",
)

Settings = Annotated[str, typer.Option(help="section `score`: JSON text, or a JSON or YAML file")]
Out = Annotated[Path, typer.Option(help="the table to write, scores.csv", dir_okay=False)]
Jobs = Annotated[int, typer.Option(min=1, help="processes, one thread each")]


@app.command("run")
def run_command(
    mix: Annotated[Path, typer.Option(help="manifest of the mixtures, results/<study>/mix/val.csv")],
    out: Out,
    denoised: Annotated[
        Path | None, typer.Option(help="results/<study>/deploy/<run>/manifest.csv; none scores the noisy clips")
    ] = None,
    settings: Settings = "{}",
    jobs: Jobs = CPUS,
) -> None:
    """Score the clips of a study."""
    from ndns.config import Score, settings_from
    from ndns.score.study import score_study

    rows = score_study(mix, denoised, out, settings_from(settings, Score), jobs)
    _report(rows, str(out))


@app.command("folder")
def folder_command(
    denoised: Annotated[Path, typer.Argument(help="folder of a system's output")],
    clean: Annotated[Path, typer.Argument(help="folder of the clean references")],
    out: Annotated[
        Path | None, typer.Option(help="the table to write; none: <name of DENOISED>_scores.csv", dir_okay=False)
    ] = None,
    noisy: Annotated[Path | None, typer.Option(help="folder of the noisy inputs; gives the SI-SNR gains")] = None,
    settings: Settings = "{}",
    jobs: Jobs = CPUS,
    partial: Annotated[bool, typer.Option("--partial", help="score the names that all folders hold")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="cut clips to the length they share")] = False,
) -> None:
    """Score recordings from any system, matched by name; any rate, any channel count."""
    from ndns.config import Score, settings_from
    from ndns.score.folder import score_folder

    out = out or Path(f"{denoised.resolve().name}_scores.csv")
    rows = score_folder(denoised, clean, noisy, out, settings_from(settings, Score), jobs, partial, trim)
    _report(rows, str(denoised))
    typer.echo(f"a row for each clip: {out}")


@app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(help="scores.csv of one system")],
    second: Annotated[Path, typer.Argument(help="scores.csv of another, on the same clips")],
) -> None:
    """Test whether one system scores higher than another on the same clips."""
    from ndns.score.scores import read_scores
    from ndns.score.tables import compare, comparison_table

    names = (first, second)
    _print(comparison_table(compare(read_scores(first), read_scores(second), names), names))


@app.command("show")
def show_command(
    scores: Annotated[Path, typer.Argument(help="scores.csv")],
    metric: Annotated[str, typer.Option(help="column to break down by SNR, level and noise")] = "si_snr",
) -> None:
    """Print means, and one metric by SNR band, level band and noise."""
    from ndns.score.scores import read_scores
    from ndns.score.tables import conditions_table, means_table

    rows = read_scores(scores)
    _print(means_table(rows, str(scores)))
    _print(conditions_table(rows, metric))


def _report(rows: list[dict[str, object]], title: str) -> None:
    from ndns.score.tables import delay_note, means_table

    _print(means_table(rows, title))
    note = delay_note(rows)
    if note:
        typer.echo(note)


def _print(table: object) -> None:
    from rich.console import Console

    Console(markup=False, emoji=False).print(table)
