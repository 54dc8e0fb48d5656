"""Compute derived artifacts again, apart from the checkout, and take them in if they are what was recorded."""

import shutil
import tempfile
from pathlib import Path

from ndns.files import atomic_path, sha256_file
from ndns.record import guard
from ndns.record.jobs import load, settle
from ndns.record.study import Recorded
from ndns.verify.scratch import Scratch, below


def derive(study: Recorded, cores: int, force: bool = False) -> list[str]:
    """Compute the derived outputs of a study that are absent, and return their paths.

    Snakemake would do so too when a job needs one, but would then run again all that follows from it.

    Args:
        study: which one.
        cores: that Snakemake may use.
        force: also compute, and overwrite, those that are not what was recorded.

    Raises:
        UserError: a file comes out other than recorded, or the checkout is in use; it is then as before.
    """
    with guard.alone(study.root):
        published = load(study.jobs_file)
        known = {path: published.files[path] for path in sorted(study.derived & published.files.keys())}
        wanted = {path: digest for path, digest in known.items() if _lacks(study.root / path, digest, force)}
        if wanted:
            _compute(study, cores, wanted)
            settle(study.root, {path: published.jobs[path] for path in wanted})
    return list(wanted)


def _lacks(path: Path, digest: str, force: bool) -> bool:
    return not path.is_file() or (force and sha256_file(path) != digest)


def _compute(study: Recorded, cores: int, wanted: dict[str, str]) -> None:
    """Compute path -> SHA-256 in a scratch copy and put the files into place."""
    root = study.root
    with tempfile.TemporaryDirectory(prefix="ndns-derive-") as temporary:
        pairs = [f"{key}={value}" for key, value in study.overrides.items()]
        scratch = Scratch(root, below(temporary, root), study.config, pairs, cores)
        scratch.take_outside(study.plan)
        scratch.derive(wanted)
        for path in wanted:
            with atomic_path(root / path) as part:
                shutil.move(scratch.folder / path, part)
