"""What must hold before anything is recorded or restored: nobody else at work, a clean checkout."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ndns.errors import UserError

LOCK = Path(".snakemake/ndns.lock")
OURS = ("dvc.yaml", "dvc.lock", "reference/store")
"""Paths that `ndns record` itself changes."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the checkout for one command.

    Raises:
        UserError: another `ndns record` or `ndns restore`, or a run of Snakemake, is at work in it.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "unknown"
            raise UserError(
                f"{root.resolve()}: another ndns command (process {holder}) is at work in this checkout; wait for it."
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        if any((root / ".snakemake" / "locks").glob("*")):
            raise UserError(
                f"{root.resolve()}: Snakemake runs here; wait for it, or `snakemake --unlock` if it was killed."
            )
        yield


def changes(root: Path) -> list[str]:
    """Return tracked files that differ from the commit, but for those that `ndns record` writes.

    Raises:
        UserError: not a git checkout.
    """
    command = ["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "-z", "--no-renames"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError(
            f"{root.resolve()}: git cannot tell which commit this is ({result.stderr.strip()}); record in a clone, or "
            "say --dirty."
        )
    names = [entry[3:] for entry in result.stdout.split("\0") if entry]
    return [name for name in names if not any(name == own or name.startswith(f"{own}/") for own in OURS)]
