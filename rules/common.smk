"""Purpose: what all rules share: the validated study, its runs, and how settings reach a command.

INPUTS: the merged configuration.
OUTPUTS: none; defines STUDY, RESULTS, CORPUS, TRAINED, IMPORTED, RUNS, BOARD.
"""

import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from ndns.config import ImportedModel, TrainedModel, study_from
from ndns.errors import UserError
from ndns.fingerprint import fingerprint

os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)

try:
    STUDY = study_from(config, workflow.configfiles)
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{STUDY.study}"
CORPUS = f"data/{STUDY.corpus.name}"
BOARD = f"{RESULTS}/board/report.html"

TRAINED = {
    f"{name}-seed{seed}": (model, seed)
    for name, model in STUDY.models.items()
    if isinstance(model, TrainedModel)
    for seed in model.seeds
}
IMPORTED = {
    name: model
    for name, model in STUDY.models.items()
    if isinstance(model, ImportedModel)
    and (Path(model.weights).is_file() or not model.optional)
}
for name, model in STUDY.models.items():
    if isinstance(model, ImportedModel) and name not in IMPORTED:
        logger.warning(
            f"{name}: {model.weights} is absent, so this row is left out; set weights_root to add it."
        )
RUNS = [*TRAINED, *IMPORTED]


wildcard_constraints:
    split="train|val",
    run="|".join(["noisy", *RUNS]),


def settings(section, **changes):
    """JSON text of a section: tracked as a parameter, so that a changed value reruns what depends on it."""
    return section.model_copy(update=changes).model_dump_json()


def named(option, pattern, runs):
    """Repeat `--option run=path` for each run."""
    return [f"--{option}={run}={pattern.format(run=run)}" for run in runs]
