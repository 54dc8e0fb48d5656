# What exists and in which order it is built: configuration, rules, targets. The logic is in src/ndns.
#
#   <fetch.root>/fetched.json (target dns4)
#   data/<corpus>/manifest.csv
#   results/<study>/mix/{plan,train,val}.csv
#   results/<study>/{train,quantize,deploy,score,cost}/<run>/...
#   results/<study>/board/report.html

from snakemake.utils import min_version

min_version("9.0")

if not workflow.configfiles and "study" not in config:

    configfile: "config/smoke.yaml"


include: "rules/common.smk"
include: "rules/fetch.smk"
include: "rules/corpus.smk"
include: "rules/mix.smk"
include: "rules/train.smk"
include: "rules/quantize.smk"
include: "rules/deploy.smk"
include: "rules/peer.smk"
include: "rules/score.smk"
include: "rules/cost.smk"
include: "rules/board.smk"
include: "rules/entry.smk"


localrules:
    all,
    dataset,
    dns4,
    entry,


rule all:
    default_target: True
    input:
        rules.board.output,


rule dataset:
    input:
        expand(f"{RESULTS}/mix/{{split}}.csv", split=["train", "val"]),


rule dns4:
    input:
        FETCHED,


rule entry:
    input:
        ENTRY,
