"""Rooms and drift: drawn apart for the splits, heard as a plain convolution and gain, and the SNR stays true."""

import numpy as np
import pytest
import soundfile

from ndns.config import Mix
from ndns.errors import UserError
from ndns.mix.plan import write_plan
from ndns.mix.render import Job, render_shards
from ndns.mixing.corpus import read_corpus
from ndns.mixing.plan import read_plan

from .measure import measured, read_flac, rows_of

MIX = Mix(seed=7, train_clips=30, val_clips=6, seconds=2.5)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    """Five rooms of two responses each; the direct sound comes after 40 samples, upside down."""
    folder, rng = tmp_path_factory.mktemp("rooms"), np.random.default_rng(6)
    for room in "abcde":
        (folder / room).mkdir()
        for place in range(2):
            response = np.r_[np.zeros(40), -0.5, 0.1 * rng.standard_normal(900) * np.exp(-np.arange(900) / 200)]
            soundfile.write(folder / room / f"{place}.wav", response, 16_000, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def made(corpus, rooms, tmp_path_factory):
    mix = MIX.model_copy(update={"rooms": str(rooms), "room_share": 0.6, "drift_db": 6.0})
    folder = tmp_path_factory.mktemp("roomy")
    write_plan(mix, read_corpus(corpus.manifest), folder / "plan.csv")
    render_shards(Job(mix, folder / "plan.csv", corpus.manifest, "train", folder / "train"))
    return folder


def test_all_else_is_drawn_as_without_them_and_no_room_is_in_both_splits(corpus, made, tmp_path):
    write_plan(MIX, read_corpus(corpus.manifest), tmp_path / "plan.csv")
    with_rooms, plain = rows_of(made / "plan.csv"), rows_of(tmp_path / "plan.csv")
    assert [{key: row[key] for key in plain[0]} for row in with_rooms] == plain
    heard = {
        split: {row["room"].split("/")[0] for row in with_rooms if row["split"] == split} for split in ("train", "val")
    }
    assert len(heard["train"] - {""}) >= 2
    assert len(heard["val"] - {""}) == 1
    assert not (heard["train"] & heard["val"]) - {""}
    assert 6 <= sum(not row["room"] for row in with_rooms) <= 24
    drifts = np.array([[float(knot) for knot in row["drift_db"].split()] for row in with_rooms])
    assert drifts.shape == (36, 2)
    assert np.abs(drifts).max() <= 6
    assert drifts.std() > 2


def test_clean_is_the_speech_convolved_and_the_snr_is_true(corpus, rooms, made):
    checked = 0
    for row, planned in zip(rows_of(made / "train" / "0000.csv"), rows_of(made / "plan.csv"), strict=False):
        assert measured(made / "train", row)[0] == pytest.approx(float(planned["snr_db"]), abs=0.1)
        pieces = []
        for part in planned["speech"].split("|"):
            path, start, stop = part.rsplit(":", 2)
            pcm, rate = (
                (np.zeros(int(stop)), 16_000) if path == "silence" else soundfile.read(corpus.folder / "audio" / path)
            )
            pieces.append(pcm[int(start) : int(stop)])
            if rate != 16_000:
                break
        else:
            dry = np.concatenate(pieces)
            wet = dry
            if planned["room"]:
                wet = np.convolve(dry, -2 * soundfile.read(rooms / planned["room"])[0])[40 : 40 + len(dry)]
            first, last = map(float, planned["drift_db"].split())
            expected = wet * 10 ** ((first + (last - first) * np.arange(len(wet)) / 80_000) / 20)
            clip = read_flac(made / "train" / row["clean"])[0] / 32768
            gain = np.dot(clip, expected) / np.dot(expected, expected)
            assert gain > 0
            assert np.abs(clip - gain * expected).max() < 0.6 / 32768
            checked += bool(planned["room"])
    assert checked >= 2


def test_what_cannot_be_is_refused(corpus, rooms, tmp_path):
    with pytest.raises(ValueError, match="rooms and drift_db belong to method true_snr"):
        Mix(method="released", drift_db=3.0)
    with pytest.raises(ValueError, match="seed: that of method released lies below 4294967296"):
        Mix(method="released", seed=2**32)
    one = MIX.model_copy(update={"rooms": str(rooms / "a")})
    with pytest.raises(UserError, match=r"mix\.rooms: .* has recordings in 1 folders; two rooms"):
        write_plan(one, read_corpus(corpus.manifest), tmp_path / "plan.csv")
    assert not (tmp_path / "plan.csv").exists()


def test_a_drift_that_is_rounded_stays_within_the_settings(corpus, tmp_path):
    mix = MIX.model_copy(update={"drift_db": 0.0008})
    write_plan(mix, read_corpus(corpus.manifest), tmp_path / "plan.csv")
    clips = read_plan(tmp_path / "plan.csv", "train", mix)
    assert max(abs(knot) for clip in clips for knot in clip.drift_db) == 0.0008
