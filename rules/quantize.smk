"""Purpose: integer programs, from our checkpoints and from weights that others released; what their float parents reach.

INPUTS: results/<study>/train/<run>/checkpoint.safetensors, or the file named by `models.<name>.weights`;
  for parents also results/<study>/mix/val.csv and its shards
OUTPUTS: results/<study>/quantize/<run>/program.net, and of trained models, if a target asks for it, parent.csv
"""


rule quantize:
    input:
        checkpoint=lambda w: (
            f"{RESULTS}/train/{w.run}/checkpoint.safetensors"
            if w.run in PLAN.trained
            else []
        ),
        weights=lambda w: PLAN.imported[w.run].weights if w.run in PLAN.imported else [],
    output:
        program=f"{RESULTS}/quantize/{{run}}/program.net",
    log:
        f"logs/{STUDY.study}/quantize_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/quantize_{{run}}.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 20 * attempt,
    params:
        source=lambda w: PLAN.quantize_source(w.run),
        code=fingerprint("quantize"),
    message:
        "quantize {wildcards.run}"
    shell:
        "ndns quantize {params.source} {input:q} --out {output.program:q} 2> >(tee -i {log} >&2)"


rule parent:
    input:
        checkpoint=f"{RESULTS}/train/{{run}}/checkpoint.safetensors",
        mix=f"{RESULTS}/mix/val.csv",
        shards=SHARDS["val"],
    output:
        parent=f"{RESULTS}/quantize/{{run}}/parent.csv",
    log:
        f"logs/{STUDY.study}/parent_{{run}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/parent_{{run}}.tsv"
    wildcard_constraints:
        run=one_of(PLAN.trained),
    conda:
        "../envs/ndns.yaml"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        code=fingerprint("quantize"),
    message:
        "float parent of {wildcards.run}"
    shell:
        "ndns quantize --checkpoint {input.checkpoint:q} --mix {input.mix:q} --parent {output.parent:q}"
        " 2> >(tee -i {log} >&2)"
