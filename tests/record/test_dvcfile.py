"""dvc.yaml and dvc.lock that do not fit each other or were written by hand; results that left DVC's cache."""

import shutil
from pathlib import Path

import pytest
import yaml

from ndns.errors import UserError
from ndns.record.record import record_models
from ndns.record.restore import restore

from .conftest import commit
from .test_remotes import CONTENT, MODEL, checkout


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A checkout whose model is recorded; the working directory."""
    folder = checkout(tmp_path / "source")
    monkeypatch.chdir(folder)
    record_models(Path())
    commit(folder, "record")
    return folder


def rewrite(name: str, change) -> None:
    value = yaml.safe_load(Path(name).read_text())
    change(value["stages"])
    Path(name).write_text(yaml.safe_dump(value))


@pytest.mark.parametrize("entry", [{"cmd": "true", "outs": ["x"]}, {"meta": {"studies": []}}, {"meta": 5}, 5, None])
@pytest.mark.parametrize(
    "work", [lambda: restore(Path(), None), lambda: record_models(Path())], ids=["restore", "record"]
)
def test_a_stage_of_another_hand_is_named(source, entry, work):
    rewrite("dvc.yaml", lambda stages: stages.update(mine=entry))
    with pytest.raises(UserError, match=r"dvc\.yaml: the stage 'mine' is not one that `ndns record` writes"):
        work()


def test_a_stage_that_is_only_in_the_lock_is_dropped(source):
    rewrite("dvc.lock", lambda stages: stages.update(gone=stages["models"]))
    record_models(Path())
    assert yaml.safe_load(Path("dvc.lock").read_text())["stages"].keys() == {"models"}


def test_results_that_are_as_recorded_need_no_cache(source):
    shutil.rmtree(".dvc/cache")
    restore(Path(), None)
    shutil.rmtree(".dvc/cache")
    (MODEL / "program.net").write_bytes(b"mine")
    with pytest.raises(UserError, match="differs from what is recorded"):
        restore(Path(), None)
    assert (MODEL / "program.net").read_bytes() == b"mine"
    assert (MODEL / "checkpoint.safetensors").read_bytes() == CONTENT["checkpoint.safetensors"]
