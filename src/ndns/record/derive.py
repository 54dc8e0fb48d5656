"""Compute derived artifacts again, apart from the checkout, and take them in if they are what was recorded."""

import os
import shutil
import tempfile
from pathlib import Path

from ndns.record.jobs import load, settle
from ndns.record.study import Recorded
from ndns.verify.scratch import Scratch


def derive(study: Recorded, cores: int) -> list[str]:
    """Compute the derived outputs of a study that are absent, and return their paths.

    Snakemake would do so too when a job needs one, but would then run again all that follows from it.

    Raises:
        UserError: a file comes out other than recorded; the checkout is then as before.
    """
    root, published = study.root, load(study.jobs_file)
    absent = sorted(p for p in study.derived if p in published.files and not (root / p).is_file())
    if not absent:
        return []
    with tempfile.TemporaryDirectory(prefix="ndns-derive-") as temporary:
        pairs = [f"{key}={value}" for key, value in study.overrides.items()]
        scratch = Scratch(root, Path(temporary), study.config, pairs, cores)
        scratch.link_outside(study.plan.study)
        scratch.derive({path: published.files[path] for path in absent})
        for path in absent:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            part = (root / path).with_name(f".{Path(path).name}.part")
            shutil.move(scratch.folder / path, part)
            os.replace(part, root / path)
    settle(root, {path: published.jobs[path] for path in absent})
    return absent
