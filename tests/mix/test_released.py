"""`mix.method: released` against the released generator's steps, run on a small pool with every kind of recording."""

import csv
import json
import sqlite3

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ndns.config import Mix, settings_from
from ndns.errors import UserError
from ndns.mix import released_facts, released_plan
from ndns.mix.cli import app
from ndns.mix.released import activity, activity_bounds
from ndns.mix.released_facts import Index
from ndns.mix.released_plan import write_released_plan
from ndns.mix.render import Job, gather, render_shards
from ndns.mixing.draw import SILENCE, Segment
from ndns.mixing.plan import read_rows
from ndns.mixing.released_clip import planned_released

from .conftest import noise_like, speech_like
from .measure import read_flac, rows_of
from .released_reference import Generator
from .released_reference import activity as reference_activity

OPTIONS = {"seconds": 2.5, "snr": (-5, 20), "level": (-35, -8), "activity": 0.6, "first": 0}
MIX = Mix(
    method="released", seed=5, train_clips=24, val_clips=12, seconds=2.5, level_dbfs=(-35.0, -8.0), shard_clips=10
)


class Pool:
    """Recordings below `root` and a corpus manifest in an order that is not sorted."""

    def __init__(self, folder):
        self.folder, self.root, self.rows = folder, folder / "datasets", []

    @property
    def manifest(self):
        return self.folder / "manifest.csv"

    def add(self, path, samples, rate=16_000):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples, rate, subtype="PCM_16")
        self.rows.append({"path": path, "kind": path.split("_")[0].replace("clean", "speech"), "sha256": ""})

    def paths(self, kind):
        return [row["path"] for row in self.rows if row["kind"] == kind]

    def save(self):
        with open(self.manifest, "w", newline="") as handle:
            writer = csv.DictWriter(handle, ["path", "kind", "sha256"])
            writer.writeheader()
            writer.writerows(self.rows)
        self.manifest.with_suffix(".json").write_text(json.dumps({"kind": "folder", "root": str(self.root)}))
        return self


def talk(rng, rate, seconds):
    """Speech without the pauses that make the activity detector refuse it."""
    return 0.6 * speech_like(rng, rate, seconds) + 0.4 * speech_like(rng, rate, seconds)


def fill(folder, rate=16_000):
    """Short, long, stereo, clipped in one place, silent, empty, unreadable; noise so peaky that mixtures drop."""
    pool, rng = Pool(folder), np.random.default_rng(11)
    for take, seconds in enumerate((4.1, 0.83, 1.37, 0.4, 6.3, 1.9, 2.71, 0.61, 3.3)):
        pool.add(f"clean_fullband/s{take % 3}/take{take}.wav", talk(rng, rate, seconds), rate)
    pool.add("clean_fullband/s1/stereo.wav", np.stack([talk(rng, rate, 1.2)] * 2, axis=1) * [1, 0.3], rate)
    loud = talk(rng, rate, 5.0)
    loud[len(loud) // 2] = 0.999
    pool.add("clean_fullband/s2/loud.wav", loud, rate)
    pool.add("clean_fullband/s2/loud_short.wav", np.clip(4 * talk(rng, rate, 0.7), -0.999, 0.999), rate)
    pauses = np.zeros(int(3.1 * rate))
    pauses[4000:9000] = talk(rng, rate, 5000 / rate)[:5000]
    pool.add("clean_fullband/s0/pauses.wav", pauses, rate)
    pool.add("clean_fullband/s0/empty.wav", np.zeros(0), rate)
    for take, seconds in enumerate((0.9, 7.7, 1.41, 2.3)):
        pool.add(f"noise_fullband/n{take}.wav", noise_like(rng, rate, seconds), rate)
    clicks = 0.001 * rng.standard_normal(int(3.7 * rate))
    clicks[:: rate // 3] = 0.9
    pool.add("noise_fullband/clicks.wav", clicks, rate)
    (pool.root / "clean_fullband/s0/broken.wav").write_bytes(b"not audio")
    pool.rows.append({"path": "clean_fullband/s0/broken.wav", "kind": "speech", "sha256": ""})
    pool.rows = [pool.rows[i] for i in rng.permutation(len(pool.rows))]
    return pool.save()


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("pool"))


def read_released_plan(path, split, mix):
    return [planned_released(row, path, mix) for row in read_rows(path, split, mix)]


def render(pool, plan, split, mix, jobs=1):
    """Render beside the plan; return the manifest's path."""
    folder = plan.parent / split
    render_shards(Job(mix, plan, pool.manifest, split, folder), jobs=jobs)
    out = plan.with_name(f"{split}.csv")
    gather([folder / f"{shard}.csv" for shard in mix.shards(split)], out)
    return out


def reference(pool, folder, split, count, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    options = {**OPTIONS, "validation": split == "val", **changes}
    generator = Generator(pool.root, pool.paths("speech"), pool.paths("noise"), **options)
    return generator, generator.run(count, folder)


@pytest.fixture(scope="module")
def planned(pool, tmp_path_factory):
    out = tmp_path_factory.mktemp("mix") / "plan.csv"
    result = CliRunner().invoke(
        app, ["plan", "--settings", MIX.model_dump_json(), "--manifest", str(pool.manifest), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize("split", ["train", "val"])
def test_names_recordings_and_samples_are_those_of_the_script(pool, planned, split, tmp_path):
    count = MIX.train_clips if split == "train" else MIX.val_clips
    generator, expected = reference(pool, tmp_path / "script", split, count)
    assert min(generator.rejected, generator.relabelled, generator.clipped) > 0, "the pool must show these defects"
    assert split == "val" or generator.dropped > 0
    clips = read_released_plan(planned, split, MIX)
    assert [clip.name for clip in clips] == [name for name, *_ in expected]
    for clip, (_, _, speech, noise) in zip(clips, expected, strict=True):
        for segments, used in ((clip.clip.speech, speech), (clip.clip.noise, noise)):
            assert [s.path for s in segments if s.path != SILENCE] == [p for p in used if "empty" not in p]
    copy = tmp_path / "mix" / "plan.csv"
    copy.parent.mkdir()
    copy.write_bytes(planned.read_bytes())
    out = render(pool, copy, split, MIX, jobs=2)
    for row, (name, number, *_) in zip(rows_of(out), expected, strict=True):
        for stream, file in (("noisy", name), ("clean", f"clean_fileid_{number}.wav")):
            check_samples(out.parent / row[stream], tmp_path / "script" / file)
        check_samples(out.parent / row["noise"], tmp_path / "script" / f"noise_fileid_{number}.wav")
        assert row["name"] == name


def check_samples(ours, script):
    """At 16 kHz not even one unit lies between them."""
    a, b = read_flac(ours)[0], soundfile.read(script, dtype="int16")[0]
    assert len(b) >= 40_000
    assert np.array_equal(a, b)
    assert np.abs(a.astype(int)).max() > 20


def test_validation_clips_are_longer_and_train_clips_are_not(planned):
    seconds = {split: [c.clip.seconds for c in read_released_plan(planned, split, MIX)] for split in ("train", "val")}
    assert set(seconds["train"]) == {2.5}
    assert max(seconds["val"]) > 3


def test_the_last_place_of_a_crop_is_never_drawn(tmp_path):
    """`randint(0, spare)` leaves out its upper end, and with one spare sample it takes nothing from the stream."""
    pool, rng = Pool(tmp_path), np.random.default_rng(4)
    pool.add("clean_fullband/a.wav", noise_like(rng, 16_000, 40_001 / 16_000))
    pool.add("noise_fullband/b.wav", noise_like(rng, 16_000, 40_001 / 16_000))
    mix = MIX.model_copy(update={"train_clips": 12, "val_clips": 1})
    write_released_plan(mix, pool.save().manifest, tmp_path / "plan.csv")
    _, expected = reference(pool, tmp_path / "script", "train", 12)
    clips = read_released_plan(tmp_path / "plan.csv", "train", mix)
    assert [clip.name for clip in clips] == [name for name, *_ in expected]
    assert {clip.clip.speech[0].start for clip in clips} | {clip.clip.noise[0].start for clip in clips} == {0}


def test_the_first_number_moves_the_walk(pool, tmp_path):
    mix = MIX.model_copy(update={"released": MIX.released.model_copy(update={"first": 7}), "train_clips": 5})
    write_released_plan(mix, pool.manifest, tmp_path / "plan.csv")
    _, expected = reference(pool, tmp_path / "script", "train", 5, first=7)
    clips = read_released_plan(tmp_path / "plan.csv", "train", mix)
    assert [clip.name for clip in clips] == [name for name, *_ in expected]
    assert clips[0].clip.clip == "train_00007"


def test_lists_give_the_order(pool, tmp_path):
    """The dataset changes with the order in which a disk lists its files, so the order is an input."""
    files = {}
    for kind in ("speech", "noise"):
        files[kind] = tmp_path / f"{kind}.txt"
        files[kind].write_text("\n".join(sorted(pool.paths(kind))) + "\n")
    released = MIX.released.model_copy(update={f"{kind}_list": str(path) for kind, path in files.items()})
    mix = MIX.model_copy(update={"released": released, "train_clips": 6, "val_clips": 1})
    write_released_plan(mix, pool.manifest, tmp_path / "plan.csv")
    (tmp_path / "script").mkdir()
    generator = Generator(
        pool.root, sorted(pool.paths("speech")), sorted(pool.paths("noise")), **OPTIONS, validation=False
    )
    names = [name for name, *_ in generator.run(6, tmp_path / "script")]
    assert [clip.name for clip in read_released_plan(tmp_path / "plan.csv", "train", mix)] == names


def test_48_khz_sources_draw_the_same_and_differ_by_at_most_one_unit(tmp_path):
    pool = fill(tmp_path / "pool", 48_000)
    mix = MIX.model_copy(update={"train_clips": 5, "val_clips": 2})
    write_released_plan(mix, pool.manifest, tmp_path / "plan.csv")

    def resample(audio, rate):
        return librosa.resample(audio, orig_sr=rate, target_sr=16_000)

    _, expected = reference(pool, tmp_path / "script", "train", 5, resample=resample)
    clips = read_released_plan(tmp_path / "plan.csv", "train", mix)
    assert [clip.name for clip in clips] == [name for name, *_ in expected]
    out = render(pool, tmp_path / "plan.csv", "train", mix)
    for row, (name, *_) in zip(rows_of(out), expected, strict=True):
        ours = read_flac(tmp_path / row["noisy"])[0].astype(int)
        script = soundfile.read(tmp_path / "script" / name, dtype="int16")[0].astype(int)
        assert np.abs(ours - script).max() <= 1


def test_a_second_plan_measures_nothing_and_processes_change_nothing(pool, planned, tmp_path, monkeypatch):
    write_released_plan(MIX, pool.manifest, tmp_path / "two.csv", tmp_path / "facts.sqlite", jobs=2)
    assert (tmp_path / "two.csv").read_bytes() == planned.read_bytes()
    monkeypatch.setattr(released_facts, "measure", lambda *_: pytest.fail("a recording was measured again"))
    monkeypatch.setattr(released_plan, "_measure", lambda *_: pytest.fail("a mixture was measured again"))
    write_released_plan(MIX, pool.manifest, tmp_path / "three.csv", tmp_path / "facts.sqlite")
    assert (tmp_path / "three.csv").read_bytes() == planned.read_bytes()


def test_what_is_measured_stays_after_an_interruption(pool, planned, tmp_path, monkeypatch):
    """Ctrl-C in the middle: the next run decodes only recordings that are not in the index."""
    real, seen = released_facts.measure, []

    def stop_after_five(root, path):
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(path)
        return real(root, path)

    facts = tmp_path / "facts.sqlite"
    monkeypatch.setattr(released_facts, "measure", stop_after_five)
    with pytest.raises(KeyboardInterrupt):
        write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv", facts)
    assert not (tmp_path / "plan.csv").exists()
    again = []
    monkeypatch.setattr(released_facts, "measure", lambda root, path: again.append(path) or real(root, path))
    write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv", facts)
    assert sorted([*seen, *again]) == sorted(row["path"] for row in pool.rows)
    assert (tmp_path / "plan.csv").read_bytes() == planned.read_bytes()


@pytest.mark.parametrize("how", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_an_index_that_another_process_writes_is_not_called_broken(pool, tmp_path, monkeypatch, how):
    facts = tmp_path / "facts.sqlite"
    connect = sqlite3.connect
    Index(facts, pool.root).__exit__(None, None, None)
    other = connect(facts, isolation_level=None)
    other.execute(how)
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0.01))
    with pytest.raises(UserError, match=r"facts\.sqlite: another `ndns mix plan` writes it; wait for it"):
        write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv", facts)
    other.execute("ROLLBACK")
    other.close()
    assert not (tmp_path / "plan.csv").exists()
    write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv", facts)


@pytest.mark.parametrize("kept", [0, 1, 3000])
def test_a_broken_index_is_named(pool, tmp_path, kept):
    facts = tmp_path / "facts.sqlite"
    with Index(facts, pool.root) as index:
        index.facts(pool.paths("noise"), jobs=1)
    facts.write_bytes(facts.read_bytes()[:kept] + b"x" * 5000)
    with pytest.raises(UserError, match=r"facts\.sqlite: .*delete it"):
        write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv", facts)


def test_a_changed_recording_is_noticed(tmp_path):
    pool = fill(tmp_path / "pool")
    mix = MIX.model_copy(update={"train_clips": 3, "val_clips": 1})
    write_released_plan(mix, pool.manifest, tmp_path / "plan.csv")
    clips = read_released_plan(tmp_path / "plan.csv", "train", mix)
    path = next(s.path for s in clips[0].clip.noise)
    samples, rate = soundfile.read(pool.root / path)
    soundfile.write(pool.root / path, samples * np.linspace(0.2, 0.9, len(samples)), rate, subtype="PCM_16")
    with pytest.raises(UserError, match=r"run `ndns mix plan` again"):
        render(pool, tmp_path / "plan.csv", "train", mix)
    assert not list((tmp_path / "train").iterdir()), "nothing half-written stays"
    write_released_plan(mix, pool.manifest, tmp_path / "plan.csv")
    render(pool, tmp_path / "plan.csv", "train", mix)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 7000), st.integers(1, 5))
def test_bounds_hold_wherever_recordings_lie(index_of, seed, start, count):
    """The index's bounds enclose the detector's answer, and are useful: they differ by a few windows only."""
    index, samples = index_of
    rng = np.random.default_rng(seed)
    segments = []
    for path in rng.choice(sorted(samples), count):
        stop = int(rng.integers(start + 1, len(samples[path]) + 1))
        segments += [Segment(str(path), start, stop), Segment(SILENCE, 0, int(rng.integers(1, 4000)))]
    audio = np.concatenate([np.zeros(b - a) if p == SILENCE else samples[p][a:b] for p, a, b in segments])
    real = reference_activity(audio)
    low, high = activity_bounds(segments, index)
    assert low <= real <= high
    assert high - low <= 0.34 or len(audio) < 16_000 * 2 or (audio**2).mean() < 1e-6
    energies = np.array([np.sum(audio[i : i + 800] ** 2) for i in range(0, len(audio), 800)])
    assert activity(energies, float((audio**2).mean())) == real


@pytest.fixture(scope="module")
def index_of(tmp_path_factory):
    folder, rng, samples = tmp_path_factory.mktemp("index"), np.random.default_rng(2), {}
    for take in range(5):
        audio = speech_like(rng, 16_000, 1.0 + take * 0.61)
        soundfile.write(folder / f"{take}.wav", audio, 16_000, subtype="PCM_16")
        samples[f"{take}.wav"] = soundfile.read(folder / f"{take}.wav")[0]
    with Index(folder / "facts.sqlite", folder) as index:
        index.facts(sorted(samples), jobs=1)
        yield index, samples


def only(folder, samples):
    pool = Pool(folder)
    pool.add("clean_fullband/a.wav", samples)
    pool.add("noise_fullband/b.wav", noise_like(np.random.default_rng(0), 16_000, 4.0))
    return pool.save()


@pytest.mark.parametrize("samples", [np.full(20_000, 0.999), np.zeros(50_000)], ids=["clipped", "inactive"])
def test_a_pool_on_which_the_script_never_ends_is_refused(tmp_path, samples):
    pool = only(tmp_path, samples)
    with pytest.raises(UserError, match="without a usable clip"):
        write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv")
    assert not (tmp_path / "plan.csv").exists()


def test_a_missing_recording_is_named(tmp_path):
    pool = only(tmp_path, np.zeros(10))
    (pool.root / "clean_fullband/a.wav").unlink()
    with pytest.raises(UserError, match=r"a\.wav: no such recording"):
        write_released_plan(MIX, pool.manifest, tmp_path / "plan.csv")


def test_fractions_of_a_decibel_are_refused():
    with pytest.raises(UserError, match="whole numbers"):
        settings_from('{"method": "released", "snr_db": [-5.5, 20]}', Mix)


@pytest.mark.parametrize("change", [{"seed": 6}, {"train_clips": 23}, {"seconds": 3.0}])
def test_a_plan_of_other_settings_is_refused(planned, change):
    with pytest.raises(UserError, match=r"run `ndns mix plan` again"):
        read_released_plan(planned, "train", MIX.model_copy(update=change))
