"""Which recordings become which files, wherever OUT lies beside IN; and a folder that must not be written."""

import os
from pathlib import Path

import pytest
import soundfile

from ndns.errors import UserError
from ndns.use.model import Model
from ndns.use.recordings import denoise_file, plan

from .networks import noise, passing


@pytest.fixture
def day(tmp_path, monkeypatch) -> Path:
    """A folder `day` with two recordings, in whose parent the test works."""
    monkeypatch.chdir(tmp_path)
    for name in ("day/a.wav", "day/deep/b.mp3"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(name, noise(3000), 16000)
    return Path("day")


def planned(source: str, target: str) -> dict[str, str]:
    return {path.as_posix(): out.as_posix() for path, out in plan(source, Path(target))}


def test_a_folder_goes_into_the_one_above_it(day):
    assert planned("day", ".") == {"day/a.wav": "a.wav", "day/deep/b.mp3": "deep/b.wav"}


def test_no_recording_replaces_another(day):
    (day / "day").mkdir()
    soundfile.write(day / "day/a.wav", noise(100), 16000)
    with pytest.raises(UserError, match=r"day/a\.wav: is a recording that day/day/a\.wav would replace"):
        plan("day", Path())


def test_what_a_glob_finds_in_out_is_no_input(day):
    expected = {"day/a.wav": "out/a.wav", "day/deep/b.mp3": "out/b.wav"}
    for source in ("day/**/*.*", "**/*.*"):
        assert planned(source, "out") == expected
        for out in expected.values():
            Path(out).parent.mkdir(exist_ok=True)
            soundfile.write(out, noise(100), 16000)
    assert planned("day/deep/*.mp3", "day/deep") == {"day/deep/b.mp3": "day/deep/b.wav"}


def test_one_recording_gets_a_suffix_that_can_be_written_in_a_folder_too(day):
    Path("out").mkdir()
    assert planned("day/deep/b.mp3", "out") == {"day/deep/b.mp3": "out/b.wav"}
    assert planned("day/a.wav", "out") == {"day/a.wav": "out/a.wav"}


def test_a_folder_that_must_not_be_written_is_told(day):
    Path("sealed").mkdir(mode=0o555)
    Path().chmod(0o755)
    model, user = Model(passing(8, 2)), os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        with pytest.raises(UserError, match="Permission denied; mend the permissions"):
            denoise_file(model, day / "a.wav", Path("sealed/a.wav"))
    finally:
        os.seteuid(user)
