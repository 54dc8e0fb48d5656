"""Inspection: every way in which a recording can be bad has its status, and hashes are those of the samples."""

import os

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.audio import ogg
from ndns.audio.io import pcm_sha256, read
from ndns.corpus import inspection
from ndns.corpus.inspection import inspect

SHARE = 0.001
NOISE = np.random.default_rng(0).normal(0, 0.1, 24_000)
FORMATS = [
    ("wav", "PCM_16"),
    ("wav", "PCM_24"),
    ("wav", "FLOAT"),
    ("wav", "PCM_U8"),
    ("flac", "PCM_16"),
    ("ogg", "VORBIS"),
]


def write(path, samples, rate=16_000, subtype=None):
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
def test_good_recordings_pass(tmp_path, suffix, subtype):
    found = inspect(write(tmp_path / f"a.{suffix}", NOISE, 44_100, subtype), SHARE)
    assert (found.status, found.frames, found.rate, found.channels) == ("ok", 24_000, 44_100, 1)


@settings(max_examples=30, deadline=None)
@given(
    frames=st.integers(1, 3000),
    channels=st.integers(1, 4),
    block=st.integers(1, 1000),
    suffix=st.sampled_from(["wav", "flac"]),
    seed=st.integers(0, 1000),
)
def test_hash_is_that_of_the_samples_whatever_the_container(tmp_path_factory, frames, channels, block, suffix, seed):
    pcm = np.random.default_rng(seed).integers(-32_768, 32_767, (frames, channels), dtype=np.int16, endpoint=True)
    path = write(tmp_path_factory.mktemp("hash") / f"a.{suffix}", pcm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspection, "BLOCK", block)
        found = inspect(path, 1.0)
    assert found.sha256 == pcm_sha256(pcm)
    assert (found.frames, found.channels) == (frames, channels)


def test_samples_above_full_scale_are_limited_in_the_hash(tmp_path):
    found = inspect(write(tmp_path / "a.wav", np.tile([2.0, -2.0, 0.1], 100), subtype="FLOAT"), 1.0)
    assert found.sha256 == pcm_sha256(np.tile(np.array([32767, -32768, 3277], dtype=np.int16), 100))


@pytest.mark.parametrize(("suffix", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_files_are_corrupt(tmp_path, suffix, subtype, share):
    path = write(tmp_path / f"a.{suffix}", NOISE, subtype=subtype)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    found = inspect(path, SHARE)
    assert found.status == "corrupt"
    assert found.reason


def test_ogg_checksum_is_the_published_one():
    assert ogg.checksum(b"123456789") == 0x89A1897F  # CRC-32/MPEG-2's polynomial with initial value 0


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_damaged_compressed_files_are_corrupt(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", NOISE)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(byte ^ 0xA5 for byte in data[middle : middle + 400])
    path.write_bytes(data)
    assert inspect(path, SHARE).status == "corrupt"


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_of_two_streams_is_not_taken_for_its_first(tmp_path, subtype):
    soundfile.write(tmp_path / "a.ogg", NOISE, 16_000, subtype=subtype)
    content = (tmp_path / "a.ogg").read_bytes()
    (tmp_path / "b.ogg").write_bytes(2 * content)
    assert inspect(tmp_path / "a.ogg", SHARE).status == "ok"
    found = inspect(tmp_path / "b.ogg", SHARE)
    assert found.status == "corrupt"
    assert f"another stream begins at byte {len(content)}" in found.reason


def test_text_folders_pipes_and_absent_files_are_corrupt(tmp_path):
    (tmp_path / "text.wav").write_text("not a sound")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("text.wav", "folder.wav", "pipe.wav", "absent.wav"):
        assert inspect(tmp_path / name, SHARE).status == "corrupt"


def test_a_stream_of_unknown_length_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "a.wav", NOISE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[4:8] = data[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    found = inspect(path, SHARE)
    assert (found.status, found.frames) == ("ok", 24_000)


def test_empty_files_and_empty_sounds(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    write(tmp_path / "b.wav", np.zeros(0))
    assert inspect(tmp_path / "a.wav", SHARE).status == "empty"
    assert inspect(tmp_path / "b.wav", SHARE).status == "empty"


@pytest.mark.parametrize("rate", [3, 1_000_001])
def test_a_rate_that_no_recording_has_is_corrupt(tmp_path, rate):
    found = inspect(write(tmp_path / "a.wav", NOISE, rate), SHARE)
    assert (found.status, found.reason) == ("corrupt", f"its header says {rate} Hz")
    assert found.rate == rate


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(tmp_path, value):
    samples = NOISE.copy()
    samples[-1] = value
    found = inspect(write(tmp_path / "a.wav", samples, subtype="FLOAT"), SHARE)
    assert (found.status, found.sha256) == ("nan", "")


@pytest.mark.parametrize("samples", [np.zeros(1000), np.full(1000, 0.25), NOISE * 1e-4])
def test_silence_even_with_an_offset(tmp_path, samples):
    assert inspect(write(tmp_path / "a.wav", samples, subtype="PCM_24"), SHARE).status == "silent"


def test_quiet_is_not_silent(tmp_path):
    assert inspect(write(tmp_path / "a.wav", NOISE * 5e-3), SHARE).status == "ok"


def test_one_dead_channel_is_named(tmp_path):
    found = inspect(write(tmp_path / "a.wav", np.stack([NOISE, 0 * NOISE], axis=1)), SHARE)
    assert found.status == "dead_channel"
    assert "channel 2" in found.reason


@pytest.mark.parametrize(("right", "status"), [(-1.0, "silent"), (-0.99, "ok"), (1.0, "ok")])
def test_channels_that_cancel_are_silent_for_all_that_read_their_mean(tmp_path, right, status):
    path = write(tmp_path / "a.wav", 0.25 + np.stack([NOISE, right * NOISE], axis=1), subtype="PCM_24")
    heard = read(path)
    assert (np.std(heard) < inspection.SILENT_RMS) == (status == "silent")
    assert inspect(path, SHARE).status == status


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "PCM_U8", "ULAW", "ALAW"])
def test_clipping_in_every_encoding(tmp_path, subtype):
    path = write(tmp_path / "a.wav", np.clip(NOISE * 30, -1, 1), subtype=subtype)
    assert inspect(path, SHARE).status == "clipped"
    assert inspect(path, 1.0).status == "ok"


def test_clipping_counts_the_worst_channel_and_the_share_decides(tmp_path):
    right = NOISE.copy()
    right[:60] = 1.0  # 0.25 %
    path = write(tmp_path / "a.wav", np.stack([NOISE, right], axis=1))
    assert inspect(path, 0.002).status == "clipped"
    assert inspect(path, 0.003).status == "ok"
