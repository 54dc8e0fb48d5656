"""Purpose: other denoisers on the noisy validation clips, timed on one core.

INPUTS: weights, script, module or recordings that `models.<name>` names, results/<study>/mix/val.csv and its shards
OUTPUTS: results/<study>/deploy/<run>/manifest.csv, clips/<clip>.flac; results/<study>/cost/<run>/cost.json
"""


rule peer:
    input:
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
        files=lambda w: PLAN.peer_files(w.run),
    output:
        manifest=f"{RESULTS}/deploy/{{run}}/manifest.csv",
        cost=f"{RESULTS}/cost/{{run}}/cost.json",
    log:
        f"logs/{STUDY.study}/peer_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/peer_{{run}}.tsv"
    wildcard_constraints:
        run=one_of(PLAN.peers),
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, threads, attempt: PLAN.minutes(5, threads, attempt),
    params:
        settings=lambda w: settings(PLAN.peers[w.run]),
        folder=subpath(output.manifest, parent=True),
        code=fingerprint("peer"),
    message:
        "peer {wildcards.run}"
    shell:
        "ndns peer run --settings {params.settings:q} --mix {input.mix:q} --out {params.folder:q}"
        " --cost {output.cost:q} 2> >(tee -i {log} >&2)"
