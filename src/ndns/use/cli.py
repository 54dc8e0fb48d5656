"""`ndns denoise` and `ndns models`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ndns.errors import UserError

ModelName = Annotated[
    str | None,
    typer.Option(
        help="a reference model, the start of a run's name below results/, or a file: program .net, "
        "checkpoint .safetensors, slayer .pt; default: the first reference model, or the only run"
    ),
]

models_app = typer.Typer(invoke_without_command=True, help="Reference models and runs that `--model` can name.")


MORE = {"allow_extra_args": True}
"""Lets `denoise_command` itself refuse what a pattern without quotes names beyond IN and OUT."""


def denoise_command(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Argument(metavar="IN", help="a recording, a folder of recordings, or a quoted glob")
    ] = None,
    target: Annotated[
        Path | None, typer.Argument(metavar="OUT", help=".wav or .flac file; a folder for a folder or glob")
    ] = None,
    model: ModelName = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="leave finished files of an interrupted call alone")
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="raw PCM from standard input to standard output, in real time")
    ] = False,
    rate: Annotated[int | None, typer.Option(min=1_000, max=1_000_000, help="of --stream, Hz; default: 16000")] = None,
    channels: Annotated[int | None, typer.Option(min=1, max=1024, help="of --stream, interleaved; default: 1")] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="of --stream, little endian: s16, s32 or f32; default: s16")
    ] = None,
) -> None:
    """Remove noise from recordings of any rate, length and channel count, or from a stream of raw PCM."""
    from ndns.use.model import load

    if stream:
        if source is not None or skip_existing or context.args:
            raise UserError("ndns denoise: --stream reads standard input; leave IN, OUT and --skip-existing out.")
        _stream(model, rate or 16_000, channels or 1, form or "s16")
        return
    for option, value in (("--rate", rate), ("--channels", channels), ("--format", form)):
        if value is not None:
            raise UserError(f"ndns denoise: {option} is for --stream; recordings say it themselves.")
    if context.args:
        raise UserError(f"ndns denoise: {context.args[0]} is neither IN nor OUT; quote a pattern, 'day1/*.wav'.")
    if source is None or target is None:
        raise UserError("ndns denoise: name a recording IN and an output OUT, or use --stream.")
    from ndns.use.recordings import check_output, check_pattern, denoise_file, plan, progress

    jobs = plan(source, target)
    if skip_existing:
        jobs = [(path, out) for path, out in jobs if not out.exists()]
    elif Path(source).is_file():
        check_pattern(Path(source), target)
    network = load(model)
    for path, out in jobs:
        check_output(path, out)
    bad = 0
    with progress(jobs) as start:
        for path, out in jobs:
            try:
                limited = denoise_file(network, path, out, start(path))
            except UserError as error:
                # A cause is an error of the disk, which the next recordings would meet too.
                if len(jobs) == 1 or error.__cause__ is not None:
                    raise
                print(f"ndns: {error}", file=sys.stderr)
                bad += 1
                continue
            if limited:
                print(f"ndns: {out}: {limited} samples were limited to full scale.", file=sys.stderr)
    if bad:
        raise UserError(
            f"{bad} of {len(jobs)} recordings were left out, as told above; the others are done. "
            "Mend or remove these, then run again with --skip-existing."
        )


def _stream(name: str | None, rate: int, channels: int, form: str) -> None:
    from ndns.use import pipe
    from ndns.use.model import load

    if form not in pipe.FORMATS:
        raise UserError(f"--format: {form!r} is not one of {', '.join(pipe.FORMATS)}.")
    for end, what in ((sys.stdin, "input"), (sys.stdout, "output")):
        if end is None:
            raise UserError(f"--stream: standard {what} is closed; connect it to a program or a file.")
    source, target = sys.stdin.fileno(), sys.stdout.fileno()
    pipe.refuse_terminals(source, target)
    outcome = pipe.run(load(name), pipe.Pcm(rate, channels, form), source, target)
    if outcome.limited:
        print(f"ndns: {outcome.limited} samples were limited to full scale.", file=sys.stderr)
    raise typer.Exit(outcome.code)


@models_app.callback()
def list_models(context: typer.Context) -> None:
    """List what `--model` can name, and whether its file is here."""
    if context.invoked_subcommand:
        return
    from ndns.use import registry

    listed, runs = registry.entries(), registry.runs()
    if not listed and not runs:
        registry.find(None)
    for entry in listed:
        state = "" if entry.program.path.is_file() else " (not here: run `ndns restore`)"
        print(f"{entry.name}: {entry.description}{state}")
    for name in runs:
        print(f"{name}: run of a study")


@models_app.command()
def add(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, - and _")],
    program: Annotated[Path, typer.Option(help="a program.net")],
    checkpoint: Annotated[Path | None, typer.Option(help="the checkpoint.safetensors that it came from")] = None,
    description: Annotated[str, typer.Option(help="one sentence")] = "",
) -> None:
    """Copy a model's files to reference/models/<name>/ and list it, with their hashes, in reference/models.csv.

    That of the working folder, or else of the checkout. Files of an earlier model of this name are replaced; without
    --checkpoint its checkpoint is deleted. Then `ndns record --models` keeps the files with DVC.
    """
    from ndns.use import registry
    from ndns.use.model import read_program

    read_program(registry.find(str(program)))
    root = registry.home(registry.REGISTRY)
    # The checkpoint first: if it is absent, nothing has changed yet.
    weights = registry.keep(root, name, checkpoint, "checkpoint") if checkpoint else None
    kept = registry.keep(root, name, program, "program")
    registry.add(root, name, kept, weights, description)
    registry.drop_others(root, name, [kept, weights])


@models_app.command()
def card(
    model: Annotated[str, typer.Argument(help="a reference model or a run of a study")],
    out: Annotated[Path | None, typer.Option(help="default: docs/models/<name>.md")] = None,
    config: Annotated[Path | None, typer.Option(help="settings of the study; default: config/<study>.yaml")] = None,
    attribution: Annotated[
        list[Path] | None, typer.Option(help="table of a corpus with columns file and attribution; repeatable")
    ] = None,
    note: Annotated[list[str] | None, typer.Option(help="a sentence for the limits; repeatable")] = None,
) -> None:
    """Write a model's card from the results of the study that made it."""
    from ndns.use import card as cards
    from ndns.use import evidence, registry
    from ndns.use.model import read_program

    found = evidence.read(model, config, attribution)
    default = Path("docs/models") / f"{found.name.rpartition('/')[2]}.md"
    again = ["ndns", "models", "card", model]
    for option, value in (("--out", out), ("--config", config)):
        again += [option, value.as_posix()] if value else []
    for option, values in (("--attribution", [path.name for path in attribution or []]), ("--note", note or [])):
        again += [word for value in values for word in (option, value)]
    cards.write(found, read_program(registry.find(model)), out or default, note or [], again)
    print(out or default)
