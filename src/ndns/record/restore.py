"""`ndns restore`: fetch a recorded study, and let Snakemake know how each file was made."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.record import dvcfile, guard, jobs, store
from ndns.record.stages import JOBS
from ndns.record.study import Recorded, find
from ndns.use import registry


@dataclass(frozen=True)
class Restored:
    """One study: how many files are in place, and what of it is not current with the present code and settings."""

    study: Recorded
    files: int
    stale: list[str]
    affected: int
    jobs: int


def restore(
    root: Path, name: str | None, remote: str | None = None, force: bool = False, overrides: dict | None = None
) -> list[Restored]:
    """Fetch a study, or all recorded ones and the reference models.

    Args:
        root: the checkout.
        name: of the study; none: all.
        remote: where from; none: where each was recorded to.
        force: overwrite results that differ from what is recorded.
        overrides: further keys, as for `snakemake --config`.

    Raises:
        UserError: not recorded, not fetchable, damaged, or in conflict with what lies here.
    """
    with guard.alone(root):
        wanted = dvcfile.names(root, name)
        outs = dvcfile.outputs(root, wanted)
        configs = {key: value for key, value in dvcfile.studies(root).items() if name in (None, key)}
        with store.repository(root) as repo:
            _unconflicted(root, repo, wanted, force)
            store.pull(repo, wanted, remote, force)
        if dvcfile.MODELS in wanted:
            for source in registry.kept():
                source.verified()
        unseen = [path for study in configs for path in _wrong(root, study, outs)] if force else []
        if unseen:  # DVC takes a file of the same size and time for the same
            for path in filter(Path.is_file, (root / path for path in unseen)):
                os.utime(path)
            with store.repository(root) as repo:
                store.pull(repo, wanted, remote, force)
        for study in configs:
            _install(root, study, outs)
    return [state(find(root, config, overrides)) for config in configs.values()]


def _unconflicted(root: Path, repo: Any, wanted: list[str], force: bool) -> None:
    """Refuse to overwrite results that are in no record; those of an earlier one lie in DVC's cache and may go.

    Raises:
        UserError: there are such results, and force is not said.
    """
    if force:
        return
    outs = [out for stage in repo.index.stages if stage.addressing in wanted for out in stage.outs]
    changed = [
        path
        for out in outs
        for path, state in out.workspace_status().items()  # not `status`, for which results that left the cache differ
        if state != "deleted" and not store.in_cache(repo, root / path)
    ]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise UserError(
            f"{changed[0]}{more}: differs from what is recorded; `ndns record` keeps what is here, "
            "`ndns restore --force` overwrites it."
        )


def _install(root: Path, study: str, outs: list[str]) -> None:
    """Check what was fetched, install the job records and put times in order.

    Args:
        root: the checkout.
        study: its name.
        outs: files and folders that were fetched.

    Raises:
        UserError: a file is absent or not the recorded one.
    """
    wrong = _wrong(root, study, outs)
    if wrong:
        raise UserError(
            f"{wrong[0]}: is not what was recorded ({len(wrong)} such files); `ndns restore --force` fetches it."
        )
    published = jobs.load(root / JOBS.format(study=study))
    jobs.install(root, published.jobs)
    jobs.settle(root, published.jobs)


def _wrong(root: Path, study: str, outs: list[str]) -> list[str]:
    """Return the recorded files that were fetched and are absent or not as recorded, by content."""
    published, places = jobs.load(root / JOBS.format(study=study)), [*map(Path, outs)]
    fetched = {p: h for p, h in published.files.items() if any(Path(p).is_relative_to(place) for place in places)}
    return [p for p, h in fetched.items() if not (root / p).is_file() or sha256_file(root / p) != h]


def state(study: Recorded) -> Restored:
    """Return what of a study is in place and not current."""
    audit = study.audit()
    stale = [f"{job.outputs[0]}: {reason}" for job in audit.stale() for reason in audit.reasons[job.outputs]]
    return Restored(study, len(study.files()), stale, len(audit.affected()), len(study.graph.jobs))
