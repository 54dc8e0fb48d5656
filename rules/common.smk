"""Purpose: what all rules share: the validated study and its runs.

INPUTS: the merged configuration.
OUTPUTS: none; defines PLAN, STUDY, RUNS, RESULTS, CORPUS, CORPUS_AUDIO, SHARDS, BOARD.
"""

from snakemake.exceptions import WorkflowError

from ndns.config import CleanedCorpus, FolderCorpus
from ndns.errors import UserError
from ndns.fingerprint import fingerprint
from ndns.workflow import named, one_of, plan, put_interpreter_on_path, settings

put_interpreter_on_path()
try:
    PLAN = plan(config, workflow.configfiles)
except UserError as error:
    raise WorkflowError(str(error)) from None
for name, weights in PLAN.absent.items():
    logger.warning(
        f"{name}: {weights} is absent, so this row is left out; set weights_root, `ndns restore` or install it (docs/peers.md)."
    )
for name, absent in PLAN.unheard.items():
    logger.warning(
        f"{name}: {absent} is absent, so training goes on without it; set more_root, or weights_root for what cleans it."
    )

STUDY = PLAN.study
RUNS = PLAN.runs
RESULTS = f"results/{STUDY.study}"
CORPUS = f"data/{STUDY.corpus.name}"
CORPUS_AUDIO = [f"{CORPUS}/audio.tar"] if STUDY.corpus.kind == "speak" else []
SHARDS = {
    split: [f"{RESULTS}/mix/{split}/{shard}.tar" for shard in STUDY.mix.shards(split)]
    for split in ("train", "val")
}
BOARD = f"{RESULTS}/board/report.html"


wildcard_constraints:
    split="train|val",
    shard="[0-9]+",
    run="|".join(["noisy", *RUNS]),
    more=one_of(PLAN.more),
