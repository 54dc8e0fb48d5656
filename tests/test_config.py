"""Settings: what is wrong is named with key, file and line."""

import json
from pathlib import Path

import pytest
import yaml

from ndns.config import FolderCorpus, Mix, Study, TrainedModel, load_yaml, settings_from, study_from
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
        ("study: a\nmodels: {m: null}\n", r":2: models\.m: expected keys and values \(found None\)\.$"),
        ("study: a\nmodels: {m: sdnn}\n", r":2: models\.m: expected keys and values \(found 'sdnn'\)\.$"),
        ("study: a\nmodels: {m: {network: null}}\n", r"models\.m\.network: expected keys and values \(found None"),
        ("study: a\nmodels: {m: {network: sdnn}}\n", r"models\.m\.network: expected keys and values \(found 'sdnn"),
        (
            "study: a\nmodels:\n  m:\n    network:\n      kind: s6\n",
            r":5: models\.m\.network\.kind: 's6' is not one of sdnn, s5\.$",
        ),
        ("study: a\ncorpus: {kind: x}\nmodels: {m: {}}\n", r":2: corpus\.kind: 'x' is not one of speak, folder"),
        ("study: a\ncorpus: {}\nmodels: {m: {}}\n", r":2: corpus\.kind: this key is missing; add it\.$"),
        ("study: a-b\nmodels: {m: {}}\n", r":1: study: use small letters, digits and underscores \(found 'a-b'\)"),
        ("study: a\nmodels: {A b: {}}\n", r":2: models\.A b: use small letters, digits and underscores"),
        ("study: on\nmodels: {m: {}}\n", r":1: study: expected text; put it in quotes \(found True\)\.$"),
        (
            "study: a\nboard: {date: 2024-05-01}\nmodels: {m: {}}\n",
            r":2: board\.date: expected text; put it in quotes \(found 2024-05-01\)\.$",
        ),
        ("study: a\nmix: {snr_db: [3]}\nmodels: {m: {}}\n", r":2: mix\.snr_db\.1: this key is missing"),
        ("study: a\nmodels: {m: {train: {devices: two}}}\n", r":2: models\.m\.train\.devices: .*found 'two'"),
        ("study: a\nmodels: {m: {network: {kind: s5, relu: z}}}\n", r":2: models\.m\.network\.relu: .*found 'z'"),
        ("study: a\nmodels:\n  noisy: {weights: x.net}\n", r":3: models\.noisy: the unprocessed mixture is called so"),
        ("study: a\nmodels: {m: {train: {learning_rate: yes}}}\n", r":2: .* learning_rate: expected a number, found T"),
        (
            "study: a\nmodels: {m: {train: {devices: on}}}\n",
            r":2: models\.m\.train: devices: expected a number,",
        ),
        ("study: a\nmix: {snr_db: [no, 5]}\nmodels: {m: {}}\n", r":2: mix: snr_db: expected a number, found False\.$"),
        ("study: a\nmodels: {m: {seeds: [true]}}\n", r":2: models\.m: seeds: expected a number, found True\.$"),
        ("study: a\nmodels: {m: {seeds: [1, 2, 1]}}\n", r":2: models\.m\.seeds: 1 is there twice; remove one\.$"),
        ("study: a\nmodels: {m: {seeds: [1, -1]}}\n", r":2: models\.m\.seeds: -1 is below 0\.$"),
        (
            "study: a\nmix: {method: given}\nmodels:\n  m: {}\n",
            r":4: models\.m: mix\.method given has no clips to train on",
        ),
        (
            "study: a\nmore:\n" + 2 * "  - {kind: folder, name: x, root: y}\n" + "models: {m: {}}\n",
            r":2: more: the name x is there twice",
        ),
        ("study: a\nmodels: {m: {train: {seeds: [1]}}}\n", r"seeds: unknown key; it belongs to another section\.$"),
        ("study: a\nmodels: {m: {train: {crop_seconds: 1, fresh: {}}}}\n", r":2: models\.m\.train: crop_seconds crops"),
        ("study: a\nmodels: {a: {network: {front_end: {hop: 100}}}}\n", r":2: models\.a\.network\.front_end.*multiple"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    config, files = write(tmp_path, text)
    with pytest.raises(UserError, match=message):
        study_from(config, files)


TWICE = "the key '{}' is there already, in line {}; remove one\\.$"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: a\nmix: {seed: 1}\nmix: {seed: 2}\nmodels: {m: {}}\n", r"study\.yaml:3: " + TWICE.format("mix", 2)),
        ("study: a\nmodels:\n  m: {}\n  m: {seeds: [2]}\n", r"study\.yaml:4: " + TWICE.format("m", 3)),
        ("study: a\nmix: {seed: 1, seed: 2}\nmodels: {m: {}}\n", r"study\.yaml:2: " + TWICE.format("seed", 2)),
    ],
)
def test_a_key_that_is_there_twice_is_not_passed_over(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_yaml(path)
    with pytest.raises(UserError, match=message):  # as Snakemake read it
        study_from(yaml.safe_load(text), [path])


def test_keys_may_come_by_reference_twice(tmp_path):
    text = "x: &x {a: 1}\ny: &y {b: 2}\nz: {<<: *x, <<: *y}\n"
    (tmp_path / "study.yaml").write_text(text)
    assert load_yaml(tmp_path / "study.yaml")["z"] == yaml.safe_load(text)["z"]


def test_a_json_file_with_tabs_is_searched_for_the_place(tmp_path):
    path = tmp_path / "study.json"
    path.write_text('{\n\t"study": "a",\n\t"modles": {},\n\t"models": {"m": {}}\n}\n')
    with pytest.raises(UserError, match=r"study\.json:3: modles: unknown key; did you mean 'models'\?$"):
        study_from(json.loads(path.read_text()), [path])


@pytest.mark.parametrize("key", ["corpus_root", "weights_root", "more_root"])
def test_a_folder_that_reads_as_a_number_gets_a_sentence(key):
    with pytest.raises(UserError, match=rf"^{key}: expected a folder \(found 2024\); write \./2024 if it is one\.$"):
        study_from({"study": "a", key: 2024, "models": {"m": {"weights": "x.net"}}})


def test_only_the_first_of_many_problems_are_named():
    with pytest.raises(UserError) as caught:
        study_from({"study": "a", "models": {f"m{index}": {"network": {"thresold": 1}} for index in range(40)}})
    message = str(caught.value)
    assert message.count("unknown key; did you mean 'threshold'?") == 3
    assert message.endswith("And 37 more.")


def test_networks_of_a_stages_settings_need_keys():
    with pytest.raises(UserError, match=r"^network: expected keys and values \(found 3\)\.$"):
        settings_from('{"network": 3}', TrainedModel)


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


def test_further_corpora_and_weights_have_roots_too(monkeypatch):
    more = [{"kind": "folder", "name": name, "root": root} for name, root in (("x", "a"), ("y", "./b"), ("z", "/c"))]
    config = {"study": "a", "more": more, "models": {"m": {"weights": "n.net"}}}
    assert [corpus.root for corpus in study_from({**config, "more_root": "/r"}).more] == ["/r/a", "b", "/c"]
    monkeypatch.setenv("NDNS_MORE_ROOT", "/e")
    monkeypatch.setenv("NDNS_WEIGHTS_ROOT", "/w")
    study = study_from(config)
    assert [corpus.root for corpus in study.more] == ["/e/a", "b", "/c"]
    assert study.models["m"].weights == "/w/n.net"
    assert study_from({**config, "more_root": "/r"}).more[0].root == "/r/a", "the command line comes first"


def test_the_challenges_data_lie_where_the_corpus_root_says():
    config = {"study": "a", "corpus": {"kind": "speak"}, "models": {"m": {}}, "corpus_root": "/c"}
    assert study_from(config).fetch.existing == "/c"
    assert study_from({**config, "fetch": {"sets": ["dns4"]}}).fetch.sets == ["dns4"]


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


def test_a_key_behind_a_tag_of_its_name_is_named():
    models = {"m": {"peer": "python", "callable": "os.system('x')"}}
    with pytest.raises(UserError, match=r"^models\.m\.callable: string should match pattern"):
        study_from({"study": "a", "models": models})
