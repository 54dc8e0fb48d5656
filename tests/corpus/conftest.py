"""The command `ndns corpus`, in this process and in one of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from ndns.corpus.cli import command

from .fetch_site import go, site  # noqa: F401

PROGRAM = "import typer; from ndns.corpus.cli import command; app = typer.Typer(); app.command()(command); app()"


@pytest.fixture(scope="session")
def run():
    """Run the command in this process; UserError is raised, the summary line is returned."""
    app = Typer()
    app.command()(command)

    def call(settings: dict, out: Path, jobs: int = 1) -> str:
        arguments = ["--settings", json.dumps(settings), "--out", str(out), "--jobs", str(jobs)]
        return CliRunner().invoke(app, arguments, catch_exceptions=False).stdout

    return call


@pytest.fixture(scope="session")
def start():
    """Start the command as a process group of its own."""

    def call(settings: dict, out: Path, jobs: int = 1, **environment: str) -> subprocess.Popen:
        arguments = ["--settings", json.dumps(settings), "--out", str(out), "--jobs", str(jobs)]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            start_new_session=True,
        )

    return call
