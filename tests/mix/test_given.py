"""Clips in the challenge's folders become the clips of a study, sample for sample."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mix.cli import app
from ndns.mix.given import write_given_plan

from .measure import read_flac, rows_of

MIX = Mix(method="given", val_clips=3, seconds=0.6, shard_clips=2)
SAMPLES = {12: 9600, 3: 11000, 40: 7000, 41: 9600}
"""Number -> length: one clip is longer than 0.6 s, one shorter; the last is not asked for."""


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(4)
    folder = tmp_path / "set" / "deep"
    for number, samples in SAMPLES.items():
        for stream in ("noisy", "clean", "noise"):
            name = f"a_snr-{number % 5}_tl-2{number % 10}_fileid_{number}" if stream == "noisy" else None
            path = folder / stream / f"{name or f'{stream}_fileid_{number}'}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.integers(-32768, 32768, samples).astype(np.int16), 16_000)
    (tmp_path / "manifest.csv").write_text("path,kind\n")
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "folder", "root": str(tmp_path / "set")}))
    return folder


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def test_samples_labels_and_lengths(root, tmp_path):
    common = ["--settings", MIX.model_dump_json(), "--manifest", tmp_path / "manifest.csv"]
    run("plan", *common, "--out", tmp_path / "plan.csv")
    run("render", *common, "--plan", tmp_path / "plan.csv", "--split", "val", "--out", tmp_path / "val")
    shards = [tmp_path / "val" / f"000{number}.csv" for number in (0, 1)]
    run("gather", *shards, "--out", tmp_path / "val.csv")
    rows = rows_of(tmp_path / "val.csv")
    assert [row["clip"] for row in rows] == ["val_00000", "val_00001", "val_00002"]
    for row, number in zip(rows, (3, 12, 40), strict=True):
        assert row["name"] == f"a_snr-{number % 5}_tl-2{number % 10}_fileid_{number}.wav"
        assert (float(row["snr_db"]), float(row["level_dbfs"])) == (-(number % 5), -20 - number % 10)
        for stream in ("noisy", "clean", "noise"):
            name = row["name"] if stream == "noisy" else f"{stream}_fileid_{number}.wav"
            given = soundfile.read(root / stream / name, dtype="int16")[0][:9600]
            taken = read_flac(tmp_path / row[stream])[0]
            assert len(taken) == 9600
            assert np.array_equal(taken[: len(given)], given)
            assert not taken[len(given) :].any()


def test_a_clip_that_would_clip_is_named_and_nothing_is_written(root, tmp_path):
    path = root / "clean" / "clean_fileid_12.wav"
    soundfile.write(path, np.full(11000, 1.0, np.float32), 16_000, subtype="FLOAT")
    common = ["--settings", MIX.model_dump_json(), "--manifest", tmp_path / "manifest.csv"]
    run("plan", *common, "--out", tmp_path / "plan.csv")
    words = ["render", *common, "--plan", tmp_path / "plan.csv", "--split", "val", "--out", tmp_path / "val"]
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert isinstance(found.exception, UserError)
    assert "deep/noisy/a_snr-2_tl-22_fileid_12.wav: a sample is outside [-1, 1)" in str(found.exception)


def test_a_study_of_given_clips_has_no_train(root, tmp_path):
    assert (MIX.clips("train"), MIX.shards("train"), MIX.shards("val")) == (0, [], ["0000", "0001"])
    run("gather", "--out", tmp_path / "train.csv")
    assert rows_of(tmp_path / "train.csv") == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "clean" / "clean_fileid_12.wav").unlink(), r"clean_fileid_12\.wav: no such recording"),
        (lambda root: next((root / "noisy").glob("*_3.wav")).rename(root / "noisy" / "x.wav"), "x.wav: the name lacks"),
        (
            lambda root: next((root / "noisy").glob("*_3.wav")).rename(root / "noisy/b_snr1_tl1_fileid_12.wav"),
            "number 12",
        ),
        (lambda root: (root / "clean").rename(root / "cleaner"), "holds no folder with noisy, clean and noise"),
        (lambda root: [(root / "again" / n).mkdir(parents=True) for n in ("noisy", "clean", "noise")], None),
    ],
)
def test_an_incomplete_set_is_named(root, tmp_path, spoil, message):
    spoil(root)
    if message is None:
        write_given_plan(MIX, tmp_path / "manifest.csv", tmp_path / "plan.csv")
        return
    with pytest.raises(UserError, match=message):
        write_given_plan(MIX, tmp_path / "manifest.csv", tmp_path / "plan.csv")
    assert not (tmp_path / "plan.csv").exists()


def test_two_sets_or_too_few_clips_are_refused(root, tmp_path):
    with pytest.raises(UserError, match=r"has 4 clips, mix\.val_clips asks for 5"):
        write_given_plan(MIX.model_copy(update={"val_clips": 5}), tmp_path / "manifest.csv", tmp_path / "plan.csv")
    for name in ("noisy", "clean", "noise"):
        (tmp_path / "set" / "second" / name).mkdir(parents=True)
    with pytest.raises(UserError, match="holds 2 folders"):
        write_given_plan(MIX, tmp_path / "manifest.csv", tmp_path / "plan.csv")
