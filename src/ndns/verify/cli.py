"""`ndns verify`: recompute in a scratch copy and compare with what is recorded."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

STUDY = "smoke"
NAMED = "name in config/, or a file of settings"


def command(
    target: Annotated[
        str, typer.Argument(help="stage, file or folder; it is computed from recorded inputs; none: the whole study")
    ] = "",
    study: Annotated[str, typer.Option(help=NAMED)] = STUDY,
    first: Annotated[str, typer.Option("--from", help="first stage that is computed; earlier ones are taken")] = "",
    config: Annotated[list[str] | None, typer.Option(help="key=value, as for snakemake --config")] = None,
    claims: Annotated[Path, typer.Option(help="what is claimed")] = Path("config/claims.yaml"),
    jobs: Annotated[int, typer.Option(min=1, help="cores")] = 2,
    json: Annotated[Path | None, typer.Option(help="also write everything that was found to this file")] = None,
    scratch: Annotated[Path | None, typer.Option(help="folder for the copy; it stays")] = None,
) -> None:
    """Recompute a study, or a part of it, at another path and compare each artifact by the level that is claimed.

    Ends with 1 if an artifact misses its claim, with 2 if the verification cannot be done.
    """
    from rich.console import Console

    from ndns.files import write_json
    from ndns.verify.report import as_json, as_table
    from ndns.verify.scratch import below

    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="ndns-verify-") as temporary:
        folder = scratch.resolve() if scratch else below(temporary, Path.cwd())
        found = _verify(
            target, study, first, config or [], claims, jobs, folder, lambda text: console.print(text, style="dim")
        )
    width = None if Console().is_terminal else 160
    Console(width=width, highlight=False, soft_wrap=False).print(as_table(found))
    if json:
        write_json(json, as_json(found))
    if found.misses:
        raise typer.Exit(1)


def _verify(target, study, first, config, claims, jobs, folder, say):
    from ndns.crate.environments import recorded_environments
    from ndns.validation import load_yaml
    from ndns.verify.claims import load_claims
    from ndns.verify.records import STAGES
    from ndns.verify.run import Inquiry, begin, verify
    from ndns.verify.scratch import Scratch
    from ndns.verify.targets import overrides, resolve
    from ndns.workflow import overridden, plan, study_file

    root = Path.cwd()
    given = overrides(config)
    settings = study_file(study)
    studied = plan(overridden(load_yaml(settings), given), [settings])
    aim = resolve(target, first, studied.study.study, studied.study.corpus.name)
    checked = load_claims(claims)
    copy = Scratch(root, folder, settings, [f"{key}={value}" for key, value in given.items()], jobs)
    environments = recorded_environments(root, studied.study.study)
    inquiry = Inquiry(root, studied, checked, copy, aim, environments)
    found = begin(studied.study.study, target, STAGES[aim.first], folder)
    verify(inquiry, found, say)
    return found


def bands(
    study: Annotated[str, typer.Option(help=f"{NAMED}; it has several seeds and was run")],
    claims: Annotated[Path, typer.Option(help="what is claimed")] = Path("config/claims.yaml"),
) -> None:
    """Keep the values of a study's seeds in config/bands.csv, for claims of level band."""
    from ndns.errors import UserError
    from ndns.validation import load_yaml
    from ndns.verify.band import TABLE, write_bands
    from ndns.verify.claims import load_claims
    from ndns.workflow import plan, study_file

    settings = study_file(study)
    studied = plan(load_yaml(settings), [settings])
    band = next((claim.band for claim in load_claims(claims).claims if claim.band), None)
    if band is None:
        raise UserError(f"{claims}: no claim has the level band; add one for the checkpoint.")
    print(f"{TABLE}: {write_bands(Path.cwd(), studied, band)} values of {studied.study.study}")
