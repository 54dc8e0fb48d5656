"""The shipped programs do on the mixtures of their cards what the cards print: gain, operations, quality."""

import subprocess
import sys
from functools import cache, partial

import numpy as np
import pytest

from ndns import models
from ndns.audio.io import RATE, limit_to_pcm16, read_pcm16
from ndns.config import Score, study_from
from ndns.deploy.clips import denoise_clip
from ndns.files import read_csv, sha256_file
from ndns.loihi2 import netx
from ndns.loihi2.denoiser import framing
from ndns.metrics.si_snr import si_snr_improvement
from ndns.quantize.imported import import_network
from ndns.score.clip import measure
from ndns.use import registry
from ndns.validation import load_yaml

from .cards import QUALITY, REPOSITORY, figures

NAMES = [entry.name for entry in registry.entries()]


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


@pytest.fixture(scope="module")
def heard(clone, mixtures):
    """From a shipped model's name to its program, and its output and activity for each mixture."""

    @cache
    def hear(name):
        program = netx.read(clone / "reference/models" / name / "program.net")
        answers = [denoise_clip(program, noisy, "engine", "lava-0.10") for noisy, _ in mixtures]
        outputs = [limit_to_pcm16(output)[0] / 32768 for output, _ in answers]
        return program, outputs, [activity for _, activity in answers]

    return hear


@pytest.fixture(scope="module")
def printed(clone):
    """From a shipped model's name to the figures of its card, of the same commit as its program."""
    return partial(figures, folder=clone / "docs/models")


@pytest.mark.parametrize("name", NAMES)
def test_gain_on_the_validation_mixtures_is_the_cards(name, heard, printed, mixtures):
    _, outputs, _ = heard(name)
    gains = [si_snr_improvement(output, *pair) for output, pair in zip(outputs, mixtures, strict=True)]
    assert len(gains) == 60
    assert np.mean(gains) == pytest.approx(float(printed(name)["gain"]), abs=0.006)


@pytest.mark.parametrize("name", NAMES)
def test_operations_on_the_validation_mixtures_are_the_cards(name, heard, printed):
    program, _, activities = heard(name)
    steps = sum(activity.synops_per_step.shape[1] for activity in activities)
    synops = sum(int(activity.synops_per_step.sum()) for activity in activities) / steps
    neurons = sum(layer.neurons for layer in program.layers)
    counted = float(printed(name)["counted"])
    assert (synops + 10 * neurons) * RATE / framing(program).hop / 1e6 == pytest.approx(counted, rel=0.003)


def test_quality_of_the_default_model_is_the_cards(heard, printed, mixtures):
    default = NAMES[0]
    outputs = heard(default)[1]
    rows = [measure(output, clean, noisy, Score()) for output, (noisy, clean) in zip(outputs, mixtures, strict=True)]
    for metric in QUALITY:
        value = float(printed(default)[metric])
        assert np.mean([row[metric] for row in rows]) == pytest.approx(value, abs=0.006), metric


def test_the_study_that_trains_a_shipped_network_on_begins_with_it_as_it_is(clone, tmp_path):
    entry, study = registry.entries()[0], study_from(load_yaml(REPOSITORY / "config" / "adapt.yaml"))
    shipped, adapted = study.models["shipped"], study.models["adapted"]
    assert shipped.weights == str(entry.checkpoint.path)
    assert (shipped.sha256, adapted.initial) == (entry.checkpoint.sha256, "shipped")
    checkpoint = clone / shipped.weights
    learned = models.load(checkpoint).settings
    assert learned.model_copy(update={"qat": adapted.network.qat}) == adapted.network
    netx.write(tmp_path / "program.net", import_network(checkpoint, shipped.sha256))
    assert sha256_file(tmp_path / "program.net") == entry.program.sha256
