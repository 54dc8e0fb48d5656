"""Purpose: what a run costs: operations, proxies, size, latency; cores, time and energy under each scenario.

INPUTS: program.net, activity.npz and the denoised clips of the run, results/<study>/mix/val.csv and its shards
OUTPUTS: results/<study>/cost/<run>/cost.json
"""


rule cost:
    input:
        program=f"{RESULTS}/quantize/{{run}}/program.net",
        activity=f"{RESULTS}/deploy/{{run}}/activity.npz",
        denoised=f"{RESULTS}/deploy/{{run}}/manifest.csv",
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
    output:
        cost=f"{RESULTS}/cost/{{run}}/cost.json",
    log:
        f"logs/{STUDY.study}/cost_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/cost_{{run}}.tsv"
    wildcard_constraints:
        run=one_of(PLAN.networks),
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: PLAN.activity_mb() * attempt,
        runtime=lambda w, threads, attempt: PLAN.minutes(1000, threads, attempt),
    params:
        settings=settings(STUDY.cost),
        code=fingerprint("cost"),
    message:
        "cost of {wildcards.run}"
    shell:
        "ndns cost run {input.program:q} --settings {params.settings:q} --activity {input.activity:q}"
        " --mix {input.mix:q} --denoised {input.denoised:q} --out {output.cost:q} 2> >(tee -i {log} >&2)"
