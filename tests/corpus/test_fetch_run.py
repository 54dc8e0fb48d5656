"""Existing copies, several at once, interruptions, and the command as users call it."""

import bz2
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ndns.config import Fetch
from ndns.corpus import fetch as module
from ndns.errors import UserError

from .fetch_server import Faults
from .fetch_site import ARCHIVE, NAME, WAVS, noise, published, sources, tar_bz2, unpacked


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


def test_second_run_in_the_same_folder_is_kept_out(tmp_path, go, held_elsewhere):
    with held_elsewhere(tmp_path / "root/.fetch/lock"), pytest.raises(UserError, match="another fetch is at work"):
        go(published())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "../out.tar.bz2"}, "leaves the folder"),
        ({"name": NAME, "sha256": "abc"}, "64 hexadecimal digits"),
        ({"name": NAME, "bytes": "many"}, "numbers or empty"),
        ({"name": NAME, "url": "http://[server/read.tar.bz2"}, "neither http nor https"),
    ],
)
def test_wrong_rows_are_refused(go, row, message):
    with pytest.raises(UserError, match=message):
        go(row)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{NAME},many,{'0' * 64}", r"the row of .*read\.tar\.bz2.* lacks a size or a hash"),
        (f"{NAME},3,", r"the row of .*read\.tar\.bz2.* lacks a size or a hash"),
        (f"{NAME},,{'0' * 64}", r"the row of .*read\.tar\.bz2.* lacks a size or a hash"),
        (f"{NAME},3", "line 2 has too few cells"),
    ],
)
def test_a_wrong_row_of_the_lock_file_is_named(tmp_path, go, row, says):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/sources.lock.csv").write_text(f"name,bytes,sha256\n{row}\n")
    with pytest.raises(UserError, match=rf"sources\.lock\.csv: {says}"):
        go({"name": NAME})


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
