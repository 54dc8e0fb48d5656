"""The synthetic corpus as a whole: same bytes however it was made, resumed after a kill, nothing shared by splits."""

import io
import json
import os
import signal
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ndns.audio.io import info, pcm_sha256, read_pcm16, write_pcm16
from ndns.config import SpeakCorpus
from ndns.corpus import speak
from ndns.errors import UserError
from ndns.mixing import manifest

SMALL = {
    "kind": "speak",
    "voices": 3,
    "utterances": 2,
    "noises": ["siren", "clicks", "wind", "switched", "babble", "typing"],
    "val_noises": ["babble", "typing"],
    "noise_clips": 2,
    "noise_seconds": 1.5,
}


@pytest.fixture(scope="module")
def small(run, tmp_path_factory):
    """The small corpus, rendered by one process."""
    out = tmp_path_factory.mktemp("small")
    run(SMALL, out)
    return out


def manifests(out):
    return tuple((out / name).read_bytes() for name in ("manifest.csv", "manifest.json", "audio.tar"))


def archive(out):
    """Members of `audio.tar` in their order, with their bytes."""
    with tarfile.open(out / "audio.tar", "r:") as handle:
        return {member.name: handle.extractfile(member).read() for member in handle}


def test_manifest_describes_the_files(small):
    rows = manifest.read(small / "manifest.csv")
    assert len(rows) == 3 * 2 + 6 * 2
    members = archive(small)
    assert [row.path for row in rows] == [f"audio.tar/{name}" for name in members]
    assert sorted(path.name for path in small.rglob("*")) == ["audio.tar", "manifest.csv", "manifest.json"]
    for row in rows:
        pcm = read_pcm16(small / row.path)
        decoded, _ = soundfile.read(io.BytesIO(members[row.path.removeprefix("audio.tar/")]), dtype="int16")
        assert np.array_equal(pcm, decoded)
        assert row.sha256 == pcm_sha256(pcm)
        assert (row.rate, row.channels, row.status) == (16_000, 1, "ok")
        assert row.seconds == len(pcm) / 16_000 == info(small / row.path).seconds
        assert row.path.startswith(f"audio.tar/{row.kind}/{row.label}/")
        rms = np.sqrt(np.mean((pcm / 32768) ** 2))
        assert 0.02 < rms < 0.3
        assert np.abs(pcm).max() < 32767
    assert len({row.sha256 for row in rows}) == len(rows)
    summary = json.loads((small / "manifest.json").read_text())
    assert summary == {"kind": "speak", "recordings": 18, "root": ".", "skipped": {}}


def test_labels_are_in_one_split_and_both_have_both_kinds(small):
    rows = manifest.read(small / "manifest.csv")
    splits = {}
    for row in rows:
        splits.setdefault((row.kind, row.label), set()).add(row.split)
    assert all(len(split) == 1 for split in splits.values())
    assert {(row.kind, row.split) for row in rows} == {(k, s) for k in manifest.KINDS for s in manifest.SPLITS}
    assert {row.label for row in rows if row.kind == "noise" and row.split == "val"} == {"babble", "typing"}


@pytest.mark.parametrize(
    ("val_noises", "parts"), [(["engine", "babble", "typing"], 5), (["engine", "switched", "typing"], 2)]
)
def test_composed_noise_draws_on_its_own_split_only(val_noises, parts):
    """Both ways round: babble of train must not hold voices of val either."""
    plan = speak.recipes(SpeakCorpus(val_noises=val_noises))
    speech = {(r.split, r.utterance.voice) for r in plan if r.utterance}
    texts = {r.utterance.text for r in plan if r.utterance}
    noises = {(r.split, r.family) for r in plan if r.family}
    babbles = [r for r in plan if r.family == "babble"]
    assert len(babbles) == 6
    for recipe in babbles:
        assert 4 <= len(recipe.talkers) <= 8
        assert {(recipe.split, talker.utterance.voice) for talker in recipe.talkers} <= speech
        assert not {talker.utterance.text for talker in recipe.talkers} & texts
        assert len({talker.utterance.text for talker in recipe.talkers}) == len(recipe.talkers)
        assert all(abs(talker.gain_db) <= 6 for talker in recipe.talkers)
    for recipe in (r for r in plan if r.family == "switched"):
        assert len(recipe.parts) == parts
        assert {(recipe.split, part) for part in recipe.parts} <= noises


def test_babble_is_the_sum_of_its_talkers():
    recipe = next(r for r in speak.recipes(SpeakCorpus(noise_seconds=2.0)) if r.family == "babble")
    total = speak.babble(recipe.talkers, 8000)
    parts = sum(speak.babble((talker,), 8000) for talker in recipe.talkers)
    np.testing.assert_allclose(total, parts, atol=1e-12)
    long = speak.babble(recipe.talkers[:1], 200_000)
    gain = 10 ** (recipe.talkers[0].gain_db / 20)
    assert np.sqrt(np.mean(long**2)) == pytest.approx(gain, rel=0.15)


def test_two_processes_give_the_same_bytes(small, run, tmp_path):
    line = run(SMALL, tmp_path, jobs=2)
    assert manifests(tmp_path) == manifests(small)
    assert line.startswith("synthetic: 18 recordings, ")
    assert "speech 6 (" in line
    assert "skipped: none" in line


def test_another_seed_gives_other_samples():
    def sounds(seed):
        plan = speak.recipes(SpeakCorpus(seed=seed, noise_clips=1, utterances=1, noise_seconds=0.5))
        return [recipe for recipe in plan if recipe.family in ("pink", "siren")][:2]

    for one, other in zip(sounds(1), sounds(2), strict=True):
        assert one.family == other.family
        assert not np.array_equal(speak.render(one), speak.render(other))
        np.testing.assert_array_equal(speak.render(one), speak.render(one))


def test_samples_do_not_depend_on_the_processor(small, start, tmp_path):
    """Without the vector units that NumPy and the C library choose at run time, every sample stays the same."""
    plain = {
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    }
    assert start(SMALL, tmp_path, **plain).wait(120) == 0
    assert manifests(tmp_path) == manifests(small)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="looks for processes in /proc, which is absent")
def test_a_killed_run_goes_on(small, start, run, tmp_path, monkeypatch):
    process = start(SMALL, tmp_path, jobs=2)
    parts = tmp_path / ".parts"
    journal = parts / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.is_file() and journal.read_bytes().count(b"\n") >= 4):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "manifest.csv").exists()
    _wait_until_group_is_gone(process.pid)
    noted = {json.loads(line)["path"] for line in journal.read_bytes().split(b"\n")[:-1]}
    assert 4 <= len(noted) < 18
    (parts / "speech/.half.1.part.flac").write_bytes(b"half")
    damaged, lost = sorted(noted)[:2]
    write_pcm16(parts / damaged, np.zeros(1000, dtype=np.int16))
    (parts / lost).unlink()
    made = []
    monkeypatch.setattr(speak, "render", lambda recipe, render=speak.render: made.append(recipe.path) or render(recipe))
    run(SMALL, tmp_path)
    assert set(made) == set(archive(small)) - noted | {damaged, lost}
    assert manifests(tmp_path) == manifests(small)
    assert not list(tmp_path.rglob(".*"))


def _wait_until_group_is_gone(group):
    deadline = time.monotonic() + 30
    while _alive(group):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
            raise AssertionError("worker processes outlive a killed run")
        time.sleep(0.05)


def _alive(group):
    """Processes of a group that run; those that only wait to be reaped do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # ended in the meantime
            continue
        if int(of) == group and state != "Z":
            found.append(path.parent.name)
    return found


def test_code_and_libraries_are_part_of_the_key(monkeypatch):
    recipe = speak.recipes(SpeakCorpus())[0]
    key = speak.recipe_key(recipe)
    monkeypatch.setattr(speak, "_renderer", lambda: "another renderer")
    assert speak.recipe_key(recipe) != key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noises": ["pink", "wnd"]}, "unknown noise 'wnd'"),
        ({"noises": ["pink", "pink"]}, "twice"),
        ({"val_noises": ["hum"]}, "'hum' is not in corpus.noises"),
        ({"val_noises": []}, "no noise is left for val"),
        ({"noises": ["pink", "wind"], "val_noises": ["pink", "wind"]}, "no noise is left for train"),
        ({"noises": ["pink", "switched", "wind"], "val_noises": ["wind"]}, "'switched' is in train"),
        ({"voices": 1000}, "corpus.voices"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(run, tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        run({"kind": "speak", **change}, tmp_path)
    assert not (tmp_path / "manifest.csv").exists()


@pytest.mark.parametrize("seconds", [0.001, 0.05])
def test_tiny_noise_does_not_break(seconds):
    settings = SpeakCorpus(noise_seconds=seconds, noise_clips=1, utterances=1, noises=[*speak.FAMILIES])
    for recipe in speak.recipes(settings):
        if recipe.family:
            assert len(speak.render(recipe)) == recipe.samples == round(seconds * 16_000)
