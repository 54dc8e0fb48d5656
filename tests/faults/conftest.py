"""A small disk, and stages called as the finished study's job records say they were."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from ndns import cli
from ndns.files import sha256_file
from ndns.validation import load_yaml
from ndns.verify.records import Record, job_records
from ndns.workflow import plan

CLOCK = ("cost", "board")
"""Stages whose results hold readings of a clock: two runs differ there."""


@pytest.fixture(scope="session")
def jobs(complete) -> dict[str, list[Record]]:
    """Rule -> the records of its outputs."""
    found: dict[str, list[Record]] = {}
    for record in job_records(complete.folder, plan(load_yaml(complete.folder / "tiny.yaml"))):
        found.setdefault(record.job["rule"], []).append(record)
    return found


@pytest.fixture(scope="session")
def wanted(complete) -> dict[str, str]:
    """Output -> SHA-256 of every result that does not hold readings of a clock."""
    records = job_records(complete.folder, plan(load_yaml(complete.folder / "tiny.yaml")))
    return {r.path: sha256_file(complete.folder / r.path) for r in records if r.stage not in CLOCK}


def arguments(record: Record) -> list[str]:
    """The command of a recorded job, in one process."""
    words = shlex.split(record.job["shellcmd"].partition(" 2> >(tee")[0])
    assert words[0] == "ndns"
    return ["1" if before == "--jobs" else word for before, word in pairwise(words)]


def spoil(folder: Path, records: list[Record]) -> None:
    """Remove what a job made, with the files beside."""
    for record in records:
        output = folder / record.path
        output.unlink(missing_ok=True)
        shutil.rmtree(output.with_suffix(""), ignore_errors=True)
        if record.stage != "mix":
            shutil.rmtree(output.parent, ignore_errors=True)


def call(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run `ndns` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["ndns", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


def mount(*words: str) -> bool:
    """Mount or unmount, as root or with sudo where it asks nothing; return whether it worked."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    try:
        return subprocess.run([*sudo, *words], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of its own, in memory, of this size."""
    folder.mkdir()
    if not mount("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=777", "tmpfs", str(folder)):
        pytest.skip("mounting a small file system takes root, or sudo without a password")
    try:
        yield folder
    finally:
        mount("umount", "-l", str(folder))


def leave_free(folder: Path, kilobytes: int) -> Path:
    """Fill the disk of a folder but for so much, and return the file that fills it."""
    filler = folder / "filler"
    stat = os.statvfs(folder)
    with open(filler, "wb") as handle:
        handle.write(bytes(max(0, stat.f_bavail * stat.f_frsize - kilobytes * 1024)))
    return filler


def half_written(folder: Path) -> list[str]:
    """Results that cannot be read to their end, and temporary files that a failed command left."""
    found = [path for path in folder.rglob("*") if path.is_file() and ".part" in path.name]
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    return [str(path.relative_to(folder)) for path in found]
