"""Speech to train with, cleaned by a peer: what is taken away, what is left out, interruptions, names."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.audio.io import pcm_sha256, read_pcm16, write_pcm16
from ndns.audio.shards import write_shard
from ndns.config import CleanedCorpus, Peer
from ndns.config_train import Fresh
from ndns.errors import UserError
from ndns.journal import Journal
from ndns.mixing import manifest
from ndns.mixing.corpus import read_corpus
from ndns.mixing.manifest import Recording
from ndns.peer.clean import AROUND, FRAME, SPEECH, blend, clean
from ndns.train.bank import load_bank

HALF = """
import numpy as np
calls = []
def denoise(samples, rate):
    calls.append(len(samples))
    if len(calls) > {most}:
        raise RuntimeError("no more")
    return np.where(np.arange(len(samples)) < len(samples) // 2, samples, np.float32(0.25) * samples)
"""


def by_hand(samples, denoised, keep, pauses_db):
    """The same by loops, from the definition."""
    gain = sum(samples * denoised) / sum(denoised * denoised)
    frames = -(-len(samples) // FRAME)
    share = []
    for frame in range(frames):
        part = slice(frame * FRAME, (frame + 1) * FRAME)
        ratio = np.sqrt(np.sum((gain * denoised[part]) ** 2) / np.sum(samples[part] ** 2))
        share.append(1.0 if ratio > SPEECH else min(1.0, max(10 ** (pauses_db / 20), ratio)))
    reach = AROUND // 2
    widest = [max(share[max(i - reach, 0) : i + reach + 1]) for i in range(frames)]
    out = np.empty(len(samples))
    for n in range(len(samples)):
        place = n / FRAME - 0.5
        low = min(max(int(np.floor(place)), 0), frames - 1)
        high = min(low + 1, frames - 1)
        weight = min(max(place - low, 0.0), 1.0)
        factor = widest[low] * (1 - weight) + widest[high] * weight
        out[n] = factor * (gain * denoised[n] + keep * (samples[n] - gain * denoised[n]))
    return out


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    length=st.integers(FRAME // 2, 12 * FRAME),
    keep=st.floats(0, 0.9),
    pauses_db=st.floats(-40, 0),
    scale=st.floats(0.2, 5),
)
def test_blend_is_what_its_definition_says_and_knows_no_level(seed, length, keep, pauses_db, scale):
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal(length)
    denoised = samples * np.repeat(rng.uniform(0.01, 1, 13), FRAME)[:length] + 0.05 * rng.standard_normal(length)
    out = blend(samples, denoised, keep, pauses_db)
    np.testing.assert_allclose(out, by_hand(samples, denoised, keep, pauses_db), atol=1e-6)
    np.testing.assert_allclose(out, blend(samples, scale * denoised, keep, pauses_db), atol=1e-6)


def test_a_pause_is_turned_down_and_speech_with_what_is_near_it_is_not():
    rng = np.random.default_rng(1)
    voice = np.sin(np.arange(16_000) / 5)
    samples = np.concatenate([voice, np.zeros(16_000)]) + 0.01 * rng.standard_normal(32_000)
    denoised = np.concatenate([voice, np.zeros(16_000)])
    out = blend(samples, denoised, keep=0.3, pauses_db=-30.0)
    np.testing.assert_allclose(out[20_000:], samples[20_000:] * 0.3 * 10 ** (-30 / 20), atol=1e-6)
    near = slice(16_000, 16_000 + 2 * FRAME)
    np.testing.assert_allclose(out[near], 0.3 * samples[near], atol=1e-6)
    assert np.abs(out[:16_000] - voice).max() < 0.3 * np.abs(samples[:16_000] - voice).max() + 1e-3
    np.testing.assert_allclose(blend(samples, np.zeros(32_000), 0.3, 0.0), 0.3 * samples)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Two speakers of train, one of val, one recording of train that val has too, and noise."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(2)
    rows = []
    for path, kind, label, split in (
        ("speech/a/1.wav", "speech", "a", "train"),
        ("speech/a/2.flac", "speech", "a", "train"),
        ("old.tar/é.flac", "speech", "b", "train"),
        ("speech/b/twin.flac", "speech", "b", "train"),
        ("speech/v/1.flac", "speech", "v", "val"),
        ("noise/n.flac", "noise", "n", "train"),
    ):
        pcm = np.rint(3000 * rng.standard_normal(8000 + 100 * len(rows))).astype(np.int16)
        if "twin" in path or "/v/" in path:
            pcm = np.arange(-4000, 4000, dtype=np.int16)
        if path.startswith("old.tar"):
            pcm[4200:] = 0
        write_pcm16(tmp_path / "in" / path, pcm)
        rows.append(Recording(path, kind, label, split, len(pcm) / 16000, 16000, 1, "CC0-1.0", pcm_sha256(pcm)))
    manifest.write(tmp_path / "data", rows, str(tmp_path / "in"), "folder")
    return tmp_path / "data" / "manifest.csv"


def halved(tmp_path, name, most=99):
    (tmp_path / f"{name}.py").write_text(HALF.format(most=most))
    return Peer(peer="python", callable=f"{name}:denoise")


def run(corpus, peer, jobs=1, **changes):
    section = CleanedCorpus(kind="cleaned", name="c", by="p", **{"keep": 0.0, "pauses_db": 0.0} | changes)
    return clean(section, peer, corpus, corpus, corpus.parent / "c", jobs)


def test_the_speech_of_train_is_cleaned_and_can_be_trained_on(corpus, tmp_path):
    found = run(corpus, halved(tmp_path, "halved_one"))
    rows = manifest.read(tmp_path / "data/c/manifest.csv")
    assert [(row.path, row.label, row.split, row.licence, row.status) for row in rows] == [
        ("audio.tar/old_tar/é.flac", "b", "train", "CC0-1.0", "ok"),
        ("audio.tar/speech/a/1.wav.flac", "a", "train", "CC0-1.0", "ok"),
        ("audio.tar/speech/a/2.flac", "a", "train", "CC0-1.0", "ok"),
    ], "neither noise, nor what is kept for validation, nor its twin"
    assert found.recordings == 3
    assert found.minutes == pytest.approx((8000 + 8100 + 8200) / 16000 / 60)
    for row, source in ((rows[1], "speech/a/1.wav"), (rows[2], "speech/a/2.flac")):
        cleaned, heard = read_pcm16(tmp_path / "data/c" / row.path), read_pcm16(tmp_path / "in" / source)
        assert pcm_sha256(cleaned) == row.sha256
        ratio = np.std(cleaned[len(heard) // 2 :]) / np.std(heard[len(heard) // 2 :])
        assert ratio == pytest.approx(0.25 * np.std(cleaned[:4000]) / np.std(heard[:4000]), rel=0.01)
    bank = load_bank(Fresh(generated_share=0.0), 1, [corpus, tmp_path / "data/c/manifest.csv"])
    assert [group[0].label for group in bank.more.speech] == ["a", "b"]
    np.testing.assert_array_equal(bank.samples[f"1/{rows[1].path}"], read_pcm16(tmp_path / "data/c" / rows[1].path))


def test_the_result_does_not_depend_on_the_number_of_processes(corpus, tmp_path):
    run(corpus, halved(tmp_path, "halved_two"))
    first = {name: (tmp_path / "data/c" / name).read_bytes() for name in ("audio.tar", "manifest.csv", "manifest.json")}
    shutil.rmtree(tmp_path / "data/c")
    run(corpus, halved(tmp_path, "halved_two"), jobs=2)
    assert {name: (tmp_path / "data/c" / name).read_bytes() for name in first} == first


class Gate:
    """A denoiser whose code is known, as that of the released ones is; it fails when `calls` runs out."""

    class facts:
        known = True

    calls = 0

    def denoise(self, clip):
        if not Gate.calls:
            raise UserError("the power is gone")
        Gate.calls -= 1
        return clip.noisy * 0.5, {}


def test_an_interrupted_run_goes_on_unless_what_it_depends_on_has_changed(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("ndns.peer.clean.peer_of", lambda settings: Gate())
    monkeypatch.setattr("ndns.peer.clean._peer", lambda settings: Gate())
    peer = Peer(peer="noisereduce")
    for calls, keep in ((2, 0.0), (1, 0.0), (2, 0.0), (2, 0.5)):
        Gate.calls = calls
        if calls == 1:
            run(corpus, peer, keep=keep)
            assert not (tmp_path / "data/c/.parts").exists()
        else:
            with pytest.raises(UserError, match="the power is gone"):
                run(corpus, peer, keep=keep)
        assert Gate.calls == 0
    Gate.calls = 1
    with pytest.raises(UserError, match="the power is gone"):
        run(corpus, peer, keep=0.0)
    assert Gate.calls == 0, "those of another share are not taken for these"


def test_what_a_run_with_other_settings_replaced_before_it_died_is_made_again(corpus, tmp_path, monkeypatch):
    class Half(Gate):
        def denoise(self, clip):
            return np.where(np.arange(len(clip.noisy)) < 4000, clip.noisy, 0.25 * clip.noisy), {}

    for name in ("peer_of", "_peer"):
        monkeypatch.setattr(f"ndns.peer.clean.{name}", lambda settings: Half())
    add, noted = Journal.add, []

    def dies_after(most):
        def adding(journal, path, key, result):
            if len(noted) == most:
                raise KeyboardInterrupt
            noted.append(path)
            add(journal, path, key, result)

        return adding

    for keep, most in ((0.0, 1), (0.5, 1)):
        monkeypatch.setattr(Journal, "add", dies_after(most))
        with pytest.raises(KeyboardInterrupt):
            run(corpus, Peer(peer="noisereduce"), keep=keep)
    monkeypatch.setattr(Journal, "add", add)
    run(corpus, Peer(peer="noisereduce"), keep=0.0)
    for row in manifest.read(tmp_path / "data/c/manifest.csv"):
        assert pcm_sha256(read_pcm16(tmp_path / "data/c" / row.path)) == row.sha256, row.path


def test_a_denoiser_that_may_have_been_mended_hears_all_recordings_again(corpus, tmp_path):
    with pytest.raises(UserError, match=r"failed on .*no more"):
        run(corpus, halved(tmp_path, "halved_three", most=2))
    module = sys.modules["halved_three"]
    module.calls.clear()
    with pytest.raises(UserError, match=r"no more"):
        run(corpus, halved(tmp_path, "halved_three", most=2))
    assert len(module.calls) == 3


def test_recordings_inside_an_archive_and_a_further_corpus(corpus, tmp_path):
    """The corpus `speak` keeps its recordings in an archive; a further one may hold what val holds."""
    more = tmp_path / "data" / "more"
    sounds = {name: (tmp_path / "in" / name).read_bytes() for name in ("speech/a/2.flac", "speech/v/1.flac")}
    write_shard(more / "audio.tar", sorted(sounds.items()))
    known = {row.path: row for row in manifest.read(corpus)}
    rows = [
        Recording(f"audio.tar/{name}", "speech", "z", "train", known[name].seconds, 16000, 1, "", known[name].sha256)
        for name in sounds
    ]
    manifest.write(more, rows, ".", "speak")
    section = CleanedCorpus(kind="cleaned", name="c", by="p")
    clean(section, halved(tmp_path, "halved_four"), more / "manifest.csv", corpus, tmp_path / "out", 1)
    assert [row.path for row in manifest.read(tmp_path / "out/manifest.csv")] == ["audio.tar/speech/a/2.flac"]
    assert read_corpus(tmp_path / "out/manifest.csv").root == tmp_path / "out"


def test_a_recording_whose_name_is_as_long_as_file_systems_bear(corpus, tmp_path):
    name = f"speech/{'é' * 125}y.wav"
    pcm = np.arange(-4000, 4000, dtype=np.int16)
    write_pcm16(tmp_path / "in" / name, pcm)
    rows = [Recording(name, "speech", "y", "train", 0.5, 16000, 1, "", pcm_sha256(pcm))]
    manifest.write(tmp_path / "long", rows, str(tmp_path / "in"), "folder")
    section = CleanedCorpus(kind="cleaned", name="c", by="p")
    long = tmp_path / "long/manifest.csv"
    clean(section, halved(tmp_path, "halved_five"), long, long, tmp_path / "out", 1)
    [row] = manifest.read(tmp_path / "out/manifest.csv")
    assert pcm_sha256(read_pcm16(tmp_path / "out" / row.path)) == row.sha256


def test_what_comes_out_silent_is_left_out_of_training(corpus, tmp_path):
    (tmp_path / "mute.py").write_text("def denoise(samples, rate):\n    return samples * 0\n")
    run(corpus, Peer(peer="python", callable="mute:denoise"))
    assert {row.status for row in manifest.read(tmp_path / "data/c/manifest.csv")} == {"silent"}
    assert json.loads((tmp_path / "data/c/manifest.json").read_text())["skipped"] == {"silent": 3}


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("broken_nan", "return samples * float('nan')", r"gave NaN or infinite samples for \S+/in/\S+\.\w+; mend it\."),
        ("broken_short", "return samples[:10]", "gave 10 samples for"),
        ("broken_zero", "return 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_denoiser_that_fails_is_named_and_nothing_is_there(corpus, tmp_path, name, code, said):
    (tmp_path / f"{name}.py").write_text(f"def denoise(samples, rate):\n    {code}\n")
    with pytest.raises(UserError, match=said):
        run(corpus, Peer(peer="python", callable=f"{name}:denoise"))
    assert not (tmp_path / "data/c/manifest.csv").exists()
    assert not (tmp_path / "data/c/audio.tar").exists()


@pytest.mark.parametrize("second", ["speech/a/1.wav.flac", "audio.tar/speech/a/1.wav"])
def test_recordings_that_would_have_one_name_are_named(corpus, tmp_path, second):
    rows = manifest.read(corpus)
    twin = replace(next(row for row in rows if row.path == "speech/a/1.wav"), path=second)
    manifest.write(corpus.parent, [*rows, twin], str(tmp_path / "in"), "folder")
    (tmp_path / "in" / second).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(tmp_path / "in/speech/a/1.wav", tmp_path / "in" / second)
    with pytest.raises(UserError, match=r"manifest\.csv: .* would both be called speech/a/1\.wav\.flac; rename one\."):
        run(corpus, halved(tmp_path, "halved_six"))
    assert not (tmp_path / "data/c").exists()


def test_a_recording_that_changed_since_the_corpus_was_made_is_named(corpus, tmp_path):
    write_pcm16(tmp_path / "in/speech/a/2.flac", np.arange(7000, dtype=np.int16))
    with pytest.raises(UserError, match=r"in/speech/a/2\.flac: its length is not what the corpus manifest says"):
        run(corpus, halved(tmp_path, "halved_seven"))


@pytest.mark.parametrize("by", [Peer(peer="ideal_ratio_mask"), Peer(peer="folder", folder="in")])
def test_what_hears_the_clips_of_a_study_alone_cleans_no_corpus(corpus, tmp_path, by):
    with pytest.raises(UserError, match=rf"{by.peer}: denoises the clips of a study alone; name another peer"):
        run(corpus, by)
    assert not (tmp_path / "data/c").exists()


def test_a_corpus_without_speech_to_clean_is_named(corpus):
    rows = [row for row in manifest.read(corpus) if row.kind == "noise" or row.split == "val"]
    manifest.write(corpus.parent, rows, str(corpus.parents[1] / "in"), "folder")
    with pytest.raises(UserError, match=r"manifest\.csv: has no speech for train to clean; add some\."):
        run(corpus, Peer(peer="noisereduce"))
