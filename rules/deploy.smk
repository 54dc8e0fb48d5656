"""Purpose: run the integer program on the noisy validation clips.

INPUTS: results/<study>/quantize/<run>/program.net, results/<study>/mix/val.csv and its shards
OUTPUTS: results/<study>/deploy/<run>/manifest.csv, activity.npz, clips/<clip>.flac
"""


rule deploy:
    input:
        program=f"{RESULTS}/quantize/{{run}}/program.net",
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
    output:
        manifest=f"{RESULTS}/deploy/{{run}}/manifest.csv",
        activity=f"{RESULTS}/deploy/{{run}}/activity.npz",
    log:
        f"logs/{STUDY.study}/deploy_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/deploy_{{run}}.tsv"
    wildcard_constraints:
        run=one_of(PLAN.networks),
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, threads, attempt: PLAN.deploy_minutes(threads, attempt),
    params:
        mode=lambda w: PLAN.mode(w.run),
        backend=STUDY.deploy.backend,
        folder=subpath(output.manifest, parent=True),
        code=fingerprint("deploy"),
    message:
        "deploy {wildcards.run} on {params.backend}"
    shell:
        "ndns deploy {input.program:q} --mix {input.mix:q} --out {params.folder:q} --backend {params.backend}"
        " --mode {params.mode} --jobs {threads} 2> >(tee -i {log} >&2)"
