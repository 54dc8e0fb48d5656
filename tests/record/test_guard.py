"""What must hold before anything is recorded or put into place, and what is told where it does not."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from ndns.crate.build import commit as commit_of
from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.record import derive, guard, jobs
from ndns.record.restore import restore
from ndns.record.study import Recorded

from .conftest import commit, git


@pytest.fixture
def repository(tmp_path):
    """A commit with a line of code, settings and a text."""
    for name in ("src/ndns/a.py", "config/s.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path, "all")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("src/ndns/a.py", True),
        ("notes.txt", True),
        ("src/ndns/new.py", True),
        ("rules/new.smk", True),
        ("config/new.yaml", True),
        ("config/another.yaml", False),
        ("new.txt", False),
        ("reference/store/files/md5/ab/c", False),
    ],
)
def test_code_and_settings_that_are_in_no_commit_are_changes(repository, path, counts):
    assert guard.changes(repository, "config/new.yaml") == []
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text("2\n")
    assert guard.changes(repository, "config/new.yaml") == ([path] if counts else [])


def test_without_git_the_commit_is_unknown(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"git cannot tell which commit this is \(the program git is not installed\)"):
        guard.changes(repository, "config/s.yaml")
    assert commit_of(repository) == "unknown"


def test_settings_outside_of_the_checkout_are_refused(repository, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "s.yaml"
    other.write_text("study: s\n")
    with pytest.raises(UserError, match=r"s\.yaml: lies outside of the checkout"):
        _ = Recorded(repository, other, {}).config_path
    assert Recorded(repository, repository / "config/s.yaml", {}).config_path == "config/s.yaml"


@pytest.mark.parametrize("text", ["{}", "5", "[]", '{"starttime": 1, "endtime": null}', "{"])
def test_a_damaged_job_record_is_named(tmp_path, text):
    path = jobs.place(tmp_path, "a")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UserError, match=r"the job record of a is damaged .*; delete it and run again"):
        jobs.read(tmp_path, "a")
    published = tmp_path / "jobs.json"
    published.write_text(f'{{"format": 1, "jobs": {{"a": {text}}}, "files": {{}}}}')
    with pytest.raises(UserError, match=r"jobs\.json: no job records"):
        jobs.load(published)


@pytest.fixture
def derived(tmp_path, monkeypatch):
    """A study with two derived files, one of them absent; computing writes what was recorded."""
    (tmp_path / ".dvc").mkdir()
    job = {"starttime": 1.0, "endtime": 2.0}
    for name in "ab":
        (tmp_path / name).write_text(name)
    digests = {name: sha256_file(tmp_path / name) for name in "ab"}
    text = {"format": jobs.FORMAT, "jobs": dict.fromkeys("ab", job), "files": digests}
    (tmp_path / "jobs.json").write_text(json.dumps(text))
    (tmp_path / "b").unlink()
    monkeypatch.setattr(
        derive, "_compute", lambda study, cores, wanted: [Path(study.root, n).write_text(n) for n in wanted]
    )
    return SimpleNamespace(root=tmp_path, jobs_file=tmp_path / "jobs.json", derived=frozenset("ab"))


def test_a_derived_file_that_changed_is_computed_again_if_told(derived):
    (derived.root / "a").write_text("mine")
    assert derive.derive(derived, 1) == ["b"]
    assert (derived.root / "a").read_text() == "mine"
    assert derive.derive(derived, 1, force=True) == ["a"]
    assert (derived.root / "a").read_text() == "a"
    assert (derived.root / "a").stat().st_mtime == 2.0
    assert derive.derive(derived, 1, force=True) == []


def test_a_folder_that_is_no_checkout_is_told_and_left_as_it_is(tmp_path):
    with pytest.raises(UserError, match=r"no \.dvc folder here; run this in a checkout"):
        restore(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_nothing_is_derived_while_another_command_is_at_work(derived):
    with guard.alone(derived.root), pytest.raises(UserError, match=r"another ndns command .* is at work"):
        derive.derive(derived, 1)
    assert not (derived.root / "b").exists()


def test_what_does_not_fit_on_the_disk_leaves_no_part_of_it(tmp_path, monkeypatch):
    def full(source, target):
        Path(target).write_text("half")
        raise OSError(errno.ENOSPC, "full", str(target))

    made = SimpleNamespace(folder=tmp_path / "scratch", take_outside=lambda plan: None, derive=lambda wanted: None)
    monkeypatch.setattr(derive, "Scratch", lambda *arguments: made)
    monkeypatch.setattr(derive.shutil, "move", full)
    study = SimpleNamespace(root=tmp_path / "checkout", overrides={}, config=None, plan=None)
    with pytest.raises(UserError, match=r"data/few/audio\.tar: no space left on the disk; free some"):
        derive._compute(study, 1, {"data/few/audio.tar": "0" * 64})
    assert not [path for path in study.root.rglob("*") if path.is_file()]
