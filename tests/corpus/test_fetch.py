"""Fetching from a server that drops, lies, has nothing, or cannot resume."""

import bz2
import csv
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from ndns.config import Fetch
from ndns.corpus import fetch as module
from ndns.corpus.fetch import fetch
from ndns.corpus.fetch_http import Retry, Unreachable, download
from ndns.errors import UserError

from .fetch_server import Faults, Site, start

HURRY = Retry(attempts=3, pause=0.01, longest_pause=0.02, timeout=5)
NAME = "clean_fullband/read.tar.bz2"


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return np.random.default_rng(seed).bytes(size)


def tar_bz2(files: dict[str, bytes]) -> bytes:
    """A tar archive, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


WAVS = {f"datasets_fullband/clean_fullband/read_speech/{i}.wav": noise(90_000, i) for i in range(3)}
ARCHIVE = tar_bz2(WAVS)


@pytest.fixture
def site(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    site = Site({NAME: ARCHIVE})
    server = start(site)
    yield site
    server.shutdown()
    server.server_close()


def sources(folder: Path, site: Site, *rows: dict) -> Path:
    path = folder / "sources.csv"
    defaults = {"set": "dns4", "folder": "clean_fullband/read_speech", "bytes": "", "sha256": "", "unpacked_gb": ""}
    with open(path, "w", newline="") as handle:
        writer = csv.DictWriter(handle, [*defaults, "archive", "name", "url"])
        writer.writeheader()
        for row in rows or ({"name": NAME},):
            own = {"archive": Path(row["name"]).name, "url": site.url + row["name"]}
            writer.writerow({**defaults, **own, **row})
    return path


def published(data: bytes = ARCHIVE, name: str = NAME) -> dict:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def go(tmp_path, site):
    def call(*rows: dict, sets=("dns4",), jobs: int = 1, **settings) -> dict:
        table = sources(tmp_path, site, *rows)
        section = Fetch(sources=str(table), sets=list(sets), root=str(tmp_path / "root"), **settings)
        return fetch(section, jobs, HURRY, say=lambda line: None)

    return call


def unpacked(root: Path) -> dict[str, bytes]:
    """All files below the root except the fetching's own."""
    names = [path for path in root.rglob("*") if path.is_file() and ".fetch" not in path.parts]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in names if p.suffix == ".wav"}


def test_fetches_checks_and_unpacks(tmp_path, site, go):
    report = go(published())
    assert unpacked(tmp_path / "root") == WAVS
    assert report["dns4"]["files"] == 3
    assert report["dns4"]["bytes"] == 270_000
    assert json.loads((tmp_path / "root/fetched.json").read_text()) == report
    assert not list((tmp_path / "root/.fetch/archives").rglob("*.bz2*")), "the archive goes when it is unpacked"


def test_second_call_asks_nothing(site, go):
    first = go(published())
    site.asked.clear()
    assert go(published()) == first
    assert site.asked == []


def test_lost_file_is_fetched_again(tmp_path, site, go):
    go(published())
    (tmp_path / "root" / next(iter(WAVS))).unlink()
    go(published())
    assert unpacked(tmp_path / "root") == WAVS


def test_dropped_connections_resume_where_they_broke(tmp_path, site, go):
    site.faults[NAME] = Faults(drops=5, after=40_000)
    go(published())
    assert unpacked(tmp_path / "root") == WAVS
    assert site.gets(NAME) == ["", *(f"bytes={40_000 * i}-" for i in range(1, 6))]
    assert site.sent[NAME] == len(ARCHIVE), "no byte is sent twice"


def test_drops_without_progress_end_with_the_name_and_keep_the_part(tmp_path, site, go):
    site.faults[NAME] = Faults(drops=1000, after=0)
    with pytest.raises(UserError, match=rf"read\.tar\.bz2: {site.url}.* broke off 3 times in a row after 0 bytes"):
        go(published())
    site.faults[NAME] = Faults(drops=1, after=50_000)
    go(published())
    assert unpacked(tmp_path / "root") == WAVS


def test_server_without_ranges_starts_over(tmp_path, site, go):
    site.faults[NAME] = Faults(drops=2, after=40_000, ranges=False)
    go(published())
    assert unpacked(tmp_path / "root") == WAVS
    assert site.sent[NAME] == len(ARCHIVE) + 80_000


def test_server_without_ranges_that_always_drops_ends(site, go):
    site.faults[NAME] = Faults(drops=1000, after=40_000, ranges=False)
    with pytest.raises(UserError, match="broke off 3 times in a row after 40000 bytes"):
        go(published())
    assert len(site.gets(NAME)) == 4


def test_catching_up_is_no_progress(site, go):
    """Without ranges the bytes rise and fall for ever; only a byte that never came before counts."""
    site.faults[NAME] = Faults(drops=50, after=40_000, then=[20_000], ranges=False)
    with pytest.raises(UserError, match="broke off 3 times in a row"):
        go(published())
    assert len(site.gets(NAME)) == 4


def test_changed_file_is_not_joined_with_its_older_half(tmp_path, site, go):
    site.files[NAME] = tar_bz2({"old.wav": noise(270_000, 9)})
    site.faults[NAME] = Faults(drops=1000, after=0)
    part = tmp_path / "root/.fetch/archives" / f"{NAME}.part"
    with pytest.raises(UserError):
        go({"name": NAME})
    part.write_bytes(site.files[NAME][:50_000])
    part.with_name(part.name + ".version").write_text('"v1"')
    site.files[NAME], site.version, site.faults[NAME] = ARCHIVE, '"v2"', Faults()
    go({"name": NAME})
    assert unpacked(tmp_path / "root") == WAVS


def test_complete_part_needs_no_request_for_its_bytes(tmp_path, site, go):
    part = tmp_path / "root/.fetch/archives" / f"{NAME}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE)
    go(published())
    assert site.sent[NAME] == 0
    assert unpacked(tmp_path / "root") == WAVS


def test_part_past_the_end_starts_over(tmp_path, site, go):
    part = tmp_path / "root/.fetch/archives" / f"{NAME}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(ARCHIVE + b"more")
    site.faults[NAME] = Faults(head=False)
    go({"name": NAME})
    assert unpacked(tmp_path / "root") == WAVS


def test_wrong_byte_once_is_mended_by_a_second_download(tmp_path, site, go):
    site.faults[NAME] = Faults(wrong=1)
    go(published())
    assert unpacked(tmp_path / "root") == WAVS
    assert site.sent[NAME] == 2 * len(ARCHIVE)


def test_wrong_byte_always_is_refused_by_name(tmp_path, site, go):
    site.faults[NAME] = Faults(wrong=1000)
    with pytest.raises(UserError, match=r"clean_fullband/read\.tar\.bz2: corrupt \(SHA-256 is .* instead of "):
        go(published())
    assert unpacked(tmp_path / "root") == {}
    assert not (tmp_path / "root/fetched.json").exists()


def test_missing_files_are_all_named_before_the_first_byte(site, go):
    site.faults["a.tar.bz2"] = Faults(status=404)
    site.faults["b.tar.bz2"] = Faults(status=410)
    with pytest.raises(UserError, match=r"2 of 3 archives cannot be used: a\.tar\.bz2: .* 404.*b\.tar\.bz2: .* 410"):
        go(published(), {"name": "a.tar.bz2"}, {"name": "b.tar.bz2"})
    assert not site.sent


def test_partial_goes_on_and_says_what_is_missing(tmp_path, site, go):
    report = go(published(), {"name": "a.tar.bz2"}, partial=True)
    assert report["dns4"]["missing"] == ["a.tar.bz2"]
    assert report["dns4"]["archives"] == 1
    assert unpacked(tmp_path / "root") == WAVS


def test_another_size_is_refused_before_the_first_byte(site, go):
    site.files[NAME] = b"version https://git-lfs.github.com/spec/v1\n"
    with pytest.raises(UserError, match=f"offers 43 bytes instead of {len(ARCHIVE)}"):
        go(published())
    assert not site.sent


def test_busy_server_is_asked_again(tmp_path, site, go):
    site.faults[NAME] = Faults(busy=2)
    go(published())
    assert unpacked(tmp_path / "root") == WAVS


def test_unreachable_server_is_named(tmp_path, go):
    with pytest.raises(UserError, match=r"read\.tar\.bz2: http://127\.0\.0\.1:1/x cannot be reached"):
        go({"name": NAME, "url": "http://127.0.0.1:1/x"})


def test_silent_server_is_not_asked_for_every_file(site, go, monkeypatch):
    asked = []

    def silent(url: str, name: str, *_: object) -> int:
        asked.append(name)
        raise Unreachable(f"{name}: {url} cannot be reached (timed out)")

    monkeypatch.setattr(module, "offered_bytes", silent)
    with pytest.raises(UserError, match=r"3 of 3 archives cannot be used: a\.tar\.bz2: .*\| .* not asked again"):
        go(*({"name": f"{letter}.tar.bz2"} for letter in "abc"))
    assert asked == ["a.tar.bz2"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "/etc/passwd"])
def test_only_http(go, url):
    with pytest.raises(UserError, match="neither http nor https"):
        go({"name": NAME, "url": url})


def test_first_download_is_trusted_and_later_ones_must_match(tmp_path, site, go):
    go({"name": NAME})
    lock = (tmp_path / "root/sources.lock.csv").read_text().splitlines()
    assert lock[1] == f"{NAME},{len(ARCHIVE)},{hashlib.sha256(ARCHIVE).hexdigest()}"
    (tmp_path / "root" / next(iter(WAVS))).unlink()
    other = bytearray(ARCHIVE)
    other[1000] ^= 1
    site.files[NAME] = bytes(other)
    with pytest.raises(UserError, match="SHA-256 is"):
        go({"name": NAME})


def test_first_download_that_does_not_unpack_is_not_trusted(tmp_path, site, go):
    site.faults[NAME] = Faults(wrong=1)
    with pytest.raises(UserError, match=r"read\.tar\.bz2: corrupt or cut short"):
        go({"name": NAME})
    assert not (tmp_path / "root/sources.lock.csv").exists()
    go({"name": NAME})
    assert unpacked(tmp_path / "root") == WAVS


def test_disk_need_is_compared_before_the_first_byte(site, go, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**12, 0, int(5.5e9)))
    with pytest.raises(UserError, match=r"7\.0 GB are needed and 5\.5 GB are free"):
        go({**published(), "unpacked_gb": 7.0})
    assert not site.sent
    go({**published(), "unpacked_gb": 5.4})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_is_said_and_not_retried(tmp_path, site):
    target = tmp_path / "x"
    (tmp_path / "x.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"x\.part: cannot be written \(No space left on device\)"):
        download(site.url + NAME, target, len(ARCHIVE), HURRY, threading.Event())
    assert len(site.gets(NAME)) == 1


def test_archive_stays_when_the_disk_fills_while_unpacking(tmp_path, site, go, monkeypatch):
    def full(*_: object) -> dict:
        raise UserError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", full)
        with pytest.raises(UserError, match="no room"):
            go({"name": NAME})
    site.asked.clear()
    go({"name": NAME})
    assert site.gets(NAME) == []
    assert unpacked(tmp_path / "root") == WAVS


def test_kept_archives_count_in_the_disk_need(site, go, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**12, 0, 2 * len(ARCHIVE) + 50))
    site.files["b.tar.bz2"] = ARCHIVE
    rows = [{**published(), "unpacked_gb": 2e-8}, {**published(name="b.tar.bz2"), "unpacked_gb": 3.2e-8}]
    with pytest.raises(UserError, match="GB are needed"):
        go(*rows, keep_archives=True)
    go(rows[0], keep_archives=True)


def test_existing_archives_are_used_in_place(tmp_path, site, go):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "read.tar.bz2").write_bytes(ARCHIVE)
    go(published(), existing=str(copy))
    assert unpacked(tmp_path / "root") == WAVS
    assert site.asked == []
    assert (copy / "read.tar.bz2").exists()


def test_corrupt_existing_archive_is_refused_and_left(tmp_path, site, go):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "read.tar.bz2").write_bytes(ARCHIVE[:-1] + b"x")
    with pytest.raises(UserError, match=r"read\.tar\.bz2: corrupt .*; replace this copy"):
        go(published(), existing=str(copy))
    assert (copy / "read.tar.bz2").exists()


def test_existing_unpacked_copy_is_taken(tmp_path, site, go):
    place = tmp_path / "copy/datasets_fullband/clean_fullband/read_speech"
    place.mkdir(parents=True)
    (place / "a.wav").write_bytes(b"RIFF")
    report = go(published(), existing=str(tmp_path / "copy"))
    assert report["dns4"] == {"root": str(tmp_path / "copy"), "from": "existing copy", "missing": []}
    assert site.asked == []
    rows = [published(), {"name": "n.tar.bz2", "folder": "noise_fullband"}]
    with pytest.raises(UserError, match="the copy of dns4 lacks noise_fullband"):
        go(*rows, existing=str(tmp_path / "copy"))


def test_several_at_once_give_the_same(tmp_path, site, go):
    rows, files = [], {}
    for i in range(6):
        files[f"d/{i}.wav"] = noise(50_000, i)
        site.files[f"{i}.tar.bz2"] = tar_bz2({f"d/{i}.wav": files[f"d/{i}.wav"]})
        site.faults[f"{i}.tar.bz2"] = Faults(drops=1, after=20_000)
        rows.append({"name": f"{i}.tar.bz2"})
    go(*rows, jobs=3)
    assert unpacked(tmp_path / "root") == files
    assert len((tmp_path / "root/sources.lock.csv").read_text().splitlines()) == 7


def test_second_run_in_the_same_folder_is_kept_out(tmp_path, go):
    with module._alone(tmp_path / "root/.fetch"), pytest.raises(UserError, match="another fetch is at work"):
        go(published())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "../out.tar.bz2"}, "leaves the folder"),
        ({"name": NAME, "sha256": "abc"}, "64 hexadecimal digits"),
        ({"name": NAME, "bytes": "many"}, "numbers or empty"),
    ],
)
def test_wrong_rows_are_refused(go, row, message):
    with pytest.raises(UserError, match=message):
        go(row)


def test_unknown_set_is_refused(go):
    with pytest.raises(UserError, match="no set 'dns5'; choose from dns4"):
        go(published(), sets=("dns5",))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_run_leaves_its_bytes_and_the_next_goes_on(tmp_path, site, kind):
    """The server stalls after half; the run is ended there, and the next one asks for the other half only."""
    half = len(ARCHIVE) // 2
    site.faults[NAME] = Faults(drops=10**6, after=half)
    table = sources(tmp_path, site, published())
    section = Fetch(sources=str(table), sets=["dns4"], root=str(tmp_path / "root"))
    command = [sys.executable, "-m", "ndns.cli", "fetch", "--settings", section.model_dump_json()]
    program = "from ndns.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command[3:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    part = tmp_path / "root/.fetch/archives" / f"{NAME}.part"
    deadline = time.monotonic() + 40
    while not (part.exists() and part.stat().st_size == half):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    site.faults[NAME].after = 0
    process.send_signal(kind)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert b"\r" not in errors, "no progress bar without a terminal"
    assert part.stat().st_size == half
    site.faults[NAME] = Faults()
    site.asked.clear()
    done = subprocess.run([sys.executable, "-c", program, *command[3:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert site.gets(NAME) == [f"bytes={half}-"]
    assert unpacked(tmp_path / "root") == WAVS


def test_progress_bar_on_a_terminal(tmp_path, site):
    site.faults[NAME] = Faults(drops=3, after=50_000)
    table = sources(tmp_path, site, published())
    section = Fetch(sources=str(table), sets=["dns4"], root=str(tmp_path / "root"))
    program = "from ndns.cli import main; main()"
    terminal, side = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "fetch", "--settings", section.model_dump_json()],
        stderr=side,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(side)
    shown = b""
    try:
        while block := os.read(terminal, 65536):
            shown += block
    except OSError:  # Linux ends a pseudo-terminal with EIO
        pass
    os.close(terminal)
    assert process.wait(20) == 0
    assert b"Fetching" in shown


def test_refusal_is_one_line_and_exit_code_2(tmp_path, site):
    table = sources(tmp_path, site, {"name": "gone.tar.bz2"})
    section = Fetch(sources=str(table), sets=["dns4"], root=str(tmp_path / "root"))
    program = "from ndns.cli import main; main()"
    command = [sys.executable, "-c", program, "fetch", "--settings", section.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "gone.tar.bz2" in done.stderr
    assert "404" in done.stderr


def test_table_of_the_repository_is_whole():
    path = Path(__file__).parents[2] / "data/sources.csv"
    archives = module.read_sources(path, ["dns4", "dns4_dev", "dns4_rir", "test_set_1"])
    by_set = {group: [a for a in archives if a.group == group] for group in ("dns4", "dns4_rir", "test_set_1")}
    assert len(by_set["dns4"]) == 125
    (test_set,) = by_set["test_set_1"]
    assert [part.name[-3:] for part in test_set.parts] == [*(f"z0{i}" for i in range(1, 10)), "zip"]
    assert sum(part.bytes for part in test_set.parts) == 9 * 3 * 2**30 + 342_348_113
    assert all(part.sha256 for part in test_set.parts)
    assert 940e9 < sum(archive.unpacked for archive in by_set["dns4"]) < 960e9  # 827 + 58 GiB


def test_cut_stream_at_a_boundary_of_bz2_is_noticed(tmp_path, site, go):
    """Parallel compressors write many streams; an archive that ends between two of them is valid bz2."""
    whole = bz2.decompress(ARCHIVE)
    site.files[NAME] = bz2.compress(whole[: 512 + 90_112])
    with pytest.raises(UserError, match="the end mark is missing"):
        go({"name": NAME})
