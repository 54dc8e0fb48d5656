"""Purpose: integer programs, from our checkpoints and from weights that others released.

INPUTS: results/<study>/train/<run>/checkpoint.safetensors, or the file named by `models.<name>.weights`
OUTPUTS: results/<study>/quantize/<run>/program.net
"""


rule quantize:
    input:
        checkpoint=lambda w: (
            f"{RESULTS}/train/{w.run}/checkpoint.safetensors"
            if w.run in TRAINED
            else []
        ),
        weights=lambda w: IMPORTED[w.run].weights if w.run in IMPORTED else [],
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
        mem_mb=2000,
        runtime=20,
    params:
        source=lambda w: quantize_source(w.run),
        code=fingerprint("quantize"),
    message:
        "quantize {wildcards.run}"
    shell:
        "ndns quantize {params.source} {input:q} --out {output.program:q} 2> >(tee {log} >&2)"


def quantize_source(run):
    """Options before the file: which kind of file it is and how it is used."""
    if run in TRAINED:
        return ["--checkpoint"]
    model = IMPORTED[run]
    hashes = ["--sha256", model.sha256] if model.sha256 else []
    return [*hashes, "--mask-delay", str(model.mask_delay), "--import"]
