"""What must hold before anything is recorded or restored: nobody else at work, a clean checkout."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ndns.crate.git import git
from ndns.errors import UserError

LOCK = Path(".snakemake/ndns.lock")
OURS = ("dvc.yaml", "dvc.lock", "reference/store")
"""Paths that `ndns record` itself changes."""
CODE = ("Snakefile", "rules", "src", "workflow", "profiles")
"""Where a file that git does not know changes what a run does."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the checkout for one command.

    Raises:
        UserError: it is none, or another `ndns record` or `ndns restore`, or a run of Snakemake, is at work in it.
    """
    if not (root / ".dvc").is_dir():
        raise UserError(f"{root.resolve()}: no .dvc folder here; run this in a checkout of the project.")
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


def changes(root: Path, config: str) -> list[str]:
    """Return files of the code, and a study's settings, that are in no commit, and tracked files that differ from it.

    Those that `ndns record` writes do not count.

    Args:
        root: the checkout.
        config: file of settings, relative to it.

    Raises:
        UserError: not a git checkout, or no git.
    """
    result = git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--no-renames")
    if result.returncode:
        raise UserError(
            f"{root.resolve()}: git cannot tell which commit this is ({result.stderr.strip()}); record in a clone, or "
            "say --dirty."
        )
    entries = [entry for entry in result.stdout.split("\0") if entry]
    counted = [entry[3:] for entry in entries if entry[:2] != "??" or _within(entry[3:], (*CODE, config))]
    return [name for name in counted if not _within(name, OURS)]


def _within(name: str, places: Iterable[str]) -> bool:
    """Tell whether a path is one of these or lies in one of them."""
    return any(name == place or name.startswith(f"{place}/") for place in places)
