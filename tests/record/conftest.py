"""A tiny study that has run, was recorded and committed; and a clone of it at another path, restored without a run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NO_NETWORK = ["unshare", "--map-root-user", "--net"]
"""Starts a program that sees no network, not even loopback, where the system lets one do so."""
WHO = {
    f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", "t"), ("EMAIL", "t@t"))
}


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it printed."""
    environment = {**os.environ, **WHO}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, subject: str) -> None:
    """Commit all that git does not ignore."""
    git(folder, "add", ".")
    git(folder, "commit", "-qm", subject)


def clone_of(checkout, folder: Path):
    """Clone a checkout's repository to another place."""
    git(checkout.folder, "clone", "-q", str(checkout.folder), str(folder))
    return type(checkout)(folder)


def offline(checkout, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `ndns` without a network."""
    call = [sys.executable, "-c", "from ndns.cli import main; main()", *arguments]
    cut = NO_NETWORK if subprocess.run([*NO_NETWORK, "true"], capture_output=True, check=False).returncode == 0 else []
    return subprocess.run(
        [*cut, *call],
        cwd=checkout.folder,
        env=checkout.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def documented(mark: str) -> str:
    """The commands of docs/reproduce.md under a mark, for the tiny study in place of the default one."""
    text = (REPOSITORY / "docs/reproduce.md").read_text(encoding="utf-8")
    commands = text.split(f"<!-- {mark} -->\n```sh\n")[1].split("```")[0]
    return (
        commands.replace("config/smoke.yaml", "tiny.yaml")
        .replace("smoke", "tiny")
        .replace("record tiny", "record tiny.yaml")
    )


def shell(checkout, commands: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run commands as a user types them; `ndns` is this checkout's."""
    program = tmp_path / "bin" / "ndns"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from ndns.cli import main; main()" "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", commands],
        cwd=checkout.folder,
        env={**checkout.environment(PATH=path), **WHO},
        capture_output=True,
        text=True,
        check=False,
    )


def said(result: subprocess.CompletedProcess[str]) -> str:
    """All that a command printed."""
    return result.stdout + result.stderr


def tree(folder: Path) -> dict[str, bytes]:
    """Every file that a record may touch, with its bytes."""
    places = [folder / "dvc.yaml", folder / "dvc.lock"]
    for name in ("reference", "results", "store"):
        places += (folder / name).rglob("*")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in places if path.is_file()}


@pytest.fixture(scope="session")
def committed(complete, tmp_path_factory):
    """The finished study in a git checkout with an empty store of its own, not yet recorded."""
    checkout = complete.copy(tmp_path_factory.mktemp("committed") / "checkout")
    shutil.copytree(REPOSITORY / ".dvc", checkout.folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    shutil.copyfile(REPOSITORY / ".dvcignore", checkout.folder / ".dvcignore")
    shutil.copyfile(REPOSITORY / ".gitignore", checkout.folder / ".gitignore")
    git(checkout.folder, "init", "-q")
    commit(checkout.folder, "run")
    return checkout


@pytest.fixture(scope="session")
def recorded(committed, built_once, tmp_path_factory):
    """The same, published with the commands of docs/reproduce.md; tests must leave it as it is."""

    def build(folder: Path) -> None:
        result = shell(committed.copy(folder), documented("publish"), tmp_path_factory.mktemp("program"))
        assert result.returncode == 0, said(result)

    return type(committed)(built_once("recorded", build))


@pytest.fixture(scope="session")
def restored(recorded, tmp_path_factory):
    """A clone elsewhere, in a folder with a space in its name, restored; tests must leave it as it is."""
    checkout = clone_of(recorded, tmp_path_factory.mktemp("another place") / "clone")
    result = offline(checkout, "restore")
    assert result.returncode == 0, said(result)
    assert "not current" not in result.stdout
    return checkout


@pytest.fixture
def clone(restored, tmp_path):
    """A copy of the restored clone that a test may spoil."""
    return restored.copy(tmp_path / "clone")


@pytest.fixture
def original(recorded, tmp_path):
    """A copy of the recorded checkout that a test may spoil."""
    return recorded.copy(tmp_path / "original")
