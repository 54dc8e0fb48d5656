"""Studies through Snakemake's Slurm plugin, on a cluster of this one machine: `make test-slurm`.

`NDNS_TEST_SLURM=whole` in the place of 1: the smoke study with all its clips and epochs.
"""

import csv
import os
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from .cluster import missing_programs, one_node

pytestmark = pytest.mark.slurm

MINUTES = 20
RULES = ("corpus", "mix_plan", "train", "quantize", "deploy", "cost", "board")
JOBS = {**{f"rule_{name}": 1 for name in RULES}, "rule_mix_render": 2, "rule_mix_gather": 2, "rule_score": 2}
"""Jobs of the smoke study that Slurm runs: one shard a split, scores of the noisy clips and of the network's. The whole
study has two shards to train on."""


@pytest.fixture(scope="module")
def cluster():
    if os.environ.get("NDNS_TEST_SLURM") not in ("1", "whole"):
        pytest.skip("takes minutes; `make test-slurm` runs it")
    if missing := missing_programs():
        pytest.skip(f"{missing[0]} is absent; apt-get install slurm-wlm munge")
    with one_node() as environment:
        yield environment


def snakemake(study, profile, *arguments):
    """The call of Snakemake in a checkout."""
    command = [sys.executable, "-m", "snakemake", "--configfile", study, "--workflow-profile", f"profiles/{profile}"]
    return [*command, *arguments]


def jobs(cluster):
    """What Slurm knows of all jobs, oldest first: rule, state, memory, time limit, CPUs, GPUs."""
    names = ["id", "comment", "state", "memory", "limit", "cpus"]
    plain = squeue(cluster, "--format=%i|%k|%T|%m|%l|%c")
    gpus = dict(line.split() for line in squeue(cluster, "--Format=jobid:20,tres-per-job:40"))
    known = [dict(zip(names, line.split("|"), strict=True)) for line in plain]
    return [{**job, "gres": gpus.get(job["id"], "")} for job in known]


def squeue(cluster, columns):
    command = ["squeue", "--states=all", "--noheader", "--sort=i", columns]
    return subprocess.run(command, env=cluster, capture_output=True, text=True, check=True).stdout.splitlines()


def running(cluster, rule):
    return [job for job in jobs(cluster) if rule in job["comment"] and job["state"] == "RUNNING"]


def stage_process(folder, stage):
    """The process `ndns <stage>` that works in a folder."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(folder) and stage in words[1:3] and any(w.endswith("/ndns") for w in words[:2]):
            return process
    return None


def wait_for(what, process):
    deadline = time.monotonic() + MINUTES * 60
    while not (found := what()):
        assert process.poll() is None, "the run ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def test_killed_and_cancelled_jobs_run_again(cluster, bare, tmp_path):
    checkout = bare.copy(tmp_path / "checkout")
    study = checkout.folder / "tiny.yaml"
    study.write_text(study.read_text().replace("train: {", "train: {accelerator: auto, "))
    here = {"cwd": checkout.folder, "env": {**cluster, "PYTHONPATH": str(checkout.folder / "src")}}
    command = snakemake("tiny.yaml", "slurm", "--slurm-init-seconds-before-status-checks", "1")
    with open(tmp_path / "run.log", "wb") as log:
        run = subprocess.Popen(command, **here, stdout=log, stderr=subprocess.STDOUT)
        wait_for(lambda: stage_process(checkout.folder, "train"), run).kill()
        cancelled = wait_for(lambda: running(cluster, "rule_deploy"), run)[0]["id"]
        subprocess.run(["scancel", cancelled], env=cluster, check=True)
        code = run.wait(MINUTES * 60)
    text = (tmp_path / "run.log").read_text()
    assert code == 0, text
    assert text.count("Trying to restart job") == 2
    known = jobs(cluster)
    assert [job["state"] for job in known if "rule_train" in job["comment"]] == ["FAILED", "COMPLETED"]
    assert [job["state"] for job in known if "rule_deploy" in job["comment"]] == ["CANCELLED", "COMPLETED"]
    assert "sdnn-seed1" in (checkout.folder / "results/tiny/board/report.html").read_text()
    again = subprocess.run(snakemake("tiny.yaml", "default", "--cores", "1", "--dry-run"), **here, capture_output=True)
    assert b"Nothing to be done" in again.stdout + again.stderr


def test_rules_ask_for_memory_time_and_gpu(cluster):
    """After the run above: what its jobs asked Slurm for."""
    known = {job["comment"].split("_wildcards")[0]: job for job in jobs(cluster)}
    assert {"rule_corpus", "rule_mix_plan", "rule_train", "rule_score", "rule_board"} <= known.keys()
    for job in known.values():
        assert job["memory"] not in ("0", ""), job
        assert job["limit"] not in ("UNLIMITED", ""), job
    assert {rule for rule, job in known.items() if "gpu" in job["gres"]} == {"rule_train"}
    assert known["rule_score"]["cpus"] == "2"


def test_smoke_study(cluster, bare, tmp_path):
    """On fewer clips and epochs, unless the whole is asked for: the way through the plugin is tried, not learning."""
    checkout = bare.copy(tmp_path / "checkout")
    before = len(jobs(cluster))
    environment = {**cluster, "PYTHONPATH": str(checkout.folder / "src")}
    fewer = ["--config", "mix={train_clips: 64, val_clips: 4}", "models={sdnn: {train: {epochs: 4}}}"]
    whole = os.environ["NDNS_TEST_SLURM"] == "whole"
    command = snakemake("config/smoke.yaml", "slurm", *([] if whole else fewer))
    result = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    completed = [job["comment"] for job in jobs(cluster)[before:] if job["state"] == "COMPLETED"]
    assert Counter(comment.split("_wildcards")[0] for comment in completed) == JOBS | {"rule_mix_render": 2 + whole}
    with open(checkout.folder / "results/smoke/board/table.csv", newline="") as handle:
        si_snr = {row["system"]: float(row["si_snr"]) for row in csv.DictReader(handle)}
    assert si_snr["sdnn-seed1"] > si_snr["noisy"]
