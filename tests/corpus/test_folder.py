"""Folder corpora from end to end: bad recordings, odd names, resuming, real data."""

import csv
import json
import os
import time

import numpy as np
import pytest
import soundfile

from ndns.audio.io import read_channels
from ndns.config import FolderCorpus
from ndns.corpus import folder
from ndns.errors import UserError
from ndns.mixing import manifest

ODD = ["a b.wav", "über 音.flac", "new\nline.wav", "; rm -rf $HOME.wav", 'comma,"quote".ogg', "-dash.wav", "%s{x}.wav"]


def sound(path, seed, channels=1, rate=16_000, frames=4000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(0, 0.1, (frames, channels))
    soundfile.write(path, samples, rate)
    return path


def settings(root, **more):
    return {"kind": "folder", "name": "mine", "root": str(root), **more}


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    for number, name in enumerate(ODD):
        sound(
            root / "clean" / f"speaker {number % 3}" / name, number, channels=1 + number % 2, rate=8000 * (1 + number)
        )
        sound(root / "noise" / f"type {number % 2}" / name, 100 + number)
    return root


def spoil(root):
    """Add one recording of every bad kind; return status by path."""
    good = soundfile.read(sound(root / "clean/bad/z.wav", 7), dtype="float32")[0]
    (root / "clean/bad/z.wav").unlink()
    bad = {name: root / "clean/bad" / f"{name}.wav" for name in manifest.BAD}
    soundfile.write(bad["corrupt"], good, 16_000)
    bad["corrupt"].write_bytes(bad["corrupt"].read_bytes()[:-100])
    soundfile.write(bad["empty"], good[:0], 16_000)
    soundfile.write(bad["silent"], good * 0, 16_000)
    soundfile.write(bad["clipped"], np.clip(good * 20, -1, 1), 16_000)
    soundfile.write(bad["nan"], good + np.float32(np.nan), 16_000, subtype="FLOAT")
    soundfile.write(bad["dead_channel"], np.stack([good, good * 0], axis=1), 16_000)
    return {path.relative_to(root).as_posix(): status for status, path in bad.items()}


def test_odd_names_rates_and_channels(tree, run, tmp_path):
    out = tmp_path / "out"
    line = run(settings(tree), out)
    rows = {row.path: row for row in manifest.read(out / "manifest.csv")}
    assert set(rows) == {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert {row.status for row in rows.values()} == {"ok"}
    for path, row in rows.items():
        samples, rate = read_channels(tree / path)
        assert (row.rate, row.channels) == (rate, samples.shape[1])
        assert row.seconds == len(samples) / rate
        assert row.label == path.split("/")[1]
    assert line.startswith("mine: 14 recordings, ")
    assert "labels: 2 train, 1 val)" in line
    assert "labels: 1 train, 1 val)" in line
    assert json.loads((out / "manifest.json").read_text())["root"] == str(tree)


def test_labels_taken_from_names_are_told(tmp_path, capsys):
    for name in (
        "speech/ann/a.wav",
        "speech/val/bob/b.wav",
        "speech/cleo/clean/c.wav",
        "noise/rain1.wav",
        "noise/train/rain2.wav",
        "noise/fan-a.wav",
        "noise/dog/val/d.wav",
    ):
        sound(tmp_path / "root" / name, len(name))
    folder.build(FolderCorpus(**settings(tmp_path / "root")), tmp_path / "out", jobs=1)
    warned = capsys.readouterr().err
    assert "3 recordings lie directly in their noise folder" in warned
    assert "count as noise types (fan, rain1, rain2); give each noise type a folder" in warned
    assert "speech folder" not in warned


def test_sounds_in_formats_that_folders_are_not_searched_for_are_told(tree, tmp_path, capsys):
    for name in ("speech/a.MP3", "noise/b.m4a", "noise/c.mp3", "noise/._d.mp3", "notes.txt"):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
    folder.build(FolderCorpus(**settings(tree)), tmp_path / "out", jobs=1)
    assert "3 files are passed over (.m4a, .mp3); folders are searched for .wav, .flac, .ogg" in capsys.readouterr().err
    for path in [*tree.rglob("*.[mM][pP]3"), *tree.rglob("*.m4a")]:
        path.unlink()
    folder.build(FolderCorpus(**settings(tree)), tmp_path / "out", jobs=1)
    assert "passed over" not in capsys.readouterr().err


def test_every_bad_recording_is_skipped_named_and_counted(tree, run, tmp_path, capfd):
    bad = spoil(tree)
    line = run(settings(tree), tmp_path / "out")
    rows = {row.path: row for row in manifest.read(tmp_path / "out/manifest.csv")}
    assert {path: rows[path].status for path in bad} == bad
    assert sum(row.status == "ok" for row in rows.values()) == 14
    summary = json.loads((tmp_path / "out/manifest.json").read_text())
    assert summary["skipped"] == dict.fromkeys(manifest.BAD, 1)
    assert summary["recordings"] == 14
    for status in manifest.BAD:
        assert f"1 {status}" in line
    assert rows["clean/bad/corrupt.wav"].sha256 == ""


def test_warnings_name_the_files_and_stop_before_they_flood(tmp_path, capsys, monkeypatch):
    root = tmp_path / "root"
    bad = spoil(root)
    sound(root / "noise/a/1.wav", 1)
    monkeypatch.setattr(folder, "WARNINGS", 4)
    parsed = folder.FolderCorpus(**settings(root))
    folder.build(parsed, tmp_path / "out", 1)
    warned = capsys.readouterr().err
    assert [path in warned for path in sorted(bad)] == [True] * 4 + [False] * 2
    assert "2 more bad recordings" in warned
    assert "no noise for val" in warned


@pytest.mark.parametrize("jobs", [1, 2])
def test_refuse_names_the_first_bad_recording(tree, run, tmp_path, jobs):
    first = sorted(spoil(tree))[0]
    with pytest.raises(UserError, match=rf"{first}: clipped .*on_bad"):
        run(settings(tree, on_bad="refuse"), tmp_path / "out", jobs)
    assert not (tmp_path / "out/manifest.csv").exists()


def test_clipped_share_is_a_setting(tree, run, tmp_path):
    spoil(tree)
    run(settings(tree, clipped_share=1.0), tmp_path / "out")
    rows = {row.path: row.status for row in manifest.read(tmp_path / "out/manifest.csv")}
    assert rows["clean/bad/clipped.wav"] == "ok"


def test_jobs_and_earlier_findings_do_not_change_the_manifest(tree, run, tmp_path, monkeypatch):
    spoil(tree)
    run(settings(tree), tmp_path / "one")
    run(settings(tree), tmp_path / "two", jobs=2)
    expected = [(tmp_path / "one" / name).read_bytes() for name in ("manifest.csv", "manifest.json")]
    assert [(tmp_path / "two" / name).read_bytes() for name in ("manifest.csv", "manifest.json")] == expected
    looked = []
    original = folder.inspect
    monkeypatch.setattr(folder, "inspect", lambda path, share: looked.append(path.name) or original(path, share))
    time.sleep(0.01)
    changed = sound(tree / "clean/speaker 0/a b.wav", 999)
    run(settings(tree), tmp_path / "one")
    assert looked == [changed.name]
    assert (tmp_path / "one/manifest.csv").read_bytes() != expected[0]
    looked.clear()
    run(settings(tree, clipped_share=0.5), tmp_path / "one")
    assert len(looked) == 20


def test_a_broken_off_inspection_goes_on(tree, run, tmp_path, monkeypatch):
    original, looked = folder.inspect, []

    def break_off(path, share):
        if len(looked) == 5:
            raise KeyboardInterrupt
        looked.append(path)
        return original(path, share)

    parsed = folder.FolderCorpus(**settings(tree))
    monkeypatch.setattr(folder, "inspect", break_off)
    with pytest.raises(KeyboardInterrupt):
        folder.build(parsed, tmp_path / "out", 1)
    monkeypatch.setattr(folder, "inspect", lambda path, share: looked.append(path) or original(path, share))
    folder.build(parsed, tmp_path / "out", 1)
    assert len(looked) == len(set(looked)) == 14


def test_manifest_with_splits_and_other_kinds(tree, run, tmp_path):
    with open(tree / "LIST.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file", "split", "kind", "label", "license"])
        writer.writerow(
            ["clean/speaker 1/new\nline.wav".replace("speaker 1", "speaker 2"), "val", "speech", "ä", "CC0"]
        )
        writer.writerow(["clean/speaker 0/; rm -rf $HOME.wav", "train", "speech", "b", "CC0"])
        writer.writerow(["anything", "train", "digit", "7", ""])
    line = run(settings(tree, manifest="LIST.csv"), tmp_path / "out")
    rows = manifest.read(tmp_path / "out/manifest.csv")
    assert [(row.label, row.split, row.licence) for row in rows] == [("b", "train", "CC0"), ("ä", "val", "CC0")]
    assert "ignored: 1 neither" in line


@pytest.mark.parametrize("root", ["", "  "])
def test_empty_root_says_how_to_set_it(run, tmp_path, root):
    with pytest.raises(UserError, match=r"corpus_root.*NDNS_CORPUS_ROOT"):
        run(settings(root), tmp_path)


def test_roots_that_hold_nothing(run, tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        run(settings(tmp_path / "absent"), tmp_path / "out")
    with pytest.raises(UserError, match="no speech or noise"):
        run(settings(tmp_path), tmp_path / "out")


def test_relative_root_counts_from_the_working_folder(tree, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(settings("root"), tmp_path / "out")
    assert json.loads((tmp_path / "out/manifest.json").read_text())["root"] == "root"
    assert len(manifest.read(tmp_path / "out/manifest.csv")) == 14


def test_real_recordings(shared_data, run, tmp_path):
    root = shared_data / "speech_noise_mini"
    line = run(settings(root, manifest="MANIFEST.csv"), tmp_path, jobs=min(2, os.cpu_count() or 1))
    rows = manifest.read(tmp_path / "manifest.csv")
    with open(root / "MANIFEST.csv", newline="", encoding="utf-8") as handle:
        given = {row["file"]: row for row in csv.DictReader(handle) if row["kind"] in manifest.KINDS}
    assert {row.path for row in rows} == set(given)
    for row in rows:
        assert (row.status, row.split, row.label) == ("ok", given[row.path]["split"], given[row.path]["label"])
        assert row.licence == given[row.path]["license"]
        assert row.seconds == pytest.approx(float(given[row.path]["seconds"]), abs=0.01)
    assert "ignored: 3000" in line
