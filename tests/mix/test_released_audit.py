"""`ndns mix audit`: a known leak, a perturbed value and a long clip are found; a clean plan gives none."""

import csv
import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mix.audit import audit_plan
from ndns.mix.cli import app
from ndns.mix.plan import write_plan
from ndns.mix.released_plan import write_released_plan
from ndns.mix.render import Job, gather, render_shards
from ndns.mixing.corpus import read_corpus

from .conftest import noise_like, speech_like
from .measure import read_flac, rows_of

MIX = Mix(method="released", seed=5, train_clips=6, val_clips=5, seconds=2.0)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder, rng, rows = tmp_path_factory.mktemp("pool"), np.random.default_rng(3), []
    for take in range(8):
        for kind, seconds in (("speech", 2.9), ("noise", 4.0)):
            path = f"{kind}/{take}.wav"
            (folder / kind).mkdir(exist_ok=True)
            speech = speech_like(rng, 16_000, seconds) + speech_like(rng, 16_000, seconds)
            samples = speech if kind == "speech" else noise_like(rng, 16_000, seconds)
            soundfile.write(folder / path, samples, 16_000, subtype="PCM_16")
            rows.append({"path": path, "kind": kind, "sha256": path})
    with open(folder / "manifest.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, ["path", "kind", "sha256"])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "manifest.json").write_text(json.dumps({"kind": "folder", "root": str(folder)}))
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def plan(manifest):
    write_released_plan(MIX, manifest, manifest.with_name("plan.csv"))
    return manifest.with_name("plan.csv")


def write(path, rows):
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def paths(row, kind):
    return {part.rsplit(":", 2)[0] for part in row[kind].split("|")} - {"silence"}


def test_leaks_are_those_of_the_two_columns(plan):
    """Both splits walk the same shuffled list, so nearly all of val was in train."""
    rows = rows_of(plan)
    found = audit_plan(plan, 30.0)
    for kind in ("speech", "noise"):
        used = {s: set().union(*(paths(r, kind) for r in rows if r["split"] == s)) for s in ("train", "val")}
        assert {leak.path for leak in found.leaks if leak.kind == kind} == used["train"] & used["val"] != set()
    assert len(found.leaking_val_clips) >= 4


def segment(path, start, stop):
    return f"{path}:{start}:{stop}"


def test_one_recording_that_crosses_is_found_and_counted(plan, tmp_path):
    rows = [dict(rows_of(plan)[0], split=split, clip=f"{split}_0000{i}") for i, split in enumerate(("train", "val"))]
    rows[0]["speech"], rows[0]["noise"] = segment("speech/1.wav", 0, 32_000), segment("noise/1.wav", 0, 32_000)
    rows[1]["speech"], rows[1]["noise"] = segment("speech/2.wav", 0, 32_000), segment("noise/2.wav", 0, 32_000)
    assert audit_plan(write(tmp_path / "apart.csv", rows), 30.0).leaks == []
    rows[1]["noise"] = segment("noise/1.wav", 24_000, 56_000)
    found = audit_plan(write(tmp_path / "leak.csv", rows), 30.0)
    assert [(leak.kind, leak.path, leak.train_clips, leak.val_clips) for leak in found.leaks] == [
        ("noise", "noise/1.wav", 1, 1)
    ]
    assert found.leaks[0].shared_seconds == 0.5
    assert found.leaking_val_clips == ["val_00001"]


def test_samples_that_clips_share_twice_count_once(plan, tmp_path):
    """Of one recording train holds 0 to 2 s and, inside that, 0.5 to 1 s; val holds 0.75 to 3 s."""
    places = {"train_00000": (0, 32_000), "train_00001": (8_000, 16_000), "val_00000": (12_000, 48_000)}
    rows = []
    for number, (clip, (start, stop)) in enumerate(places.items()):
        own = {"speech": segment(f"speech/{number}.wav", 0, stop - start), "noise": segment("noise/1.wav", start, stop)}
        about = {"clip": clip, "split": clip.split("_")[0], "seconds": (stop - start) / 16_000}
        rows.append({**rows_of(plan)[0], **about, **own})
    (leak,) = audit_plan(write(tmp_path / "plan.csv", rows), 30.0).leaks
    assert (leak.train_clips, leak.val_clips, leak.shared_seconds) == (2, 1, 1.25)


def test_a_copy_under_another_name_is_found_through_the_manifest(plan, manifest, tmp_path):
    rows = [dict(rows_of(plan)[0], split=split, clip=f"{split}_0000{i}") for i, split in enumerate(("train", "val"))]
    for take, row in enumerate(rows, start=1):
        row["speech"], row["noise"] = (segment(f"{kind}/{take}.wav", 0, 32_000) for kind in ("speech", "noise"))
    listed = rows_of(manifest)
    next(row for row in listed if row["path"] == "noise/2.wav")["sha256"] = "noise/1.wav"
    copy = write(tmp_path / "manifest.csv", listed)
    copy.with_suffix(".json").write_text(manifest.with_suffix(".json").read_text())
    apart = write(tmp_path / "plan.csv", rows)
    assert audit_plan(apart, 30.0).leaks == []
    assert [leak.path for leak in audit_plan(apart, 30.0, copy).leaks] == ["noise/2.wav"]


def test_true_snrs_are_those_of_the_rendered_files(plan, manifest, tmp_path):
    """Powers of the written clean and noise files give the planned true SNR, and it is far from the label."""
    render_shards(Job(MIX, plan, manifest, "train", tmp_path / "train"))
    gather([tmp_path / "train" / "0000.csv"], tmp_path / "train.csv")
    labels = {label.clip: label for label in audit_plan(plan, 30.0).labels}
    for row in rows_of(tmp_path / "train.csv"):
        clean, noise = (read_flac(tmp_path / row[stream])[0] / 32768 for stream in ("clean", "noise"))
        true = 10 * np.log10(np.mean(clean**2) / np.mean(noise**2))
        label = labels[row["clip"]]
        assert abs(label.true_snr_db - true) < 0.05
        assert f"_snr{label.label_db:.0f}_" in row["name"]
        assert label.error_db == label.true_snr_db - float(row["snr_db"])
    assert max(abs(label.error_db) for label in labels.values()) > 1


def test_an_untouched_plan_agrees_and_a_perturbed_value_is_named(plan, manifest, tmp_path):
    assert audit_plan(plan, 30.0, manifest).wrong == []
    rows = rows_of(plan)
    real = float(rows[3]["true_snr_db"])
    rows[3]["true_snr_db"] = str(real + 0.5)
    rows[4]["level_dbfs"] = str(float(rows[4]["level_dbfs"]) - 1)
    wrong = audit_plan(write(tmp_path / "plan.csv", rows), 30.0, manifest).wrong
    assert wrong == [
        f"{rows[3]['clip']} has true_snr_db {real:.3f}, not {real + 0.5:.3f}",
        f"{rows[4]['clip']} has the level label {float(rows[4]['level_dbfs']) + 1:.0f}, "
        f"not {float(rows[4]['level_dbfs']):.0f}",
    ]


def test_long_clips_are_listed_with_their_length(plan):
    long = {clip.clip: clip.seconds for clip in audit_plan(plan, MIX.seconds).long_clips}
    assert long == {row["clip"]: float(row["seconds"]) for row in rows_of(plan) if row["split"] == "val"}
    assert set(long.values()) == {2.9}
    assert audit_plan(plan, 2.9).long_clips == []


def test_the_command_prints_writes_and_fails_on_a_leak(plan, manifest, tmp_path):
    out = tmp_path / "audit.json"
    command = f"audit --plan {plan} --manifest {manifest} --limit 2 --out {out} --jobs 2".split()
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert f"leaks: {len(found['leaks'])} recordings" in result.output
    assert "long clips: 5" in result.output
    assert "true SNR minus label: mean" in result.output
    assert len(found["labels"]) == 11
    assert CliRunner().invoke(app, [*command, "--fail-on-leak"]).exit_code == 1


def test_silence_is_not_a_number_in_json(plan, tmp_path):
    rows = rows_of(plan)
    rows[0]["true_snr_db"] = "inf"
    out = tmp_path / "audit.json"
    result = CliRunner().invoke(app, ["audit", "--plan", str(write(tmp_path / "p.csv", rows)), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["labels"][0]["true_snr_db"] is None
    assert "1 are silent on one side" in result.output


def test_a_plan_of_true_snrs_has_no_leak(corpus, tmp_path):
    write_plan(Mix(train_clips=10, val_clips=8, seconds=2.0), read_corpus(corpus.manifest), tmp_path / "plan.csv")
    found = audit_plan(tmp_path / "plan.csv", 2.0, corpus.manifest)
    assert (found.leaks, found.labels, found.long_clips, found.wrong) == ([], [], [], [])
    result = CliRunner().invoke(app, ["audit", "--plan", str(tmp_path / "plan.csv"), "--fail-on-leak"])
    assert result.exit_code == 0
    assert "10 clips of train, 8 of val" in result.output


def test_a_broken_plan_is_named(plan, tmp_path):
    rows = rows_of(plan)
    rows[2]["true_snr_db"] = "loud"
    with pytest.raises(UserError, match="the row of 'train_00002' is broken"):
        audit_plan(write(tmp_path / "plan.csv", rows), 30.0)
