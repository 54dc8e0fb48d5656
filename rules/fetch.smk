"""Purpose: the challenge's own data: DNS-4 and test set 1, downloaded, checked and unpacked, or an existing copy.

INPUTS: data/sources.csv (URL, size, hash of each archive)
OUTPUTS: <fetch.root>/fetched.json; the data beside it are no output, so that a failed or stopped run keeps them.
"""

FETCHED = f"{STUDY.fetch.root}/fetched.json"


rule fetch:
    input:
        sources=STUDY.fetch.sources,
    output:
        FETCHED,
    log:
        f"logs/{STUDY.study}/fetch.log",
    benchmark:
        f"benchmarks/{STUDY.study}/fetch.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=lambda w, attempt: 2880 * attempt,
    params:
        settings=settings(STUDY.fetch),
    message:
        "fetch {output}"
    shell:
        "ndns fetch --settings {params.settings:q} --jobs {threads} 2> >(tee -i {log} >&2)"
