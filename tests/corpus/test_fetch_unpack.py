"""Archives: nothing leaves the folder, nothing broken is taken, volumes as `zip -s` writes them."""

import io
import shutil
import stat
import struct
import subprocess
import tarfile
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndns.corpus.unpack import Interrupted, safe_path, unpack
from ndns.errors import UserError


@pytest.fixture
def run(tmp_path):
    def call(name: str, *parts, stop=None) -> dict[str, int]:
        return unpack(name, list(parts), tmp_path / "root/.fetch/x", tmp_path / "root", stop or threading.Event())

    return call


def tar(path, *members):
    with tarfile.open(path, "w:bz2") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def member(name, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


GOOD = (member("a/good.wav"), b"good" * 1000)


def test_a_name_that_is_no_utf8_is_refused_before_anything_is_in_its_place(tmp_path, run):
    with tarfile.open(tmp_path / "x.tar.bz2", "w:bz2", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        for name in ("a/good.wav", "a/café.wav"):
            archive.addfile(member(name))
    with pytest.raises(UserError, match=r"x\.tar\.bz2: the path .*caf.*is not allowed"):
        run("x.tar.bz2", tmp_path / "x.tar.bz2")
    assert files(tmp_path / "root") == {}


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/tmp/out", "a\\..\\out", "C:/out", ".fetch/state/x.json"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, run, name):
    path = tar(tmp_path / "x.tar.bz2", GOOD, (member(name), b"bad"))
    with pytest.raises(UserError, match=r"x\.tar\.bz2: the path .* leaves the folder"):
        run("x.tar.bz2", path)
    assert files(tmp_path / "root") == {}, "nothing of a refused archive is left"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("a")
        info.filename = name
        archive.writestr(info, b"bad")
    with pytest.raises(UserError, match=r"x\.zip: the path .* leaves the folder"):
        run("x.zip", tmp_path / "x.zip")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, run, kind):
    path = tar(tmp_path / "x.tar.bz2", GOOD, (member("a/bad", kind, "/etc/passwd"), b""))
    with pytest.raises(UserError, match="'a/bad' is a link or device"):
        run("x.tar.bz2", path)
    assert files(tmp_path / "root") == {}


def test_link_in_zip_is_refused(tmp_path, run):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("a/bad")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="'a/bad' is a link or device"):
        run("x.zip", tmp_path / "x.zip")


def test_link_in_the_way_is_not_followed(tmp_path, run):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leaves"):
        run("x.tar.bz2", tar(tmp_path / "x.tar.bz2", GOOD))
    assert files(tmp_path / "elsewhere") == {}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab./\\:\0~", max_size=12))
def test_a_safe_path_stays_inside(name):
    """For any name: either refused, or below the folder by the standard library's own reckoning."""
    import os

    try:
        path = safe_path(name, "x")
    except UserError:
        return
    assert os.path.normpath(os.path.join("/folder", path)).startswith("/folder/")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_cut_archives_are_refused(tmp_path, run, share):
    data = np.random.default_rng(0).bytes(300_000)
    path = tar(tmp_path / "x.tar.bz2", (member("a.wav"), data), (member("b.wav"), data))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"x\.tar\.bz2: corrupt or cut short"):
        run("x.tar.bz2", path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.wav", data)
    whole = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"x\.zip: corrupt or cut short"):
        run("x.zip", tmp_path / "x.zip")
    assert files(tmp_path / "root") == {}


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path, run):
    """In a zip, a flip changes a name or a date, or it is refused; content never changes silently."""
    content = b"content " * 40
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", content)
    whole = (tmp_path / "x.zip").read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        (tmp_path / "x.zip").write_bytes(damaged)
        shutil.rmtree(tmp_path / "root", ignore_errors=True)
        try:
            run("x.zip", tmp_path / "x.zip")
        except UserError:
            continue
        assert list(files(tmp_path / "root").values()) == [content], place


def test_stop_leaves_nothing(tmp_path, run):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        run("x.tar.bz2", tar(tmp_path / "x.tar.bz2", GOOD), stop=stop)
    assert files(tmp_path / "root") == {}


def volumes(folder, contents: dict[str, bytes], size: int) -> list:
    """Split an archive as `zip -s` does: a marker first, positions count from the start of their volume."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, (name, data) in enumerate(contents.items()):
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED)
    plain = buffer.getvalue()
    end = plain.rfind(b"PK\x05\x06")
    directory = struct.unpack_from("<L", plain, end + 16)[0]
    data = bytearray(b"PK\x07\x08" + plain)
    directory += 4
    at = directory
    for _ in contents:
        name_size, extra_size, comment_size = struct.unpack_from("<3H", data, at + 28)
        disk, offset = divmod(struct.unpack_from("<L", data, at + 42)[0] + 4, size)
        struct.pack_into("<H", data, at + 34, disk)
        struct.pack_into("<L", data, at + 42, offset)
        at += 46 + name_size + extra_size + comment_size
    disk, offset = divmod(directory, size)
    last = (len(data) - 1) // size
    struct.pack_into("<2H", data, end + 4 + 4, last, disk)
    struct.pack_into("<L", data, end + 4 + 16, offset)
    paths = []
    for number in range(last + 1):
        path = folder / (f"s.z{number + 1:02d}" if number < last else "s.zip")
        path.write_bytes(data[number * size : (number + 1) * size])
        paths.append(path)
    return paths


CONTENTS = {f"test_set_1/noisy/{i}.wav": np.random.default_rng(i).bytes(20_000 + i) for i in range(12)}


def test_volumes_give_every_byte(tmp_path, run):
    paths = volumes(tmp_path, CONTENTS, 65_536)
    assert len(paths) == 4
    found = run("s.zip", *paths)
    assert files(tmp_path / "root") == CONTENTS
    assert found == {name: len(data) for name, data in CONTENTS.items()}


@pytest.mark.skipif(shutil.which("zip") is None, reason="the program zip is not installed")
def test_volumes_of_the_program_zip(tmp_path, run):
    """The challenge's test set was split by `zip -s`."""
    for name, data in CONTENTS.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    subprocess.run(["zip", "-qr", "../whole.zip", "test_set_1"], cwd=tmp_path / "in", check=True)
    subprocess.run(["zip", "-q", "-s", "64k", "whole.zip", "--out", "t.zip"], cwd=tmp_path, check=True)
    parts = [*sorted(tmp_path.glob("t.z0*")), tmp_path / "t.zip"]
    assert len(parts) == 4
    run("t.zip", *parts)
    assert files(tmp_path / "root") == CONTENTS


def test_missing_or_swapped_volumes_are_refused(tmp_path, run):
    paths = volumes(tmp_path, CONTENTS, 65_536)
    with pytest.raises(UserError, match="4 volumes belong to it, 3 are here"):
        run("s.zip", *paths[1:])
    with pytest.raises(UserError, match=r"s\.zip: corrupt or cut short"):
        run("s.zip", paths[1], paths[0], *paths[2:])
    assert files(tmp_path / "root") == {}


def test_large_sizes_of_zip64_are_read(tmp_path, run):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, archive.open("a.wav", "w", force_zip64=True) as handle:
        handle.write(b"wide")
    run("x.zip", tmp_path / "x.zip")
    assert files(tmp_path / "root") == {"a.wav": b"wide"}


def test_directory_in_zip64_is_read(tmp_path, run, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for number in range(8):
            archive.writestr(f"{number}.wav", bytes([number]))
    assert b"PK\x06\x06" in (tmp_path / "x.zip").read_bytes()
    run("x.zip", tmp_path / "x.zip")
    assert files(tmp_path / "root") == {f"{number}.wav": bytes([number]) for number in range(8)}


def test_unknown_format_is_refused(tmp_path, run):
    with pytest.raises(UserError, match=r"x\.rar: only a \.tar\.bz2 of one part and \.zip"):
        run("x.rar", tmp_path / "x.rar")
    with pytest.raises(UserError, match="of one part"):
        run("x.tar.bz2", tmp_path / "1", tmp_path / "2")
