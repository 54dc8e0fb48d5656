"""`ndns record`: after a run, note what it made, keep it, and send it to a remote."""

from dataclasses import dataclass
from pathlib import Path

from ndns.crate.build import write_crate
from ndns.errors import UserError, some
from ndns.files import sha256_file
from ndns.record import dvcfile, guard, jobs, store
from ndns.record.study import Recorded
from ndns.use import registry

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
            fails; all files but those that a remote took are then as before.
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
            _small(root, study.name, files, dvcfile.names_of(root, study.name))
        with store.undone(root, *dvcfile.paths(root), study.jobs_file, study.crate_file):
            _publish(study, files)
            write_crate(root, study.plan)
            names = dvcfile.write(study, remote)
            sent = _keep(root, names, remote, push)
        return _report(root, len(study.graph.jobs), files, names, inside, sent)


def record_models(root: Path, remote: str | None = None, push: bool = True) -> Report:
    """Record the files of the reference models, which reference/models.csv lists. A second call changes no file.

    Args:
        root: the checkout; the working directory.
        remote: where the files go; none: DVC's default remote.
        push: whether to send them.

    Raises:
        UserError: no model, a file is absent or not the one that the registry describes, the store would grow too
            large, or DVC fails; all files but those that a remote took are then as before.
    """
    with guard.alone(root):
        files = sorted(source.verified().as_posix() for source in registry.kept())
        if not files:
            raise UserError(f"{registry.REGISTRY}: lists no model in {registry.FOLDER}; `ndns models add` adds one.")
        folders = sorted({Path(path).parent.as_posix() for path in files})
        with store.repository(root) as repo:
            inside = store.is_reference(repo, remote)
        if inside:
            _small(root, registry.FOLDER, files, [dvcfile.MODELS])
        with store.undone(root, *dvcfile.paths(root)):
            names = dvcfile.write_models(root, folders, remote)
            sent = _keep(root, names, remote, push)
        return _report(root, 0, files, names, inside, sent)


def _keep(root: Path, names: list[str], remote: str | None, push: bool) -> int | None:
    """Note the hashes of stages in dvc.lock and send their files; return how many were sent."""
    with store.repository(root) as repo:
        committed = store.commit(repo, names)
        return store.push(repo, committed, remote) if push else None


def _report(root: Path, jobs: int, files: list[str], names: list[str], inside: bool, sent: int | None) -> Report:
    """Drop from the store what is no longer recorded, and tell what is."""
    if sent is not None:
        store.prune(root)
    total = sum((root / path).stat().st_size for path in files)
    return Report(jobs, len(files), total, names, sent, store.size(root / store.STORE) if inside else None)


def _publish(study: Recorded, files: list[str]) -> None:
    """Write jobs.json if it says anything new. The crate refuses derived files that are absent."""
    known = jobs.load(study.jobs_file) if study.jobs_file.is_file() else jobs.Published()
    there = [path for path in study.derived if (study.root / path).is_file()]
    hashes = {path: sha256_file(study.root / path) for path in [*files, *there]}
    published = jobs.gather(study.root, study.graph.outputs(), hashes)
    if published != known:
        published.write(study.jobs_file)


def _clean(study: Recorded) -> None:
    changed = guard.changes(study.root, study.config_path)
    if changed:
        raise UserError(
            f"{study.root.resolve()}: differs from its commit in {some(changed, SHOWN)}, so the record could not say "
            "which code it is of; commit first, or say --dirty."
        )


def _current(study: Recorded) -> None:
    audit = study.audit()
    stale = audit.stale()
    if stale:
        job = stale[0]
        more = f" ({len(stale)} jobs in all; `ndns explain` tells them)" if len(stale) > 1 else ""
        run = "run snakemake" if job.planned else f"run snakemake with --forcerun {job.rule}"
        raise UserError(
            f"{job.outputs[0]}: not current: {some(audit.reasons[job.outputs], SHOWN)}{more}; {run}, then record."
        )
    planned = [job.outputs[0] for job in study.graph.jobs if job.planned]
    if planned:
        raise UserError(f"Snakemake would run jobs for {some(planned, SHOWN)}; run it, then record.")


def _small(root: Path, what: str, files: list[str], own: list[str]) -> None:
    """Refuse files that the store in the repository cannot hold; equal files count once.

    Args:
        root: the checkout.
        what: name of what is to be recorded.
        files: its files.
        own: its stages in dvc.yaml; all others keep their place in the store.
    """
    sizes = {path: (root / path).stat().st_size for path in files}
    new = {store.md5(root / path): size for path, size in sizes.items()}
    total = sum((store.held(root, but=own) | new).values())
    if total > store.LIMIT:
        largest = sorted(sizes, key=sizes.get, reverse=True)[:SHOWN]
        named = ", ".join(f"{path} ({sizes[path] / 1e6:.1f} MB)" for path in largest)
        raise UserError(
            f"{what}: {total / 1e6:.1f} MB with what is recorded already, and the store in the repository holds at "
            f"most {store.LIMIT / 1e6:.0f} MB; the largest are {named}. Record it into another remote: "
            "`dvc remote add --local NAME URL`, then `ndns record --remote NAME`."
        )
