"""The shipped programs on the mixtures on which their cards were written have the gains that the cards print."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ndns.audio.io import read_pcm16
from ndns.deploy.clips import denoise_clip
from ndns.files import read_csv
from ndns.loihi2 import netx
from ndns.metrics.si_snr import si_snr_improvement
from ndns.use import registry

REPOSITORY = Path(__file__).parents[2]
GAIN = re.compile(r"^\| SI-SNR, dB \|.*\| ([+-]\d+\.\d\d) \[[^|]*\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def clone(bare, shared_data, tmp_path_factory):
    """A clone with the restored models and the validation mixtures of the study `reference_cpu`."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("the shipped models are restored into a clone, and this folder is no git repository")
    checkout = type(bare)(tmp_path_factory.mktemp("reference") / "clone")
    subprocess.run(["git", "clone", "-q", REPOSITORY, checkout.folder], check=True)
    root = f"corpus_root={shared_data / 'speech_noise_mini'}"
    mix = [*("--configfile", "config/reference_cpu.yaml", "--config", root), "--", "results/reference_cpu/mix/val.csv"]
    for result in (
        checkout.ndns("restore"),
        checkout.run([sys.executable, "-m", "snakemake", "--cores", "2", *mix]),
    ):
        assert result.returncode == 0, result.stdout + result.stderr
    return checkout.folder


@pytest.fixture(scope="module")
def mixtures(clone):
    """Noisy and clean `(samples,)` of each of the mixtures."""
    manifest = clone / "results/reference_cpu/mix/val.csv"
    rows = read_csv(manifest, ("noisy", "clean"))
    return [[read_pcm16(manifest.parent / row[part]) / 32768 for part in ("noisy", "clean")] for row in rows]


@pytest.mark.parametrize("name", [entry.name for entry in registry.entries()])
def test_gain_on_the_validation_mixtures_is_the_cards(name, clone, mixtures):
    program = netx.read(clone / "reference/models" / name / "program.net")
    gains = [
        si_snr_improvement(denoise_clip(program, noisy, "engine", "lava-0.10")[0], noisy, clean)
        for noisy, clean in mixtures
    ]
    assert len(gains) == 60
    printed = GAIN.search((clone / "docs/models" / f"{name}.md").read_text())
    assert np.mean(gains) == pytest.approx(float(printed[1]), abs=0.006)
