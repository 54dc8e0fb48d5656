"""Whether results are current, by content: what each job was given against what it would be given now.

Snakemake looks at times first and opens a file only if it is newer than what was made from it. A clock that was set
back, or a copy that kept old times, hides a change from it; it does not hide one from here.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ndns.errors import some
from ndns.files import sha256_file
from ndns.record import jobs
from ndns.record.graph import Graph, Job
from ndns.record.words import parameters_changed

SHOWN = 3
"""Clips that one reason names."""
SOFTWARE = "the software that Snakemake deploys for it changed (envs/, --sdm)"


@dataclass(frozen=True)
class Audit:
    """The present graph of a study against the records of its jobs.

    Attributes:
        root: the checkout.
        graph: present jobs.
        published: what the last `ndns record` noted; empty before the first.
        derived: outputs that may be absent.
    """

    root: Path
    graph: Graph
    published: jobs.Published = field(default_factory=jobs.Published)
    derived: frozenset[str] = frozenset()

    @cached_property
    def makers(self) -> dict[str, Job]:
        """Output -> job."""
        return self.graph.makers

    @cached_property
    def reasons(self) -> dict[tuple[str, ...], list[str]]:
        """Outputs of a job -> why that job itself must run again, in words; without those it inherits."""
        return {job.outputs: self._own(job) for job in self.graph.jobs}

    @cached_property
    def roots(self) -> dict[tuple[str, ...], list[Job]]:
        """Outputs of a job -> the jobs upstream, itself included, that have reasons of their own."""
        found: dict[tuple[str, ...], list[Job]] = {}
        for job in self.graph.jobs:
            above = {id(r): r for path in job.inputs if path in self.makers for r in found[self.makers[path].outputs]}
            mine = {id(job): job} if self.reasons[job.outputs] else {}
            found[job.outputs] = list({**above, **mine}.values())
        return found

    def stale(self) -> list[Job]:
        """Jobs with reasons of their own, upstream first."""
        return [job for job in self.graph.jobs if self.reasons[job.outputs]]

    def affected(self) -> list[Job]:
        """Jobs that must run again, for reasons of their own or of what they read."""
        return [job for job in self.graph.jobs if self.roots[job.outputs]]

    def hash_of(self, path: str) -> str | None:
        """SHA-256 of a file, None where it is absent."""
        if path not in self._hashes:
            place = self.root / path
            self._hashes[path] = sha256_file(place) if place.is_file() else None
        return self._hashes[path]

    @cached_property
    def _hashes(self) -> dict[str, str | None]:
        return {}

    def _own(self, job: Job) -> list[str]:
        told: dict[str, None] = {}
        for output in job.outputs:
            record = jobs.read(self.root, output)
            if jobs.is_unfinished(self.root, output):
                told[f"its job began and did not end (killed?): {output}"] = None
            elif record is None:
                told[f"no job record: nothing tells how {output} was made"] = None
            else:
                told.update(dict.fromkeys(self._against(job, record)))
                told.update(dict.fromkeys(self._output(output, record)))
                told.update(dict.fromkeys(self._clips(output, record)))
        return list(told)

    def _against(self, job: Job, record: dict) -> list[str]:
        """What differs between a job now and then."""
        told = []
        if record.get("code") != job.command:
            told.append(f"the command of rule {job.rule} changed")
        told += parameters_changed(record.get("params") or [], list(job.params))
        if record.get("software_stack_hash") not in (None, job.software):
            told.append(SOFTWARE)
        then, now = set(record.get("input") or []), set(job.inputs)
        told += [f"input added: {path}" for path in sorted(now - then)]
        told += [f"input dropped: {path}" for path in sorted(then - now)]
        for path, checksum in (record.get("input_checksums") or {}).items():
            if path in now and self.hash_of(path) not in (None, checksum.removeprefix("sha256:")):
                told.append(f"input {path} has other content than when the job read it")
        return told

    def _output(self, output: str, record: dict) -> list[str]:
        """Whether an output is absent although it is kept, or is not what its recorded job made."""
        found = self.hash_of(output)
        if found is None:
            return [] if output in self.derived else [f"{output} is absent"]
        if self._is_recorded(output, record) and found != self.published.files.get(output):
            return [f"{output} was changed after its job had made it: these are not the bytes that were recorded"]
        return []

    def _clips(self, output: str, record: dict) -> list[str]:
        """Whether recorded clips, which a job makes beside its output without naming them to Snakemake, are gone or
        are not what it made.
        """
        clips = self._recorded_clips.get(output.rpartition("/")[0], []) if self._is_recorded(output, record) else []
        gone = [path for path in clips if self.hash_of(path) is None]
        other = [path for path in clips if self.hash_of(path) not in (None, self.published.files[path])]
        told = [f"absent: {some(gone, SHOWN)}"] if gone else []
        if other:
            told.append(f"not the bytes that were recorded: {some(other, SHOWN)}")
        return told

    def _is_recorded(self, output: str, record: dict) -> bool:
        """Tell whether the last `ndns record` noted this very job."""
        return self.published.jobs.get(output, {}).get("starttime") == record["starttime"]

    @cached_property
    def _recorded_clips(self) -> dict[str, list[str]]:
        """Folder of a run -> its recorded clips."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.published.files.keys() - self.makers.keys()):
            folder, inside, _ = path.rpartition("/clips/")
            if inside:
                found.setdefault(folder, []).append(path)
        return found
