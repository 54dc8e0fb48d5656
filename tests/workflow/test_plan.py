"""What the rules ask about a study."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from ndns.config import Deploy, Sdnn
from ndns.errors import UserError
from ndns.workflow import DEPLOY_SPEED, named, one_of, plan, study_file

CONFIG = {
    "study": "s",
    "models": {
        "sdnn": {"seeds": [1, 7]},
        "released": {"weights": "there.net", "sha256": "0" * 64, "mask_delay": 2},
        "gone": {"weights": "gone.net"},
    },
}


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.net").write_text("x")
    return plan(CONFIG)


def test_runs_are_models_times_seeds_and_present_weights(result):
    assert result.runs == ["sdnn-seed1", "sdnn-seed7", "released"]
    assert result.absent == {"gone": "gone.net"}


def test_required_weights_stay_in_the_plan_when_absent():
    config = {"study": "s", "models": {"gone": {"weights": "gone.net", "optional": False}}}
    assert plan(config).runs == ["gone"]


def test_settings_of_a_run_do_not_mention_other_seeds(result):
    text = result.train_settings("sdnn-seed7")
    assert json.loads(text)["seeds"] == [7]
    assert json.loads(text)["network"] == Sdnn().model_dump()


def test_initial_weights_come_from_the_run_of_the_same_seed():
    result = plan({"study": "s", "models": {"dense": {"seeds": [1, 7]}, "sparse": {"seeds": [7], "initial": "dense"}}})
    assert result.initial("sparse-seed7", "results/s") == "results/s/train/dense-seed7/checkpoint.safetensors"
    assert result.initial_options("dense-seed7", "results/s") == []


def test_initial_weights_come_from_a_checkpoint_that_the_study_did_not_train(tmp_path):
    file = tmp_path / "brought.safetensors"
    models = {
        "after": {"initial": "next", "seeds": [2]},
        "next": {"initial": "brought", "seeds": [1, 2]},
        "brought": {"weights": str(file), "sha256": "0" * 64},
        "own": {},
    }
    absent = plan({"study": "s", "models": models})
    assert absent.runs == ["own-seed1"]
    assert absent.absent == dict.fromkeys(("after", "next", "brought"), str(file))
    file.write_bytes(b"weights")
    present = plan({"study": "s", "models": models})
    assert present.runs == ["after-seed2", "next-seed1", "next-seed2", "own-seed1", "brought"]
    assert present.initial_options("next-seed1", "r") == [f"--initial={file}", f"--initial-sha256={'0' * 64}"]
    assert present.initial_options("after-seed2", "r") == ["--initial=r/train/next-seed2/checkpoint.safetensors"]
    models["brought"]["mask_delay"] = 1
    with pytest.raises(UserError, match=r"mask_delay: a checkpoint brings its own"):
        plan({"study": "s", "models": models})


def test_a_model_hears_the_further_corpora_that_it_names_and_that_are_there(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    more = [{"kind": "folder", "name": name, "root": str(tmp_path / name)} for name in ("one", "two", "gone")]
    fresh = {"all": {}, "some": {"corpora": ["gone", "two"]}, "none": {"corpora": []}}
    models = {name: {"train": {"fresh": settings}} for name, settings in fresh.items()}
    result = plan({"study": "s", "more": more, "models": models | {"rendered": {}}})
    heard = {name: result.further(f"{name}-seed1") for name in [*fresh, "rendered"]}
    assert heard == {"all": ["one", "two"], "some": ["two"], "none": [], "rendered": []}
    with pytest.raises(UserError, match=r"models\.a\.train\.fresh\.corpora: three is not among more"):
        plan({"study": "s", "more": more, "models": {"a": {"train": {"fresh": {"corpora": ["one", "three"]}}}}})


def test_speech_is_cleaned_where_the_recordings_and_what_cleans_them_are_there(tmp_path):
    more = [
        {"kind": "folder", "name": "gone", "root": str(tmp_path / "gone")},
        {"kind": "folder", "name": "here", "root": str(tmp_path)},
        {"kind": "cleaned", "name": "own", "by": "mine"},
        {"kind": "cleaned", "name": "of_here", "of": "here", "by": "mine"},
        {"kind": "cleaned", "name": "of_gone", "of": "gone", "by": "mine"},
        {"kind": "cleaned", "name": "by_absent", "by": "absent"},
    ]
    peers = {
        "mine": {"peer": "python", "callable": "a:b"},
        "absent": {"peer": "gtcrn", "weights": str(tmp_path / "x.onnx")},
    }
    result = plan({"study": "s", "more": more, "models": peers | {"a": {"train": {"fresh": {}}}}})
    assert result.further("a-seed1") == ["here", "own", "of_here"]
    assert result.unheard == {
        "gone": str(tmp_path / "gone"),
        "of_gone": str(tmp_path / "gone"),
        "by_absent": str(tmp_path / "x.onnx"),
    }
    assert (result.cleaned_from("own", "data/c"), result.cleaned_from("of_here", "data/c")) == (
        "data/c/manifest.csv",
        "data/c/more/here/manifest.csv",
    )


@pytest.mark.parametrize(
    ("more", "models", "reason"),
    [
        ({"by": "gone"}, {}, r"more\.c\.by: gone is no model with a peer that denoises any speech"),
        ({"by": "a"}, {}, r"more\.c\.by: a is no model with a peer"),
        ({"by": "p"}, {"p": {"peer": "ideal_ratio_mask"}}, r"more\.c\.by: p is no model with a peer"),
        ({"by": "p", "of": "x"}, {"p": {"peer": "noisereduce"}}, r"more\.c\.of: x is no folder among more"),
        ({"by": "p", "of": "c"}, {"p": {"peer": "noisereduce"}}, r"more\.c\.of: c is no folder among more"),
        ({"by": "p", "keep": 1.0}, {"p": {"peer": "noisereduce"}}, r"more\.0\.cleaned\.keep|more\.0\.keep|keep"),
    ],
)
def test_cleaning_that_cannot_be_is_named(more, models, reason):
    with pytest.raises(UserError, match=reason):
        plan({"study": "s", "more": [{"kind": "cleaned", "name": "c"} | more], "models": {"a": {}} | models})


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ({"a": {"initial": "gone"}}, "models.a.initial: gone is not a model trained before"),
        ({"a": {"initial": "a"}}, "models.a.initial: a is not a model trained before"),
        ({"a": {"initial": "b"}, "b": {"initial": "a"}}, "models.a.initial: a is not a model trained before"),
        (
            {"a": {"initial": "b"}, "b": {"weights": "x.net"}},
            "models.a.initial: b is not a model trained before .* or one whose",
        ),
        ({"a": {"seeds": [1, 2], "initial": "b"}, "b": {}}, "models.a.initial: b has no seed 2; add it there"),
    ],
)
def test_initial_weights_that_nothing_trains_are_refused(models, reason):
    with pytest.raises(UserError, match=reason):
        plan({"study": "s", "models": models})


def test_quantize_options(result):
    assert result.quantize_source("sdnn-seed1") == ["--checkpoint"]
    assert result.quantize_source("released") == ["--sha256", "0" * 64, "--mask-delay", "2", "--import"]


def test_an_imported_file_tells_its_own_mask_delay():
    found = plan({"study": "s", "models": {"shipped": {"weights": "program.net", "optional": False}}})
    assert found.quantize_source("shipped") == ["--import"]


def test_peers_are_scored_but_have_no_program(tmp_path, monkeypatch):
    monkeypatch.setattr("ndns.workflow.find_spec", lambda name: None if name == "pyrnnoise" else True)
    models = {"mask": {"peer": "ideal_ratio_mask"}, "rnnoise": {"peer": "rnnoise"}, "sdnn": {}}
    models["gtcrn"] = {"peer": "gtcrn", "weights": str(tmp_path / "gone.onnx")}
    result = plan({"study": "s", "models": models})
    assert result.runs == ["sdnn-seed1", "mask"]
    assert result.networks == ["sdnn-seed1"]
    assert result.absent == {"rnnoise": "the package pyrnnoise", "gtcrn": str(tmp_path / "gone.onnx")}
    assert plan({"study": "s", "models": {"rnnoise": {"peer": "rnnoise", "optional": False}}}).runs == ["rnnoise"]


def test_mode_of_a_run(tmp_path):
    (tmp_path / "a.net").write_text("x")
    models = {"a": {"weights": str(tmp_path / "a.net"), "mode": "chip24"}, "sdnn": {}}
    result = plan({"study": "s", "models": models})
    assert (result.mode("a"), result.mode("sdnn-seed1")) == ("chip24", "lava-0.10")


def test_pattern_of_no_runs_matches_nothing():
    assert re.fullmatch(one_of(["a", "b-seed1"]), "b-seed1")
    assert not re.fullmatch(one_of([]), "")


def test_memory_and_minutes_follow_the_audio():
    hour = plan({**CONFIG, "mix": {"val_clips": 120, "seconds": 30.0}})
    assert hour.activity_mb() - plan({**CONFIG, "mix": {"val_clips": 1, "seconds": 1.0}}).activity_mb() >= 170
    assert hour.minutes(10, 2, 1) == 30
    assert hour.minutes(1, 2, 1) == 120
    assert hour.minutes(1, 2, 3) == 360
    assert DEPLOY_SPEED.keys() == set(get_args(Deploy.model_fields["backend"].annotation))
    assert hour.deploy_minutes(2, 1) == 30
    lava = plan({**CONFIG, "mix": {"val_clips": 120, "seconds": 30.0}, "deploy": {"backend": "lava"}})
    assert lava.deploy_minutes(2, 1) * 60 * 41.7 / 125 > 2 * 3600, "as fast as lava was, twice over"


def test_a_list_of_recordings_is_an_input_of_the_plan():
    released = {"speech_list": "speech.txt", "noise_list": None}
    mix = {"method": "released", "seed": 5, "snr_db": [-5, 20], "released": released}
    assert plan({**CONFIG, "mix": mix}).lists == ["speech.txt"]
    assert plan({**CONFIG, "mix": {"released": released}}).lists == []


def test_wrong_study_is_refused():
    with pytest.raises(UserError, match="unknown key"):
        plan({**CONFIG, "mixx": {}})


def test_named_options():
    assert named("scores", "a/{run}.csv", ["x", "y"]) == ["--scores=x=a/x.csv", "--scores=y=a/y.csv"]


def test_a_study_is_named_as_in_config_or_by_its_file(tmp_path):
    (tmp_path / "config").mkdir()
    for name in ("config/mine.yaml", "other.yml"):
        (tmp_path / name).touch()
    assert study_file("mine", tmp_path) == Path("config/mine.yaml")
    assert study_file("other.yml", tmp_path) == Path("other.yml")
    for name, looked in (("other", "config/other.yaml"), ("mine.yaml", "mine.yaml")):
        with pytest.raises(UserError, match=f"^{looked}: no such study; name a file of config/"):
            study_file(name, tmp_path)


def test_a_peer_hears_of_a_change_of_its_own_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "pkg/deep.py", "made/c0.wav", "made/sub/c1.flac", "w.onnx"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    models = {
        "shell": {"peer": "command", "command": ["python", "mine.py", "--fast", "{input}", "{output}"]},
        "function": {"peer": "python", "callable": "pkg.deep:f"},
        "done": {"peer": "folder", "folder": "made"},
        "released": {"peer": "gtcrn", "weights": str(tmp_path / "w.onnx")},
    }
    result = plan({"study": "s", "models": models})
    assert {run: result.peer_files(run) for run in result.peers} == {
        "shell": ["mine.py"],
        "function": ["pkg/deep.py"],
        "done": ["made/c0.wav", "made/sub/c1.flac"],
        "released": [str(tmp_path / "w.onnx")],
    }


def test_added_rows_are_peers_and_a_clash_of_names_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made").mkdir()
    (tmp_path / "results/s").mkdir(parents=True)
    (tmp_path / "results/s/added.yaml").write_text(f"theirs: {{peer: folder, folder: {tmp_path / 'made'}}}\n")
    assert plan({"study": "s", "models": {"sdnn": {}}}).runs == ["sdnn-seed1", "theirs"]
    assert plan({"study": "other", "models": {"sdnn": {}}}).runs == ["sdnn-seed1"]
    with pytest.raises(UserError, match="a model 'theirs' of its own"):
        plan({"study": "s", "models": {"theirs": {}}})
    (tmp_path / "made").rmdir()
    assert plan({"study": "s", "models": {"sdnn": {}}}).absent == {"theirs": str(tmp_path / "made")}
    (tmp_path / "results/s/added.yaml").write_text("theirs: {peer: folder, folder: made}\nmore:\n  peer: foldr\n")
    (tmp_path / "s.yaml").write_text("study: s\nmodels: {sdnn: {}}\n")
    with pytest.raises(UserError, match=r"^results/s/added\.yaml:3: more\.peer: "):
        plan({"study": "s", "models": {"sdnn": {}}}, ["s.yaml"])


def test_a_job_that_was_killed_asks_for_more_memory_and_time():
    asked = {
        f"{file.name}: {line}"
        for file in (Path(__file__).parents[2] / "rules").glob("*.smk")
        for line in re.findall(r"(?:mem_mb|runtime)=(?:.|\n)*?,$", file.read_text(), re.MULTILINE)
    }
    assert len(asked) >= 2 * 14
    assert {line for line in asked if not re.search(r"\* attempt,|, attempt\),", line)} == set()
