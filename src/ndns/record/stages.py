"""The table of stages: which rules make which files, and which of them are kept.

The one place that says so; `dvc.yaml`, `ndns record`, `ndns restore` and `ndns verify` follow it.

`kept` artifacts are tracked by DVC and pushed to its remotes. `derived` ones are synthesized or mixed from seeds,
large, and equal to the bit when computed again; `jobs.json` holds their hashes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ndns.config import Fetch
from ndns.errors import UserError

Store = Literal["kept", "derived", "outside"]
JOBS = "results/{study}/jobs.json"
CRATE = "results/{study}/ro-crate-metadata.json"


@dataclass(frozen=True)
class Artifact:
    """A file, or with a `/` at its end a folder and all in it.

    Attributes:
        path: relative to the checkout; `{study}`, `{corpus}`, `{run}` are names, `{fetch}` is the folder `fetch.root`.
        store: whether it is kept, or computed again, or lies outside of what the pipeline makes.
    """

    path: str
    store: Store = "kept"

    def holding(self, path: str, study: str, corpus: str, fetch: str) -> str | None:
        """Return the artifact's own path, names filled in, if `path` is it or lies in it."""
        names = {"study": study, "corpus": corpus, "fetch": fetch}
        pattern = "".join(
            "[^/]+" if part == "{run}" else re.escape(names.get(part[1:-1], part) if part.startswith("{") else part)
            for part in re.split(r"(\{[a-z]+\})", self.path)
        )
        found = re.match(pattern, path)
        return found[0] if found and (self.path.endswith("/") or found[0] == path) else None


@dataclass(frozen=True)
class Stage:
    """A stage of the pipeline: its rules (rules/<stage>.smk) and its artifacts."""

    name: str
    rules: tuple[str, ...]
    artifacts: tuple[Artifact, ...]


STAGES = (
    Stage("fetch", ("fetch",), (Artifact("{fetch}/", "outside"),)),
    Stage(
        "corpus",
        ("corpus", "corpus_more", "peer_clean"),
        (
            Artifact("data/{corpus}/manifest.csv"),
            Artifact("data/{corpus}/manifest.json"),
            Artifact("data/{corpus}/more/{run}/"),
            Artifact("data/{corpus}/audio.tar", "derived"),
        ),
    ),
    Stage(
        "mix",
        ("mix_plan", "mix_render", "mix_gather"),
        (
            Artifact("results/{study}/mix/plan.csv"),
            Artifact("results/{study}/mix/train.csv"),
            Artifact("results/{study}/mix/val.csv"),
            Artifact("results/{study}/mix/train/", "derived"),
            Artifact("results/{study}/mix/val/", "derived"),
        ),
    ),
    Stage("train", ("train",), (Artifact("results/{study}/train/{run}/"),)),
    Stage("quantize", ("quantize", "parent"), (Artifact("results/{study}/quantize/{run}/"),)),
    Stage("deploy", ("deploy", "peer"), (Artifact("results/{study}/deploy/{run}/"),)),
    Stage("score", ("score",), (Artifact("results/{study}/score/{run}/"),)),
    Stage("cost", ("cost", "peer"), (Artifact("results/{study}/cost/{run}/"),)),
    Stage(
        "board",
        ("board", "pareto", "entry_folder"),
        (Artifact("results/{study}/board/"), Artifact("results/{study}/entry/", "derived")),
    ),
    Stage("record", (), (Artifact(JOBS), Artifact(CRATE), Artifact("results/{study}/added.yaml"))),
)
"""In the order of the pipeline; `record` holds what is known about the run itself."""


def artifact_of(path: str, study: str, corpus: str, fetch: str = Fetch().root) -> tuple[Stage, Artifact, str]:
    """Return the stage and the line of the table that a path belongs to, and that artifact's own path.

    Raises:
        UserError: none covers it.

    >>> artifact_of("results/s/deploy/a/clips/1.flac", "s", "c")[2]
    'results/s/deploy/a/'
    """
    for stage in STAGES:
        for artifact in stage.artifacts:
            name = artifact.holding(path, study, corpus, fetch)
            if name:
                return stage, artifact, name
    raise UserError(f"{path}: no line of src/ndns/record/stages.py covers this file; add one to its stage.")


def kept(paths: Iterable[str], study: str, corpus: str, fetch: str) -> dict[str, list[str]]:
    """Return stage name -> sorted paths of the kept artifacts to which at least one of `paths` belongs."""
    found: dict[str, set[str]] = {stage.name: set() for stage in STAGES}
    for path in paths:
        stage, artifact, name = artifact_of(path, study, corpus, fetch)
        if artifact.store == "kept":
            found[stage.name].add(name)
    return {stage: sorted(names) for stage, names in found.items() if names}


def rules_of(stage: str) -> tuple[str, ...]:
    """Return the rules of a stage."""
    return next(entry.rules for entry in STAGES if entry.name == stage)
