"""`ndns board`: tables and the report of a study."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Tables, metricsboard file and HTML report of a study.")

Named = list[str]


@app.command("run")
def run(
    study_name: Annotated[str, typer.Option("--study-name", help="name shown in the report")],
    mix: Annotated[Path, typer.Option("--mix", help="results/<study>/mix/val.csv")],
    out: Annotated[Path, typer.Option("--out", help="folder for report.html, table.csv and the metricsboard file")],
    scores: Annotated[Named, typer.Option("--scores", help="NAME=scores.csv, once a system; `noisy` is the mixture")],
    costs: Annotated[Named | None, typer.Option("--costs", help="NAME=cost.json, once a run")] = None,
    deployed: Annotated[Named | None, typer.Option("--deployed", help="NAME=manifest.csv, once a run")] = None,
    histories: Annotated[Named | None, typer.Option("--histories", help="NAME=history.csv, once a trained run")] = None,
    programs: Annotated[Named | None, typer.Option("--programs", help="NAME=program.net, once a network")] = None,
    absent: Annotated[Named | None, typer.Option("--absent", help="NAME=what it lacks, once a row left out")] = None,
    settings: Annotated[
        str, typer.Option("--settings", help="section `board`: JSON text, or a JSON or YAML file")
    ] = "{}",
) -> None:
    """Write table.csv, metricsboard_track_1_validation.yml and report.html."""
    from ndns.board.inputs import pairs, read_evidence, texts
    from ndns.board.report import write_report
    from ndns.board.table import write_metricsboard, write_table
    from ndns.config import Board, settings_from

    board = settings_from(settings, Board)
    evidence = read_evidence(
        study_name,
        mix,
        pairs("--scores", scores),
        pairs("--costs", costs or []),
        pairs("--deployed", deployed or []),
        pairs("--histories", histories or []),
        pairs("--programs", programs or []),
        texts("--absent", absent or []),
    )
    write_table(out / "table.csv", evidence)
    write_metricsboard(out / "metricsboard_track_1_validation.yml", evidence, board.team, board.date)
    write_report(out / "report.html", evidence, board)


@app.command("entry")
def entry(
    study_name: Annotated[str, typer.Option("--study-name", help="name shown in the write-up")],
    mix: Annotated[Path, typer.Option("--mix", help="results/<study>/mix/val.csv")],
    out: Annotated[Path, typer.Option("--out", help="folder of the entry; one without edits is replaced")],
    scores: Annotated[Named, typer.Option("--scores", help="NAME=scores.csv, once a system; `noisy` is the mixture")],
    programs: Annotated[Named, typer.Option("--programs", help="NAME=program.net, once a network to enter")],
    costs: Annotated[Named | None, typer.Option("--costs", help="NAME=cost.json, once a run")] = None,
    deployed: Annotated[Named | None, typer.Option("--deployed", help="NAME=manifest.csv, once a run")] = None,
    histories: Annotated[Named | None, typer.Option("--histories", help="NAME=history.csv, once a trained run")] = None,
    checkpoints: Annotated[Named | None, typer.Option("--checkpoints", help="NAME=checkpoint, once a run")] = None,
    settings: Annotated[
        str, typer.Option("--settings", help="section `board`: JSON text, or a JSON or YAML file")
    ] = "{}",
) -> None:
    """Write what the challenge asks of a participant: figures, write-up, frozen networks, inference in lava."""
    from ndns.board.entry import write_entry
    from ndns.board.inputs import pairs, read_evidence
    from ndns.config import Board, settings_from

    given = {"costs": costs, "deployed": deployed, "histories": histories, "programs": programs}
    named = {name: pairs(f"--{name}", values or []) for name, values in given.items()}
    evidence = read_evidence(study_name, mix, pairs("--scores", scores), **named)
    board = settings_from(settings, Board)
    if not write_entry(out, evidence, board, pairs("--checkpoints", checkpoints or [])):
        typer.echo(
            "pdflatex is absent, so the write-up is LaTeX only; install texlive-latex-base for the PDF.", err=True
        )


@app.command("add")
def add_(
    name: Annotated[str, typer.Argument(help="name of the row")],
    denoised: Annotated[Path, typer.Argument(help="folder with one recording a clip, called as the clip is")],
    results: Annotated[Path, typer.Option(help="results/<study>")],
    latency_ms: Annotated[float | None, typer.Option(help="how long the system waits, ms; none: whole clip")] = None,
    delay_ms: Annotated[
        float | None, typer.Option(help="lag of the recordings, ms, removed before scoring; none: 0")
    ] = None,
    parameters: Annotated[int | None, typer.Option(help="numbers that were learned")] = None,
    size_kb: Annotated[float | None, typer.Option(help="KB of 1024 bytes")] = None,
    macs_s: Annotated[float | None, typer.Option(help="multiply-accumulates of a second of audio")] = None,
    power_proxy_ops_s: Annotated[float | None, typer.Option(help="the challenge's power proxy, Ops/s")] = None,
    note: Annotated[str | None, typer.Option(help="what a reader of the row has to know")] = None,
) -> None:
    """Make recordings from any system a row of a study; it stays there until it is removed."""
    from ndns.board.added import add

    facts = {"latency_ms": latency_ms, "delay_ms": delay_ms, "parameters": parameters, "size_kb": size_kb}
    facts |= {"macs_s": macs_s, "power_proxy_ops_s": power_proxy_ops_s, "note": note}
    add(results, name, denoised, facts)
    typer.echo(f"{name} is a row of {results.name}: run snakemake for this study again to score it and redo the board.")


@app.command("remove")
def remove_(
    name: Annotated[str, typer.Argument(help="name of a row that was added")],
    results: Annotated[Path, typer.Option(help="results/<study>")],
) -> None:
    """Take an added row away, with its scores; the recordings stay."""
    from ndns.board.added import remove

    remove(results, name)
    typer.echo(f"{name} is no row of {results.name} any more: run snakemake for this study again to redo the board.")


@app.command("show")
def show(folder: Annotated[Path, typer.Argument(help="results/<study>, or the folder board in it")]) -> None:
    """Print the table of a study and where its report lies."""
    from rich.console import Console

    from ndns.board.show import terminal_table
    from ndns.files import read_csv

    if not (folder / "table.csv").is_file() and (folder / "board").is_dir():
        folder /= "board"
    rows = read_csv(folder / "table.csv", ["system"])
    console = Console()
    console.print(terminal_table(rows))
    report = folder / "report.html"
    console.print(
        f"report: {report}" if report.is_file() else f"{report} is missing; run the board stage.", markup=False
    )


@app.command("against")
def against_(
    base: Annotated[str, typer.Argument(help="system that the others are compared with, for example intel_sdnn")],
    results: Annotated[Path, typer.Argument(help="results/<study>")],
) -> None:
    """Print the differences of all systems to one of them on the same clips, with 95 % intervals."""
    from ndns.board.against import markdown

    typer.echo(markdown(results, base), nl=False)


@app.command("seeds")
def seeds_(
    results: Annotated[Path, typer.Argument(help="results/<study>")],
    base: Annotated[str | None, typer.Option(help="system to subtract clip by clip; none: the scores")] = None,
) -> None:
    """Print what the scores of each model owe to its seed: mean, lowest and highest run."""
    from ndns.board.seeds import markdown

    typer.echo(markdown(results, base), nl=False)


@app.command("ablation")
def ablation_(
    folder: Annotated[Path, typer.Argument(help="results/<study>/train")],
    base: Annotated[str, typer.Option(help="model that the others are compared with")] = "base",
) -> None:
    """Print what each changed setting is worth in validation SI-SNR, seed by seed."""
    from ndns.board.ablation import ablation, markdown

    typer.echo(markdown(ablation(folder, base)), nl=False)


@app.command("audit")
def audit_(
    table: Annotated[Path | None, typer.Option(help="CSV with the columns of published.csv; none: that file")] = None,
    out: Annotated[Path | None, typer.Option(help="also write the findings as CSV")] = None,
) -> None:
    """List contradictions in tables of published results, with their arithmetic."""
    from rich.console import Console
    from rich.table import Table

    from ndns.board.audit import audit, read_entries
    from ndns.board.published import PATH
    from ndns.files import write_csv

    columns = ["rule", "table", "entries", "arithmetic"]
    findings = [vars(finding) for finding in audit(read_entries(table or PATH))]
    if out:
        write_csv(out, findings, columns)
    shown = Table(*columns, title=f"{len(findings)} contradictions", show_lines=True)
    for finding in findings:
        shown.add_row(*(finding[column] for column in columns))
    Console(markup=False, emoji=False).print(shown)


@app.command()
def pareto(
    results: Annotated[Path, typer.Argument(help="results/<study>")],
    out: Annotated[Path, typer.Option(help="folder for pareto.csv, pareto_chip.csv, pareto.md, pareto.svg")],
    run: Annotated[Named | None, typer.Option(help="run to take; repeatable; none: all that have a parent.csv")] = None,
) -> None:
    """Draw quality against effective MACs and bytes over a study's models and seeds."""
    from ndns.board.pareto import write

    write(results, out, run or ())
