"""The graph of the whole challenge: 60 000 + 60 000 clips, then test set 1."""

import resource
import subprocess
import sys

import pytest

from .test_study import jobs

pytestmark = pytest.mark.workflow
NETWORKS = [f"{model}-seed{seed}" for model in ("sdnn", "sparse_s5") for seed in (1, 2, 3)]


def cpu_seconds():
    """CPU time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def dry_run(checkout, config):
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "--cores", "1"]
    here = {"cwd": checkout.folder, "env": checkout.environment()}
    result = subprocess.run([*command, "--configfile", config], **here, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return jobs(result.stdout + result.stderr)


def test_the_challenge_is_a_graph_of_shards_and_networks(bare, tmp_path):
    checkout, before = bare.copy(tmp_path / "checkout"), cpu_seconds()
    planned = dry_run(checkout, "config/challenge.yaml")
    assert cpu_seconds() - before < 60
    once = dict.fromkeys(("fetch", "corpus", "mix_plan", "board", "all"), 1)
    networks = dict.fromkeys(("train", "quantize"), len(NETWORKS))
    measured = {"deploy": 6, "cost": 6, "score": 7}  # Intel's weights are no part of the repository
    assert planned.pop("total") == sum(planned.values())
    assert planned == {**once, **networks, **measured, "mix_render": 2 * 60_000 // 250, "mix_gather": 2}


def test_test_set_1_scores_the_networks_of_the_challenge(bare, tmp_path):
    checkout = bare.copy(tmp_path / "checkout")
    for name in NETWORKS:
        program = checkout.folder / "results" / "challenge" / "quantize" / name / "program.net"
        program.parent.mkdir(parents=True)
        program.write_bytes(b"")
    planned = dry_run(checkout, "config/challenge_test.yaml")
    assert "train" not in planned
    assert {rule: planned[rule] for rule in ("mix_render", "mix_gather", "deploy", "cost", "score")} == {
        "mix_render": 12_000 // 250,
        "mix_gather": 1,
        "deploy": 6,
        "cost": 6,
        "score": 7,
    }
