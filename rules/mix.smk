"""Purpose: noisy clips with true SNR: first a plan, then its rendering.

INPUTS: data/<corpus>/manifest.csv
OUTPUTS: results/<study>/mix/plan.csv, <split>.csv, and <split>/{noisy,clean,noise}/<clip>.flac
"""


rule mix_plan:
    input:
        manifest=f"{CORPUS}/manifest.csv",
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
        mem_mb=4000,
        runtime=20,
    params:
        settings=settings(STUDY.mix),
        code=fingerprint("mix"),
    message:
        "plan of the mixtures"
    shell:
        "ndns mix plan --settings {params.settings:q} --manifest {input.manifest:q} --out {output.plan:q} --jobs {threads}"
        " 2> >(tee {log} >&2)"


rule mix_render:
    input:
        plan=f"{RESULTS}/mix/plan.csv",
        manifest=f"{CORPUS}/manifest.csv",
    output:
        manifest=f"{RESULTS}/mix/{{split}}.csv",
    log:
        f"logs/{STUDY.study}/mix_render_{{split}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/mix_render_{{split}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=settings(STUDY.mix),
        code=fingerprint("mix"),
    message:
        "mixtures of {wildcards.split}"
    shell:
        "ndns mix render --settings {params.settings:q} --plan {input.plan:q} --manifest {input.manifest:q}"
        " --split {wildcards.split} --out {output.manifest:q} --jobs {threads} 2> >(tee {log} >&2)"
