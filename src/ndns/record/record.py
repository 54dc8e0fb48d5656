"""`ndns record`: after a run, note what it made, keep it, and send it to a remote."""

from dataclasses import dataclass

from ndns.crate.build import write_crate
from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.record import dvcfile, guard, jobs, store
from ndns.record.study import Recorded

SHOWN = 5
"""Files, jobs or reasons that one sentence names."""


@dataclass(frozen=True)
class Report:
    """What was recorded: jobs, files with their bytes, stages of dvc.yaml, files sent, bytes of the store."""

    jobs: int
    files: int
    bytes: int
    stages: list[str]
    sent: int | None
    store: int | None


def record(study: Recorded, remote: str | None = None, push: bool = True, dirty: bool = False) -> Report:
    """Record a finished study. A second call changes no file.

    Args:
        study: which one.
        remote: where its files go; none: DVC's default remote.
        push: whether to send them.
        dirty: whether the checkout may differ from its commit.

    Raises:
        UserError: the checkout is dirty or in use, a result is not current, the store would grow too large, or DVC
            fails; dvc.yaml, dvc.lock and the store are then as before.
    """
    root = study.root
    with guard.alone(root):
        if not dirty:
            _clean(study)
        _current(study)
        files = study.files()
        with store.repository(root) as repo:
            inside = store.is_reference(repo, remote)
        if inside:
            _small(study, files)
        _publish(study, files)
        write_crate(root, study.plan)
        names = dvcfile.write(study, remote)
        with store.repository(root) as repo:
            store.commit(repo, names)
            sent = store.push(repo, names, remote) if push else None
        if inside and push:
            store.prune(root)
        total = sum((root / path).stat().st_size for path in files)
        held = store.size(root / store.STORE) if inside else None
        return Report(len(study.graph.jobs), len(files), total, names, sent, held)


def _publish(study: Recorded, files: list[str]) -> None:
    """Write jobs.json if it says anything new; hashes of derived files that are absent are taken from before."""
    known = jobs.load(study.jobs_file) if study.jobs_file.is_file() else jobs.Published()
    hashes = {path: sha256_file(study.root / path) for path in files}
    for path in study.derived:
        if (study.root / path).is_file():
            hashes[path] = sha256_file(study.root / path)
        elif path in known.files:
            hashes[path] = known.files[path]
    published = jobs.gather(study.root, study.graph.outputs(), hashes)
    if published != known:
        published.write(study.jobs_file)


def _clean(study: Recorded) -> None:
    changed = guard.changes(study.root)
    if changed:
        raise UserError(
            f"{study.root.resolve()}: differs from its commit in {_some(changed)}, so the record could not say which "
            "code it is of; commit first, or say --dirty."
        )


def _current(study: Recorded) -> None:
    audit = study.audit()
    stale = audit.stale()
    if stale:
        job = stale[0]
        more = f" ({len(stale)} jobs in all; `ndns explain` tells them)" if len(stale) > 1 else ""
        raise UserError(
            f"{job.outputs[0]}: not current: {_some(audit.reasons[job.outputs])}{more}; run snakemake, then record."
        )
    planned = [job.outputs[0] for job in study.graph.jobs if job.planned]
    if planned:
        raise UserError(f"Snakemake would run jobs for {_some(planned)}; run it, then record.")


def _small(study: Recorded, files: list[str]) -> None:
    """Refuse a study that the store in the repository cannot hold."""
    sizes = {path: (study.root / path).stat().st_size for path in files}
    others = sum(
        out["size"]
        for name, entry in dvcfile.locked(study.root).items()
        if study.name not in dvcfile.stages(study.root).get(name, {"meta": {"studies": []}})["meta"]["studies"]
        for out in entry["outs"]
    )
    total = others + sum(sizes.values())
    if total > store.LIMIT:
        largest = sorted(sizes, key=sizes.get, reverse=True)[:SHOWN]
        named = ", ".join(f"{path} ({sizes[path] / 1e6:.1f} MB)" for path in largest)
        raise UserError(
            f"{study.name}: {total / 1e6:.1f} MB, and the store in the repository holds at most "
            f"{store.LIMIT / 1e6:.0f} MB; the largest are {named}. Record it into another remote: "
            "`dvc remote add --local NAME URL`, then `ndns record --remote NAME`."
        )


def _some(items: list[str]) -> str:
    rest = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
