"""Recompute and compare, stage by stage from recorded inputs."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ndns.config import CleanedCorpus
from ndns.environment import environment_fingerprint
from ndns.errors import UserError
from ndns.verify.band import band_problem, recorded_values
from ndns.verify.claims import Claims
from ndns.verify.compare import Outcome, compare, compare_hash
from ndns.verify.records import STAGES, Record, derived, files_of, is_old, job_records, stage_of
from ndns.verify.scratch import Scratch
from ndns.verify.targets import Aim
from ndns.workflow import Plan

PHASES = (("corpus", "mix", "train"), ("quantize", "deploy", "score", "cost"), ("board",))
"""Stages that are computed in one go. A phase ends where a claim is weaker than equality (weights on another processor,
scores, times): the next phase starts from the recorded artifacts, so that its own claims need no allowance for them."""


@dataclass
class Verification:
    """What a verification did.

    Attributes:
        study, target, first: what was asked: study, target (empty: all) and first stage that was computed.
        environment: fingerprint of this environment.
        elsewhere: fingerprints of other environments that recorded artifacts come from.
        outcomes: one an artifact, by path.
        scratch: folder of the recomputation.
    """

    study: str
    target: str
    first: str
    environment: str
    scratch: Path
    elsewhere: set[str] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def misses(self) -> list[Outcome]:
        """Artifacts that do not hold what is claimed."""
        return [outcome for outcome in self.outcomes if not outcome.holds]


@dataclass(frozen=True)
class Inquiry:
    """Everything that a verification works with."""

    root: Path
    plan: Plan
    claims: Claims
    scratch: Scratch
    aim: Aim
    environments: dict[str, str]

    @property
    def names(self) -> tuple[str, str]:
        """Study and corpus."""
        return self.plan.study.study, self.plan.study.corpus.name

    @cached_property
    def derived(self) -> dict[str, str]:
        """Path -> SHA-256 of recorded artifacts that need not be stored, since they are computed from seeds."""
        return derived(self.root, *self.names)

    def absent(self, records: list[Record]) -> dict[str, str]:
        """Path -> SHA-256 of derived artifacts that the computed stages read and that are not there."""
        first, last = self.aim.first, self.aim.last
        read = {path for r in records if first <= STAGES.index(r.stage) <= last for path in r.job["input"]}
        made = {r.path for r in records if STAGES.index(r.stage) < first}
        gone = [path for path in sorted(read & made & self.derived.keys()) if not (self.root / path).is_file()]
        return {path: self.derived[path] for path in gone}

    def runs(self) -> dict[str, list[str]]:
        """Names of the study's runs for patterns of claims."""
        plan = self.plan
        runs = {"trained": plan.trained, "imported": plan.imported, "peer": plan.peers}
        return {kind: [*names] for kind, names in runs.items()} | {"cleaned": plan.kinds(CleanedCorpus)}


def verify(inquiry: Inquiry, verification: Verification, say: Callable[[str], None]) -> None:
    """Compute the selected stages in the scratch copy, phase by phase, and add an outcome for each artifact.

    Raises:
        UserError: an artifact without a claim, no job record, a run that fails.
    """
    records = job_records(inquiry.root, inquiry.plan)
    if not verification.target:
        _whole(inquiry, records)
    earlier = [path for path in _files(inquiry, inquiry.root) if _index(inquiry, path) < inquiry.aim.first]
    inquiry.scratch.take_outside(inquiry.plan)
    if absent := inquiry.absent(records):
        say("computing recordings and mixtures that are not stored")
        inquiry.scratch.derive(absent)
    inquiry.scratch.give(earlier)
    for phase in PHASES:
        computed = [
            r for r in records if r.stage in phase and inquiry.aim.first <= STAGES.index(r.stage) <= inquiry.aim.last
        ]
        wanted = [r.path for r in computed if STAGES.index(r.stage) < inquiry.aim.last or inquiry.aim.needs(r.path)]
        if not wanted:
            continue
        _settle(inquiry.scratch.folder, records)
        say(f"computing {', '.join(dict.fromkeys(record.stage for record in computed))}")
        inquiry.scratch.compute(wanted)
        say("comparing")
        for path in _compared(inquiry, {record.stage for record in computed}):
            outcome = _judge(inquiry, verification, path)
            if inquiry.aim.selected(path):
                verification.outcomes.append(outcome)
            if outcome.holds and outcome.reached != "bytes":
                inquiry.scratch.give([path])
            elif not outcome.holds:
                inquiry.scratch.set_clock(path, inquiry.claims.claim(path, inquiry.runs()))
    if not verification.outcomes:
        raise UserError(f"{verification.target or verification.study}: nothing of it is recorded; run the study first.")


def _whole(inquiry: Inquiry, records: list[Record]) -> None:
    """Refuse a study that stopped half-way: what is absent on both sides would agree."""
    last = f"results/{inquiry.names[0]}/board/report.html"
    if last not in {record.path for record in records}:
        raise UserError(f"{last}: the study did not run to its end; run it, or name a stage to verify.")


def _files(inquiry: Inquiry, root: Path) -> list[str]:
    """Artifacts below a folder, by stage."""
    names = files_of(root, *inquiry.names)
    return sorted((n for n in names if not inquiry.claims.is_ignored(n)), key=lambda n: (_index(inquiry, n), n))


def _index(inquiry: Inquiry, path: str) -> int:
    return STAGES.index(stage_of(path, *inquiry.names) or STAGES[-1])


def _compared(inquiry: Inquiry, stages: set[str]) -> list[str]:
    """Paths to compare: of the computed stages, in the checkout or in the scratch copy."""
    both = {*_files(inquiry, inquiry.root), *_files(inquiry, inquiry.scratch.folder)}
    found = []
    for path in sorted(both, key=lambda path: (_index(inquiry, path), path)):
        stage = STAGES[_index(inquiry, path)]
        partial = STAGES.index(stage) == inquiry.aim.last and not inquiry.aim.selected(path)
        if stage in stages and not partial and not is_old(path, stage, inquiry.plan):
            found.append(path)
    return found


def _settle(folder: Path, records: list[Record]) -> None:
    """Give outputs times in the order of the work, so that none seems older than what it was made from.

    That is the order of the stages, and within a stage that in which its jobs ended: a job of an earlier stage may have
    run again later, with the same result.
    """
    start = time.time_ns() - 10**9
    ordered = sorted(records, key=lambda record: (STAGES.index(record.stage), record.job["endtime"]))
    for place, record in enumerate(ordered):
        if (folder / record.path).is_file():
            os.utime(folder / record.path, ns=(start + place * 1000,) * 2)


def _judge(inquiry: Inquiry, verification: Verification, path: str) -> Outcome:
    claim = inquiry.claims.claim(path, inquiry.runs())
    there = _environment_of(inquiry.environments, path)
    same = there in (None, verification.environment)
    if not same:
        verification.elsewhere.add(there)
    required = claim.required(same)
    recomputed = inquiry.scratch.folder / path
    if path in inquiry.derived and not (inquiry.root / path).is_file():
        return compare_hash(inquiry.derived[path], recomputed, path, claim, required)
    outcome = compare(inquiry.root / path, recomputed, path, claim, required)
    if required == outcome.reached == "band":
        run = path.split("/")[3]
        values = recorded_values(inquiry.root, inquiry.plan, run, claim.band)
        for folder, where in (((inquiry.root / path).parent, "in the checkout"), (recomputed.parent, "recomputed")):
            if problem := band_problem(folder, values, claim.band):
                outcome.reached = None
                outcome.differences = [f"{where}: {problem}"]
    return outcome


def _environment_of(environments: dict[str, str], path: str) -> str | None:
    """Environment in which an artifact was made; files beside outputs have that of their folder."""
    while path:
        if path in environments:
            return environments[path]
        path = path.rpartition("/")[0]
    return None


def begin(study: str, target: str, first: str, scratch: Path) -> Verification:
    """Return an empty verification for this environment."""
    return Verification(study, target, first, environment_fingerprint(), scratch)
