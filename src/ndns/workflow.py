"""What the rules ask about a study: its runs, their settings as tracked text, and the paths that name them."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ndns.config import ImportedModel, Section, Study, TrainedModel, study_from


def put_interpreter_on_path() -> None:
    """Let shell rules find `ndns` beside the running interpreter, whether or not its environment is activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@dataclass(frozen=True)
class Plan:
    """A study as the rules see it.

    Attributes:
        study: validated settings.
        trained: run name -> (model, seed).
        imported: run name -> model whose weights are present (or must be).
        absent: run name -> optional weights that are not there.
    """

    study: Study
    trained: Mapping[str, tuple[TrainedModel, int]]
    imported: Mapping[str, ImportedModel]
    absent: Mapping[str, str]

    @property
    def runs(self) -> list[str]:
        """All runs that are deployed, in the order of the configuration."""
        return [*self.trained, *self.imported]

    def train_settings(self, run: str) -> str:
        """Settings of one trained run; other seeds of the model do not appear, so adding one reruns nothing else."""
        model, seed = self.trained[run]
        return settings(model, seeds=[seed])

    def quantize_source(self, run: str) -> list[str]:
        """Options of `ndns quantize` before the file: which kind of file it is and how it is used."""
        if run in self.trained:
            return ["--checkpoint"]
        model = self.imported[run]
        hashes = ["--sha256", model.sha256] if model.sha256 else []
        return [*hashes, "--mask-delay", str(model.mask_delay), "--import"]


def plan(config: Mapping, files: Iterable[str | Path] = ()) -> Plan:
    """Validate a configuration and list its runs.

    Raises:
        UserError: the configuration is wrong; the sentence names key, file and line.
    """
    study = study_from(config, files)
    trained, imported, absent = {}, {}, {}
    for name, model in study.models.items():
        if isinstance(model, TrainedModel):
            trained.update({f"{name}-seed{seed}": (model, seed) for seed in model.seeds})
        elif model.optional and not Path(model.weights).is_file():
            absent[name] = model.weights
        else:
            imported[name] = model
    return Plan(study, trained, imported, absent)


def settings(section: Section, **changes: object) -> str:
    """JSON text of a section: tracked as a parameter, so that a changed value reruns what depends on it."""
    return section.model_copy(update=changes).model_dump_json()


def named(option: str, pattern: str, runs: Iterable[str]) -> list[str]:
    """Repeat `--option=run=path` for each run.

    >>> named("costs", "cost/{run}.json", ["a"])
    ['--costs=a=cost/a.json']
    """
    return [f"--{option}={run}={pattern.format(run=run)}" for run in runs]
