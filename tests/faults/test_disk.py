"""A disk that is full, one that must not be written: a sentence, exit code 2, nothing lost, nothing half-written."""

import shutil

import numpy as np
import pytest

from ndns.audio.io import read_pcm16, write_pcm16
from ndns.errors import UserError
from ndns.files import sha256_file, write_json

from .conftest import arguments, call, disk, half_written, leave_free, mount, spoil

pytestmark = pytest.mark.workflow
FULL = "no space left on the disk; free some, then run the same command again"
LEFT = {"corpus": 20, "mix_render": 100, "train": 16, "quantize": 8, "deploy": 8, "score": 0, "cost": 0, "board": 0}
"""Rule -> kilobytes that are left for it, too few for what it writes."""


def first_job(jobs, rule):
    """Records of one job of a rule."""
    return [record for record in jobs[rule] if record.job["log"] == jobs[rule][0].job["log"]]


@pytest.fixture
def small(complete, tmp_path, monkeypatch):
    """Data and results of the finished study on a disk of their own, which is the working folder."""
    with disk(tmp_path / "disk", 24_000) as folder:
        for part in ("data", "results"):
            shutil.copytree(complete.folder / part, folder / part)
        monkeypatch.chdir(folder)
        yield folder
        monkeypatch.undo()


@pytest.mark.parametrize("rule", LEFT)
def test_a_full_disk_is_told_and_leaves_nothing_half_written(rule, small, jobs, wanted, monkeypatch, capfd):
    records = first_job(jobs, rule)
    spoil(small, records)
    filler = leave_free(small, LEFT[rule])
    assert call(arguments(records[0]), monkeypatch) == 2
    told = capfd.readouterr().err.strip().splitlines()
    assert FULL in told[-1], told
    assert not [record.path for record in records if (small / record.path).exists()]
    assert half_written(small) == []
    filler.unlink()
    assert call(arguments(records[0]), monkeypatch) == 0, capfd.readouterr().err
    for record in records:
        assert sha256_file(small / record.path) == wanted.get(record.path, sha256_file(small / record.path))
    assert half_written(small) == []


def test_a_results_folder_that_must_not_be_written(small, jobs, monkeypatch, capfd):
    before = {path: sha256_file(path) for path in small.rglob("*") if path.is_file()}
    assert mount("mount", "-o", "remount,ro", str(small))
    for rule, records in jobs.items():
        assert call(arguments(records[0]), monkeypatch) == 2, rule
        told = capfd.readouterr().err.strip().splitlines()
        assert "lies on a read-only file system; make it writable" in told[-1], (rule, told)
    assert {path: sha256_file(path) for path in small.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_no_size_of_a_recording_slips_through_a_disk_that_it_fills(suffix, tmp_path):
    """Around the size at which the last block does not fit, libsndfile leaves an unreadable file and says nothing."""
    noise = np.random.default_rng(0).integers(-20000, 20000, 34_000).astype(np.int16)
    written = []
    with disk(tmp_path / "disk", 64) as folder:
        path = folder / f"a{suffix}"
        for length in range(32_600, 34_000, 40):
            refused = ""
            try:
                write_pcm16(path, noise[:length])
            except UserError as error:
                refused = str(error)
            if refused:
                assert FULL in refused
                assert list(folder.iterdir()) == []
            else:
                assert len(read_pcm16(path)) == length
                path.unlink()
            written.append(not refused)
    assert written[0]
    assert not written[-1]
    assert sorted(written, reverse=True) == written


def test_what_was_there_stays_when_its_successor_does_not_fit(tmp_path):
    with disk(tmp_path / "disk", 64) as folder:
        path = folder / "a.json"
        write_json(path, {"a": 1})
        filler = leave_free(folder, 0)
        with pytest.raises(UserError, match=r"a\.json: no space left"):
            write_json(path, {"a": "x" * 9000})
        assert path.read_text() == '{\n  "a": 1\n}\n'
        assert sorted(folder.iterdir()) == [path, filler]
