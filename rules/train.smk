"""Purpose: one network a model and seed.

INPUTS: results/<study>/mix/{train,val}.csv and their shards; with `train.fresh` the manifests of the corpora (and
  the synthesized recordings) instead of those of train
OUTPUTS: results/<study>/train/<run>/checkpoint.safetensors, history.csv
"""


rule train:
    input:
        train=lambda w: [] if PLAN.fresh(w.run) else f"{RESULTS}/mix/train.csv",
        corpora=lambda w: (
            [f"{CORPUS}/manifest.csv", *MORE] if PLAN.fresh(w.run) else []
        ),
        audio=lambda w: CORPUS_AUDIO if PLAN.fresh(w.run) else SHARDS["train"],
        val=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
    output:
        checkpoint=f"{RESULTS}/train/{{run}}/checkpoint.safetensors",
        history=f"{RESULTS}/train/{{run}}/history.csv",
    log:
        f"logs/{STUDY.study}/train_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/train_{{run}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: lambda w: PLAN.trained[w.run][0].train.threads + PLAN.trained[w.run][0].train.workers
    resources:
        mem_mb=lambda w, attempt: (8000 + 1500 * PLAN.trained[w.run][0].train.workers)
        * attempt,
        runtime=lambda w, attempt: 1440 * attempt,
        gpu=lambda w: 0 if PLAN.trained[w.run][0].train.accelerator == "cpu" else 1,
    params:
        settings=lambda w: PLAN.train_settings(w.run),
        seed=lambda w: PLAN.trained[w.run][1],
        folder=subpath(output.checkpoint, parent=True),
        sources=lambda w, input: (
            [f"--corpus={manifest}" for manifest in input.corpora]
            or ["--train-mix", input.train]
        ),
        code=fingerprint("train"),
    message:
        "train {wildcards.run}"
    shell:
        "ndns train --settings {params.settings:q} --seed {params.seed} {params.sources:q}"
        " --val-mix {input.val:q} --out {params.folder:q} 2> >(tee {log} >&2)"
