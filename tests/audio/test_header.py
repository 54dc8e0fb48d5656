"""Recordings that hold less than their header promises are refused; streams of unknown length are not."""

import io
import struct

import numpy as np
import pytest
import soundfile

from ndns.audio import io as audio
from ndns.audio.header import promised
from ndns.errors import UserError

FORMATS = [("WAV", "PCM_16"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_24"), ("RF64", "FLOAT"), ("W64", "PCM_16")]
FORMATS += [("AIFF", "PCM_24"), ("AU", "PCM_16")]


def encoded(form="WAV", subtype="PCM_16", endian="FILE", frames=8002) -> bytes:
    buffer = io.BytesIO()
    sound = np.random.default_rng(0).standard_normal(frames) * 0.05
    soundfile.write(buffer, sound, 16_000, format=form, subtype=subtype, endian=endian)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "endian"),
    [*((*each, "FILE") for each in FORMATS), *((*each, "BIG") for each in FORMATS if each[0] == "WAV")],
)
def test_a_recording_cut_short_is_refused_and_a_whole_one_is_not(tmp_path, form, subtype, endian):
    whole, path = encoded(form, subtype, endian), tmp_path / "a"
    size = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}.get(subtype)
    if size:
        extra = 8 if form == "AIFF" else 0
        assert promised(io.BytesIO(whole)) == (8002 * size + extra, 8002 * size + extra)
    path.write_bytes(whole)
    assert audio.info(path).frames == len(soundfile.read(path)[0]) >= 8002
    for kept in (len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:kept])
        for read in (audio.info, audio.read_channels):
            with pytest.raises(UserError, match=r"a: ends after \d+ of \d+ bytes of samples; the file is cut short"):
                read(path)


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36])
def test_a_stream_of_unknown_length_is_taken_as_it_is(tmp_path, size):
    """What `ffmpeg -f wav -`, sox and arecord leave in both sizes when they write to a pipe."""
    whole = bytearray(encoded())
    whole[4:8] = whole[40:44] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(whole)
    samples, _ = audio.read_channels(tmp_path / "a.wav")
    expected = soundfile.read(io.BytesIO(encoded()), dtype="float32", always_2d=True)[0]
    np.testing.assert_array_equal(samples, expected)


def test_a_recording_whose_recorder_never_noted_a_size_is_named(tmp_path):
    whole = bytearray(encoded())
    whole[4:8] = whole[40:44] = bytes(4)
    (tmp_path / "a.wav").write_bytes(whole)
    with pytest.raises(
        UserError, match=r"a\.wav: none of its 16004 bytes of samples can be read; the recording was not"
    ):
        audio.read_channels(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(whole[:44])
    assert audio.info(tmp_path / "a.wav").frames == 0, "nothing was recorded"


def test_chunks_around_the_samples_do_not_matter(tmp_path):
    whole = encoded()
    note = b"note" + struct.pack("<I", 5) + b"hello\0"
    body = whole[12:36] + note + whole[36:]
    whole = b"RIFF" + struct.pack("<I", 4 + len(body) + len(note)) + b"WAVE" + body
    (tmp_path / "a.wav").write_bytes(whole + note[:9])  # what is cut is the note behind the samples
    assert audio.info(tmp_path / "a.wav").frames == 8002
    (tmp_path / "a.wav").write_bytes(whole[:-2])
    with pytest.raises(UserError, match="ends after 16002 of 16004 bytes"):
        audio.info(tmp_path / "a.wav")
