"""Batches mixed by torch are the mixtures that NumPy makes of the same draws, one at a time."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ndns import models
from ndns.config import TrainedModel
from ndns.config_train import Fresh
from ndns.files import read_csv
from ndns.mixing.draw import SILENCE, Segment
from ndns.train.batch_mix import FreshRecipes, pack
from ndns.train.fresh import KNOTS_HZ, FreshClips, Part, Room
from ndns.train.run import train

SETTINGS = Fresh(
    clips=6,
    seconds=1.0,
    speed=0.2,
    noise_speed=0.4,
    two_noises=0.4,
    families=["pink", "hum", "babble", "switched"],
    mixed_on="device",
)


@pytest.fixture(scope="module")
def recipes(corpora):
    return FreshRecipes(FreshClips(SETTINGS, 5, corpora))


def error_db(made, expected):
    return 20 * np.log10(np.linalg.norm(made - expected) / np.linalg.norm(expected))


def test_mixtures_are_those_of_numpy(recipes, corpora):
    clips = FreshClips(SETTINGS, 5, corpora)
    drawn = [recipes[2, index] for index in range(24)]
    noisy, clean = recipes.mixer()(recipes.collate(drawn))
    errors = []
    for index, recipe in enumerate(drawn):
        expected = clips.render(recipe)
        assert expected is not None
        errors.append([error_db(made[index].numpy(), pcm) for made, pcm in zip((noisy, clean), expected, strict=True)])
    assert {len(recipe.noises) for recipe in drawn} == {1, 2}
    assert np.max(errors) < -30
    assert np.median(errors) < -46


def test_a_batch_does_not_depend_on_its_other_recipes(recipes):
    mixer, drawn = recipes.mixer(), [recipes[0, index] for index in range(6)]
    whole = mixer(recipes.collate(drawn))
    for index, recipe in enumerate(drawn):
        alone = mixer(recipes.collate([recipe]))
        assert error_db(alone[0][0].numpy(), whole[0][index].numpy()) < -100


def test_silence_gives_the_neighbours_mixture(recipes):
    drawn = [recipes[0, index] for index in range(4)]
    silent = Part((Segment(SILENCE, 0, recipes.mixer().padded),), (0.0,) * len(KNOTS_HZ))
    drawn[0] = dataclasses.replace(drawn[0], speech=silent)
    drawn[2] = dataclasses.replace(drawn[2], noises=(silent,))
    noisy, clean = recipes.mixer()(recipes.collate(drawn))
    assert torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy[2], noisy[1])
    assert torch.equal(clean[2], clean[1])
    assert not torch.equal(noisy[3], noisy[1])
    assert torch.isfinite(noisy).all()


def test_a_room_adds_what_it_says(corpora):
    recipes = FreshRecipes(FreshClips(SETTINGS.model_copy(update={"room_share": 0.5}), 5, corpora))
    mixer = recipes.mixer()
    dry = [dataclasses.replace(recipes[0, index], room=None, level_dbfs=-40.0) for index in range(4)]
    wet = [dataclasses.replace(recipe, room=Room(0.3, 6.0, 1)) for recipe in dry]
    (_, before), (_, after) = mixer(recipes.collate(dry)), mixer(recipes.collate(wet))
    share = (before * after).sum(1, keepdim=True) / (before * before).sum(1, keepdim=True)
    ratio = (after - share * before).square().mean(1) / (share * before).square().mean(1)
    assert -12 < 10 * ratio.mean().log10() < -2


def test_what_is_packed_leads_to_the_samples(recipes):
    recipe = recipes[1, 3]
    bank = recipes._clips.bank
    packed = pack([recipe], recipes._begins)
    joined = recipes.mixer()._joined(packed)
    for row, part in zip(joined, (recipe.speech, *recipe.noises), strict=True):
        expected = bank.join(part.segments)
        assert np.array_equal(row[: len(expected)].numpy(), expected)
        assert not row[len(expected) :].any()


def test_an_interrupted_run_hears_the_same(mix, corpora, tmp_path, power_cut):
    section = SETTINGS.model_dump() | {"clips": 4, "seconds": 0.6, "families": ["pink"]}

    def run(name, workers=0):
        options = {"epochs": 3, "batch": 2, "threads": 1, "workers": workers, "graph": True, "tf32": True}
        model = TrainedModel(network={"hidden": 24}, train=options | {"fresh": section})
        train(model, 1, corpora, mix / "val.csv", tmp_path / name)
        return models.load(tmp_path / name / "checkpoint.safetensors").state_dict()

    whole = run("whole")
    with power_cut():
        run("cut")
    for other in (run("cut"), run("workers", workers=2)):
        assert all(torch.equal(whole[name], other[name]) for name in whole)


def test_two_processes_hear_what_one_hears(mix, corpora, tmp_path):
    section = SETTINGS.model_dump() | {"clips": 8, "families": ["pink"]}
    for name, shared in (("alone", {}), ("shared", {"devices": 2, "strategy": "ddp"})):
        options = {"epochs": 2, "batch": 4, "threads": 1, "fresh": section} | shared
        model = TrainedModel(network={"hidden": 24}, train=options)
        line = [str(Path(sys.executable).with_name("ndns")), "train", "--settings", model.model_dump_json()]
        line += ["--seed", "1", "--val-mix", str(mix / "val.csv"), "--out", str(tmp_path / name)]
        line += [word for manifest in corpora for word in ("--corpus", str(manifest))]
        subprocess.run(line, check=True, timeout=240)
    pairs = zip(*(read_csv(tmp_path / name / "history.csv") for name in ("alone", "shared")), strict=True)
    for one, two in pairs:
        for column in one:
            assert float(one[column]) == pytest.approx(float(two[column]), rel=1e-5), column
