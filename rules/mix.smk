"""Purpose: noisy clips with true SNR: a plan, its rendering shard by shard, and the manifest of each split.

INPUTS: data/<corpus>/manifest.csv; for `speak` also data/<corpus>/audio.tar; the lists of `mix.released`
OUTPUTS: results/<study>/mix/plan.csv; <split>/<shard>.tar with its manifest <shard>.csv; <split>.csv
"""


rule mix_plan:
    input:
        manifest=f"{CORPUS}/manifest.csv",
        lists=PLAN.lists,
    output:
        plan=f"{RESULTS}/mix/plan.csv",
    log:
        f"logs/{STUDY.study}/mix_plan.log",
    benchmark:
        f"benchmarks/{STUDY.study}/mix_plan.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: (2880 if STUDY.mix.method == "released" else 20)
        * attempt,
    params:
        settings=settings(STUDY.mix),
        code=fingerprint("mix"),
    message:
        "plan of the mixtures"
    shell:
        "ndns mix plan --settings {params.settings:q} --manifest {input.manifest:q} --out {output.plan:q} --jobs {threads}"
        " 2> >(tee -i {log} >&2)"


rule mix_render:
    input:
        plan=f"{RESULTS}/mix/plan.csv",
        manifest=f"{CORPUS}/manifest.csv",
        audio=CORPUS_AUDIO,
    output:
        shard=f"{RESULTS}/mix/{{split}}/{{shard}}.tar",
        manifest=f"{RESULTS}/mix/{{split}}/{{shard}}.csv",
    log:
        f"logs/{STUDY.study}/mix_render_{{split}}_{{shard}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/mix_render_{{split}}_{{shard}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 3000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        settings=settings(STUDY.mix),
        code=fingerprint("mix"),
        folder=subpath(output.shard, parent=True),
    message:
        "mixtures of {wildcards.split}, shard {wildcards.shard}"
    shell:
        "ndns mix render --settings {params.settings:q} --plan {input.plan:q} --manifest {input.manifest:q}"
        " --split {wildcards.split} --shard {wildcards.shard} --out {params.folder:q} 2> >(tee -i {log} >&2)"


rule mix_gather:
    input:
        manifests=lambda w: [f"{tar[:-4]}.csv" for tar in SHARDS[w.split]],
        shards=lambda w: SHARDS[w.split],
    output:
        manifest=f"{RESULTS}/mix/{{split}}.csv",
    log:
        f"logs/{STUDY.study}/mix_gather_{{split}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/mix_gather_{{split}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        code=fingerprint("mix"),
    message:
        "manifest of {wildcards.split}"
    shell:
        "ndns mix gather {input.manifests:q} --out {output.manifest:q} 2> >(tee -i {log} >&2)"
