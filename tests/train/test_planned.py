"""Training from a plan: the samples of the stored mixtures, and the same weights, without storing them."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from ndns.audio.io import RATE, pcm_sha256
from ndns.cli import build
from ndns.config import Mix, TrainedModel
from ndns.errors import UserError
from ndns.files import read_csv
from ndns.mix.plan import write_plan
from ndns.mix.render import Job, gather, render_shards
from ndns.mixing.corpus import read_corpus
from ndns.train.data import Clips
from ndns.train.planned import PlannedClips

MIX = Mix(seed=5, train_clips=6, val_clips=2, seconds=1.0, shard_clips=4)


@pytest.fixture(scope="module")
def stored(corpora, tmp_path_factory):
    """Folder with plan.csv, and both splits rendered from it."""
    folder = tmp_path_factory.mktemp("stored")
    write_plan(MIX, read_corpus(corpora[0]), folder / "plan.csv")
    for split in ("train", "val"):
        render_shards(Job(MIX, folder / "plan.csv", corpora[0], split, folder / split))
        gather([folder / split / f"{shard}.csv" for shard in MIX.shards(split)], folder / f"{split}.csv")
    return folder


@pytest.mark.parametrize("crop", [None, RATE // 2])
def test_items_are_the_samples_of_the_stored_clips(stored, corpora, crop):
    read = Clips(stored / "train.csv", crop, seed=9)
    made = PlannedClips(MIX, stored / "plan.csv", corpora[0], crop, seed=9)
    assert len(made) == len(read) == 6
    items = [(epoch, index) for epoch in (0, 3) for index in (4, 0, 5)]
    for item, (noisy, clean) in zip(items, DataLoader(made, None, sampler=items, num_workers=2), strict=True):
        assert np.array_equal(noisy, read[item][0])
        assert np.array_equal(clean, read[item][1])
        assert float(clean.std()) > 1e-3


def test_hashes_are_those_of_the_manifest(stored, corpora):
    made = PlannedClips(MIX, stored / "plan.csv", corpora[0])
    for index, row in enumerate(read_csv(stored / "train.csv")):
        for stream, signal in zip(("noisy", "clean"), made[0, index], strict=True):
            assert pcm_sha256((signal.numpy() * 32768).astype(np.int16)) == row[f"{stream}_sha256"]


def test_the_command_gives_the_weights_that_stored_clips_give(stored, corpora, tmp_path):
    network, train = {"hidden": 8}, {"epochs": 2, "batch": 3, "threads": 1, "crop_seconds": 0.5}
    plan = ["--plan", str(stored / "plan.csv"), "--mix", MIX.model_dump_json(), "--corpus", str(corpora[0])]
    sources = {"mixtures": ["--train-mix", str(stored / "train.csv")], "plan": plan}
    weights = {}
    for source, options in sources.items():
        model = TrainedModel(network=network, train={**train, "source": source})
        common = ["--settings", model.model_dump_json(), "--seed", "1", "--val-mix", str(stored / "val.csv")]
        result = CliRunner().invoke(build(), ["train", *common, *options, "--out", str(tmp_path / source)])
        assert result.exit_code == 0, result.output
        weights[source] = load_file(tmp_path / source / "checkpoint.safetensors")
    for name, values in weights["mixtures"].items():
        assert np.array_equal(values, weights["plan"][name]), name


def test_what_does_not_fit_is_refused(stored, corpora):
    with pytest.raises(UserError, match="other settings"):
        PlannedClips(MIX.model_copy(update={"seed": 6}), stored / "plan.csv", corpora[0])[0, 0]
    with pytest.raises(UserError, match=r"train.crop_seconds: 2 s is longer than the clips of .*plan.csv \(1 s\)"):
        PlannedClips(MIX, stored / "plan.csv", corpora[0], 2 * RATE)
    with pytest.raises(ValueError, match="fresh draws mixtures of its own"):
        TrainedModel(train={"source": "plan", "fresh": {}})
