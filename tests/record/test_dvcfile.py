"""dvc.yaml and dvc.lock that do not fit each other or were written by hand; results that left DVC's cache."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ndns.errors import UserError
from ndns.record import dvcfile, store
from ndns.record.record import _keep, record_models
from ndns.record.restore import restore

from .conftest import commit
from .test_remotes import CONTENT, MODEL, checkout, clone, configure


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


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda: Path("dvc.lock").unlink(),
        lambda: rewrite("dvc.lock", dict.clear),
        lambda: rewrite("dvc.lock", lambda stages: stages["models"].pop("outs")),
        lambda: rewrite("dvc.lock", lambda stages: stages["models"]["outs"][0].pop("md5")),
    ],
    ids=["no file", "no stage", "no outputs", "no hash"],
)
def test_results_whose_hash_the_lock_lacks_are_not_deleted(source, damage, force):
    damage()
    with pytest.raises(UserError, match=rf"dvc\.lock: has no hash of {MODEL}, which dvc\.yaml lists under models; "):
        restore(Path(), None, force=force)
    assert {path.name: path.read_bytes() for path in MODEL.iterdir()} == CONTENT


CORPUS = Path("data/c/manifest.csv")


def keep(monkeypatch, name: str, remote: str | None) -> None:
    """Record a study of one file on the corpus `c`."""
    result = Path(f"results/{name}/plan.csv")
    for path in (CORPUS, result):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path}\n")
    meta = {"studies": [name], "config": f"{name}.yaml"}

    def entry(path: Path) -> dict:
        out = {path.as_posix(): {"remote": remote}} if remote else path.as_posix()
        return {"cmd": "true", "outs": [out], "frozen": True, "meta": meta}

    monkeypatch.setattr(dvcfile, "entries", lambda *_: {"corpus-c": entry(CORPUS), f"{name}-mix": entry(result)})
    names = dvcfile.write(SimpleNamespace(name=name, corpus="c", root=Path()), remote)
    _keep(Path(), names, remote, push=True)
    store.prune(Path())


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_corpus_that_studies_share_lies_where_all_find_it(source, tmp_path, monkeypatch, order):
    """Study `a` is recorded into the store in the repository, `b` into another remote, which this clone lacks."""
    (tmp_path / "other").mkdir()
    configure(source, {"url": str(tmp_path / "other")})
    for name in order:
        keep(monkeypatch, name, {"a": None, "b": "results"}[name])
    assert store.md5(Path("results/b/plan.csv")) in store.objects(tmp_path / "other")
    commit(source, "record")
    shutil.rmtree(tmp_path / "other")
    monkeypatch.chdir(clone(source, tmp_path / "clone", {}))
    with store.repository(Path()) as repo:
        store.pull(repo, ["corpus-c", "a-mix"], None, False)
    assert CORPUS.is_file()


def test_a_changed_file_that_the_remote_lacks_is_not_deleted(source, monkeypatch):
    keep(monkeypatch, "a", None)
    for folder in (Path(".dvc/cache"), store.STORE):
        store.objects(folder)[store.md5(CORPUS)].unlink()
    CORPUS.write_text("mine\n")
    with store.repository(Path()) as repo, pytest.raises(UserError, match=rf"^{CORPUS}: the remote .* lacks a file"):
        store.pull(repo, ["corpus-c", "a-mix"], None, True)
    assert CORPUS.read_text() == "mine\n"
