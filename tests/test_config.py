"""Settings: what is wrong is named with key, file and line."""

from pathlib import Path

import pytest

from ndns.config import FolderCorpus, Mix, Study, load_yaml, settings_from, study_from
from ndns.errors import UserError

CONFIGS = [
    path
    for path in sorted((Path(__file__).parents[1] / "config").glob("*.yaml"))
    if path.read_text(encoding="utf-8").startswith("study:") or "\nstudy:" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_shipped_studies_are_valid_and_named_as_their_file(path):
    study = study_from(load_yaml(path), [path])
    assert study.study == path.stem


def write(tmp_path, text):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return load_yaml(path), [path]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "study: a\nmodels:\n  sdnn:\n    network:\n      threshold: -1\n",
            r":5: models\.sdnn\.network\.threshold: .*-1",
        ),
        (
            "study: a\nmodels:\n  sdnn:\n    network:\n      thresold: 1\n",
            r":5: .*thresold: unknown key; did you mean 'thres",
        ),
        ("study: a\nmodels:\n  x:\n    weights: f\n    sha: 1\n", r":5: models\.x\.sha: unknown key"),
        ("study: a\nmix:\n  snr_db: [3, 1]\nmodels: {a: {}}\n", r":2: mix: snr_db: the lower bound 3"),
        ("study: a\ncorpus: {kind: folder, name: x}\nmodels: {a: {}}\n", r":2: corpus\.root: this key is missing"),
        ("study: a/b\nmodels: {a: {}}\n", r":1: study: "),
        ("models: {a: {}}\n", r"study: this key is missing"),
        ("study: a\nmodels: {}\n", r":2: models: "),
        ("study: a\nmodels: {a: {network: {front_end: {hop: 100}}}}\n", r":2: models\.a\.network\.front_end.*multiple"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    config, files = write(tmp_path, text)
    with pytest.raises(UserError, match=message):
        study_from(config, files)


def test_not_yaml(tmp_path):
    (tmp_path / "study.yaml").write_text("a: [")
    with pytest.raises(UserError, match=r"study\.yaml: not valid YAML"):
        load_yaml(tmp_path / "study.yaml")


def test_roots_come_from_command_line_or_environment(monkeypatch):
    config = {
        "study": "a",
        "corpus": {"kind": "folder", "name": "x", "root": "unset"},
        "models": {"m": {"weights": "net/work.net"}},
    }
    study = study_from({**config, "corpus_root": "/c", "weights_root": "/w"})
    assert (study.corpus.root, study.models["m"].weights) == ("/c", "/w/net/work.net")
    here = study_from({**config, "models": {"m": {"weights": "./net/work.net"}}, "weights_root": "/w"})
    assert here.models["m"].weights == "net/work.net"
    monkeypatch.setenv("NDNS_CORPUS_ROOT", "/e")
    assert study_from(config).corpus.root == "/e"


def test_stage_settings_round_trip(tmp_path):
    mix = Mix(seed=3, seconds=2.5)
    assert settings_from(mix.model_dump_json(), Mix) == mix
    (tmp_path / "mix.yaml").write_text("seed: 3\nseconds: 2.5\n")
    assert settings_from(str(tmp_path / "mix.yaml"), Mix) == mix
    with pytest.raises(UserError, match="--settings: not JSON"):
        settings_from("{", Mix)
    with pytest.raises(UserError, match="unknown key"):
        settings_from('{"sed": 1}', Mix)
    with pytest.raises(UserError, match="no such settings file"):
        settings_from("nowhere.yaml", Mix)


def test_every_setting_rejects_unknown_keys():
    def sections(cls):
        yield cls
        for sub in cls.__subclasses__():
            yield from sections(sub)

    for cls in sections(Study.__mro__[1]):
        assert cls.model_config["extra"] == "forbid", cls
    assert FolderCorpus(kind="folder", name="a", root="r").on_bad == "skip"
