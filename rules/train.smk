"""Purpose: one network a model and seed.

INPUTS: results/<study>/mix/{train,val}.csv and their shards; instead of those of train, with `train.fresh` the
  manifests of the corpora (and the synthesized or cleaned recordings), with `train.source: plan` plan.csv and the corpus;
  with `initial` the checkpoint of that model, trained by the study or named by its `weights`
OUTPUTS: results/<study>/train/<run>/checkpoint.safetensors, history.csv
"""

TRAIN_SOURCES = {
    "mixtures": {"train": f"{RESULTS}/mix/train.csv", "audio": SHARDS["train"]},
    "plan": {
        "train": f"{RESULTS}/mix/plan.csv",
        "corpora": f"{CORPUS}/manifest.csv",
        "audio": CORPUS_AUDIO,
    },
    "fresh": {"corpora": f"{CORPUS}/manifest.csv", "audio": CORPUS_AUDIO},
}
TRAIN_OPTIONS = {
    "mixtures": ["--train-mix", f"{RESULTS}/mix/train.csv"],
    "plan": ["--plan", f"{RESULTS}/mix/plan.csv", "--mix", settings(STUDY.mix)]
    + ["--corpus", f"{CORPUS}/manifest.csv"],
    "fresh": ["--corpus", f"{CORPUS}/manifest.csv"],
}


rule train:
    input:
        unpack(lambda w: TRAIN_SOURCES[PLAN.source(w.run)]),
        more=lambda w: expand(
            f"{CORPUS}/more/{{name}}/manifest.csv", name=PLAN.further(w.run)
        ),
        cleaned=lambda w: [
            f"{CORPUS}/more/{name}/audio.tar"
            for name in PLAN.further(w.run)
            if name in PLAN.kinds(CleanedCorpus)
        ],
        val=f"{RESULTS}/mix/val.csv",
        initial=lambda w: PLAN.initial(w.run, RESULTS) or [],
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
        sources=lambda w, input: TRAIN_OPTIONS[PLAN.source(w.run)]
        + [f"--corpus={manifest}" for manifest in input.more]
        + PLAN.initial_options(w.run, RESULTS),
        code=fingerprint("train"),
    message:
        "train {wildcards.run}"
    shell:
        "ndns train --settings {params.settings:q} --seed {params.seed} {params.sources:q}"
        " --val-mix {input.val:q} --out {params.folder:q} 2> >(tee -i {log} >&2)"
