"""Rendered clips measured from their files, and what happens when rendering is killed or its input is wrong."""

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.files import write_csv
from ndns.mix.cli import app
from ndns.mix.plan import draw_clip, write_plan
from ndns.mix.render import COLUMNS, Job, gather, render_shards
from ndns.mixing import clip
from ndns.mixing.clips import STREAMS
from ndns.mixing.corpus import read_corpus
from ndns.mixing.draw import SILENCE

from .conftest import Corpus, noise_like, speech_like
from .measure import measured, read_flac, rows_of

SUFFIXES = (".tar", ".csv")
MIX = Mix(seed=7, train_clips=12, val_clips=6, seconds=2.5, shard_clips=5)


def render(manifest, folder, mix=MIX, split="train", jobs=1):
    """Plan, render and gather; return the manifest's path."""
    write_plan(mix, read_corpus(manifest), folder / "plan.csv")
    out = folder / f"{split}.csv"
    render_shards(Job(mix, folder / "plan.csv", manifest, split, folder / split), jobs=jobs)
    gather([folder / split / f"{shard}.csv" for shard in mix.shards(split)], out)
    return out


def files(folder):
    """Every file's bytes but the plan's."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "plan.csv")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def rendered(corpus, tmp_path_factory):
    """The 12 clips of train; tests must leave them as they are."""
    folder = tmp_path_factory.mktemp("mix")
    render(corpus.manifest, folder)
    return folder


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
            pcm, rate = read_flac(rendered / row[stream])
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
                source, clip = np.concatenate(pieces), read_flac(rendered / row[stream])[0] / 32768
                gain = np.dot(clip, source) / np.dot(source, source)
                assert gain > 0
                assert np.abs(clip - gain * source).max() < 0.55 / 32768
                checked += 1
    assert checked >= 6


def test_two_processes_give_the_same_files(corpus, rendered, tmp_path):
    out = render(corpus.manifest, tmp_path, jobs=2)
    assert out.read_bytes() == (rendered / "train.csv").read_bytes()
    assert files(tmp_path) == files(rendered)


def test_a_shard_does_not_depend_on_the_others(corpus, rendered, tmp_path):
    job = Job(MIX, rendered / "plan.csv", corpus.manifest, "train", tmp_path / "train")
    render_shards(job, [2, 0])
    made = files(tmp_path)
    assert set(made) == {f"train/000{number}{suffix}" for number in (0, 2) for suffix in (".csv", ".tar")}
    assert all(files(rendered)[name] == data for name, data in made.items())


def test_shards_are_plain_archives_that_say_nothing_of_their_making(rendered):
    sizes = []
    for path in sorted(rendered.glob("train/*.tar")):
        with tarfile.open(path, "r:") as archive:
            members = archive.getmembers()
        sizes.append(len(members))
        rows = rows_of(path.with_suffix(".csv"))
        assert [m.name for m in members] == [f"{row['clip']}.{stream}.flac" for row in rows for stream in STREAMS]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert sizes == [15, 15, 6]


def test_a_larger_plan_begins_with_the_smaller_one(corpus, rendered, tmp_path):
    render(corpus.manifest, tmp_path, MIX.model_copy(update={"train_clips": 10}))
    assert files(tmp_path)["train/0001.tar"] == files(rendered)["train/0001.tar"]


def test_the_command(corpus, rendered, tmp_path):
    common = ["--settings", MIX.model_dump_json(), "--manifest", str(corpus.manifest)]
    plan, folder = str(tmp_path / "plan.csv"), tmp_path / "train"
    options = ["--plan", plan, "--split", "train", "--out", str(folder), "--shard", "1", "--shard", "2"]
    shards = [str(folder / f"000{number}.csv") for number in (1, 2)]
    for call in (
        ["plan", *common, "--out", plan],
        ["render", *common, *options],
        ["gather", *shards, "--out", str(tmp_path / "train.csv")],
    ):
        result = CliRunner().invoke(app, call)
        assert result.exit_code == 0, result.output
    assert rows_of(tmp_path / "train.csv") == rows_of(rendered / "train.csv")[5:]


@pytest.mark.parametrize(("split", "shard", "message"), [("val", 2, "beyond the 2 shards"), ("test", 0, "'test'")])
def test_what_is_not_there_is_refused(corpus, rendered, tmp_path, split, shard, message):
    with pytest.raises(UserError, match=message):
        render_shards(Job(MIX, rendered / "plan.csv", corpus.manifest, split, tmp_path / split), [shard])
    assert not list(tmp_path.iterdir())


def test_a_clip_in_two_shards_is_refused(rendered, tmp_path):
    shard = rendered / "train" / "0000.csv"
    with pytest.raises(UserError, match=r"0000\.csv: the clip 'train_00000' is in another shard too"):
        gather([shard, shard], tmp_path / "train.csv")


@pytest.mark.parametrize(("numbers", "clips"), [((0, 2), "00010.*00004"), ((1, 0), "00000.*00009")])
def test_a_missing_shard_and_another_order_are_refused(rendered, tmp_path, numbers, clips):
    """As `gather val/*.csv` finds them where a job failed."""
    shards = [rendered / "train" / f"000{number}.csv" for number in numbers]
    with pytest.raises(UserError, match=rf"000{numbers[1]}\.csv: the clip 'train_{clips}'"):
        gather(shards, tmp_path / "train.csv")
    assert not (tmp_path / "train.csv").exists()


@pytest.mark.parametrize("turn", [1, -1])
def test_shards_of_another_method_are_refused(rendered, tmp_path, turn):
    other = [{**row, "clip": f"{row['clip']}9", "name": "x"} for row in rows_of(rendered / "train" / "0000.csv")]
    write_csv(tmp_path / "other.csv", other, [*COLUMNS, "name"])
    shards = [rendered / "train" / "0000.csv", tmp_path / "other.csv"][::turn]
    with pytest.raises(UserError, match=rf"{shards[1].name}: has other columns than .*{shards[0].name}"):
        gather(shards, tmp_path / "train.csv")
    assert not (tmp_path / "train.csv").exists()


def test_kill_9_then_the_same_command(corpus, tmp_path):
    """Finished shards stay as they are when only the others are asked for; nothing half-written stays."""
    mix = MIX.model_copy(update={"train_clips": 60})
    render(corpus.manifest, tmp_path / "whole", mix)
    folder = tmp_path / "killed"
    write_plan(mix, read_corpus(corpus.manifest), folder / "plan.csv")
    options = ["--settings", mix.model_dump_json(), "--manifest", str(corpus.manifest), "--split", "train"]
    places = ["--plan", str(folder / "plan.csv"), "--out", str(folder / "train"), "--jobs", "2"]
    call = [sys.executable, "-c", "from ndns.mix.cli import app; app()", "render", *options, *places]
    process = subprocess.Popen(call, start_new_session=True)
    deadline = time.monotonic() + 300
    while process.poll() is None and len(list((folder / "train").glob("[0-9]*.csv"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait_until_gone(process.pid)
    whole, made = files(tmp_path / "whole"), files(folder)
    finished = {path.stem for path in (folder / "train").glob("[0-9]*.csv")}
    assert 2 <= len(finished) < 12
    assert all(made[f"train/{shard}{end}"] == whole[f"train/{shard}{end}"] for shard in finished for end in SUFFIXES)
    subprocess.run(call, check=True)
    gather([folder / "train" / f"{shard}.csv" for shard in mix.shards("train")], folder / "train.csv")
    assert files(folder) == whole


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
    """Noise that is 33 dB softer wherever speech is active would drown the clip to reach its SNR there."""
    rng, late = np.random.default_rng(3), np.arange(40_000) >= 32_000
    burst = np.where(late, 0.3, 0.003) * rng.standard_normal(40_000)
    noises = {"burst": np.clip(burst, -1, 1), "even": noise_like(rng, 16_000, 2.5)}
    corpus = silent_corpus(tmp_path / "corpus", noises)
    corpus.rows = [row for row in corpus.rows if row["label"] != "v"]
    corpus.add("w.wav", "speech", "w", "val", speech_like(rng, 16_000, 2.5) * (np.arange(40_000) < 28_000))
    pool = read_corpus(corpus.save().manifest).pools["val"]
    assert "burst" in [draw_clip(MIX, pool, "val", index).noise_label for index in range(6)]
    rows = rows_of(render(corpus.manifest, tmp_path / "mix", MIX, "val"))
    assert [row["noise_label"] for row in rows] == ["even"] * 6
    for row in rows:
        assert measured(tmp_path / "mix", row)[0] == pytest.approx(float(row["snr_db"]), abs=0.1)
        assert float(row["level_dbfs"]) > -45


def test_an_snr_that_rounding_moves_is_drawn_again(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(clip, "SNR_TOLERANCE_DB", -1.0)
    with pytest.raises(UserError, match="50 draws"):
        render(corpus.manifest, tmp_path, MIX, "val")


@pytest.mark.parametrize("spoil", ["bad", "copy"])
def test_a_plan_with_a_recording_that_is_no_longer_usable_is_refused(corpus, tmp_path, spoil):
    """As `ndns corpus` may find after the plan was drawn: a bad recording, or one that val holds as well."""
    write_plan(MIX, read_corpus(corpus.manifest), tmp_path / "plan.csv")
    later = Corpus(tmp_path / "later", [dict(row) for row in corpus.rows])
    row = next(row for row in later.rows if row["path"] == "anna/2.flac")
    if spoil == "bad":
        row["status"] = "clipped"
    else:
        row["sha256"] = next(row["sha256"] for row in later.rows if row["split"] == "val" and row["status"] == "ok")
    later.folder.mkdir()
    later.save()
    with pytest.raises(UserError, match=r"recording anna/2\.flac is not among the usable ones of the split 'train'"):
        render_shards(Job(MIX, tmp_path / "plan.csv", later.manifest, "train", tmp_path / "train"))


def test_a_plan_that_crosses_splits_is_refused(corpus, tmp_path):
    recordings = read_corpus(corpus.manifest)
    write_plan(MIX, recordings, tmp_path / "plan.csv")
    text = (tmp_path / "plan.csv").read_text().replace("dora/", "anna/")
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(UserError, match=r"recording anna/\d\.flac is not among the usable ones of the split 'val'"):
        render_shards(Job(MIX, tmp_path / "plan.csv", corpus.manifest, "val", tmp_path / "val"))
    assert not (tmp_path / "val").exists()


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
