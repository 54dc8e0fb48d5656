"""Purpose: other denoisers on the noisy validation clips, timed on one core, and on speech to train with.

INPUTS: weights, script, module or recordings that `models.<name>` names, results/<study>/mix/val.csv and its shards;
  for `more` of kind `cleaned` instead of clips the manifest of a corpus
OUTPUTS: results/<study>/deploy/<run>/manifest.csv, clips/<clip>.flac; results/<study>/cost/<run>/cost.json;
  data/<corpus>/more/<name>/manifest.csv, manifest.json, audio.tar of a cleaned corpus
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


rule peer_clean:
    input:
        corpus=lambda w: PLAN.cleaned_from(w.more, CORPUS),
        study=f"{CORPUS}/manifest.csv",
        audio=CORPUS_AUDIO,
        files=lambda w: PLAN.peer_files(PLAN.more[w.more].by),
    output:
        manifest=f"{CORPUS}/more/{{more}}/manifest.csv",
        summary=f"{CORPUS}/more/{{more}}/manifest.json",
        audio=f"{CORPUS}/more/{{more}}/audio.tar",
    log:
        f"logs/{STUDY.study}/peer_clean_{{more}}.log",
    benchmark:
        f"benchmarks/{STUDY.study}/peer_clean_{{more}}.tsv"
    wildcard_constraints:
        more=one_of(PLAN.kinds(CleanedCorpus)),
    conda:
        "../envs/ndns.yaml"
    threads: 2
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 2880 * attempt,
    params:
        settings=lambda w: settings(PLAN.more[w.more]),
        peer=lambda w: settings(PLAN.peers[PLAN.more[w.more].by]),
        folder=subpath(output.manifest, parent=True),
        code=fingerprint("peer"),
    message:
        "clean {wildcards.more}"
    shell:
        "ndns peer clean --settings {params.settings:q} --peer {params.peer:q} --corpus {input.corpus:q}"
        " --study-corpus {input.study:q} --out {params.folder:q} --jobs {threads} 2> >(tee -i {log} >&2)"
