"""The plan: fills every clip, keeps the splits apart, and depends on nothing but seed, split and index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mix.cli import app
from ndns.mix.plan import draw_clip, draw_plan, write_plan
from ndns.mixing.corpus import MIN_SAMPLES, Pool, Recording, read_corpus
from ndns.mixing.draw import parse_segments
from ndns.mixing.plan import COLUMNS, read_plan

from .conftest import Corpus, noise_like, speech_like
from .measure import rows_of

MIX = Mix(seed=3, train_clips=40, val_clips=25, seconds=5.0)


def parts(text):
    return [(p, int(a), int(b)) for p, a, b in (part.rsplit(":", 2) for part in text.split("|"))]


@pytest.fixture(scope="module")
def plan(corpus, tmp_path_factory):
    path = tmp_path_factory.mktemp("plan") / "plan.csv"
    result = CliRunner().invoke(
        app, ["plan", "--settings", MIX.model_dump_json(), "--manifest", str(corpus.manifest), "--out", str(path)]
    )
    assert result.exit_code == 0, result.output
    return path


def test_every_clip_is_filled_from_its_own_split(corpus, plan):
    """Leak check, from the two files alone: speech of one speaker and noise of one type, both of the clip's split."""
    about = {row["path"]: row for row in corpus.rows}
    rows = rows_of(plan)
    assert list(rows[0]) == COLUMNS
    assert [row["clip"] for row in rows] == [f"train_{i:05d}" for i in range(40)] + [f"val_{i:05d}" for i in range(25)]
    used = {"train": set(), "val": set()}
    for row in rows:
        assert -5 <= float(row["snr_db"]) <= 20
        assert -35 <= float(row["level_dbfs"]) <= -15
        for kind in ("speech", "noise"):
            segments = parts(row[kind])
            assert sum(stop - start for _, start, stop in segments) == 80_000
            recordings = [about[path] for path, _, _ in segments if path != "silence"]
            assert {r["kind"] for r in recordings} == {kind}
            assert {r["status"] for r in recordings} == {"ok"}
            assert {r["split"] for r in recordings} == {row["split"]}
            assert len({r["label"] for r in recordings}) == 1
            used[row["split"]].update(r["path"] for r in recordings)
        assert {about[path]["label"] for path, _, _ in parts(row["noise"])} == {row["noise_label"]}
    assert not used["train"] & used["val"]
    everything = {split: {r["path"] for r in corpus.rows if r["split"] == split} for split in used}
    assert used == {"train": everything["train"], "val": everything["val"] - {"noise/broken.wav"}}


def test_the_generator_is_the_documented_one(plan):
    row = next(row for row in rows_of(plan) if row["clip"] == "val_00007")
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([3, 1, 7])))
    assert row["seed"] == "3 1 7"
    assert float(row["snr_db"]) == rng.uniform(-5, 20)
    assert float(row["level_dbfs"]) == rng.uniform(-35, -15)


def test_a_clip_does_not_depend_on_how_many_there_are(corpus):
    recordings = read_corpus(corpus.manifest)
    many = {clip.clip: clip for clip in draw_plan(MIX, recordings)}
    few = list(draw_plan(MIX.model_copy(update={"train_clips": 3, "val_clips": 2}), recordings))
    assert len(few) == 5
    assert all(many[clip.clip] == clip for clip in few)
    other = {clip.clip: clip for clip in draw_plan(MIX.model_copy(update={"seed": 4}), recordings)}
    assert not any(other[clip].snr_db == many[clip].snr_db for clip in many)


def test_reading_gives_what_was_drawn(corpus, plan):
    clips = [*read_plan(plan, "train", MIX), *read_plan(plan, "val", MIX)]
    assert clips == list(draw_plan(MIX, read_corpus(corpus.manifest)))


lengths = st.lists(st.integers(MIN_SAMPLES, 200_000), min_size=1, max_size=6)
samples = st.integers(8_001, 300_000)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(lengths, min_size=1, max_size=3), st.lists(lengths, min_size=1, max_size=3), samples, st.integers(0, 99)
)
def test_invariants_of_a_clip(speech, noise, samples, index):
    groups = [
        [tuple(Recording(f"{kind}{g}-{i}", f"{kind}{g}", n, "") for i, n in enumerate(ns)) for g, ns in enumerate(all_)]
        for kind, all_ in (("s", speech), ("n", noise))
    ]
    pool = Pool(*map(tuple, groups))
    clip = draw_clip(Mix(seconds=samples / 16_000), pool, "train", index)
    known = pool.by_path()
    for segments in (clip.speech, clip.noise):
        assert sum(s.samples for s in segments) == samples
        spoken = [s for s in segments if s.path != "silence"]
        assert all(0 <= s.start < s.stop <= known[s.path].samples for s in spoken)
        assert len({known[s.path].label for s in spoken}) == 1
        size = len(next(g for g in (*pool.speech, *pool.noise) if g[0].label == known[spoken[0].path].label))
        first_round = [s.path for s in spoken[:size]]
        assert len(set(first_round)) == len(first_round), "a recording came again before all had their turn"
    for index, segment in enumerate(clip.speech):
        last = index == len(clip.speech) - 1
        assert (segment.path == "silence") == (index % 2 == 1)
        if index % 2:
            assert segment.samples == 3200 or (last and segment.samples < 3200 + 1600)
        elif not last:
            assert (segment.start, segment.stop) == (0, known[segment.path].samples), "only the last may be cropped"
    assert all(s.path != "silence" for s in clip.noise)
    assert clip.noise[0].samples >= MIN_SAMPLES


def test_crops_and_labels_vary():
    pool = Pool(
        tuple((Recording(f"s{i}", f"s{i}", 500_000, ""),) for i in range(4)),
        tuple((Recording(f"n{i}", f"n{i}", 500_000, ""),) for i in range(4)),
    )
    clips = [draw_clip(Mix(seconds=5.0), pool, "train", index) for index in range(400)]
    for kind in ("speech", "noise"):
        segments = [getattr(clip, kind)[0] for clip in clips]
        counts = [sum(s.path.endswith(str(i)) for s in segments) for i in range(4)]
        assert min(counts) > 60
        starts = np.array([s.start for s in segments]) / 420_000
        assert abs(starts.mean() - 0.5) < 0.06
        assert starts.min() < 0.02
        assert starts.max() > 0.98


def test_colons_in_paths_survive():
    assert parse_segments("a:b/c.wav:5:9|silence:0:4") == (("a:b/c.wav", 5, 9), ("silence", 0, 4))


def small(tmp_path, leave_out=()):
    corpus, rng = Corpus(tmp_path), np.random.default_rng(0)
    for split in ("train", "val"):
        if (split, "speech") not in leave_out:
            corpus.add(f"{split}.wav", "speech", f"voice_{split}", split, speech_like(rng, 16_000, 2.0))
        if (split, "noise") not in leave_out:
            corpus.add(f"{split}_noise.wav", "noise", f"noise_{split}", split, noise_like(rng, 16_000, 2.0))
    return corpus


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("kind", ["speech", "noise"])
def test_a_split_without_speech_or_noise_is_named(tmp_path, split, kind):
    corpus = small(tmp_path, [(split, kind)]).save()
    out = tmp_path / "mix" / "plan.csv"
    with pytest.raises(UserError, match=f"split '{split}' has no usable {kind}"):
        write_plan(MIX, read_corpus(corpus.manifest), out)
    assert not out.exists()
    assert not list(out.parent.iterdir()), "nothing half-written stays"


def test_a_label_in_both_splits_is_refused(tmp_path):
    corpus = small(tmp_path)
    corpus.add("again.wav", "speech", "voice_val", "train", speech_like(np.random.default_rng(9), 16_000, 1.0))
    with pytest.raises(UserError, match="speech label 'voice_val' is in both splits"):
        read_corpus(corpus.save().manifest)


def test_same_samples_under_another_name_do_not_cross(tmp_path):
    corpus = small(tmp_path)
    corpus.add("copy.wav", "speech", "alias", "train", soundfile_samples(corpus, "val.wav"))
    assert corpus.rows[-1]["sha256"] == next(r for r in corpus.rows if r["path"] == "val.wav")["sha256"]
    recordings = read_corpus(corpus.save().manifest)
    assert recordings.duplicates == 1
    assert "copy.wav" not in recordings.pools["train"].by_path()
    assert "val.wav" in recordings.pools["val"].by_path()


def test_recordings_below_a_tenth_of_a_second_are_left_out(tmp_path):
    corpus, rng = small(tmp_path), np.random.default_rng(4)
    for samples in (1599, 1600):
        corpus.add(f"{samples}.wav", "noise", "noise_train", "train", noise_like(rng, 16_000, 1.0)[:samples])
    known = read_corpus(corpus.save().manifest).pools["train"].by_path()
    assert known.keys() >= {"1600.wav", "train_noise.wav"}
    assert "1599.wav" not in known


def soundfile_samples(corpus, path):
    import soundfile

    return soundfile.read(corpus.folder / "audio" / path, dtype="int16")[0] / 32767


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": "long"}, "expected numbers"),
        ({"rate": "0"}, "expected numbers"),
        ({"split": "test"}, "expected train or val"),
        ({"path": "a|b.wav"}, "rename it"),
    ],
)
def test_broken_manifest_rows_are_named(tmp_path, change, message):
    corpus = small(tmp_path)
    corpus.rows[0].update(change)
    with pytest.raises(UserError, match=message):
        read_corpus(corpus.save().manifest)


def test_a_missing_manifest_json_is_named(tmp_path):
    corpus = small(tmp_path).save()
    corpus.manifest.with_suffix(".json").unlink()
    with pytest.raises(UserError, match=r"manifest\.json: no such file"):
        read_corpus(corpus.manifest)


@pytest.mark.parametrize(
    "change", [{"seed": 9}, {"train_clips": 41}, {"train_clips": 39}, {"seconds": 4.0}, {"snr_db": (0.0, 1.0)}]
)
def test_a_plan_of_other_settings_is_refused(plan, change):
    with pytest.raises(UserError, match=r"run `ndns mix plan` again"):
        read_plan(plan, "train", MIX.model_copy(update=change))


def test_a_broken_plan_row_is_named(plan, tmp_path):
    text = plan.read_text().replace("silence:0:3200", "silence:0:3201", 1)
    (tmp_path / "plan.csv").write_text(text)
    with pytest.raises(UserError, match=r"the row of 'train_\d+' is broken"):
        read_plan(tmp_path / "plan.csv", "train", MIX)
