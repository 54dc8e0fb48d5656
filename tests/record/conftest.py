"""A tiny study that has run, was recorded and committed; and a clone of it at another path, restored without a run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
IGNORED = ".snakemake/\n__pycache__/\n/results/*\n/data/*/\n/logs/\n/benchmarks/\n"
WHO = {
    f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in (("NAME", "t"), ("EMAIL", "t@t"))
}


def git(folder: Path, *arguments: str) -> str:
    """Run git and return what it printed."""
    environment = {**os.environ, **WHO}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout


def said(result: subprocess.CompletedProcess[str]) -> str:
    """All that a command printed."""
    return result.stdout + result.stderr


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a checkout that a record may touch, with its bytes."""
    places = [
        folder / "dvc.yaml",
        folder / "dvc.lock",
        *(folder / "reference").rglob("*"),
        *(folder / "results").rglob("*"),
    ]
    return {str(path.relative_to(folder)): path.read_bytes() for path in places if path.is_file()}


@pytest.fixture(scope="session")
def committed(complete, tmp_path_factory):
    """The finished study in a git checkout with an empty store of its own, not yet recorded."""
    checkout = complete.copy(tmp_path_factory.mktemp("committed") / "checkout")
    shutil.copytree(REPOSITORY / ".dvc", checkout.folder / ".dvc", ignore=shutil.ignore_patterns("tmp", "cache"))
    shutil.copyfile(REPOSITORY / ".dvcignore", checkout.folder / ".dvcignore")
    (checkout.folder / ".gitignore").write_text(IGNORED)
    git(checkout.folder, "init", "-q")
    git(checkout.folder, "add", ".")
    git(checkout.folder, "commit", "-qm", "run")
    return checkout


@pytest.fixture(scope="session")
def recorded(committed, tmp_path_factory):
    """The same, recorded and committed; tests must leave it as it is."""
    checkout = committed.copy(tmp_path_factory.mktemp("recorded") / "checkout")
    result = checkout.ndns("record", "tiny.yaml")
    assert result.returncode == 0, said(result)
    git(checkout.folder, "add", ".")
    git(checkout.folder, "commit", "-qm", "record")
    return checkout


@pytest.fixture(scope="session")
def restored(recorded, tmp_path_factory):
    """A clone elsewhere, in a folder with a space in its name, restored; tests must leave it as it is."""
    checkout = type(recorded)(tmp_path_factory.mktemp("another place") / "clone")
    git(recorded.folder, "clone", "-q", str(recorded.folder), str(checkout.folder))
    result = checkout.ndns("restore")
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
