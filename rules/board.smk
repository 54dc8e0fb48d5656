"""Purpose: the tables and the report of a study; on request the Pareto front of its trained models.

INPUTS: scores, costs, histories, denoised clips of all runs, results/<study>/mix/val.csv and its shards; for the front
  also parent.csv
OUTPUTS: results/<study>/board/report.html, table.csv, metricsboard_track_1_validation.yml;
  pareto.csv, pareto_chip.csv, pareto.md, pareto.svg
"""


rule board:
    input:
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
        scores=expand(f"{RESULTS}/score/{{run}}/scores.csv", run=["noisy", *RUNS]),
        costs=expand(f"{RESULTS}/cost/{{run}}/cost.json", run=RUNS),
        deployed=expand(f"{RESULTS}/deploy/{{run}}/manifest.csv", run=RUNS),
        activity=expand(f"{RESULTS}/deploy/{{run}}/activity.npz", run=PLAN.networks),
        histories=expand(f"{RESULTS}/train/{{run}}/history.csv", run=PLAN.trained),
        programs=expand(f"{RESULTS}/quantize/{{run}}/program.net", run=PLAN.networks),
    output:
        report=report(BOARD, caption="../workflow/report/board.rst", category="Board"),
        table=f"{RESULTS}/board/table.csv",
        metricsboard=f"{RESULTS}/board/metricsboard_track_1_validation.yml",
    log:
        f"logs/{STUDY.study}/board.log",
    benchmark:
        f"benchmarks/{STUDY.study}/board.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        settings=settings(STUDY.board),
        folder=subpath(output.report, parent=True),
        runs=named("scores", f"{RESULTS}/score/{{run}}/scores.csv", ["noisy", *RUNS])
        + named("costs", f"{RESULTS}/cost/{{run}}/cost.json", RUNS)
        + named("deployed", f"{RESULTS}/deploy/{{run}}/manifest.csv", RUNS)
        + named("histories", f"{RESULTS}/train/{{run}}/history.csv", PLAN.trained)
        + named("programs", f"{RESULTS}/quantize/{{run}}/program.net", PLAN.networks)
        + [f"--absent={run}={gap}" for run, gap in PLAN.absent.items()],
        study=STUDY.study,
        code=fingerprint("board"),
    message:
        "board of {params.study}"
    shell:
        "ndns board run --study-name {params.study} --settings {params.settings:q} --mix {input.mix:q}"
        " {params.runs:q} --out {params.folder:q} 2> >(tee -i {log} >&2)"


rule pareto:
    input:
        mix=f"{RESULTS}/mix/val.csv",
        scores=expand(f"{RESULTS}/score/{{run}}/scores.csv", run=PLAN.trained),
        costs=expand(f"{RESULTS}/cost/{{run}}/cost.json", run=PLAN.trained),
        parents=expand(f"{RESULTS}/quantize/{{run}}/parent.csv", run=PLAN.trained),
    output:
        table=f"{RESULTS}/board/pareto.csv",
        chip=f"{RESULTS}/board/pareto_chip.csv",
        figure=f"{RESULTS}/board/pareto.svg",
        text=f"{RESULTS}/board/pareto.md",
    log:
        f"logs/{STUDY.study}/pareto.log",
    benchmark:
        f"benchmarks/{STUDY.study}/pareto.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 1000 * attempt,
        runtime=lambda w, attempt: 10 * attempt,
    params:
        results=subpath(output.table, ancestor=2),
        folder=subpath(output.table, parent=True),
        runs=[f"--run={run}" for run in PLAN.trained],
        code=fingerprint("board"),
    message:
        "Pareto front of the trained models"
    shell:
        "ndns board pareto {params.results:q} {params.runs:q} --out {params.folder:q} 2> >(tee -i {log} >&2)"
