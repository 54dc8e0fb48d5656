"""The table of stages: which rules make which files, and which of them are kept.

The one place that says so; `dvc.yaml`, `ndns record`, `ndns restore` and `ndns verify` follow it.

`kept` artifacts are tracked by DVC and pushed to its remotes. `derived` ones are mixed or synthesized from seeds, large,
and equal to the bit when computed again; their hashes stand in the job records of what read them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ndns.errors import UserError

Store = Literal["kept", "derived", "outside"]
JOBS = "results/{study}/jobs.json"
CRATE = "results/{study}/ro-crate-metadata.json"


@dataclass(frozen=True)
class Artifact:
    """A file, or with a `/` at its end a folder and all in it.

    Attributes:
        path: relative to the checkout; `{study}` and `{corpus}` are names, `{fetch}` is the folder `fetch.root`.
        store: where it is kept.
    """

    path: str
    store: Store = "kept"

    def named(self, study: str, corpus: str, fetch: str = "data/dns4") -> str:
        """Return the path with the names filled in."""
        return self.path.format(study=study, corpus=corpus, fetch=fetch)


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
        ("corpus",),
        (
            Artifact("data/{corpus}/manifest.csv"),
            Artifact("data/{corpus}/manifest.json"),
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
    Stage("train", ("train",), (Artifact("results/{study}/train/"),)),
    Stage("quantize", ("quantize",), (Artifact("results/{study}/quantize/"),)),
    Stage("deploy", ("deploy", "peer"), (Artifact("results/{study}/deploy/"),)),
    Stage("score", ("score",), (Artifact("results/{study}/score/"),)),
    Stage("cost", ("cost", "peer"), (Artifact("results/{study}/cost/"),)),
    Stage("board", ("board", "pareto"), (Artifact("results/{study}/board/"),)),
    Stage("record", (), (Artifact(JOBS), Artifact(CRATE), Artifact("results/{study}/added.yaml"))),
)
"""In the order of the pipeline; `record` holds what is known about the run itself."""


def artifact_of(path: str, study: str, corpus: str, fetch: str = "data/dns4") -> tuple[Stage, Artifact]:
    """Return the stage and the line of the table that a path belongs to.

    Raises:
        UserError: none covers it.

    >>> artifact_of("results/s/mix/val/00000.tar", "s", "c")[1].store
    'derived'
    """
    for stage in STAGES:
        for artifact in stage.artifacts:
            name = artifact.named(study, corpus, fetch)
            if path == name or (name.endswith("/") and path.startswith(name)):
                return stage, artifact
    raise UserError(f"{path}: no line of src/ndns/record/stages.py covers this file; add one to its stage.")


def kept(paths: Iterable[str], study: str, corpus: str) -> list[tuple[Stage, list[str]]]:
    """Return, for each stage, the names of those kept artifacts to which at least one of `paths` belongs."""
    found: dict[str, dict[str, None]] = {}
    for path in paths:
        stage, artifact = artifact_of(path, study, corpus)
        if artifact.store == "kept":
            found.setdefault(stage.name, {})[artifact.named(study, corpus)] = None
    return [(stage, sorted(found[stage.name])) for stage in STAGES if stage.name in found]
