"""Rendered clips measured from their files, and what happens when rendering is interrupted or its input changes."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mix.cli import app
from ndns.mix.corpus import read_corpus
from ndns.mix.draw import SILENCE
from ndns.mix.plan import draw_clip, read_plan, write_plan
from ndns.mix.render import COLUMNS, STREAMS, render_split

from .conftest import Corpus, build, noise_like, speech_like
from .measure import measured

MIX = Mix(seed=7, train_clips=12, val_clips=6, seconds=2.5)


def rows_of(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def render(manifest, folder, mix=MIX, split="train", jobs=1):
    """Plan and render; return the manifest's path."""
    corpus = read_corpus(manifest)
    write_plan(mix, corpus, folder / "plan.csv")
    out = folder / f"{split}.csv"
    render_split(read_plan(folder / "plan.csv", split, mix), corpus, split, out, jobs)
    return out


def files(folder):
    """Every clip's bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.flac"))}


@pytest.fixture(scope="module")
def rendered(corpus, tmp_path_factory):
    """The 12 clips of train; tests must leave them as they are."""
    folder = tmp_path_factory.mktemp("mix")
    render(corpus.manifest, folder)
    return folder


@pytest.fixture
def copy(rendered, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(rendered, tmp_path / "mix")


@pytest.fixture
def writes(monkeypatch):
    """Names of the clip files that are written from here on."""
    import ndns.mix.render as module

    names, write = [], module.write_pcm16
    monkeypatch.setattr(module, "write_pcm16", lambda path, pcm: names.append(path.name) or write(path, pcm))
    return names


def test_snr_level_and_sum_measured_from_the_files(corpus, rendered):
    rows, plan = rows_of(rendered / "train.csv"), rows_of(rendered / "plan.csv")
    assert list(rows[0]) == COLUMNS
    assert [row["clip"] for row in rows] == [row["clip"] for row in plan if row["split"] == "train"]
    labels = {row["path"]: row["label"] for row in corpus.rows}
    for row, planned in zip(rows, plan, strict=False):
        snr_db, level_dbfs, peak = measured(rendered, row)
        assert snr_db == pytest.approx(float(planned["snr_db"]), abs=0.1)
        assert row["snr_db"] == planned["snr_db"]
        assert level_dbfs == pytest.approx(float(row["level_dbfs"]), abs=0.001)
        assert level_dbfs <= float(planned["level_dbfs"]) + 0.01
        assert level_dbfs == pytest.approx(float(planned["level_dbfs"]), abs=0.01) or peak >= 0.98 * 32768
        assert row["speaker"] == labels[planned["speech"].rsplit(":", 2)[0].split("|")[-1].split(":")[0]]
        assert row["noise_label"] == planned["noise_label"]
        for stream in STREAMS:
            pcm, rate = soundfile.read(rendered / row[stream], dtype="int16")
            assert (len(pcm), rate) == (40_000, 16_000)
            assert hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest() == row[f"{stream}_sha256"]


def test_clean_is_the_planned_speech(corpus, rendered):
    """Up to one gain and rounding, from the sources: 16 kHz clips only, so that no resampler is involved."""
    checked = 0
    for row, planned in zip(rows_of(rendered / "train.csv"), rows_of(rendered / "plan.csv"), strict=False):
        for stream, key in (("clean", "speech"), ("noise", "noise")):
            pieces = []
            for part in planned[key].split("|"):
                path, start, stop = part.rsplit(":", 2)
                if path == SILENCE:
                    pieces.append(np.zeros(int(stop)))
                    continue
                pcm, rate = soundfile.read(corpus.folder / "audio" / path)
                if rate != 16_000:
                    break
                pieces.append(pcm[int(start) : int(stop)])
            else:
                source, clip = np.concatenate(pieces), soundfile.read(rendered / row[stream])[0]
                gain = np.dot(clip, source) / np.dot(source, source)
                assert gain > 0
                assert np.abs(clip - gain * source).max() < 0.55 / 32768
                checked += 1
    assert checked >= 6


def test_two_processes_give_the_same_files(corpus, rendered, tmp_path):
    out = render(corpus.manifest, tmp_path, jobs=2)
    assert out.read_bytes() == (rendered / "train.csv").read_bytes()
    assert files(tmp_path) == files(rendered)


def test_order_does_not_matter(corpus, rendered, tmp_path):
    recordings = read_corpus(corpus.manifest)
    clips = [draw_clip(MIX, recordings.pools["train"], "train", index) for index in (11, 2, 7)]
    render_split(clips, recordings, "train", tmp_path / "train.csv", 1)
    made = files(tmp_path)
    assert len(made) == 9
    assert all(files(rendered)[name] == data for name, data in made.items())


def test_the_command(corpus, rendered, tmp_path):
    common = ["--settings", MIX.model_dump_json(), "--manifest", str(corpus.manifest)]
    plan, out = str(tmp_path / "plan.csv"), str(tmp_path / "train.csv")
    assert CliRunner().invoke(app, ["plan", *common, "--out", plan]).exit_code == 0
    result = CliRunner().invoke(app, ["render", *common, "--plan", plan, "--split", "train", "--out", out])
    assert result.exit_code == 0, result.output
    assert rows_of(out) == rows_of(rendered / "train.csv")


def test_nothing_is_rendered_twice(corpus, copy, writes):
    before = files(copy)
    render(corpus.manifest, copy)
    assert writes == []
    assert files(copy) == before


def test_damaged_missing_and_foreign_files_are_mended(corpus, rendered, copy, writes):
    clips = copy / "train"
    (clips / "noisy" / "train_00001.flac").unlink()
    shutil.copy(clips / "clean" / "train_00003.flac", clips / "clean" / "train_00002.flac")
    whole = (clips / "noise" / "train_00004.flac").read_bytes()
    (clips / "noise" / "train_00004.flac").write_bytes(whole[: len(whole) // 2])
    (clips / "noise" / "train_00099.flac").write_bytes(whole)
    (clips / "noise" / ".train_00005.123.part.flac").write_bytes(whole[:100])
    render(corpus.manifest, copy)
    assert set(writes) == {f"train_{i:05d}.flac" for i in (1, 2, 4)}
    assert files(copy) == files(rendered)


def test_a_torn_journal_line_costs_one_clip(corpus, rendered, copy, writes):
    journal = copy / "train" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    render(corpus.manifest, copy)
    assert set(writes) == {
        json.loads((rendered / "train" / "journal.jsonl").read_text().splitlines()[-1])["clip"] + ".flac"
    }
    assert files(copy) == files(rendered)
    assert len(journal.read_text().splitlines()) == 12
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_clips_of_another_plan_are_not_reused(corpus, rendered, copy, writes):
    other = MIX.model_copy(update={"seed": 8, "train_clips": 5})
    render(corpus.manifest, copy, other)
    assert len(writes) == 15
    assert len(files(copy)) == 15, "surplus clips are removed"
    assert not set(files(copy).values()) & set(files(rendered).values())
    render(corpus.manifest, copy)
    assert files(copy) == files(rendered)


def test_a_longer_plan_keeps_the_shorter_one(corpus, rendered, tmp_path, writes):
    render(corpus.manifest, tmp_path, MIX.model_copy(update={"train_clips": 4}))
    assert len(writes) == 12
    render(corpus.manifest, tmp_path)
    assert len(writes) == 36
    assert files(tmp_path) == files(rendered)


def test_only_clips_of_a_changed_recording_are_rendered_again(tmp_path, writes):
    corpus = build(tmp_path / "corpus")
    render(corpus.manifest, tmp_path / "mix")
    old = next(row for row in corpus.rows if row["path"] == "anna/2.flac")
    corpus.rows.remove(old)
    corpus.add("anna/2.flac", "speech", "anna", "train", speech_like(np.random.default_rng(77), 16_000, 4.1))
    assert corpus.rows[-1]["seconds"] == old["seconds"]
    writes.clear()
    render(corpus.save().manifest, tmp_path / "mix")
    plan = rows_of(tmp_path / "mix" / "plan.csv")
    users = {row["clip"] for row in plan if "anna/2.flac" in row["speech"] and row["split"] == "train"}
    assert 0 < len(users) < 12
    assert set(writes) == {f"{clip}.flac" for clip in users}


def test_kill_9_then_the_same_command(corpus, tmp_path):
    mix = MIX.model_copy(update={"train_clips": 60})
    render(corpus.manifest, tmp_path / "whole", mix)
    folder = tmp_path / "killed"
    write_plan(mix, read_corpus(corpus.manifest), folder / "plan.csv")
    options = ["--settings", mix.model_dump_json(), "--manifest", str(corpus.manifest), "--split", "train"]
    places = ["--plan", str(folder / "plan.csv"), "--out", str(folder / "train.csv"), "--jobs", "2"]
    call = [sys.executable, "-c", "from ndns.mix.cli import app; app()", "render", *options, *places]
    kills = 0
    for wanted in (3, 20):
        process = subprocess.Popen(call, start_new_session=True)
        deadline = time.monotonic() + 60
        while process.poll() is None and len(list((folder / "train").rglob("noise/train*.flac"))) < wanted:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        kills += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _wait_until_gone(process.pid)
    assert kills == 2
    assert not (folder / "train.csv").exists()
    subprocess.run(call, check=True)
    assert (folder / "train.csv").read_bytes() == (tmp_path / "whole" / "train.csv").read_bytes()
    assert files(folder) == files(tmp_path / "whole")
    assert not [path for path in folder.rglob("*") if ".part" in path.name]


def _wait_until_gone(session):
    """Processes end with their parent, though nobody told them."""
    deadline = time.monotonic() + 10
    while True:
        try:
            os.killpg(session, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline, "worker processes outlive their parent"
        time.sleep(0.02)


def test_a_killed_worker_is_one_sentence(corpus, tmp_path, monkeypatch):
    from ndns.mix.workers import run_all

    with pytest.raises(UserError, match="a process was killed"):
        list(run_all(_die, range(3), 2))


def _die(_task):
    os.kill(os.getpid(), signal.SIGKILL)


def silent_corpus(folder, noises):
    corpus, rng = Corpus(folder), np.random.default_rng(1)
    corpus.add("v.wav", "speech", "v", "val", speech_like(rng, 16_000, 3.0))
    corpus.add("t.wav", "speech", "t", "train", speech_like(rng, 16_000, 3.0))
    corpus.add("tn.wav", "noise", "tn", "train", noise_like(rng, 16_000, 3.0))
    for name, samples in noises.items():
        corpus.add(f"{name}.wav", "noise", name, "val", samples)
    return corpus.save()


def test_silent_noise_is_drawn_again(tmp_path):
    """A third of the noise is digital silence; every clip has noise all the same, whatever the number of jobs."""
    rng = np.random.default_rng(2)
    noises = {"gone": np.zeros(48_000), "hiss": noise_like(rng, 16_000, 3.0), "rain": noise_like(rng, 16_000, 3.0)}
    corpus = silent_corpus(tmp_path / "corpus", noises)
    mix = MIX.model_copy(update={"val_clips": 12})
    out = render(corpus.manifest, tmp_path / "one", mix, "val")
    plan = {row["clip"]: row for row in rows_of(tmp_path / "one" / "plan.csv")}
    redrawn = [row for row in rows_of(out) if plan[row["clip"]]["noise_label"] == "gone"]
    assert len(redrawn) >= 2
    for row in rows_of(out):
        assert row["noise_label"] in ("hiss", "rain")
        if row not in redrawn:
            assert row["noise_label"] == plan[row["clip"]]["noise_label"]
        assert measured(tmp_path / "one", row)[0] == pytest.approx(float(row["snr_db"]), abs=0.1)
    render(corpus.manifest, tmp_path / "two", mix, "val", jobs=2)
    assert files(tmp_path / "two") == files(tmp_path / "one")


def test_only_silence_is_refused(tmp_path):
    corpus = silent_corpus(tmp_path / "corpus", {"gone": np.zeros(48_000), "faint": np.full(48_000, 1e-6)})
    with pytest.raises(UserError, match=r"val_00000: 50 draws of the split 'val' gave silent noise"):
        render(corpus.manifest, tmp_path / "mix", MIX, "val")
    assert not (tmp_path / "mix" / "val.csv").exists()


def test_noise_between_the_words_only_is_drawn_again(tmp_path):
    """Noise that is silent wherever speech is active would need an unbounded gain."""
    time_ = np.arange(48_000) / 16_000
    burst = 0.3 * np.random.default_rng(3).standard_normal(48_000) * (time_ > 2.9) + 2e-3
    corpus = silent_corpus(tmp_path / "corpus", {"burst": np.clip(burst, -1, 1), "even": np.full(48_000, 0.05)})
    pool = read_corpus(corpus.manifest).pools["val"]
    planned = [draw_clip(MIX, pool, "val", index).noise_label for index in range(6)]
    assert "burst" in planned
    for row in rows_of(render(corpus.manifest, tmp_path / "mix", MIX, "val")):
        assert measured(tmp_path / "mix", row)[0] == pytest.approx(float(row["snr_db"]), abs=0.1)
        assert float(row["level_dbfs"]) > -45


def test_a_plan_that_crosses_splits_is_refused(corpus, tmp_path):
    recordings = read_corpus(corpus.manifest)
    write_plan(MIX, recordings, tmp_path / "plan.csv")
    text = (tmp_path / "plan.csv").read_text().replace("dora/", "anna/")
    (tmp_path / "plan.csv").write_text(text)
    clips = read_plan(tmp_path / "plan.csv", "val", MIX)
    with pytest.raises(UserError, match=r"recording anna/\d\.flac is not among the usable ones of the split 'val'"):
        render_split(clips, recordings, "val", tmp_path / "val.csv", 1)


def test_real_recordings(shared_data, tmp_path):
    """Real speech and noise: plan, leak check and measured SNR."""
    root = shared_data / "speech_noise_mini"
    with open(root / "MANIFEST.csv", newline="", encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if row["kind"] in ("speech", "noise")]
    corpus = Corpus(tmp_path / "corpus")
    for row in rows:
        header = soundfile.info(root / row["file"])
        about = {key: row[key] for key in ("kind", "label", "split", "sha256")}
        place = {"path": row["file"], "seconds": header.frames / header.samplerate, "rate": header.samplerate}
        corpus.rows.append({**about, **place, "channels": 1, "licence": row["license"], "status": "ok"})
    corpus.folder.mkdir()
    corpus.save()
    corpus.manifest.with_suffix(".json").write_text(json.dumps({"kind": "folder", "root": str(root)}))
    mix = Mix(seed=1, train_clips=2, val_clips=12, seconds=8.0)
    out = render(corpus.manifest, tmp_path / "mix", mix, "val")
    val = {row["path"] for row in corpus.rows if row["split"] == "val"}
    for row, planned in zip(rows_of(out), rows_of(tmp_path / "mix" / "plan.csv")[2:], strict=True):
        assert measured(tmp_path / "mix", row)[0] == pytest.approx(float(planned["snr_db"]), abs=0.1)
        paths = {part.rsplit(":", 2)[0] for part in (planned["speech"] + "|" + planned["noise"]).split("|")}
        assert paths - {SILENCE} <= val
