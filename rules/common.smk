"""Purpose: what all rules share: the validated study and its runs.

INPUTS: the merged configuration.
OUTPUTS: none; defines PLAN, STUDY, RUNS, RESULTS, CORPUS, BOARD.
"""

from snakemake.exceptions import WorkflowError

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
        f"{name}: {weights} is absent, so this row is left out; set weights_root or install it (docs/peers.md)."
    )

STUDY = PLAN.study
RUNS = PLAN.runs
RESULTS = f"results/{STUDY.study}"
CORPUS = f"data/{STUDY.corpus.name}"
BOARD = f"{RESULTS}/board/report.html"


wildcard_constraints:
    split="train|val",
    run="|".join(["noisy", *RUNS]),
