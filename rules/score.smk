"""Purpose: quality of each clip; the run `noisy` scores the mixture itself.

INPUTS: results/<study>/mix/val.csv and its shards, results/<study>/deploy/<run>/manifest.csv
OUTPUTS: results/<study>/score/<run>/scores.csv
"""


rule score:
    input:
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
        denoised=lambda w: (
            [] if w.run == "noisy" else f"{RESULTS}/deploy/{w.run}/manifest.csv"
        ),
    output:
        scores=f"{RESULTS}/score/{{run}}/scores.csv",
    log:
        f"logs/{STUDY.study}/score_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/score_{{run}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, threads, attempt: PLAN.minutes(10, threads, attempt),
    params:
        settings=settings(STUDY.score),
        denoised=lambda w, input: (
            [] if w.run == "noisy" else ["--denoised", input.denoised]
        ),
        code=fingerprint("score"),
    message:
        "score {wildcards.run}"
    shell:
        "ndns score run --settings {params.settings:q} --mix {input.mix:q} {params.denoised:q}"
        " --out {output.scores:q} --jobs {threads} 2> >(tee -i {log} >&2)"
