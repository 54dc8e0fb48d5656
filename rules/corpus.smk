"""Purpose: the recordings: synthesized, or an inspected folder.

INPUTS: none (speak), or the folder named by `corpus.root`; for `dns4` without `corpus_root` also <fetch.root>/fetched.json.
OUTPUTS: data/<corpus>/manifest.csv, manifest.json; for `speak` also data/<corpus>/audio.tar;
  data/<corpus>/more/<name>/manifest.csv, manifest.json of each further corpus to train on.
"""


rule corpus:
    input:
        [FETCHED] if STUDY.corpus.kind == "dns4" and not STUDY.fetch.existing else [],
    output:
        manifest=f"{CORPUS}/manifest.csv",
        summary=f"{CORPUS}/manifest.json",
        audio=CORPUS_AUDIO,
    log:
        f"logs/{STUDY.study}/corpus.log",
    benchmark:
        f"benchmarks/{STUDY.study}/corpus.tsv"
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: (2880 if STUDY.corpus.kind == "dns4" else 60)
        * attempt,
    params:
        settings=settings(STUDY.corpus),
        code=fingerprint("corpus"),
        folder=subpath(output.manifest, parent=True),
    message:
        "corpus {params.folder}"
    shell:
        "ndns corpus --settings {params.settings:q} --out {params.folder:q} --jobs {threads} 2> >(tee -i {log} >&2)"


rule corpus_more:
    output:
        manifest=f"{CORPUS}/more/{{more}}/manifest.csv",
        summary=f"{CORPUS}/more/{{more}}/manifest.json",
    log:
        f"logs/{STUDY.study}/corpus_more_{{more}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/corpus_more_{{more}}.tsv"
    wildcard_constraints:
        more=one_of(PLAN.kinds(FolderCorpus)),
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        settings=lambda w: settings(PLAN.more[w.more]),
        code=fingerprint("corpus"),
        folder=subpath(output.manifest, parent=True),
    message:
        "corpus {params.folder}"
    shell:
        "ndns corpus --settings {params.settings:q} --out {params.folder:q} --jobs {threads} 2> >(tee -i {log} >&2)"
