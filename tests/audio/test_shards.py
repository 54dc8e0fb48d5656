"""Members of tar shards read as recordings, against the same recordings unpacked by `tarfile`."""

import io
import tarfile

import numpy as np
import pytest
import soundfile

from ndns.audio.io import encode_pcm16, info, pcm_sha256, read, read_channels, read_pcm16
from ndns.audio.shards import container, write_shard
from ndns.errors import UserError


def tone(index, samples=4000):
    return np.rint(8000 * np.sin(np.arange(samples) * (0.05 + 0.01 * index))).astype(np.int16)


@pytest.fixture
def shard(tmp_path):
    """Three clips, and one of 44.1 kHz stereo in a folder, written by us."""
    wide = io.BytesIO()
    soundfile.write(wide, np.stack([tone(7), tone(8)], axis=1), 44_100, format="WAV", subtype="PCM_16")
    clips = [(f"clip{index}.noisy.flac", encode_pcm16(tone(index))) for index in range(3)]
    write_shard(tmp_path / "0000.tar", [*clips, ("deep/wide.wav", wide.getvalue())])
    return tmp_path / "0000.tar"


def test_members_read_like_files(shard, tmp_path):
    with tarfile.open(shard) as archive:
        for member in archive:
            unpacked = tmp_path / "out" / member.name
            unpacked.parent.mkdir(parents=True, exist_ok=True)
            unpacked.write_bytes(archive.extractfile(member).read())
    for name in ("clip0.noisy.flac", "clip2.noisy.flac", "deep/wide.wav"):
        inside, outside = shard / name, tmp_path / "out" / name
        assert info(inside) == info(outside)
        assert np.array_equal(read(inside), read(outside))
        assert np.array_equal(read_channels(inside, 100, 300)[0], read_channels(outside, 100, 300)[0])
    assert np.array_equal(read_pcm16(shard / "clip1.noisy.flac"), tone(1))
    assert pcm_sha256(read_pcm16(str(shard / "clip2.noisy.flac"))) == pcm_sha256(tone(2))


def test_archives_of_other_tools_are_read(tmp_path):
    """GNU tar with times, users and long names; the member is not where ours would lie."""
    name = "a" * 150 + ".flac"
    with tarfile.open(tmp_path / "foreign.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for index, member in enumerate(["first.flac", name]):
            data = encode_pcm16(tone(index))
            header = tarfile.TarInfo(member)
            header.size, header.mtime, header.uname = len(data), 1_700_000_000, "somebody"
            archive.addfile(header, io.BytesIO(data))
    assert np.array_equal(read_pcm16(tmp_path / "foreign.tar" / name), tone(1))


def test_equal_members_give_equal_bytes(shard, tmp_path):
    clips = [(f"clip{index}.noisy.flac", encode_pcm16(tone(index))) for index in range(3)]
    write_shard(tmp_path / "a.tar", clips)
    write_shard(tmp_path / "b.tar", iter(clips))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    write_shard(tmp_path / "b.tar", reversed(clips))
    assert (tmp_path / "a.tar").read_bytes() != (tmp_path / "b.tar").read_bytes()


def test_another_archive_in_the_same_place_is_noticed(shard):
    assert np.array_equal(read_pcm16(shard / "clip0.noisy.flac"), tone(0))
    write_shard(shard, [("new.flac", encode_pcm16(tone(9, 100))), ("clip0.noisy.flac", encode_pcm16(tone(5)))])
    assert np.array_equal(read_pcm16(shard / "clip0.noisy.flac"), tone(5))


def test_a_folder_may_be_called_tar(tmp_path):
    (tmp_path / "x.tar").mkdir()
    (tmp_path / "x.tar" / "a.flac").write_bytes(encode_pcm16(tone(3)))
    assert np.array_equal(read_pcm16(tmp_path / "x.tar" / "a.flac"), tone(3))
    assert container(tmp_path / "x.tar" / "a.flac") == tmp_path / "x.tar" / "a.flac"


def test_what_is_missing_or_broken_is_named(shard, tmp_path):
    with pytest.raises(UserError, match=r"0000\.tar holds no member of that name"):
        read_pcm16(shard / "clip9.noisy.flac")
    with pytest.raises(UserError, match=r"gone\.flac: no such recording; the archive .*0001\.tar is missing"):
        info(tmp_path / "0001.tar" / "gone.flac")
    with pytest.raises(UserError, match=r"deep/wide\.wav: expected mono 16000 Hz"):
        read_pcm16(shard / "deep/wide.wav")
    (tmp_path / "text.tar").write_text("not an archive" * 100)
    with pytest.raises(UserError, match=r"text\.tar: cannot be read as a tar archive"):
        read_pcm16(tmp_path / "text.tar" / "a.flac")
    whole = shard.read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: 512 + 700])
    with pytest.raises(UserError, match=r"cut\.tar"):
        read_pcm16(tmp_path / "cut.tar" / "clip0.noisy.flac")


def test_a_failed_writer_leaves_nothing(tmp_path):
    def members():
        yield "a.flac", encode_pcm16(tone(1))
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        write_shard(tmp_path / "0000.tar", members())
    assert not list(tmp_path.iterdir())
