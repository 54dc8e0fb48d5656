"""`ndns explain`: why a file is, or is not, current."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ndns.crate.environments import graph_of, listed
from ndns.crate.git import git
from ndns.environment import environment
from ndns.errors import UserError, some
from ndns.fingerprint import PACKAGE, modules_of
from ndns.record import jobs
from ndns.record.audit import Audit
from ndns.record.graph import Job
from ndns.record.study import Recorded
from ndns.record.words import CODE_CHANGED, differences

SHOWN = 5
"""Modules that one line names."""


@dataclass
class Explanation:
    """A file, whether it is current, and why, one line a fact.

    Attributes:
        path: of the file.
        current: whether running the study would leave it as it is.
        facts: what makes it current, or not.
        remarks: what differs without making it stale.
    """

    path: str
    current: bool
    facts: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def explain(study: Recorded, path: str) -> Explanation:
    """Explain one file.

    Raises:
        UserError: no job of the study makes it.
    """
    audit = study.audit()
    job, output = _job_of(study, path)
    own, above = audit.reasons[job.outputs], [root for root in audit.roots[job.outputs] if root is not job]
    told = Explanation(path, not (own or above))
    told.facts += [_with_modules(study, job, reason) for reason in own]
    for root in above:
        reasons = "; ".join(_with_modules(study, root, reason) for reason in audit.reasons[root.outputs])
        told.facts.append(f"it follows from {root.outputs[0]}, which is not current: {reasons}")
    _beside(study, audit, job, told)
    if told.current:
        told.facts += _why_current(audit, job, output)
    told.remarks += _environment(study, output)
    if job.planned and told.current:
        told.remarks.append("Snakemake would run its job though content is the same: its times are out of order")
    if not (study.root / path).is_file() and told.current:
        told.remarks.append("it is not here; it is computed again when something needs it")
    if not told.current and not job.planned:
        delete = "delete the file, or " if path in job.outputs else ""
        told.remarks.append(f"Snakemake does not notice, since it trusts times: {delete}run with --forcerun {job.rule}")
    return told


def summary(study: Recorded) -> list[Explanation]:
    """Explain every job that must run again for a reason of its own."""
    audit = study.audit()
    return [
        Explanation(job.outputs[0], False, [_with_modules(study, job, reason) for reason in audit.reasons[job.outputs]])
        for job in audit.stale()
    ]


def _job_of(study: Recorded, path: str) -> tuple[Job, str]:
    """The job that makes a file, or makes it beside one of its outputs, and that output."""
    makers = study.graph.makers
    if path in makers:
        return makers[path], path
    try:
        holder = study.artifact(path)[2]
    except UserError:
        raise UserError(f"{path}: no job of the study {study.name} makes this file.") from None
    inside = [output for output in makers if output.startswith(holder) or output == holder]
    if not (inside and holder.endswith("/") and (study.root / path).exists()):
        raise UserError(f"{path}: no job of the study {study.name} makes this file.")
    return makers[inside[0]], inside[0]


def _beside(study: Recorded, audit: Audit, job: Job, told: Explanation) -> None:
    """A file beside outputs: Snakemake does not know it; the record does."""
    if told.path in job.outputs:
        return
    recorded = audit.published.files.get(told.path)
    known = any("changed" in fact or told.path in fact for fact in told.facts)
    if recorded and audit.hash_of(told.path) != recorded and not known:
        told.current = False
        told.facts.append("these are not the bytes that were recorded")


def _why_current(audit: Audit, job: Job, output: str) -> list[str]:
    record = jobs.read(audit.root, output) or {}
    ended = datetime.fromtimestamp(record["endtime"], UTC).isoformat(timespec="seconds")
    read = len(record.get("input_checksums") or {})
    told = [f"rule {job.rule} made it at {ended} with the present command, settings and code"]
    told.append(f"its {read} inputs have the content that was read" if read else "it has no inputs")
    if audit.published.files.get(output):
        told.append("its bytes are those that were recorded")
    return told


def _with_modules(study: Recorded, job: Job, reason: str) -> str:
    """Name the modules behind a changed code fingerprint, as far as git can tell."""
    if reason != CODE_CHANGED:
        return reason
    commit = _noted(study, job.outputs[0]).get("git commit", "").removesuffix("+changes")
    stage = study.artifact(job.outputs[0])[0].name
    stage = "peer" if job.rule == "peer" else stage
    known = {path.relative_to(PACKAGE.parent.parent).as_posix() for path in modules_of(stage)}
    result = git(study.root, "diff", "--name-only", commit or "HEAD", "--", "src/ndns")
    changed = sorted(known & set(result.stdout.split("\n"))) if result.returncode == 0 else []
    if not changed:
        return f"{reason} ({stage})"
    return f"{reason} ({stage}): {some(changed, SHOWN)}, since commit {commit[:10] or 'HEAD'}"


def _noted(study: Recorded, output: str) -> dict[str, str]:
    """What the crate notes of where an output was made: name -> value."""
    graph = graph_of(study.crate_file)
    for entity in graph.values():
        made = [graph[item["@id"]]["name"] for item in listed(entity.get("result"))] if "environment" in entity else []
        if output in made:
            noted = [graph[item["@id"]] for item in listed(entity["environment"])]
            return {item["name"]: item["value"] for item in noted}
    return {}


def _environment(study: Recorded, output: str) -> list[str]:
    """Facts of the environment that differ from those in which an output was made."""
    then = {key: value for key, value in _noted(study, output).items() if key != "git commit"}
    if not then:
        return []
    now = environment()
    parsed = {
        key: json.loads(then[key]) if not isinstance(value, str) and key in then else then.get(key, "(none)")
        for key, value in now.items()
    }
    return [
        f"environment: {path} was {a}, here it is {b}; Snakemake does not run again for that, `ndns verify` compares"
        for path, a, b in differences(parsed, now)
    ]
