"""Fresh mixtures: the SNR is true, nothing of the validation split is heard, and draws depend on their place alone."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import scipy.signal
import torch
from torch.utils.data import DataLoader
from typer.testing import CliRunner

from ndns import models
from ndns.audio.io import write_pcm16
from ndns.cli import build
from ndns.config import TrainedModel
from ndns.config_train import Fresh
from ndns.errors import UserError
from ndns.mixing.draw import SILENCE, Segment
from ndns.train.bank import load_bank
from ndns.train.data import EpochOrder
from ndns.train.fresh import KNOTS_HZ, MARGIN, FreshClips, Part, Recipe, Room
from ndns.train.run import train

from .conftest import write_corpus

SETTINGS = Fresh(clips=6, seconds=1.0, families=["pink", "hum", "typing", "babble", "switched"], room_share=0.3)


@pytest.fixture(scope="module")
def clips(corpora):
    return FreshClips(SETTINGS, 5, corpora)


def active_snr(clean, noise):
    """Over the 20 ms frames within 15.9 dB of the level of active speech, the largest set of them by counting."""
    frames = len(clean) // 320
    power, other = ((x[: frames * 320].astype(float) ** 2).reshape(frames, 320).mean(1) for x in (clean, noise))
    order = np.sort(power)[::-1]
    means = np.cumsum(order) / np.arange(1, frames + 1)
    count = max(n for n in range(1, frames + 1) if order[n - 1] >= means[n - 1] * 10**-1.59)
    active = power >= order[count - 1]
    return 10 * np.log10(power[active].mean() / other[active].mean())


def test_snr_and_level_are_those_that_were_drawn(clips):
    for index in range(12):
        recipe = clips.draw(3, index)
        noisy, clean = clips.render(recipe)
        assert noisy.dtype == clean.dtype == np.float32
        assert len(noisy) == len(clean) == 16_000
        assert active_snr(clean, noisy - clean) == pytest.approx(recipe.snr_db, abs=0.01)
        peak = max(np.abs(noisy).max(), np.abs(clean).max())
        level = 20 * np.log10(np.sqrt(np.mean(noisy.astype(float) ** 2)))
        assert peak == pytest.approx(0.99, abs=1e-5) or level == pytest.approx(recipe.level_dbfs, abs=0.01)


def test_nothing_of_the_validation_split_is_drawn(clips):
    drawn = set()
    for index in range(300):
        recipe = clips.draw(0, index)
        drawn |= {segment.path for part in (recipe.speech, *recipe.noises) for segment in part.segments}
    kinds = {path.split("/")[1] for path in drawn - {SILENCE} if path.startswith("generated/")}
    assert kinds == {"pink", "hum", "babble", "switched"}, "typing is a noise of the validation split"
    recorded = {path for path in drawn - {SILENCE} if not path.startswith("generated/")}
    voices = {f"0/train/speech/voice{index}.flac" for index in range(3)}
    assert recorded == voices | {"0/train/noise/hiss0.flac", "0/train/noise/hiss1.flac", "1/train/speech/other.flac"}
    assert set(clips.bank.samples) >= drawn - {SILENCE}
    assert not any("hidden" in path or "copy" in path or "typing" in path for path in clips.bank.samples)


def test_noise_of_further_corpora_is_heard_where_the_study_has_none(corpora, tmp_path):
    tone = np.sin(np.arange(16_000) / 9) / 2
    own = write_corpus(tmp_path / "own", {"train/speech/a.flac": tone})
    more = write_corpus(tmp_path / "more", {"train/noise/rain.flac": tone})
    for share, expected in ((0.0, 0), (0.3, 90), (1.0, 300)):
        mixtures = FreshClips(Fresh(families=["pink"], generated_share=share, two_noises=0.0), 1, [own, more])
        drawn = [mixtures.draw(0, index).noises[0].segments[0].path for index in range(300)]
        assert sum(path.startswith("generated/") for path in drawn) == pytest.approx(expected, abs=25)
        assert {path for path in drawn if not path.startswith("generated/")} <= {"1/train/noise/rain.flac"}


def test_every_epoch_and_place_differs_and_repeats(clips, corpora):
    again = FreshClips(SETTINGS, 5, corpora)
    seen = {}
    for place in ((0, 0), (0, 1), (1, 0), (1, 1)):
        noisy, clean = clips[place]
        assert torch.equal(noisy, again[place][0])
        assert torch.equal(clean, again[place][1])
        seen[place] = noisy
    for place, noisy in seen.items():
        assert sum(torch.equal(noisy, other) for other in seen.values()) == 1, place
    assert not torch.equal(FreshClips(SETTINGS, 6, corpora)[0, 0][0], seen[0, 0])


def test_workers_change_nothing(clips):
    def epoch(workers):
        order = EpochOrder(len(clips), 5)
        order.set_epoch(2)
        return [noisy for noisy, _ in DataLoader(clips, batch_size=2, sampler=order, num_workers=workers)]

    alone, shared = epoch(0), epoch(2)
    assert len(alone) == 3
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def plain(clips, **changes):
    """A mixture of one voice with faint noise at its own speed, unfiltered: changes show in the clean clip."""
    length = clips._padded
    flat = (0.0,) * len(KNOTS_HZ)
    voice = Segment("1/train/speech/other.flac", 0, length)
    hiss = Segment("0/train/noise/hiss1.flac", 0, length)
    return dataclasses.replace(Recipe(Part((voice,), flat), (Part((hiss,), flat),), None, 20.0, -30.0), **changes)


def test_a_plain_part_is_the_recording(clips):
    _, clean = clips.render(plain(clips))
    source = clips.bank.samples["1/train/speech/other.flac"][MARGIN : MARGIN + 16_000].astype(float)
    assert np.corrcoef(clean, source)[0, 1] > 0.9999


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_moves_the_pitch(clips, speed):
    length = round(clips._padded * speed)
    part = Part((Segment("1/train/speech/other.flac", 0, length),), (0.0,) * len(KNOTS_HZ))
    _, clean = clips.render(plain(clips, speech=part))
    frequency, power = scipy.signal.periodogram(clean, 16_000)
    assert frequency[power.argmax()] == pytest.approx(333 * speed, abs=2)


def test_filters_have_their_gains(clips):
    gains = (0.0, 0.0, 0.0, 0.0, 10.0, -10.0)
    hiss = plain(clips).noises[0].segments
    noisy = [np.subtract(*clips.render(plain(clips, noises=(Part(hiss, g),)))) for g in ((0.0,) * 6, gains)]
    frequency, before = scipy.signal.welch(noisy[0], 16_000)
    _, after = scipy.signal.welch(noisy[1], 16_000)
    ratio = 10 * np.log10(after / before)
    at = [np.interp(f, frequency, ratio) for f in (500, 2500, 7800)]
    assert at[1] - at[0] == pytest.approx(10, abs=1.5)
    assert at[2] - at[0] == pytest.approx(-9.6, abs=1.5)


def test_a_room_adds_what_it_says(clips):
    _, dry = clips.render(plain(clips, level_dbfs=-40.0))
    _, wet = clips.render(plain(clips, level_dbfs=-40.0, room=Room(0.3, 6.0, 1)))
    share = np.dot(wet, dry) / np.dot(dry, dry)
    rest = wet - share * dry
    assert -12 < 10 * np.log10(np.mean(rest**2) / np.mean((share * dry) ** 2)) < -2


def settings(**fresh):
    section = SETTINGS.model_dump() | {"clips": 4, "seconds": 0.6, "families": ["pink"]} | fresh
    return TrainedModel(network={"hidden": 24}, train={"epochs": 4, "batch": 2, "threads": 1, "fresh": section})


def test_an_interrupted_run_hears_the_same(mix, corpora, tmp_path, power_cut):
    def run(name, **changes):
        model = settings()
        model = model.model_copy(update={"train": model.train.model_copy(update=changes)})
        train(model, 1, corpora, mix / "val.csv", tmp_path / name)
        return models.load(tmp_path / name / "checkpoint.safetensors").state_dict()

    whole = run("whole")
    with power_cut():
        run("cut")
    cut = run("cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    assert (tmp_path / "whole/history.csv").read_bytes() == (tmp_path / "cut/history.csv").read_bytes()


def test_what_does_not_fit_is_named(mix, corpora, tmp_path):
    with pytest.raises(UserError, match=r"families: unknown noise 'rain'; choose from white"):
        FreshClips(Fresh(families=["rain"]), 1, corpora)
    for families in (["switched"], ["pink", "babble", "switched", "typing"]):  # val has typing
        with pytest.raises(UserError, match=r"families: 'switched' needs two others besides babble that .*; add some"):
            FreshClips(Fresh(families=families), 1, corpora)
    with pytest.raises(UserError, match=r"manifest\.csv: has no noise for train"):
        FreshClips(
            Fresh(generated_share=0.0), 1, [write_corpus(tmp_path, {"train/speech/a.flac": np.ones(16_000) / 2})]
        )
    with pytest.raises(ValueError, match="crop_seconds crops rendered mixtures"):
        TrainedModel(train={"crop_seconds": 1.0, "fresh": {}})
    common = ["--seed", "1", "--val-mix", str(mix / "val.csv"), "--out", str(tmp_path)]
    for model, source, match in (
        (settings(), ["--train-mix", str(mix / "train.csv")], "with train.fresh give --corpus and no --train-mix"),
        (TrainedModel(), ["--corpus", str(corpora[0])], "give --train-mix; --corpus belongs to train.fresh"),
    ):
        arguments = ["train", "--settings", json.dumps(model.model_dump(mode="json")), *common, *source]
        with pytest.raises(UserError, match=match):
            CliRunner().invoke(build(), arguments, catch_exceptions=False, standalone_mode=False)


@pytest.mark.parametrize("samples", [800, 30_000])
def test_a_recording_that_changed_since_the_corpus_was_made_is_named(corpora, tmp_path, samples):
    folder = shutil.copytree(corpora[0].parent, tmp_path / "corpus")
    (folder / "manifest.json").write_text(json.dumps({"root": str(folder), "kind": "folder"}))
    FreshClips(Fresh(families=[]), 1, [folder / "manifest.csv"])
    write_pcm16(folder / "train/noise/hiss0.flac", np.zeros(samples, np.int16))
    with pytest.raises(UserError, match=r"hiss0\.flac: its length is not what the corpus manifest says"):
        FreshClips(Fresh(families=[]), 1, [folder / "manifest.csv"])


def test_hours_limit_what_is_held(corpora):
    everything = FreshClips(SETTINGS, 1, corpora).bank
    some = FreshClips(SETTINGS.model_copy(update={"hours": 2 / 3600}), 1, corpora).bank
    seconds = [sum(r.samples for group in bank.own.speech for r in group) / 16_000 for bank in (everything, some)]
    assert seconds[0] == pytest.approx(5.4, abs=0.01)
    assert 0 < seconds[1] <= 2


def test_a_recording_that_is_too_long_for_the_hours_costs_no_others(tmp_path):
    tone = np.sin(np.arange(16_000) / 9) / 2
    names = ("train/speech/a.flac", "train/noise/short.flac")
    manifest = write_corpus(tmp_path, {**dict.fromkeys(names, tone), "train/noise/long.flac": np.tile(tone, 3)})
    for seed in range(6):
        bank = load_bank(Fresh(generated_share=0.0, hours=2 / 3600), seed, [manifest])
        assert [group[0].label for group in bank.own.noise] == ["short"]
