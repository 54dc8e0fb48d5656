#!/usr/bin/env bash
# What this commit brings along, as a reader meets it: clone elsewhere, restore without a network, nothing to do, recompute.
#
#   tests/repro/clone.sh [FROM]
#
# FROM is the first stage that is computed again (default: quantize, from the recorded weights on); `all` trains as well.
set -euo pipefail
from=${1:-quantize}
repository=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git clone -q "$repository" "$folder/a clone"
cd "$folder/a clone"
export PYTHONPATH=$PWD/src
if [ ! -f dvc.lock ]; then
    echo "clone-check: this commit brings no results along (docs/reproduce.md tells how to record them); nothing to check"
    exit 0
fi
offline=(unshare --map-root-user --net)
"${offline[@]}" true 2>/dev/null || offline=(env) # where it is not permitted to take the network away

says() {
    local sentence=$1 said
    shift
    echo "\$ $*"
    said=$("${offline[@]}" "$@" 2>&1) || { echo "$said"; exit 1; }
    echo "$said" | tail -n 4
    case $said in *"$sentence"*) ;; *) echo "clone-check: it does not say \"$sentence\""; exit 1 ;; esac
}

time says "are as recorded" ndns restore
mapfile -t studies < <(python -c '
from pathlib import Path
from ndns.record.dvcfile import studies
for study in studies(Path()).items():
    print(*study)')
for study in "${studies[@]}"; do
    read -r name config <<< "$study"
    says "Nothing to be done" snakemake --cores 2 --configfile "$config" --dry-run
    says "jobs are current" ndns explain --study "$config"
    says "are as recorded" ndns restore --derived "$name"
    if [ "$from" = all ]; then
        says "hold what is claimed" ndns verify --study "$config"
    else
        says "hold what is claimed" ndns verify --study "$config" --from "$from"
    fi
done
says "Data and pipelines are up to date." dvc status
echo "clone-check: restored, nothing to do, recomputed from $from on, as claimed"
