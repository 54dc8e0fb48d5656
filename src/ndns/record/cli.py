"""`ndns record`, `ndns restore`, `ndns explain`."""

import os
from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[list[str] | None, typer.Option(help="key=value, as for snakemake --config")]
STUDY = "smoke"


def record(
    study: Annotated[str, typer.Argument(help="name in config/, or a file of settings")] = STUDY,
    remote: Annotated[str | None, typer.Option(help="DVC remote; none: the default one")] = None,
    push: Annotated[bool, typer.Option(help="send files to the remote")] = True,
    dirty: Annotated[bool, typer.Option("--dirty", help="although the checkout differs from its commit")] = False,
    models: Annotated[bool, typer.Option("--models", help="the reference models instead of a study")] = False,
    config: Config = None,
) -> None:
    """Note what a finished run made, keep it with DVC, and send it to a remote.

    Writes dvc.yaml, dvc.lock, the study's jobs.json and crate; commit the first two, and reference/store, with git.
    With --models, keeps the files of reference/models/ likewise.
    """
    from ndns.record import record as work

    if models:
        done = work.record_models(Path(), remote, push)
    else:
        done = work.record(_find(study, config), remote, push, dirty)
    sent = "not sent" if done.sent is None else f"{done.sent} files sent"
    jobs = "" if models else f"{done.jobs} jobs, "
    print(f"recorded {jobs}{done.files} files, {done.bytes / 1e6:.1f} MB, in {', '.join(done.stages)}; {sent}")
    if done.store is not None:
        from ndns.record.store import LIMIT

        print(f"reference/store holds {done.store / 1e6:.1f} of {LIMIT / 1e6:.0f} MB")


def restore(
    study: Annotated[
        str | None, typer.Argument(help="name of a recorded study; none: all, and the reference models")
    ] = None,
    remote: Annotated[str | None, typer.Option(help="DVC remote; none: where it was recorded to")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite results that differ from the record")] = False,
    derived: Annotated[
        bool, typer.Option("--derived", help="also compute recordings and mixtures from their seeds, and check them")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="cores for --derived")] = 2,
    config: Config = None,
) -> None:
    """Fetch recorded results and their job records: Snakemake then has nothing to do.

    Says what is not current with the present code and settings; that is no error.
    """
    from ndns.record.derive import derive
    from ndns.record.dvcfile import MODELS, stages
    from ndns.record.restore import restore as work
    from ndns.record.restore import state
    from ndns.use import registry
    from ndns.verify.targets import overrides

    found = work(Path(), study, remote, force, overrides(config))
    if study is None and MODELS in stages(Path()):
        print(f"reference models: {len(registry.kept())} files are as recorded")
    for done in found:
        print(f"{done.study.name}: {done.files} files are as recorded")
        if derived:
            for path in derive(done.study, jobs, force):
                print(f"{path}: computed; it is as recorded")
            done = state(done.study)
        if done.affected:
            print(f"{done.affected} of {done.jobs} jobs are not current with this checkout:")
        for line in done.stale:
            print(f"  {line}")


def explain(
    file: Annotated[str | None, typer.Argument(help="a result; none: whatever is not current in the study")] = None,
    study: Annotated[str, typer.Option(help="name in config/, or a file of settings")] = STUDY,
    config: Config = None,
) -> None:
    """Say why a result is, or is not, current: by content, whatever its times say.

    Ends with 1 if it is not.
    """
    from ndns.record import explain as words

    found = _find(study, config)
    if file is None:
        told = words.summary(found)
        if not told:
            print(f"{found.name}: all {len(found.graph.jobs)} jobs are current")
    else:
        path = os.path.relpath(os.path.normpath(file)).replace(os.sep, "/")
        told = [words.explain(found, path)]
    for entry in told:
        print(f"{entry.path}: {'current' if entry.current else 'not current'}")
        for line in entry.facts:
            print(f"  {line}")
        for line in entry.remarks:
            print(f"  note: {line}")
    if not all(entry.current for entry in told):
        raise typer.Exit(1)


def _find(study: str, config: list[str] | None):
    from ndns.record.study import find
    from ndns.verify.targets import overrides

    return find(Path(), study, overrides(config))
