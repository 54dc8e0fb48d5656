"""Reading and writing: what comes back is what was written, and broken files are named."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ndns.audio import io
from ndns.audio.shards import write_shard
from ndns.corpus.inspection import inspect
from ndns.errors import UserError


def tone(rate, seconds=0.5, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT")]
)
def test_channels_are_what_libsndfile_converts(tmp_path, suffix, subtype):
    """To the bit, at both ends of the range; 16 bit are converted here."""
    samples = np.random.default_rng(0).integers(-32768, 32768, (3000, 2), np.int16)
    samples[:2] = [[-32768, 32767], [0, -1]]
    soundfile.write(tmp_path / f"a.{suffix}", samples, 48_000, subtype=subtype)
    read, rate = io.read_channels(tmp_path / f"a.{suffix}", start=1, frames=1000)
    expected, _ = soundfile.read(tmp_path / f"a.{suffix}", start=1, frames=1000, dtype="float32")
    assert (read.dtype, rate) == (np.float32, 48_000)
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_pcm16_round_trip(tmp_path, suffix):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 1000).astype(np.int16)
    io.write_pcm16(tmp_path / f"x{suffix}", pcm)
    assert np.array_equal(io.read_pcm16(tmp_path / f"x{suffix}"), pcm)


def test_hash_is_of_samples_not_of_the_container(tmp_path):
    pcm = io.to_pcm16(tone(16_000))
    hashes = set()
    for name in ("a.wav", "b.flac"):
        io.write_pcm16(tmp_path / name, pcm)
        hashes.add(io.pcm_sha256(io.read_pcm16(tmp_path / name)))
    assert hashes == {io.pcm_sha256(pcm)}
    changed = pcm.copy()
    changed[7] ^= 1
    assert io.pcm_sha256(changed) not in hashes


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_and_stereo_become_16_khz_mono(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", np.stack([tone(rate), tone(rate)], axis=1), rate, subtype="FLOAT")
    samples = io.read(tmp_path / "x.wav")
    expected = tone(16_000)
    assert abs(len(samples) - len(expected)) <= 1
    inner = slice(800, 7000)
    assert np.abs(samples[inner] - expected[inner]).max() < 1e-3


@pytest.mark.parametrize("rate", [1, 999, 1_000_001])
def test_a_rate_that_no_recording_has_is_refused(tmp_path, rate):
    soundfile.write(tmp_path / "x.wav", np.zeros(50), rate)
    with pytest.raises(UserError, match=rf"x\.wav: its header says {rate} Hz; expected 1000 to 1000000; mend"):
        io.read(tmp_path / "x.wav")


@given(st.floats(-1, 32767 / 32768))
def test_pcm16_is_within_half_a_step(value):
    assert abs(int(io.to_pcm16(np.array([value]))[0]) / 32768 - value) <= 0.5 / 32768


def test_clipping_is_refused_or_counted():
    with pytest.raises(ValueError, match="clip"):
        io.to_pcm16(np.array([1.0]))
    limited, count = io.limit_to_pcm16(np.array([1.5, -2.0, 0.25]))
    assert limited.tolist() == [32767, -32768, 8192]
    assert count == 2


def test_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.wav: no such recording"):
        io.read(tmp_path / "absent.wav")
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(UserError, match=r"text\.wav: cannot be read as audio"):
        io.read(tmp_path / "text.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    with pytest.raises(UserError, match=r"empty\.wav: holds no samples"):
        io.read(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: contains NaN"):
        io.read(tmp_path / "nan.wav")
    io.write_pcm16(tmp_path / "cut.flac", np.random.default_rng(0).integers(-9000, 9000, 40_000).astype(np.int16))
    whole = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"cut\.flac: (ends after|cannot be decoded)"):
        io.read(tmp_path / "cut.flac")


def test_flac_that_was_written_into_a_pipe_is_named(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(16_000), 16_000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    for look in (io.info, io.read_channels, io.read_pcm16):
        with pytest.raises(UserError, match=r"a\.flac: its header does not say how long it is"):
            look(path)
    found = inspect(path, 0.001)
    assert (found.status, found.frames) == ("corrupt", None)
    assert "does not say how long it is" in found.reason


@pytest.mark.parametrize("read", [io.read, io.read_pcm16])
def test_a_length_that_no_memory_holds_is_named(tmp_path, read):
    path = tmp_path / "a.flac"
    io.write_pcm16(path, np.random.default_rng(0).integers(-9000, 9000, 16_000).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # the 36 bits of STREAMINFO that hold the number of samples
    content[22:26] = b"\xff\xff\xff\xf0"
    path.write_bytes(content)
    assert io.info(path).frames == 2**36 - 16
    with pytest.raises(UserError, match=r"a\.flac: (its header says 687\d+ samples, which|ends after 16000 of 687)"):
        read(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("shard", [False, True])
def test_an_ogg_file_of_two_streams_is_not_read_as_its_first(tmp_path, subtype, shard):
    soundfile.write(tmp_path / "a.ogg", np.random.default_rng(1).uniform(-0.1, 0.1, 9000), 16_000, subtype=subtype)
    content = (tmp_path / "a.ogg").read_bytes()
    sounds = {"one.ogg": content, "two.ogg": 2 * content, "cut.ogg": content[:-20]}
    folder = tmp_path / "x.tar" if shard else tmp_path
    if shard:
        write_shard(folder, sounds.items())
    else:
        for name, data in sounds.items():
            (tmp_path / name).write_bytes(data)
    assert len(io.read(folder / "one.ogg")) == 9000
    with pytest.raises(
        UserError, match=rf"two\.ogg: is damaged or cut short \(another stream begins at byte {len(content)}"
    ):
        io.read(folder / "two.ogg")
    with pytest.raises(UserError, match=r"cut\.ogg: (is damaged or cut short \(ends within|cannot be read as audio)"):
        io.read_scaled(folder / "cut.ogg")
    assert len(io.read_channels(folder / "two.ogg", 10, 20)[0]) == 20, "a segment of what was inspected"


def test_writing_leaves_nothing_behind_on_failure(tmp_path):
    with pytest.raises(UserError, match=r"x\.mp3: can write"):
        io.write_pcm16(tmp_path / "x.mp3", np.zeros(10, np.int16))
    assert list(tmp_path.iterdir()) == []
