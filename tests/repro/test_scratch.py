"""The scratch copy: it has what a study reads of the checkout, and nothing in it writes to the checkout."""

from pathlib import Path

import pytest

from ndns.errors import UserError
from ndns.verify.scratch import WORKFLOW, Scratch, below
from ndns.workflow import plan

FOLDERS = {
    "corpus": {"kind": "folder", "name": "mine", "root": "my/recordings"},
    "more": [{"kind": "folder", "name": "sounds", "root": "more/sounds"}],
    "mix": {"rooms": "rooms"},
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout with the names of the workflow alone, as the working directory."""
    folder = tmp_path / "home" / "checkout"
    for name in WORKFLOW:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    monkeypatch.chdir(folder)
    return folder


def scratch(root, tmp_path):
    settings = root / "study.yaml"
    settings.write_text("")
    return Scratch(root, below(str(tmp_path / "temporary"), root), settings, [], 1)


def planned(**sections):
    return plan({"study": "s", "models": {"sdnn": {}}, **sections})


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(path.as_posix())
    return path


def test_it_has_all_that_a_study_reads_of_the_checkout(root, tmp_path):
    names = ["my/recordings/a.wav", "more/sounds/b.wav", "rooms/hall/c.wav", "clips/d.wav", "tools/denoise.py"]
    names += ["denoisers/mine.py", "weights/rnn.onnx", "lists/speech.txt"]
    for name in names:
        write(root / name)
    models = {
        "sdnn": {},
        "clips": {"peer": "folder", "folder": "clips"},
        "tool": {"peer": "command", "command": ["python", "tools/denoise.py", "{input}", "{output}"]},
        "function": {"peer": "python", "callable": "denoisers.mine:denoise"},
        "weighty": {"peer": "gtcrn", "weights": "./weights/rnn.onnx"},
    }
    released = {"method": "released", "snr_db": [0, 5], "released": {"speech_list": "lists/speech.txt"}}
    copy = scratch(root, tmp_path)
    copy.take_outside(planned(**FOLDERS, models=models))
    copy.take_outside(planned(**{**FOLDERS, "mix": released | {"level_dbfs": [-30, -20]}}, models=models))
    assert [(copy.folder / name).read_text() for name in names] == [(root / name).as_posix() for name in names]


def test_it_has_the_rows_that_were_added(root, tmp_path):
    note = root / "results" / "s" / "added.yaml"
    note.parent.mkdir(parents=True)
    folder = write(tmp_path / "denoised" / "a.wav").parent
    note.write_text(f"mine: {{peer: folder, folder: {folder}}}\n")
    copy, studied = scratch(root, tmp_path), planned()
    assert list(studied.peers) == ["mine"]
    copy.take_outside(studied)
    there = copy.folder / "results" / "s" / "added.yaml"
    assert there.read_text() == note.read_text()
    assert not there.is_symlink()


@pytest.mark.parametrize("place", ["data/mine", "data/mine/recordings", "data", "results/s/deploy/sdnn-seed1/clips"])
def test_recordings_among_the_results_are_refused_before_any_is_touched(root, tmp_path, place):
    recording = write(root / place / "speech" / "a.wav")
    copy = scratch(root, tmp_path)
    with pytest.raises(UserError, match=rf"^{place}: the study reads this folder, and its results lie in it or around"):
        copy.take_outside(planned(**{**FOLDERS, "corpus": FOLDERS["corpus"] | {"root": place}}))
    assert recording.read_text()
    assert not any(path.is_symlink() for path in copy.folder.rglob("*"))


def test_a_folder_in_what_is_copied_is_refused(root):
    (root / "src").unlink()
    write(root / "src" / "a.py")
    with pytest.raises(UserError, match=r"src/copy: the scratch folder lies in what is copied to it; name another one"):
        Scratch(root, root / "src" / "copy", root / "study.yaml", [], 1)
    assert not (root / "src" / "copy").exists()


def test_links_to_beside_the_checkout_stay_in_the_temporary_folder(root, tmp_path):
    recording = write(root.parent / "recordings" / "a.wav")
    copy = scratch(root, tmp_path)
    copy.take_outside(planned(corpus=FOLDERS["corpus"] | {"root": "../recordings"}))
    link = copy.folder.parent / "recordings"
    assert link.resolve() == recording.parent
    assert link.is_relative_to(tmp_path / "temporary")
