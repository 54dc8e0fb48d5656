"""What a checkout has recorded of a study: the outputs that Snakemake's job records name, and the files beside them."""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ndns.errors import UserError
from ndns.record.jobs import checked, load
from ndns.record.stages import JOBS, artifact_of
from ndns.workflow import Plan

METADATA = Path(".snakemake/metadata")
STAGES = ("corpus", "mix", "train", "quantize", "deploy", "score", "cost", "board")
PER_RUN = ("train", "quantize", "deploy", "score", "cost")
"""Stages with a folder a run."""


@dataclass(frozen=True)
class Record:
    """One output of one job: its path relative to the checkout, the stage, and Snakemake's record of the job."""

    path: str
    stage: str
    job: dict


def stage_of(path: str, study: str, corpus: str) -> str | None:
    """Return the stage whose folder holds a path, None for files of other studies.

    >>> stage_of("results/s/mix/val.csv", "s", "c"), stage_of("data/c/manifest.csv", "s", "c"), stage_of("x", "s", "c")
    ('mix', 'corpus', None)
    """
    parts = path.split("/")
    if parts[:2] == ["data", corpus]:
        return "corpus"
    return parts[2] if parts[:2] == ["results", study] and len(parts) > 3 and parts[2] in STAGES else None


def is_old(path: str, stage: str, plan: Plan) -> bool:
    """Tell whether an artifact is of a run or a shard that the study no longer has; Snakemake keeps the records."""
    parts = path.split("/")
    if stage == "mix" and parts[3] in ("train", "val"):
        return Path(path).stem not in plan.study.mix.shards(parts[3])
    return stage in PER_RUN and parts[3] not in ("noisy", *plan.runs)


def job_records(root: Path, plan: Plan) -> list[Record]:
    """Return the study's job records by stage and path, without those that are old.

    Raises:
        UserError: there are none, or one cannot be read.
    """
    study = plan.study.study
    found = []
    for path, job in _jobs(root / METADATA):
        stage = stage_of(path, study, plan.study.corpus.name)
        if stage and not is_old(path, stage, plan):
            found.append(Record(path, stage, job))
    if not found:
        raise UserError(
            f"{root / METADATA}: no job of the study {study!r} is recorded; run it, or restore it with `ndns restore`."
        )
    return sorted(found, key=lambda record: (STAGES.index(record.stage), record.path))


def _jobs(folder: Path) -> Iterator[tuple[str, dict]]:
    for file in sorted(folder.rglob("*") if folder.is_dir() else []):
        if not file.is_file():
            continue
        try:
            coded = file.relative_to(folder).as_posix().replace("/", "").replace("@", "")
            name = base64.b64decode(coded, altchars=b"-_", validate=True).decode()
            yield name, checked(json.loads(file.read_text(encoding="utf-8")))
        except (binascii.Error, ValueError) as error:
            raise UserError(f"{file}: not a job record of Snakemake ({error}); delete it and run again.") from None


def derived(root: Path, study: str, corpus: str) -> dict[str, str]:
    """Return path -> SHA-256 of recorded artifacts that a restored checkout may lack; empty if nothing is recorded.

    Raises:
        UserError: the study's jobs.json is damaged.
    """
    file = root / JOBS.format(study=study)
    files = load(file).files if file.is_file() else {}
    return {
        path: digest
        for path, digest in files.items()
        if stage_of(path, study, corpus) and artifact_of(path, study, corpus)[1].store == "derived"
    }


def files_of(root: Path, study: str, corpus: str) -> list[str]:
    """Return all files in the study's folders, relative to the checkout, sorted; hidden ones are work files."""
    found = []
    for folder in (root / "data" / corpus, *(root / "results" / study / stage for stage in STAGES)):
        for path in folder.rglob("*"):
            relative = path.relative_to(root)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                found.append(relative.as_posix())
    return sorted(found)
