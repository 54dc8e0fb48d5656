"""The recipe of the shipped models, shortened to seconds: fresh mixtures, pruning, rounding, integers."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from ndns import models
from ndns.config import study_from
from ndns.loihi2.denoiser import Denoiser
from ndns.metrics.si_snr import si_snr
from ndns.quantize.checkpoint import quantize_checkpoint
from ndns.quantize.parent import denoise
from ndns.train.fresh import FreshClips
from ndns.train.run import train
from ndns.validation import load_yaml

RECIPE = Path(__file__).parents[2] / "config" / "reference_cpu.yaml"
SHORT = {"epochs": 4, "fresh": {"clips": 40, "seconds": 1.0, "families": ["pink"]}}


@pytest.fixture(scope="module")
def shortened(mix, corpora, tmp_path_factory):
    """Function from a model's name to its settings and its trained checkpoint."""
    config = load_yaml(RECIPE)
    for settings in config["models"].values():
        if settings.get("network", {}).get("kind") == "s5":
            settings["network"]["width"] = 0.25
            settings["train"] = settings["train"] | SHORT
    study = study_from(config, [RECIPE])

    @lru_cache
    def trained(name):
        model = study.models[name]
        initial = model.initial and trained(model.initial)[1]
        out = tmp_path_factory.mktemp(name)
        train(model, 1, corpora, mix / "val.csv", out, initial=initial)
        return model, out / "checkpoint.safetensors"

    return trained


@pytest.mark.parametrize("name", ["s5_dense_l", "s5_dense_m", "s5_sparse_m", "s5_sparse_s"])
def test_shortened_recipe_ends_in_integers_that_denoise(name, corpora, shortened):
    model, checkpoint = shortened(name)
    network = models.load(checkpoint).eval()
    program = quantize_checkpoint(checkpoint)
    if model.network.sparsity:
        weights = network.prunable()
        kept = sum(int((network.sparsifier.masked(part, weights[part]) != 0).sum()) for part in weights)
        share = kept / sum(weight.numel() for weight in weights.values())
        assert share == pytest.approx(model.network.sparsity.density, rel=0.1)
    gains = {"float": [], "integer": []}
    unheard = FreshClips(model.train.fresh, 2, corpora)
    for noisy, clean in (tuple(map(np.asarray, unheard[0, index])) for index in range(12)):
        for kind, out in (("float", denoise(network, noisy)), ("integer", Denoiser(program).denoise(noisy))):
            gains[kind].append(float(si_snr(out, clean)) - float(si_snr(noisy, clean)))
    assert np.mean(gains["integer"]) > 1
    assert np.mean(gains["integer"]) == pytest.approx(np.mean(gains["float"]), abs=0.3)
