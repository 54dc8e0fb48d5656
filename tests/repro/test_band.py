"""The band of seeds: its arithmetic against a simulation, and what lies outside of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ndns.errors import UserError
from ndns.verify.band import Band, band_problem, recorded_values, settings_key, spread, value_of, write_bands
from ndns.verify.claims import load_claims
from ndns.verify.run import Inquiry, _judge, begin
from ndns.verify.targets import resolve
from ndns.workflow import plan

BAND = Band(column="val_si_snr")


def study(seeds, **network):
    return plan({"study": "s", "models": {"sdnn": {"seeds": seeds, "network": {"hidden": 32, **network}}}})


def history(root, seed, best):
    folder = root / "results" / "s" / "train" / f"sdnn-seed{seed}"
    folder.mkdir(parents=True)
    (folder / "history.csv").write_text(f"epoch,val_si_snr\n1,{best - 1}\n2,{best}\n3,{best - 0.5}\n")
    return folder


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_the_band_holds_one_more_seed_95_times_in_100(seeds):
    draws = np.random.default_rng(1).normal(7.0, 0.3, (4000, seeds + 1))
    inside = [row[-1] in spread(list(row[:-1])) for row in draws.tolist()]
    assert 0.94 < np.mean(inside) < 0.96


def test_fewer_than_three_seeds_are_no_band(tmp_path):
    with pytest.raises(ValueError, match="2 seeds; a band needs 3"):
        spread([1.0, 2.0])
    problem = band_problem(history(tmp_path, 1, 7.0), {2: 7.0, 3: 7.1}, BAND)
    assert "a band needs 3 other seeds with these settings, 2 are recorded" in problem


def test_a_value_outside_is_named(tmp_path):
    others = {2: 7.0, 3: 7.1, 4: 6.9}
    assert band_problem(history(tmp_path, 1, 7.05), others, BAND) == ""
    problem = band_problem(history(tmp_path, 5, 4.0), others, BAND)
    assert problem == "max val_si_snr is 4.0000, outside of the band 6.5032..7.4968 from 3 seeds"


def test_values_come_from_the_checkout_and_from_the_table(tmp_path):
    (tmp_path / "config").mkdir()
    for seed, best in ((1, 7.0), (2, 7.1), (3, 6.9)):
        history(tmp_path, seed, best)
    assert recorded_values(tmp_path, study([1, 2, 3]), "sdnn-seed1", BAND) == {2: 7.1, 3: 6.9}
    assert write_bands(tmp_path, study([1, 2, 3]), BAND) == 3
    before = (tmp_path / "config" / "bands.csv").read_bytes()
    assert write_bands(tmp_path, study([3, 2, 1]), BAND) == 3
    assert (tmp_path / "config" / "bands.csv").read_bytes() == before
    assert recorded_values(tmp_path, study([1]), "sdnn-seed1", BAND) == {2: 7.1, 3: 6.9}
    assert recorded_values(tmp_path, study([1], threshold=0.2), "sdnn-seed1", BAND) == {}, "other settings, other band"


def test_what_stands_for_a_run(tmp_path):
    folder = history(tmp_path, 1, 7.0)
    values = [value_of(folder, Band(column="val_si_snr", take=take)) for take in ("max", "min", "last")]
    assert values == [7.0, 6.0, 6.5]
    with pytest.raises(UserError, match="the column 'loss' is missing"):
        value_of(folder, Band(column="loss"))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("epoch,val_si_snr\n", "has no row; restore the file, or train again"),
        ("epoch,val_si_snr\n1,\n", "val_si_snr: '' is not a number"),
        ("epoch,val_si_snr\n1,good\n", "val_si_snr: 'good' is not a number"),
        ("epoch,val_si_snr\n1,7.0\n2,nan\n", "val_si_snr: nan is not a finite number"),
        ("epoch,val_si_snr\n1,inf\n", "val_si_snr: inf is not a finite number"),
        ("epoch,val_si_snr\n1\n", "line 2 has too few cells"),
    ],
)
def test_a_table_without_a_number_is_named(tmp_path, table, says):
    folder = history(tmp_path, 1, 7.0)
    (folder / "history.csv").write_text(table)
    with pytest.raises(UserError, match=rf"history\.csv: {says}"):
        value_of(folder, BAND)


@pytest.mark.parametrize(
    ("written", "spoiled", "says"),
    [
        (",1,val_si_snr", f",{seed},val_si_snr", f"seed: '{seed}' is not a number")
        for seed in ("one", "1.5", "nan", "inf", "")
    ]
    + [(",7.0", f",{value}", f"value: {value} is not a finite number") for value in ("nan", "inf")],
)
def test_a_cell_of_the_table_that_is_no_number_is_named(tmp_path, written, spoiled, says):
    (tmp_path / "config").mkdir()
    history(tmp_path, 1, 7.0)
    write_bands(tmp_path, study([1]), BAND)
    table = tmp_path / "config" / "bands.csv"
    table.write_text(table.read_text().replace(written, spoiled))
    with pytest.raises(UserError, match=rf"bands\.csv: {says}"):
        recorded_values(tmp_path, study([2]), "sdnn-seed2", BAND)


@pytest.mark.parametrize(("recorded", "recomputed", "where"), [(99.0, 7.05, "in the checkout"), (7.05, 4.0, "recomp")])
def test_recorded_and_recomputed_value_lie_in_the_band(tmp_path, recorded, recomputed, where):
    root, scratch = tmp_path / "checkout", tmp_path / "scratch"
    for seed, best in ((1, recorded), (2, 7.0), (3, 7.1), (4, 6.9)):
        history(root, seed, best)
    history(scratch, 1, recomputed)
    claims = load_claims(Path(__file__).parents[2] / "config/claims.yaml")
    path = "results/s/train/sdnn-seed1/history.csv"
    copy = SimpleNamespace(folder=scratch)
    inquiry = Inquiry(root, study([1, 2, 3, 4]), claims, copy, resolve("train", "", "s", "c"), {path: "elsewhere"})
    outcome = _judge(inquiry, begin("s", "train", "train", scratch), path)
    assert not outcome.holds
    assert outcome.differences[0].startswith(where)


def test_the_key_follows_all_settings_but_the_seed():
    assert settings_key(study([1]), "sdnn-seed1") == settings_key(study([5, 6]), "sdnn-seed6")
    assert settings_key(study([1]), "sdnn-seed1") != settings_key(study([1], hidden=33), "sdnn-seed1")


def test_the_key_follows_the_settings_of_the_weights_that_training_began_with():
    def key(parent):
        return settings_key(plan({"study": "s", "models": {"a": parent, "b": {"initial": "a"}}}), "b-seed1")

    checkpoint = {"weights": "a.safetensors", "optional": False}
    assert key({}) == key({"seeds": [1, 2]})
    keys = [key({}), key({"train": {"epochs": 3}}), key(checkpoint), key(checkpoint | {"sha256": "0" * 64})]
    assert len(set(keys)) == 4


def test_the_key_follows_the_further_corpora_that_a_run_hears(tmp_path):
    def key(run="a-seed1", **more):
        corpus = {"kind": "folder", "name": "x", "root": str(tmp_path)} | more
        models = {"a": {"train": {"fresh": {}}}, "b": {}}
        return settings_key(plan({"study": "s", "more": [corpus], "models": models}), run)

    assert key() != key(clipped_share=0.1)
    assert key() != key(root=str(tmp_path / "absent"))
    assert key("b-seed1") == key("b-seed1", clipped_share=0.1), "does not hear them"


def test_the_key_follows_what_cleans_the_speech_that_a_run_hears():
    def key(corpus, **peer):
        more = [{"kind": "cleaned", "name": "x", "by": "p"} | corpus]
        models = {"p": {"peer": "python", "callable": "a:b"} | peer, "a": {"train": {"fresh": {}}}}
        return settings_key(plan({"study": "s", "more": more, "models": models}), "a-seed1")

    assert key({}) == key({})
    assert key({}) != key({"keep": 0.2})
    assert key({}) != key({}, callable="a:c")
