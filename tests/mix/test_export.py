"""Exported folders, read as the challenge's loader reads them."""

import glob
import os
import re

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import write_csv
from ndns.mix.cli import app
from ndns.mix.export import export, names
from ndns.mix.plan import write_plan
from ndns.mix.render import Job, gather, render_shards
from ndns.mixing.corpus import read_corpus

from .measure import measured, read_flac, rows_of

MIX = Mix(seed=3, train_clips=5, val_clips=1, seconds=2.0, shard_clips=2)


@pytest.fixture(scope="module")
def mixed(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    write_plan(MIX, read_corpus(corpus.manifest), folder / "plan.csv")
    render_shards(Job(MIX, folder / "plan.csv", corpus.manifest, "train", folder / "train"))
    gather([folder / "train" / f"{shard}.csv" for shard in MIX.shards("train")], folder / "train.csv")
    return folder


def loaded(root):
    """What `DNSAudio` finds in `root`: number -> noisy, clean, noise, SNR, level."""
    found = {}
    for noisy in glob.glob(root + "noisy/**.wav"):
        name = noisy.split(os.sep)[-1]
        number, snr, level = (int(re.findall(key + r"(-?\d+)", name)[0]) for key in ("fileid_", "snr", "tl"))
        paths = noisy, f"{root}clean/clean_fileid_{number}.wav", f"{root}noise/noise_fileid_{number}.wav"
        audio = [soundfile.read(path) for path in paths]
        assert {rate for _, rate in audio} == {16_000}
        found[number] = (*(samples for samples, _ in audio), snr, level)
    return found


def test_the_challenge_loader_reads_the_samples_and_their_labels(mixed, tmp_path):
    call = ["export", "--mix", str(mixed / "train.csv"), "--out", str(tmp_path / "out"), "--jobs", "2"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    found, rows = loaded(f"{tmp_path}/out/"), rows_of(mixed / "train.csv")
    assert sorted(found) == list(range(5))
    for number, row in enumerate(rows):
        *signals, snr, level = found[number]
        for stream, signal in zip(("noisy", "clean", "noise"), signals, strict=True):
            assert np.array_equal(signal * 32768, read_flac(mixed / row[stream])[0])
        snr_db, level_dbfs, _ = measured(mixed, row)
        assert abs(snr - snr_db) < 0.6
        assert abs(level - level_dbfs) < 0.6
    kinds = {path.parent.name for path in (tmp_path / "out").rglob("*.wav")}
    assert kinds == {"noisy", "clean", "noise"}
    assert len(list((tmp_path / "out").rglob("*.*"))) == 15


def test_a_label_cannot_pass_for_snr_level_or_number(mixed):
    row = {**rows_of(mixed / "train.csv")[0], "speaker": "tl9 snr7", "noise_label": "x/fileid_3"}
    noisy = names(row)["noisy"].split("/", 1)[1]
    assert int(re.findall(r"snr(-?\d+)", noisy)[0]) == round(float(row["snr_db"]))
    assert int(re.findall(r"tl(-?\d+)", noisy)[0]) == round(float(row["level_dbfs"]))
    assert int(re.findall(r"fileid_(\d+)", noisy)[0]) == 0


@pytest.mark.parametrize(
    ("key", "value"), [("clip", "seven"), ("clip", "train_x"), ("snr_db", ""), ("level_dbfs", "?")]
)
def test_a_broken_row_is_named_and_nothing_is_written(mixed, tmp_path, key, value):
    rows = rows_of(mixed / "train.csv")
    rows[3][key] = value
    write_csv(tmp_path / "broken.csv", rows, list(rows[0]))
    with pytest.raises(UserError, match=rf"broken\.csv: the row of '{rows[3]['clip']}' is broken"):
        export(tmp_path / "broken.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_long_labels_give_names_that_a_disk_takes(mixed, tmp_path):
    rows = [{**row, "speaker": "я" * 200, "noise_label": "ж" * 200} for row in rows_of(mixed / "train.csv")]
    for row in rows:
        row.update({stream: str(mixed / row[stream]) for stream in ("noisy", "clean", "noise")})
    write_csv(tmp_path / "long.csv", rows, list(rows[0]))
    assert export(tmp_path / "long.csv", tmp_path / "out") == 5
    assert sorted(loaded(f"{tmp_path}/out/")) == list(range(5))


def test_released_names_stay_as_the_script_gives_them():
    row = {"clip": "train_00012", "name": "a_b_snr3_tl-20_fileid_12.wav"}
    assert names(row) == {
        "noisy": "noisy/a_b_snr3_tl-20_fileid_12.wav",
        "clean": "clean/clean_fileid_12.wav",
        "noise": "noise/noise_fileid_12.wav",
    }


def test_foreign_files_are_refused_and_an_export_can_be_repeated(mixed, tmp_path):
    assert export(mixed / "train.csv", tmp_path) == 5
    assert export(mixed / "train.csv", tmp_path) == 5
    other = tmp_path / "noisy" / "other_snr1_tl-20_fileid_99.wav"
    other.write_bytes(b"")
    with pytest.raises(UserError, match=r"fileid_99.wav: is none of the clips"):
        export(mixed / "train.csv", tmp_path)
