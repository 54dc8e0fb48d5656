"""Snakemake sees the lists of `mix.method: released`, whose order decides the plan."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
REPOSITORY = Path(__file__).parents[2]
STUDY = """
study: r
corpus: {kind: folder, name: r, root: here}
mix: {method: released, released: {speech_list: speech.txt, noise_list: noise.txt}}
models: {sdnn: {seeds: [1]}}
"""


def test_the_plan_depends_on_the_lists(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--dry-run"]
    here = ["--directory", str(tmp_path), "--configfile", str(tmp_path / "study.yaml"), "--cores", "1"]
    done = subprocess.run([*command, *here, "results/r/mix/plan.csv"], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    missing = (done.stdout + done.stderr).split("Missing input files for rule mix_plan")[1].split()
    assert {"speech.txt", "noise.txt"} <= set(missing)
