"""Write the crate: JSON-LD after the Provenance Run Crate profile (https://w3id.org/ro/wfrun/provenance/0.5).

An action a job, from Snakemake's job records. What a record does not say, where it ran and on which commit, is noted
when the crate is written; an action that an earlier crate already describes keeps what was noted then.
"""

import ast
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ndns import __version__
from ndns.crate.environments import CRATE, crate_path, graph_of, listed
from ndns.crate.git import git
from ndns.environment import environment, environment_fingerprint
from ndns.errors import UserError
from ndns.files import sha256_file, write_json
from ndns.verify.records import Record, job_records
from ndns.workflow import Plan

PROFILES = [f"https://w3id.org/ro/wfrun/{name}/0.5" for name in ("process", "workflow", "provenance")]
PROFILES.append("https://w3id.org/workflowhub/workflow-ro-crate/1.0")
CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
LICENCE = "https://spdx.org/licenses/Apache-2.0"
FORMATS = {
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".html": "text/html",
    ".json": "application/json",
    ".net": "application/x-hdf5",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".yml": "application/yaml",
}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"


def write_crate(root: Path, plan: Plan) -> Path:
    """Write the crate of a study and return its path; equal records give equal bytes.

    Raises:
        UserError: no job record, an output that is gone, or one that changed after a later job had read it.
    """
    path = crate_path(root, plan.study.study)
    write_json(path, {"@context": CONTEXT, "@graph": _Crate(root, plan, graph_of(path)).graph()})
    return path


def commit(root: Path) -> str:
    """Return the checkout's commit, `+changes` where tracked files differ from it, `unknown` without git."""
    head = _git(root, "rev-parse", "HEAD")
    return f"{head}+changes" if head and _git(root, "status", "--porcelain", "-uno") else head or "unknown"


def _git(root: Path, *arguments: str) -> str:
    result = git(root, *arguments)
    return result.stdout.strip() if result.returncode == 0 else ""


class _Crate:
    """The graph while it grows."""

    def __init__(self, root: Path, plan: Plan, earlier: dict[str, dict]) -> None:
        self.root, self.plan, self.earlier = root, plan, earlier
        self.home = f"results/{plan.study.study}/"
        self.entities: dict[str, dict] = {}
        self.files: dict[str, str] = {}
        self.records = job_records(root, plan)

    def graph(self) -> list[dict]:
        jobs = self._jobs()
        actions = [self._action(rule, outputs) for (rule, *_), outputs in jobs.items()]
        made = {output.path for outputs in jobs.values() for output in outputs}
        self._workflow({rule for rule, *_ in jobs}, actions, made)
        return [self.entities[key] for key in sorted(self.entities, key=lambda key: (key != CRATE, key != "./", key))]

    def _jobs(self) -> dict[tuple[str, ...], list[Record]]:
        """Records of one job: same rule and log."""
        jobs: dict[tuple[str, ...], list[Record]] = {}
        for record in self.records:
            jobs.setdefault((record.job["rule"], *record.job["log"]), []).append(record)
        return jobs

    def add(self, key: str, kind: str | list[str], /, **properties: object) -> dict[str, str]:
        """Add an entity without its empty properties and return a reference to it."""
        filled = {name: value for name, value in properties.items() if value not in (None, [], "")}
        self.entities[key] = {"@id": key, "@type": kind, **filled}
        return {"@id": key}

    def file(self, path: str) -> dict[str, str]:
        """A file: by its path in the study's folder; elsewhere by its hash, since a crate holds its own folder only."""
        if path not in self.files:
            place = self.root / path
            if not place.is_file():
                raise UserError(
                    f"{path}: a job made or read this file, and it is gone; `ndns restore --derived` computes "
                    "what was recorded, else run the study again."
                )
            digest = sha256_file(place)
            inside = path.startswith(self.home)
            self.files[path] = quote(path.removeprefix(self.home)) if inside else f"ni:///sha-256;{digest}"
            self.add(
                self.files[path],
                "File",
                name=path,
                sha256=digest,
                contentSize=str(place.stat().st_size),
                encodingFormat=FORMATS.get(place.suffix, "application/octet-stream"),
            )
        return {"@id": self.files[path]}

    def _action(self, rule: str, outputs: list[Record]) -> dict[str, str]:
        job, name = outputs[0].job, f"#job/{rule}/{quote(outputs[0].path)}"
        inputs = [self.file(path) for path in job["input"]]
        for path, checksum in job["input_checksums"].items():
            if self.entities[self.files[path]]["sha256"] != checksum.removeprefix("sha256:"):
                raise UserError(f"{path}: changed after {rule} had read it; run the study again.")
        results = [self.file(output.path) for output in outputs]
        started, ended = (_time(job[key]) for key in ("starttime", "endtime"))
        parameters = [self._parameter(name, *pair) for pair in _named(job["params"])]
        noted = self._noted(name, started, [self.entities[item["@id"]]["sha256"] for item in results])
        self.add(
            name,
            "CreateAction",
            name=f"{rule}: {', '.join(output.path for output in outputs)}",
            description=job["shellcmd"],
            instrument={"@id": f"#rule/{rule}"},
            object=inputs + parameters,
            result=results,
            startTime=started,
            endTime=ended,
            actionStatus="http://schema.org/CompletedActionStatus",
            environment=noted,
        )
        step = {"@id": f"#step/{rule}"}
        return self.add(f"#control/{name[5:]}", "ControlAction", instrument=step, object={"@id": name})

    def _parameter(self, action: str, label: str, value: str) -> dict[str, str]:
        return self.add(f"{action}/{quote(label)}", "PropertyValue", name=label, value=value)

    def _noted(self, name: str, started: str, hashes: list[str]) -> list[dict[str, str]]:
        """Environment and commit of a job: as an earlier crate has them for this very job, else those of now."""
        before = self.earlier.get(name, {})
        known = [self.earlier[item["@id"]].get("sha256") for item in listed(before.get("result"))]
        if before.get("startTime") == started and known == hashes:
            for item in listed(before.get("environment")):
                self.entities[item["@id"]] = self.earlier[item["@id"]]
            return listed(before.get("environment"))
        facts = environment()
        flat = {
            key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in facts.items()
        }
        mark = environment_fingerprint()
        places = [self.add(f"#environment/{mark}/{k}", "PropertyValue", name=k, value=v) for k, v in flat.items()]
        now = commit(self.root)
        return [*places, self.add(f"#commit/{now}", "PropertyValue", name="git commit", value=now)]

    def _workflow(self, rules: set[str], controls: list[dict[str, str]], made: set[str]) -> None:
        used = {path for record in self.records for path in record.job["input"]}
        inputs = [self.file(path) for path in sorted(used - made)]
        results = [self.file(path) for path in sorted(made)]
        spans = [(_time(record.job["starttime"]), _time(record.job["endtime"])) for record in self.records]
        tools = [self.add(f"#rule/{rule}", "SoftwareApplication", name=f"ndns {rule}") for rule in sorted(rules)]
        steps = [
            self.add(f"#step/{rule}", "HowToStep", workExample={"@id": f"#rule/{rule}"}, position=str(place))
            for place, rule in enumerate(sorted(rules))
        ]
        language = self.add(SNAKEMAKE, "ComputerLanguage", name="Snakemake", url="https://snakemake.readthedocs.io")
        engine = self.add("#snakemake", "SoftwareApplication", name="Snakemake")
        workflow = self.file("Snakefile")
        self.entities[workflow["@id"]] |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "version": __version__,
            "programmingLanguage": language,
            "hasPart": tools,
            "step": steps,
        }
        study = self.plan.study.study
        begun, ended = min(span[0] for span in spans), max(span[1] for span in spans)
        run = self.add(
            "#run", "CreateAction", name=f"study {study}", instrument=workflow, object=inputs, result=results
        )
        self.entities["#run"] |= {"startTime": begun, "endTime": ended}
        organized = self.add("#organize", "OrganizeAction", instrument=engine, object=controls, result=run)
        files = [{"@id": name} for name in sorted(set(self.files.values()))]
        actions = [{"@id": name} for name, item in self.entities.items() if item["@type"] == "CreateAction"]
        profiles = [
            self.add(
                profile, "CreativeWork", name=re.split(r"/(?=[a-z])", profile)[-1], version=profile.rpartition("/")[2]
            )
            for profile in PROFILES
        ]
        self.add(
            "./",
            "Dataset",
            name=f"Results of the study {study}",
            description="Every job with its command, parameters, inputs and outputs, environment and commit.",
            datePublished=ended,
            license={"@id": LICENCE},
            conformsTo=profiles,
            mainEntity=workflow,
            hasPart=files,
            mentions=[*actions, organized],
        )
        self.add(LICENCE, "CreativeWork", name="Apache-2.0")
        specification = {"@id": "https://w3id.org/ro/crate/1.1"}
        self.add(CRATE, "CreativeWork", about={"@id": "./"}, conformsTo=specification)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _named(parameters: list[str]) -> list[tuple[str, str]]:
    """Names for a job's parameters, which the record keeps without: by what they look like."""
    named = []
    for place, text in enumerate(parameters):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        shown = value if isinstance(value, str) else json.dumps(value)
        label = "settings" if shown.startswith("{") else "code" if re.fullmatch(r"[0-9a-f]{16}", shown) else "parameter"
        named.append((label if label != "parameter" else f"parameter {place + 1}", shown))
    return named
