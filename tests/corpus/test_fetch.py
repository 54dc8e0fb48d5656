"""Fetching from a server that drops, lies, has nothing, or cannot resume."""

import hashlib
import json
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from ndns.corpus import fetch as module
from ndns.corpus.fetch_http import Unreachable, download
from ndns.errors import UserError

from .fetch_server import Faults
from .fetch_site import ARCHIVE, HURRY, NAME, WAVS, noise, published, tar_bz2, unpacked


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


@pytest.mark.parametrize("left", ["", '{"files": {'])
def test_a_state_that_a_power_cut_tore_is_made_again(tmp_path, site, go, left):
    go(published())
    state = tmp_path / "root/.fetch/state/read.tar.bz2.json"
    whole = state.read_text()
    state.write_text(left)
    go(published())
    assert state.read_text() == whole


def test_another_file_under_another_name_is_no_finished_archive(tmp_path, site, go):
    go(published())
    newer = {name: data[::-1] for name, data in WAVS.items()}
    site.files["newer.tar.bz2"] = tar_bz2(newer)
    go({**published(site.files["newer.tar.bz2"], "newer.tar.bz2"), "archive": Path(NAME).name})
    assert unpacked(tmp_path / "root") == newer


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
    with pytest.raises(UserError) as refused:
        go(*({"name": f"{letter}.tar.bz2"} for letter in "abc"))
    assert asked == ["a.tar.bz2"]
    told = str(refused.value)
    assert told.startswith("3 of 3 archives cannot be used: a.tar.bz2: ")
    assert told.endswith(" did not answer, so it was not asked again (2 archives). (fetch.partial goes on without.)")
    assert told.count("cannot be reached") == 1


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
