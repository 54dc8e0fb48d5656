"""Rows of anybody's recordings: what is noted, and what is refused in which words."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ndns.audio.names import check_names, digest, recordings
from ndns.board.added import add, read_added, remove
from ndns.board.cli import app
from ndns.errors import UserError
from ndns.files import write_csv
from ndns.peer.base import Clip
from ndns.peer.yours import Folder

CLIPS = ["val_00000", "val_00001"]


@pytest.fixture
def results(tmp_path):
    """A study with two clips of 1 s and one run."""
    rows = [{"clip": clip, "seconds": 1.0} for clip in CLIPS]
    write_csv(tmp_path / "results/toy/mix/val.csv", rows, ["clip", "seconds"])
    (tmp_path / "results/toy/deploy/sdnn").mkdir(parents=True)
    (tmp_path / "results/toy/train/ours-seed2").mkdir(parents=True)
    return tmp_path / "results/toy"


@pytest.fixture
def denoised(tmp_path):
    """Recordings of both clips, one stereo at another rate."""
    (tmp_path / "mine").mkdir()
    soundfile.write(tmp_path / "mine/val_00000.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "mine/val_00001.flac", np.zeros((48_000, 2)), 48_000)
    return tmp_path / "mine"


def test_what_is_noted_is_a_peer_with_its_hash(results, denoised):
    app(
        ["add", "mine", str(denoised), "--results", str(results), "--latency-ms", "8", "--note", "a: b"],
        standalone_mode=False,
    )
    noted = yaml.safe_load((results / "added.yaml").read_text())
    expected = {"peer": "folder", "folder": str(denoised), "sha256": digest(recordings(denoised))}
    assert noted == {"mine": {**expected, "latency_ms": 8.0, "note": "a: b"}}


def test_adding_again_replaces_and_removing_leaves_nothing_but_the_recordings(results, denoised):
    first = add(results, "mine", denoised, {})
    soundfile.write(denoised / "val_00000.wav", np.full(16_000, 0.5), 16_000)
    second = add(results, "mine", denoised, {"parameters": 3})
    add(results, "other", denoised, {})
    assert first.sha256 != second.sha256
    assert read_added(results)["mine"]["sha256"] == second.sha256
    (results / "score/mine").mkdir(parents=True)
    add(results, "mine", denoised, {})
    remove(results, "mine")
    assert list(read_added(results)) == ["other"]
    assert not (results / "score/mine").exists()
    remove(results, "other")
    assert not (results / "added.yaml").exists()
    assert len(recordings(denoised)) == 2
    with pytest.raises(UserError, match=r"other: no such row was added .*none"):
        remove(results, "other")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ours", "has a row of this name"),
        ("sdnn", "has a row of this name"),
        ("noisy", "has a row of this name"),
        ("My-Row", "small letters"),
    ],
)
def test_names(results, denoised, name, said):
    with pytest.raises(UserError, match=said):
        add(results, name, denoised, {})
    assert not (results / "added.yaml").exists()


@pytest.mark.parametrize("called", ["val_0000{}.noisy.wav", "en-a_fan_snr3_tl-20_fileid_{}.wav", "fileid_{}.wav"])
def test_names_of_shards_and_of_exported_clips_do(results, denoised, called):
    folder = denoised / "exported"
    folder.mkdir()
    for number in (0, 1):
        soundfile.write(folder / called.format(number), np.full(16_000, 0.1 + 0.2 * number), 16_000)
    entry = add(results, "mine", folder, {})
    assert entry.sha256 == digest(recordings(folder))
    clip = Clip("val_00001", np.zeros(16_000), Path("clean.wav"))
    made, _ = Folder(entry).denoise(clip)
    np.testing.assert_allclose(made, 0.3, atol=1e-4)
    (folder / called.format(1)).unlink()
    with pytest.raises(UserError, match="no recording of val_00001"):
        add(results, "mine", folder, {})


def test_files_that_do_not_match(results, denoised, tmp_path):
    with pytest.raises(UserError, match="no such file; name the folder of a study"):
        add(tmp_path, "mine", denoised, {})
    with pytest.raises(UserError, match="nowhere: no such folder"):
        add(results, "mine", tmp_path / "nowhere", {})
    (denoised / "val_00001.flac").rename(denoised / "out1.flac")
    with pytest.raises(UserError, match=r"no recording of val_00001 \(1 of the 2 clips .*it has out1\.flac.*val_00001"):
        add(results, "mine", denoised, {})
    soundfile.write(denoised / "val_00001.wav", np.zeros(14_000), 16_000)
    with pytest.raises(UserError, match=r"val_00001\.wav: has 0\.88 s, but the clip val_00001 1\.00 s; give the whole"):
        add(results, "mine", denoised, {})
    soundfile.write(denoised / "val_00001.wav", np.zeros(64_000), 16_000)
    with pytest.raises(UserError, match="is it another clip"):
        add(results, "mine", denoised, {})
    (denoised / "val_00001.wav").write_bytes(b"no sound")
    with pytest.raises(UserError, match="cannot be read as audio"):
        add(results, "mine", denoised, {})
    assert not (results / "added.yaml").exists()


@pytest.mark.parametrize(("scale", "said"), [(np.nan, "contains NaN"), (20_000.0, "full scale is 1")])
def test_recordings_that_could_not_be_scored(results, denoised, scale, said):
    soundfile.write(denoised / "val_00000.wav", np.full(16_000, scale), 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"val_00000\.wav: .*{said}"):
        add(results, "mine", denoised, {})
    assert not (results / "added.yaml").exists()


@pytest.mark.parametrize(("key", "value"), [("latency_ms", -4.0), ("size_kb", float("nan")), ("parameters", -1)])
def test_facts_out_of_range(results, denoised, key, value):
    with pytest.raises(UserError, match=rf"^{key}: input should be .* \(found {value}\)\.$"):
        add(results, "mine", denoised, {key: value})
    assert not (results / "added.yaml").exists()


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef"), min_size=1))
def test_names_match_exactly_if_every_clip_is_there(there, clips):
    found = {name: Path(f"{name}.wav") for name in there}
    if clips <= there:
        check_names(found, sorted(clips), Path("d"), Path("m"))
    else:
        with pytest.raises(UserError, match=f"no recording of {min(clips - there)} "):
            check_names(found, sorted(clips), Path("d"), Path("m"))
