"""The command `ndns`: one subcommand a stage, named as the stage, and those that use, keep and check results."""

import sys
from importlib import import_module
from pathlib import Path

import typer

from ndns.errors import UserError
from ndns.files import disk_problem

STAGES = ("corpus", "mix", "train", "quantize", "deploy", "score", "cost", "board")


def build() -> typer.Typer:
    """Mount every stage's `cli` module: its `app` (several commands) or its `command` (one)."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Neuromorphic speech denoising: synthesize, train, quantize, deploy, score, cost.",
    )
    for stage in STAGES:
        module = import_module(f"ndns.{stage}.cli")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=stage)
        else:
            app.command(stage)(module.command)
    app.command("fetch")(import_module("ndns.corpus.cli").fetch)
    app.command("sounds")(import_module("ndns.sounds.cli").command)
    app.add_typer(import_module("ndns.peer.cli").app, name="peer")
    use = import_module("ndns.use.cli")
    app.command("denoise", context_settings=use.MORE)(use.denoise_command)
    app.add_typer(use.models_app, name="models")
    app.add_typer(import_module("ndns.export.cli").app, name="export")
    app.command("demo")(import_module("ndns.demo.cli").command)
    app.command("verify")(import_module("ndns.verify.cli").command)
    app.command("bands")(import_module("ndns.verify.cli").bands)
    keeping = import_module("ndns.record.cli")
    for command in (keeping.record, keeping.restore, keeping.explain):
        app.command(command.__name__)(command)
    app.command("crate")(import_module("ndns.crate.cli").command)
    return app


def main() -> None:
    """Run the command line; input that the caller can mend ends with one sentence and exit code 2."""
    try:
        build()()
    except Exception as error:
        known = isinstance(error, UserError)
        problem = str(error) if known else disk_problem(error, Path(getattr(error, "filename", None) or "."))
        if problem is None:
            raise
        print(f"ndns: {problem}", file=sys.stderr)
        sys.exit(2)
