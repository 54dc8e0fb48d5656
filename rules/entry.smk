"""Purpose: what the challenge asks of a participant; `snakemake entry`.

INPUTS: programs, checkpoints, denoised clips, scores and costs of the study
OUTPUTS: results/<study>/entry/, self-contained
"""

ENTRY = f"{RESULTS}/entry"


rule entry_folder:
    input:
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
        scores=expand(f"{RESULTS}/score/{{run}}/scores.csv", run=["noisy", *RUNS]),
        costs=expand(f"{RESULTS}/cost/{{run}}/cost.json", run=RUNS),
        deployed=expand(f"{RESULTS}/deploy/{{run}}/manifest.csv", run=RUNS),
        programs=expand(f"{RESULTS}/quantize/{{run}}/program.net", run=PLAN.entries),
        histories=expand(f"{RESULTS}/train/{{run}}/history.csv", run=PLAN.trained),
        checkpoints=expand(
            f"{RESULTS}/train/{{run}}/checkpoint.safetensors", run=PLAN.trained
        ),
    output:
        folder=directory(ENTRY),
    log:
        f"logs/{STUDY.study}/entry.log",
    benchmark:
        f"benchmarks/{STUDY.study}/entry.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        settings=settings(STUDY.board),
        runs=named("scores", f"{RESULTS}/score/{{run}}/scores.csv", ["noisy", *RUNS])
        + named("costs", f"{RESULTS}/cost/{{run}}/cost.json", RUNS)
        + named("deployed", f"{RESULTS}/deploy/{{run}}/manifest.csv", RUNS)
        + named("histories", f"{RESULTS}/train/{{run}}/history.csv", PLAN.trained)
        + named("programs", f"{RESULTS}/quantize/{{run}}/program.net", PLAN.entries)
        + named(
            "checkpoints",
            f"{RESULTS}/train/{{run}}/checkpoint.safetensors",
            PLAN.trained,
        ),
        study=STUDY.study,
        code=fingerprint("board"),
    message:
        "entry of {params.study}"
    shell:
        "ndns board entry --study-name {params.study} --settings {params.settings:q} --mix {input.mix:q}"
        " {params.runs:q} --out {output.folder:q} 2> >(tee -i {log} >&2)"
